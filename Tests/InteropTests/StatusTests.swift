import Foundation
import Testing

/// `culvert status`, and the socket that it asks.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has no such socket")) struct StatusTests {
    /// What a tunnel's document says, as far as it is looked at.
    private struct Document: Decodable {
        struct Tunnel: Decodable {
            struct Link: Decodable {
                struct Word: Decodable { let text: String }
                let state: String
                let connects: Int?
                let losses: Int?
                let lost: [Word]?
            }
            struct Forward: Decodable {
                struct Flow: Decodable {
                    let peer: String
                    let sent_bytes: Int
                }
                let text: String
                let state: String
                let port: Int?
                let connections: Int
                let opened: Int
                let refused: Int
                let sent_bytes: Int
                let received_bytes: Int
                let flows: [Flow]?
            }
            let name: String
            let state: String
            let links: [Link]
            let forwards: [Forward]
        }
        let pid: Int
        let tunnels: [Tunnel]
    }

    private static func environment(_ stage: Stage) -> [String: String] {
        Tunnel.environment(stage, ["XDG_RUNTIME_DIR": stage.directory, "RUNTIME_DIRECTORY": ""])
    }

    private static func status(_ stage: Stage, _ words: [String] = []) throws -> (Ending, output: String, error: String)
    {
        let child = try stage.start("status", [Subject.path, "status"] + words, environment: environment(stage))
        return (try child.waitForEnd(), child.outputText, child.errorText)
    }

    private static func documents(_ stage: Stage, _ words: [String] = []) throws -> [Document.Tunnel] {
        let said = try status(stage, ["--json"] + words)
        return try JSONDecoder().decode([Document].self, from: Data(said.output.utf8)).flatMap(\.tunnels)
    }

    /// No tunnel of that name runs, or none at all.
    private static func expectNone(_ name: String, _ stage: Stage) throws {
        let said = try status(stage, [name])
        let isNone = said.0 == .exited(4) && said.error.contains("no culvert runs here")
        #expect(isNone || said.0 == .exited(3) && said.error.contains("no tunnel named \(name) runs"), "\(said)")
        #expect(said.output.isEmpty)
    }

    @Test("tunnels that stand and that do not, each connection counted once, and a link that was lost with its reason")
    func upAndDown() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage, name: "left")
            let other = try SSHServer(on: stage, name: "right")
            try other.stop()
            let (direct, closed, away, nobody) = (
                try Ports.free(), try Ports.free(), try Ports.free(), try Ports.free()
            )
            let file = try stage.write(
                "tunnels.toml",
                UpTests.table(
                    "left", to: server,
                    ["local = [\"\(direct):127.0.0.1:\(target)\", \"\(closed):127.0.0.1:\(nobody)\"]"])
                    + UpTests.table("right", to: other, ["local = \"\(away):127.0.0.1:\(target)\""]))
            let culvert = try stage.start("culvert", [Subject.path, "up", file], environment: Self.environment(stage))
            try OutageTests.expectEcho(.tcp(direct), within: 15)
            try culvert.waitForLine(["right: cannot connect"])

            let table = try Self.status(stage)
            #expect(table.0 == .exited(3) && table.error.isEmpty)
            // Whoever runs the tests may have tunnels of their own.
            let lines = table.output.split(separator: "\n").map(String.init)
            let places = ["left", "right"].map { name in lines.firstIndex { $0.hasPrefix(name + " ") } }
            guard lines[0].hasPrefix("TUNNEL"), let left = places[0], let right = places[1] else {
                throw Failure("no table: \(lines)")
            }
            #expect(lines[left].split(separator: " ")[1] == "up", "\(lines)")
            #expect(lines[right + 1].contains("Connection refused") && lines[right + 1].contains("failed"), "\(lines)")

            let open = try TestSocket.connect(.tcp(direct))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            let refused = try TestSocket.connect(.tcp(closed))
            #expect(throws: (any Error).self) { try refused.receiveText(count: 1) }
            var document = try #require(try Self.documents(stage, ["left"]).first)
            #expect(document.forwards[0].connections == 1 && document.forwards[0].port == Int(direct))
            #expect(document.forwards[0].flows?.first?.sent_bytes == 5)
            #expect(document.forwards[1].refused == 1 && document.forwards[1].opened == 0)
            let detail = try Self.status(stage, ["left"])
            #expect(detail.0 == .exited(0))
            #expect(detail.output.contains("(pid \(getpid()))"), "its client is this process: \(detail.output)")

            server.killSessions()
            try culvert.waitForLine(["left: link", "is back"])
            try OutageTests.expectEcho(.tcp(direct), within: 15)
            document = try #require(try Self.documents(stage, ["left"]).first)
            #expect(document.state == "up" && document.links[0].connects == 2 && document.links[0].losses == 1)
            #expect(document.links[0].lost?.count == 1 && document.links[0].lost?[0].text.isEmpty == false)
            // What the echo and the first connection came to; none is open, and none was counted twice.
            if Subject.engine != "libssh2" {
                #expect(document.forwards[0].opened == 3 && document.forwards[0].connections == 0)
                #expect(document.forwards[0].sent_bytes == document.forwards[0].received_bytes)
            }

            try other.start()
            try OutageTests.expectEcho(.tcp(away), within: 40)
            #expect(try Self.status(stage, ["--quiet", "left", "right"]).0 == .exited(0))
            let missing = try Self.status(stage, ["left", "nope"])
            #expect(missing.0 == .exited(3) && missing.error.contains("no tunnel named nope runs"))
            culvert.signal(SIGTERM)
            #expect(try culvert.waitForEnd(within: 10) == .exited(0))
            try Self.expectNone("left", stage)
            #expect(try FileManager.default.contentsOfDirectory(atPath: stage.directory + "/culvert").isEmpty)
        }
    }

    @Test(
        "the socket is for this user, curl reads it, what a dead process left goes, and a frozen one is said to be silent"
    )
    func sockets() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let port = try Ports.free()
            let words =
                try ["-N", "-L", "\(port):127.0.0.1:\(server.port)"] + Tunnel.login(server) + [
                    "\(SSHServer.user)@\(server.host)"
                ]
            let tunnel = try stage.start("culvert", [Subject.path, "-v"] + words, environment: Self.environment(stage))
            try tunnel.waitForLine(["control socket: "])
            let path = "\(stage.directory)/culvert/\(tunnel.pid).sock"
            let modes = try [path, stage.directory + "/culvert"].map {
                try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int
            }
            #expect(modes == [0o600, 0o700])
            let curl = try stage.start(
                "curl", ["curl", "-s", "--unix-socket", path, "http://culvert/v1/tunnels", "http://culvert/v1/nothing"])
            #expect(try curl.waitForEnd() == .exited(0))
            #expect(curl.outputText.contains("\"pid\":\(tunnel.pid)") && curl.outputText.contains("no such path"))

            tunnel.signal(SIGSTOP)
            let frozen = try Self.status(stage)
            #expect(frozen.0 == .exited(3))
            #expect(
                frozen.output.contains("process \(tunnel.pid)") && frozen.output.contains("it does not say anything"))
            tunnel.signal(SIGKILL)
            _ = try tunnel.waitForEnd()
            #expect(FileManager.default.fileExists(atPath: path))
            try Self.expectNone("\(SSHServer.user)@\(server.host)", stage)
            #expect(!FileManager.default.fileExists(atPath: path))

            let hidden = try stage.start(
                "hidden", [Subject.path, "-v", "--no-control"] + words, environment: Self.environment(stage))
            try hidden.waitForLine(["connected to"])
            try Self.expectNone("\(SSHServer.user)@\(server.host)", stage)
            hidden.signal(SIGTERM)
            _ = try hidden.waitForEnd()

            // Where others may write, they could put a socket of theirs in its place.
            let open = stage.directory + "/open"
            try FileManager.default.createDirectory(atPath: open, withIntermediateDirectories: false)
            chmod(open, 0o777)
            let exposed = try stage.start(
                "exposed", [Subject.path, "-v"] + words,
                environment: Self.environment(stage).merging(["RUNTIME_DIRECTORY": open]) { $1 })
            try exposed.waitForLine(["no control socket: ", "where others may write"])
            exposed.signal(SIGTERM)
            _ = try exposed.waitForEnd()
        }
    }

    @Test("in the background the socket is the last process's, in the directory that a service manager gives")
    func background() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (port, given) = (try Ports.free(), stage.directory + "/given")
            try FileManager.default.createDirectory(
                atPath: given, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
            let pidFile = stage.directory + "/pid"
            let words =
                try ["-f", "--pid-file", pidFile, "-N", "-L", "\(port):127.0.0.1:\(server.port)"] + Tunnel.login(server)
            let first = try stage.start(
                "culvert", [Subject.path] + words + ["\(SSHServer.user)@\(server.host)"],
                environment: Self.environment(stage).merging(["RUNTIME_DIRECTORY": given + ":/nowhere"]) { $1 })
            #expect(try first.waitForEnd() == .exited(0))
            let process = try #require(
                Int32(
                    try String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
                ))
            defer { kill(process, SIGKILL) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: given) == ["\(process).sock"])
            kill(process, SIGTERM)
            try waitUntil("it has taken its socket away") {
                try FileManager.default.contentsOfDirectory(atPath: given).isEmpty
            }
        }
    }
}
