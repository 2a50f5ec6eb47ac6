import Foundation
import Testing

/// Lines that people type at ssh: whether the tunnel stands with them, and what becomes of it. Where ssh can do the same it is
/// asked too.
@Suite(.serialized) struct TypedLineTests {
    @Test(
        "bracketed paths are sockets, at both ends",
        .enabled(if: Subject.engine != "libssh2", "libssh2 has no sockets at the server"))
    func bracketedPaths() throws {
        try onStage { stage in
            let (server, target) = try Self.place(stage)
            let path = stage.directory
            let tunnel = try Tunnel(
                to: server,
                [
                    "-N", "-R", "[\(path)/b]:[127.0.0.1]:\(target)", "-L", "[\(path)/a:1]:[\(path)/b]",
                ])
            try waitUntil("both sockets are there") {
                guard tunnel.process.isRunning else { throw Failure("it ended") }
                return ["a:1", "b"].allSatisfy { FileManager.default.fileExists(atPath: "\(path)/\($0)") }
            }
            try OutageTests.expectEcho(.unix("\(path)/a:1"), within: 10)
        }
    }

    @Test("a host of any printable characters is handed to the server, which says what it makes of it")
    func printableHost() throws {
        try onStage { stage in
            let (server, _) = try Self.place(stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-N", "-L", "\(door):no such;host(x):1"])
            try tunnel.waitForListener(door)
            let client = try TestSocket.connect(.tcp(door))
            try tunnel.server.process.waitForLine(["no such;host(x)"])
            client.close()
        }
    }

    @Test("what no list leaves is named at once, with what helps", .enabled(if: Subject.isCulvert, "ssh has these"))
    func nothingLeft() throws {
        try onStage { stage in
            let (server, _) = try Self.place(stage)
            let tunnel = try Tunnel(to: server, ["-N", "-c", "3des-cbc,aes256-cbc"])
            let line = try tunnel.process.waitForLine(["no cipher", "3des-cbc,aes256-cbc"])
            if Subject.engine != "libssh2" { #expect(line.contains("--engine libssh2")) }
            #expect(try tunnel.process.waitForEnd(within: 10) == .exited(255))
        }
    }

    @Test(
        "a port that is chosen is told, written to the file before it goes to the background, and kept",
        .enabled(if: Subject.isCulvert, "ssh refuses port 0"))
    func chosenPorts() throws {
        try onStage { stage in
            let (server, target) = try Self.place(stage)
            let file = "\(stage.directory)/ports"
            let tunnel = try Tunnel(
                to: server,
                [
                    "-N", "--port-file", file, "-L", "0:127.0.0.1:\(target)", "-D", "0", "-R", "0:127.0.0.1:\(target)",
                ])
            let line = try tunnel.process.waitForLine(["Allocated port", "local forward to 127.0.0.1:\(target)"])
            try tunnel.process.waitForLine(["Allocated port", "dynamic forward"])
            let port = try #require(line.split(separator: " ").compactMap { UInt16($0) }.first)
            try waitUntil("the file is there") { FileManager.default.fileExists(atPath: file) }
            func lines() throws -> [[Substring]] {
                try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
                    $0.split(separator: " ", maxSplits: 1)
                }
            }
            let before = try lines()
            #expect(before.map { $0[1] } == ["-L 0:127.0.0.1:\(target)", "-D 0", "-R 0:127.0.0.1:\(target)"])
            #expect(before[0][0] == "\(port)")
            let reverse = try #require(UInt16(before[2][0]))
            for door in [port, reverse] { try OutageTests.expectEcho(.tcp(door), within: 10) }
            server.killSessions()
            try tunnel.process.waitForLine(["is back"])
            #expect(try lines()[0] == before[0])
            try OutageTests.expectEcho(.tcp(port), within: 10)
        }
    }

    @Test("sleep behind the host: it ends with 0 after that time, once no connection is open")
    func sleepIdiom() throws {
        try onStage { stage in
            let (server, target) = try Self.place(stage)
            let door = try Ports.free()
            // Not by `Subject.command`, whose -N would keep ssh from running it.
            let engine = Subject.engine.map { ["--engine", $0] } ?? []
            let command =
                [Subject.path, "-F", "none"] + engine + ["-L", "\(door):127.0.0.1:\(target)"]
                + (try Tunnel.login(server)) + ["\(SSHServer.user)@127.0.0.1", "sleep", "2"]
            let began = monotonicSeconds()
            let process = try stage.start("sleeper", command, environment: Tunnel.environment(stage))
            try waitUntil("the forward stands") { !ProcFS.listeners(port: door).isEmpty }
            let open = try TestSocket.connect(.tcp(door))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            // The pause is what is tested: the time passes while the connection is used.
            try waitUntil("the time has passed", within: 10) { monotonicSeconds() - began > 4 }
            #expect(process.isRunning)
            try open.send("again")
            #expect(try open.receiveText(count: 5) == "again")
            open.close()
            #expect(try process.waitForEnd(within: 10) == .exited(0))
        }
    }

    @Test("without a forward it stays connected, and says nothing", arguments: [["-N"], ["-N", "-L", "1:x:2"]])
    func withoutForward(_ words: [String]) throws {
        try onStage { stage in
            let (server, _) = try Self.place(stage)
            let cleared = words.count > 1 ? ["-oClearAllForwardings=yes"] : []
            let tunnel = try Tunnel(to: server, words + cleared)
            try tunnel.waitForLink(1)
            #expect(tunnel.process.isRunning)
            tunnel.process.signal(SIGTERM)
            let ending = try tunnel.process.waitForEnd(within: 10)
            if Subject.isCulvert { #expect(ending == .exited(0)) }
        }
    }

    @Test("a login that offered too much names what was not tried", .enabled(if: Subject.isCulvert, "ssh names none"))
    func tooManyKeys() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage, options: ["MaxAuthTries 2"])
            var words: [String] = []
            for name in ["one", "two", "three", "four"] {
                try stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(stage.directory)/\(name)"])
                words += ["-i", "\(stage.directory)/\(name)"]
            }
            let tunnel = try Tunnel(to: server, words + ["-N"])
            let line = try tunnel.process.waitForLine(["Too many authentication failures"])
            for part in ["/one", "; not tried any more: ", "/four", "IdentitiesOnly=yes"] {
                #expect(line.contains(part), "\(line)")
            }
            #expect(try tunnel.process.waitForEnd(within: 10) == .exited(255))
        }
    }

    private static func place(_ stage: Stage) throws -> (server: SSHServer, target: UInt16) {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        return (try SSHServer(on: stage), target)
    }
}
