import Foundation
import Testing

/// A tunnel with the libssh2 engine: its links and flows are in a process of their own, and what becomes of them when that
/// dies is what becomes of them when a link does.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has one engine")) struct ChildTests {
    /// Where the whole run has that engine, it is asked for already.
    private static let engine = Subject.engine == nil ? ["--engine", "libssh2"] : []

    /// The tunnel's process for the engine.
    private static func child(of pid: pid_t, other: pid_t? = nil) throws -> pid_t {
        try eventually("there is a process for libssh2") { ProcFS.ownChildren(pid).first { $0 != other } }
    }

    private static func isGone(_ pid: pid_t) -> Bool { kill(pid, 0) != 0 }

    private static func port(_ address: Address) throws -> UInt16 {
        guard case .tcp(let port) = address else { throw Failure("no port") }
        return port
    }

    @Test("killed under twenty flows: each is reset, and the next connection is served", arguments: [SIGABRT, SIGKILL])
    func killed(_ signal: Int32) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let server = try SSHServer(on: stage)
            let (direct, reverse, port) = (try Ports.free(), try Ports.free(), try Self.port(target.address))
            let tunnel = try Tunnel(
                to: server,
                Self.engine + [
                    "--links", "2", "-L", "\(direct):127.0.0.1:\(port)", "-R", "\(reverse):127.0.0.1:\(port)",
                ])
            try tunnel.waitForListener(direct)
            try tunnel.waitForListener(reverse)
            var flows: [Flow] = []
            for index in 0..<20 {
                flows.append(try Flow(through: .tcp(index % 2 == 0 ? direct : reverse), arrivals: arrivals))
            }
            for flow in flows {
                try flow.near.send("ping")
                #expect(try flow.far.receiveText(count: 4) == "ping")
                try flow.far.send("pong")
                #expect(try flow.near.receiveText(count: 4) == "pong")
            }
            let first = try Self.child(of: tunnel.pid)
            kill(first, signal)
            for (index, flow) in flows.enumerated() {
                // The socket that was the tunnel's; the other is the server's.
                let ended = try (index % 2 == 0 ? flow.near : flow.far).drainToEnd(within: 5)
                guard case .reset = ended else { throw Failure("flow \(index) ended cleanly") }
            }
            let name = signal == SIGABRT ? "SIGABRT (libssh2 failed" : "SIGKILL"
            try tunnel.process.waitForLine(["lost link", "the libssh2 process was ended by signal \(name)"])
            let next = try Flow(through: .tcp(direct), arrivals: arrivals)
            try next.near.send("ping")
            #expect(try next.far.receiveText(count: 4) == "ping")
            try tunnel.process.waitForLine(Wording.linkBack)
            #expect(Self.isGone(first), "it was not reaped")
            #expect(try Self.child(of: tunnel.pid) != first)
            try tunnel.waitForListener(reverse, within: 40)
        }
    }

    @Test("a connection whose channel is not open when it dies is served by the next link")
    func unopened() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, Self.engine + ["-v", "-L", "\(door):127.0.0.1:\(Self.port(echo.address))"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            server.freeze()
            let waiting = try (0..<5).map { _ in try TestSocket.connect(.tcp(door)) }
            for each in waiting { try each.send("hello") }
            let child = try Self.child(of: tunnel.pid)
            try waitUntil("they are in the child") {
                ProcFS.descriptorsAlone(child).filter { $0.hasPrefix("socket:") }.count >= 7
            }
            kill(child, SIGKILL)
            try tunnel.process.waitForLine(Wording.linkLost)
            server.thaw()
            for each in waiting { #expect(try each.receiveText(count: 5) == "hello") }
        }
    }

    @Test("a client of -D whose channel is not open is served too, and what it said before is not lost")
    func unopenedSocks() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, Self.engine + ["-D", "\(door)"])
            try tunnel.waitForListener(door)
            server.freeze()
            let client = try TestSocket.connect(.tcp(door))
            let port = try Self.port(echo.address)
            try client.send(bytes: [5, 1, 0])
            #expect(try client.receive(count: 2) == [5, 0])
            try client.send(bytes: [5, 1, 0, 1, 127, 0, 0, 1, UInt8(port >> 8), UInt8(port & 0xff)])
            let child = try Self.child(of: tunnel.pid)
            try waitUntil("it is in the child") {
                ProcFS.descriptorsAlone(child).filter { $0.hasPrefix("socket:") }.count >= 3
            }
            kill(child, SIGKILL)
            try tunnel.process.waitForLine(Wording.linkLost)
            server.thaw()
            #expect(try client.receive(count: 10) == [5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            try client.send("hello")
            #expect(try client.receiveText(count: 5) == "hello")
        }
    }

    @Test("another tunnel of the same process notices nothing")
    func others() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let (old, new) = (try Ports.free(), try Ports.free())
            let target = try Self.port(echo.address)
            func table(_ name: String, _ engine: String, _ door: UInt16) throws -> String {
                """
                [tunnel.\(name)]
                destination = "\(SSHServer.user)@\(server.host)"
                Port = \(server.port)
                IdentityFile = "\(server.keys.path("login"))"
                UserKnownHostsFile = "\(try server.knownHosts())"
                IdentitiesOnly = true
                BatchMode = true
                engine = "\(engine)"
                local = "\(door):127.0.0.1:\(target)"

                """
            }
            let file = try stage.write(
                "tunnels.toml",
                try table("old", "libssh2", old) + table("older", "libssh2", try Ports.free())
                    + table("new", "native", new))
            let culvert = try stage.start(
                "culvert", [Subject.path, "up", file], environment: Tunnel.environment(stage))
            try OutageTests.expectEcho(.tcp(old), within: 15)
            let open = try TestSocket.connectWhenListening(.tcp(new))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            try waitUntil("each has its own") { ProcFS.ownChildren(culvert.pid).count == 2 }
            for child in ProcFS.ownChildren(culvert.pid) { kill(child, SIGSEGV) }
            try culvert.waitForLine(["old: lost the link", "SIGSEGV"])
            try culvert.waitForLine(["older: lost the link", "SIGSEGV"])
            try culvert.waitForLine(["old: link", "is back"])
            try OutageTests.expectEcho(.tcp(old), within: 15)
            try open.send("again")
            #expect(try open.receiveText(count: 5) == "again")
            #expect(!culvert.errorLines.contains { $0.contains("new: lost") })
        }
    }

    @Test("a password is asked for once, however often it dies")
    func password() throws {
        try onStage { stage in
            let keys = try TestKeys.shared.get()
            let echo = try TargetServer.echo(on: stage)
            let (port, door) = (try Ports.free(), try Ports.free())
            let server = try stage.start(
                "asyncssh",
                [
                    Tools.python, Tools.script("password_server.py"), "\(port)", keys.path("host"), "password",
                    "open sesame",
                ])
            try server.waitForLine(["listening"], within: 30)
            let known = try stage.write("known", "[127.0.0.1]:\(port) \(keys.publicKey("host"))\n")
            let asked = "\(stage.directory)/asked"
            let askpass = try stage.write(
                "askpass", "#!/bin/sh\necho asked >> \(asked)\necho open sesame\n", mode: 0o755)
            let culvert = try stage.start(
                "culvert",
                Subject.command(
                    Self.engine + [
                        "-p", "\(port)", "-o", "UserKnownHostsFile=\(known)", "-o", "StrictHostKeyChecking=yes",
                        "--knocks", "0", "-L", "\(door):127.0.0.1:\(Self.port(echo.address))", "somebody@127.0.0.1",
                    ]),
                environment: Tunnel.environment(stage, ["SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force"]))
            var last: pid_t?
            for _ in 0..<3 {
                try OutageTests.expectEcho(.tcp(door), within: 40)
                let child = try Self.child(of: culvert.pid, other: last)
                kill(child, SIGKILL)
                last = child
            }
            try OutageTests.expectEcho(.tcp(door), within: 40)
            #expect(readWhole(asked) == "asked\n")
        }
    }

    @Test("a port that the server chose is asked for again by the next one")
    func chosenPort() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(
                to: server, Self.engine + ["--knocks", "0", "-R", "0:127.0.0.1:\(Self.port(echo.address))"])
            let line = try tunnel.process.waitForLine(["Allocated port"])
            let words = line.components(separatedBy: "Allocated port ")[1]
            let chosen = try #require(UInt16(words.prefix { $0.isNumber }), "\(line)")
            try OutageTests.expectEcho(.tcp(chosen), within: 15)
            let said = tunnel.process.errorLines.count
            kill(try Self.child(of: tunnel.pid), SIGKILL)
            try tunnel.process.waitForLine(Wording.linkBack, after: said)
            try OutageTests.expectEcho(.tcp(chosen), within: 40)
        }
    }

    @Test("it has little memory, no more rights, no terminal, and nothing open that is its parent's")
    func surroundings() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(
                on: stage, to: echo.address, options: Self.engine + ["--memory", "32M"])
            try OutageTests.expectEcho(forward.address, within: 15)
            let child = try Self.child(of: forward.process.pid)
            #expect(readWhole("/proc/\(child)/status").contains("NoNewPrivs:\t1\n"))
            let limit = readWhole("/proc/\(child)/limits").split(separator: "\n").first {
                $0.hasPrefix("Max address space")
            }
            #expect(limit?.contains(" \((32 + 512) << 20) ") == true, "\(limit ?? "no line")")
            let open = ProcFS.descriptorsAlone(child)
            #expect(open.filter { $0 == "/dev/null" }.count == 2)
            #expect(!open.contains { $0.hasPrefix("/") && $0 != "/dev/null" }, "\(open)")
            // Not the signals that the parent waits for.
            #expect(!open.contains { $0.contains("signalfd") }, "\(open)")
        }
    }

    @Test("it ends with its parent, whatever ends that", arguments: [SIGKILL, SIGTERM])
    func parentsEnd(_ signal: Int32) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: target.address, options: Self.engine)
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            let child = try Self.child(of: forward.process.pid)
            kill(forward.process.pid, signal)
            try waitUntil("it has ended", within: 3) { Self.isGone(child) || ProcFS.isZombie(child) }
            guard case .reset = try flow.near.drainToEnd(within: 3) else { throw Failure("the flow ended cleanly") }
            try forward.process.waitForEnd()
        }
    }

    @Test("an interrupt from the terminal, which its whole group gets, ends all in order")
    func interrupt() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address, options: Self.engine)
            try OutageTests.expectEcho(forward.address, within: 15)
            let child = try Self.child(of: forward.process.pid)
            kill(-forward.process.pid, SIGINT)
            #expect(try forward.process.waitForEnd(within: 5) == .exited(0))
            #expect(Self.isGone(child))
            #expect(!forward.process.errorLines.contains { $0.contains("lost") })
        }
    }

    @Test("-W ends with 255 when it dies")
    func standardStreams() throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let server = try SSHServer(on: stage)
            let login = try Tunnel.login(server).map { "'\($0)'" }.joined(separator: " ")
            let words = Subject.command(Self.engine).map { "'\($0)'" }.joined(separator: " ")
            let pipe = "\(stage.directory)/pipe"
            let streams = try stage.start(
                "streams",
                [
                    "sh", "-c",
                    "mkfifo '\(pipe)'; exec 3<>'\(pipe)'; echo hello >&3; \(words) -W"
                        + " 127.0.0.1:\(Self.port(target.address)) \(login) \(SSHServer.user)@127.0.0.1 <&3;"
                        + " echo ended $? >&2",
                ], environment: Tunnel.environment(stage))
            let far = try arrivals.wait("the flow arrives")
            #expect(try far.receiveText(count: 6) == "hello\n")
            let child = try eventually("there is a process for libssh2") {
                ProcFS.descendants(of: streams.pid).first { readWhole("/proc/\($0)/cmdline").contains("libssh2-child") }
            }
            kill(child, SIGABRT)
            try streams.waitForLine(["ended 255"])
            try streams.waitForLine(["lost the link", "SIGABRT"])
            streams.destroy()
        }
    }

    @Test("descriptors are flat over many logins")
    func descriptors() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server,
                Self.engine + ["--knocks", "0", "-L", "\(door):127.0.0.1:\(Self.port(echo.address))"])
            var counts: [[Int]] = []
            for round in 0..<Scale.choose(full: 50, small: 8) {
                try tunnel.waitForLink(round + 1, within: 40)
                try OutageTests.expectEcho(.tcp(door), within: 15)
                let pids = [tunnel.pid, try Self.child(of: tunnel.pid)]
                if let first = counts.last {
                    try waitUntil("nothing is left of the last link") {
                        zip(pids, first).allSatisfy { ProcFS.descriptorsAlone($0).count <= $1 }
                    }
                }
                counts.append(pids.map { ProcFS.descriptorsAlone($0).count })
                server.killSessions()
                try tunnel.process.waitForLine(Wording.linkLost)
            }
            // The last connection's may be closed or not.
            for place in 0...1 {
                let column = counts.map { $0[place] }
                #expect(column.max()! - column.min()! <= 1, "\(counts)")
            }
        }
    }

    @Test(
        "bits that are flipped on the way end the link, and nothing else", arguments: TamperingProxy.Direction.allCases)
    func tampering(_ direction: TamperingProxy.Direction) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let proxy = try TamperingProxy(on: stage, to: server)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let door = try Ports.free()
            let known = try stage.write("proxied", "[127.0.0.1]:\(proxy.port) \(server.keys.publicKey("host"))\n")
            let login = try Tunnel.login(server, knownHosts: known).dropFirst(2)
            let culvert = try stage.start(
                "culvert",
                Subject.command(
                    Self.engine + [
                        "--knocks", "0", "-o", "ServerAliveInterval=1", "-L",
                        "\(door):127.0.0.1:\(Self.port(target.address))", "-p", "\(proxy.port)",
                    ] + login + ["\(SSHServer.user)@127.0.0.1"]), environment: Tunnel.environment(stage))
            for round in 0..<Scale.choose(full: 100, small: 5) {
                let flow = try TamperTests.flow(through: .tcp(door), arrivals: arrivals)
                let stream = RandomStream(seed: UInt64(round))
                let (source, sink) = direction == .toServer ? (flow.near, flow.far) : (flow.far, flow.near)
                let arrived = Counter()
                let sender = Running { try? stream.send(.max, over: source) }
                let receiver = Running {
                    _ = try stream.receive(over: sink, counting: arrived, isResetAllowed: true)
                }
                try waitUntil("the flow moves") { arrived.value > 1 << 20 }
                let said = culvert.errorLines.count
                proxy.flipOneBit(direction, after: .random(in: 0..<200_000))
                // Throws when a byte that arrived is not the one that was sent.
                try receiver.join(within: 60)
                source.close()
                try sender.join(within: 60)
                try culvert.waitForLine(Wording.linkLost, within: 60, after: said)
                #expect(culvert.isRunning)
            }
        }
    }

    @Test("the command is not for people, and says so")
    func typed() throws {
        try onStage { stage in
            let typed = try stage.start("typed", [Subject.path, "libssh2-child"])
            #expect(try typed.waitForEnd() == .exited(64))
            try typed.waitForLine(["culvert starts this itself"])
            #expect(try !stage.run([Subject.path, "--help"]).contains("libssh2-child"))
        }
    }
}
