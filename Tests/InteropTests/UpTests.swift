import Foundation
import Testing

/// `culvert up` and `culvert check`: several tunnels in one process.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh carries one tunnel a process")) struct UpTests {
    /// A tunnel's table of the file.
    static func table(_ name: String, to server: SSHServer, _ lines: [String]) throws -> String {
        let engine = Subject.engine.map { ["engine = \"\($0)\""] } ?? []
        let login = [
            "destination = \"\(SSHServer.user)@\(server.host)\"", "Port = \(server.port)",
            "IdentityFile = \"\(server.keys.path("login"))\"", "UserKnownHostsFile = \"\(try server.knownHosts())\"",
            "IdentitiesOnly = true", "BatchMode = true",
        ]
        return (["[tunnel.\(name)]"] + login + engine + lines).joined(separator: "\n") + "\n"
    }

    static func up(_ stage: Stage, _ tables: [String], environment: [String: String] = [:]) throws -> Child {
        let file = try stage.write("tunnels.toml", tables.joined())
        return try stage.start(
            "culvert", [Subject.path, "up", file], environment: Tunnel.environment(stage, environment))
    }

    @Test("tunnels to two servers in one process; each fails and comes back without the other, and all end on SIGTERM")
    func independent() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let left = try SSHServer(on: stage, name: "left")
            let right = try SSHServer(on: stage, name: "right")
            // The right server is not there at first; systemd is told READY all the same, or one dead server would
            // keep everything from starting.
            try right.stop()
            let manager = try NotifySocket("\(stage.directory)/notify")
            let (direct, reverse, other) = (try Ports.free(), try Ports.free(), try Ports.free())
            let culvert = try Self.up(
                stage,
                [
                    Self.table(
                        "left", to: left,
                        ["local = [\"\(direct):127.0.0.1:\(target)\"]", "remote = \"\(reverse):127.0.0.1:\(target)\""]),
                    Self.table("right", to: right, ["local = \"\(other):127.0.0.1:\(target)\"", "links = 2"]),
                ], environment: ["NOTIFY_SOCKET": manager.path])
            try OutageTests.expectEcho(.tcp(direct), within: 15)
            try OutageTests.expectEcho(.tcp(reverse), within: 15)
            try culvert.waitForLine(["right: cannot connect"])
            try manager.wait("READY=1")
            try manager.wait("STATUS=1 of 2 tunnels up, 2 of 3 forwards")

            try right.start()
            try OutageTests.expectEcho(.tcp(other), within: 40)
            try manager.wait("STATUS=2 of 2 tunnels up, 3 of 3 forwards")

            let open = try TestSocket.connect(.tcp(other))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            left.killSessions()
            try culvert.waitForLine(["left: lost the link"])
            try culvert.waitForLine(["left: link", "is back"])
            try OutageTests.expectEcho(.tcp(direct), within: 15)
            // The flow of the other tunnel noticed nothing.
            try open.send("again")
            #expect(try open.receiveText(count: 5) == "again")
            #expect(!culvert.errorLines.contains { $0.contains("right: lost") })

            culvert.signal(SIGUSR1)
            try culvert.waitForLine(["left: snapshot of"])
            try culvert.waitForLine(["right: snapshot of"])
            culvert.signal(SIGTERM)
            #expect(try culvert.waitForEnd(within: 10) == .exited(0))
            try manager.wait("STOPPING=1")
            try waitUntil("the server's port is closed") { ProcFS.listeners(port: reverse).isEmpty }
        }
    }

    @Test("a tunnel that ends while it logs in leaves no connection behind, and the other one alone")
    func endsDuringLogin() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let (stays, ends) = (try SSHServer(on: stage, name: "stays"), try SSHServer(on: stage, name: "ends"))
            let (door, other, refused) = (try Ports.free(), try Ports.free(), try Ports.free())
            // The second link reaches its server only when it is let.
            let (begun, gate) = ("\(stage.directory)/begun", "\(stage.directory)/gate")
            let command =
                "sh -c 'if test -e \(begun); then until test -e \(gate); do sleep 0.05; done; fi; touch \(begun);"
                + " exec socat STDIO TCP:127.0.0.1:\(ends.port)'"
            // A port that is taken: the forward fails.
            let holder = try SSHServer(on: stage, name: "holder", port: refused)
            let culvert = try Self.up(
                stage,
                [
                    Self.table("stays", to: stays, ["local = \"\(door):127.0.0.1:\(target)\""]),
                    Self.table(
                        "ends", to: ends,
                        [
                            "links = 2", "ExitOnForwardFailure = true", "ProxyCommand = \"\(command)\"",
                            "local = \"\(other):127.0.0.1:\(target)\"",
                            "remote = \"127.0.0.1:\(holder.port):127.0.0.1:\(target)\"",
                        ]),
                ])
            try culvert.waitForLine(["ends: ending: a forward failed"])
            try waitUntil("the first link has ended") { ends.sessions.isEmpty }
            _ = try stage.write("gate", "")
            // A process of the tunnel's own has ended with it, and its login too.
            if Subject.engine != "libssh2" {
                try waitUntil("the second link has logged in") {
                    ends.log.components(separatedBy: "Accepted publickey").count == 3
                }
            }
            try waitUntil("the second link has ended") { ends.sessions.isEmpty }
            try waitUntil("its programs have ended") { ProcFS.programs(under: culvert.pid).isEmpty }
            try OutageTests.expectEcho(.tcp(door), within: 15)
        }
    }

    @Test("a local port that another program has is taken when it is free")
    func portInUse() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage)
            let holder = try TargetServer.echo(on: stage)
            guard case .tcp(let held) = holder.address else { throw Failure("no port") }
            let culvert = try Self.up(
                stage, [Self.table("db", to: server, ["local = \"\(held):127.0.0.1:\(target)\""])])
            try culvert.waitForLine(["db: -L \(held):", "Address already in use"])
            holder.listener.close()
            try culvert.waitForLine(["db: listening on", "\(held)"], within: 30)
            try OutageTests.expectEcho(.tcp(held), within: 10)
        }
    }

    @Test("-f returns when all stand or wait for their next attempt")
    func background() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage)
            let dead = try SSHServer(on: stage, name: "dead")
            try dead.stop()
            let (door, other) = (try Ports.free(), try Ports.free())
            let file = try stage.write(
                "tunnels.toml",
                Self.table("db", to: server, ["local = \"\(door):127.0.0.1:\(target)\""])
                    + Self.table("dead", to: dead, ["local = \"\(other):127.0.0.1:\(target)\""]))
            let log = "\(stage.directory)/log"
            // What goes to the background leaves the group that ends with the test.
            stage.atEnd { for pid in ProcFS.processes(naming: file) { kill(pid, SIGKILL) } }
            let culvert = try stage.start(
                "culvert", [Subject.path, "up", "-f", "-E", log, file], environment: Tunnel.environment(stage))
            #expect(try culvert.waitForEnd(within: 20) == .exited(0))
            try OutageTests.expectEcho(.tcp(door), within: 10)
            #expect(readWhole(log).contains("dead: cannot connect"))
        }
    }

    @Test("check says what up would do, and a mistake with its place, and connects to nothing")
    func check() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let good = try stage.write(
                "good.toml", Self.table("db", to: server, ["local = \"15432:db:5432\"", "links = 3"]))
            let said = try stage.run([Subject.path, "check", good], environment: Tunnel.environment(stage))
            #expect(said.contains("connects to \(SSHServer.user) at 127.0.0.1 port \(server.port) with 3 links"))
            #expect(
                said.contains("-L 15432:db:5432: listens here on loopback port 15432, and the server dials db:5432"))
            #expect(!server.log.contains("Connection from"))

            let bad = try stage.write("bad.toml", "[tunnel.db]\ndestination = \"x\"\nlocla = \"1:a:1\"\n")
            for command in ["check", "up"] {
                let child = try stage.start(
                    "culvert", [Subject.path, command, bad], environment: Tunnel.environment(stage))
                #expect(try child.waitForEnd() == .exited(64))
                try child.waitForLine(["bad.toml line 3, column 1: locla: unknown key: did you mean local?"])
            }
            chmod(good, 0o666)
            let open = try stage.start(
                "culvert", [Subject.path, "up", good], environment: Tunnel.environment(stage))
            #expect(try open.waitForEnd() == .exited(64))
            try open.waitForLine(["good.toml: others may write to it: chmod go-w"])
        }
    }

    @Test("twelve logins that wait for a person hold up no other")
    func prompts() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let locked = "\(stage.directory)/locked"
            try stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", locked])
            let keys = readWhole(locked + ".pub") + (try TestKeys.shared.get().publicKey("login")) + "\n"
            let authorized = try stage.write("both", keys, mode: 0o600)
            let server = try SSHServer(on: stage, options: ["AuthorizedKeysFile \(authorized)"])
            let askpass = try stage.write(
                "askpass", "#!/bin/sh\necho >> \(stage.directory)/asked\nsleep 100\n", mode: 0o755)
            let door = try Ports.free()
            let waiting = try (0..<12).map { number in
                try Self.table("waits\(number)", to: server, ["local = \"\(try Ports.free()):127.0.0.1:\(target)\""])
                    .replacingOccurrences(of: server.keys.path("login"), with: locked)
                    .replacingOccurrences(of: "BatchMode = true", with: "BatchMode = false")
            }
            let quick = try Self.table("quick", to: server, ["local = \"\(door):127.0.0.1:\(target)\""])
            let culvert = try Self.up(
                stage, waiting + [quick], environment: ["SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force"])
            try waitUntil("a person is asked") { readWhole("\(stage.directory)/asked").isEmpty == false }
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(culvert.isRunning)
        }
    }
}
