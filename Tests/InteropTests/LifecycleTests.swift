import Foundation
import Testing

/// How it starts, what it tells its supervisor and its user, and how it ends.
@Suite(.serialized) struct LifecycleTests {
    private static func start(
        _ stage: Stage, _ options: [String] = [], environment: [String: String] = [:]
    ) throws -> (tunnel: Tunnel, direct: UInt16, reverse: UInt16) {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        let server = try SSHServer(on: stage)
        let (direct, reverse) = (try Ports.free(), try Ports.free())
        let tunnel = try Tunnel(
            to: server,
            options + ["-L", "\(direct):127.0.0.1:\(target)", "-R", "\(reverse):127.0.0.1:\(target)"],
            environment: environment)
        try tunnel.waitForListener(direct)
        try tunnel.waitForListener(reverse)
        return (tunnel, direct, reverse)
    }

    @Test(
        "Ctrl-C, SIGTERM and SIGHUP end it cleanly: exit 0, its reverse forward cancelled",
        .enabled(if: Subject.isCulvert, "ssh ends with 255"), arguments: [SIGTERM, SIGINT, SIGHUP])
    func signals(_ signal: Int32) throws {
        try onStage { stage in
            let (tunnel, direct, reverse) = try Self.start(stage)
            try OutageTests.expectEcho(.tcp(direct), within: 5)
            let open = try TestSocket.connect(.tcp(direct))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            tunnel.process.signal(signal)
            #expect(try tunnel.process.waitForEnd(within: 5) == .exited(0))
            try waitUntil("the server's port is closed") { ProcFS.listeners(port: reverse).isEmpty }
            try tunnel.server.process.waitForLine(["cancel-tcpip-forward"])
        }
    }

    @Test("a server that does not answer does not keep it from ending; a second signal ends it at once")
    func secondSignal() throws {
        try onStage { stage in
            let (tunnel, _, _) = try Self.start(stage)
            tunnel.server.freeze()
            stage.atEnd { tunnel.server.thaw() }
            tunnel.process.signal(SIGTERM)
            // The first one has been taken when it is no longer pending; it may have ended the program already.
            try waitUntil("the signal is taken") {
                guard tunnel.process.isRunning else { return true }
                let status = readWhole("/proc/\(tunnel.pid)/status")
                return status.contains("ShdPnd:\t0000000000000000")
            }
            tunnel.process.signal(SIGTERM)
            try tunnel.process.waitForEnd(within: 1)
        }
    }

    @Test("SIGUSR1 prints a snapshot and nothing is disturbed", .enabled(if: Subject.isCulvert, "ssh has none"))
    func snapshot() throws {
        try onStage { stage in
            let (tunnel, direct, _) = try Self.start(stage)
            let near = try TestSocket.connect(.tcp(direct))
            try near.send("hello")
            #expect(try near.receiveText(count: 5) == "hello")
            let said = tunnel.process.errorLines.count
            tunnel.process.signal(SIGUSR1)
            for part in Wording.snapshot { try tunnel.process.waitForLine([part], after: said) }
            try near.send("again")
            #expect(try near.receiveText(count: 5) == "again")
        }
    }

    @Test("SIGUSR1 before there is a tunnel does not end it", .enabled(if: Subject.isCulvert, "ssh has none"))
    func earlySnapshot() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let gate = stage.directory + "/gate"
            let file = try stage.write(
                "config", "Match exec \"touch \(gate).met; while test ! -e \(gate); do sleep 0.05; done\"\n")
            let tunnel = try Tunnel(to: server, ["-F", file, "-L", "\(door):127.0.0.1:\(target)"])
            try waitUntil("its file is read") { FileManager.default.fileExists(atPath: gate + ".met") }
            tunnel.process.signal(SIGUSR1)
            _ = try stage.write("gate", "")
            try tunnel.waitForListener(door)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try tunnel.process.waitForLine([Wording.snapshot[0]])
        }
    }

    @Test("SIGUSR1 says what a stalled flow waits for", .enabled(if: Subject.isCulvert, "ssh has none"))
    func stalledSnapshot() throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: target.address)
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            let sent = Counter()
            let sender = Running {
                let stream = RandomStream(seed: 1)
                while sent.value < 1 << 30 {
                    try flow.near.sendAll(stream.bytes(at: 0))
                    sent.add(64 << 10)
                }
            }
            // Nobody reads at the target: it is stalled once nothing has been taken for half a second.
            var last = -1
            var since = monotonicSeconds()
            try waitUntil("the flow stalls", within: 30) {
                if sent.value != last { (last, since) = (sent.value, monotonicSeconds()) }
                return last > 0 && monotonicSeconds() - since > 0.5
            }
            let said = forward.process.errorLines.count
            forward.process.signal(SIGUSR1)
            try forward.process.waitForLine(["window"], after: said)
            flow.near.reset()
            try? sender.join(within: 10)
        }
    }

    @Test("at -v there is one line for each flow, with its bytes", .enabled(if: Subject.isCulvert, "ssh counts none"))
    func flowLines() throws {
        try onStage { stage in
            let (tunnel, direct, _) = try Self.start(stage, ["-v"])
            let near = try TestSocket.connect(.tcp(direct))
            try near.send("hello")
            #expect(try near.receiveText(count: 5) == "hello")
            near.close()
            try tunnel.process.waitForLine(Wording.flowEnded + ["5"])
        }
    }

    @Test("systemd is told READY, STATUS and STOPPING", .enabled(if: Subject.isCulvert, "ssh tells nobody"))
    func notifications() throws {
        try onStage { stage in
            let supervisor = try NotifySocket("\(stage.directory)/notify")
            let (tunnel, _, _) = try Self.start(stage, environment: ["NOTIFY_SOCKET": supervisor.path])
            try supervisor.wait("READY=1")
            try supervisor.wait("STATUS=")
            // A lost link is told too, and is no reason to stop.
            let before = supervisor.heard.count
            tunnel.server.killSessions()
            try waitUntil("the loss is told") {
                supervisor.listen()
                return supervisor.heard.dropFirst(before).contains { $0.contains("STATUS=") }
            }
            tunnel.process.signal(SIGTERM)
            try supervisor.wait("STOPPING=1")
            #expect(try tunnel.process.waitForEnd(within: 10) == .exited(0))
        }
    }

    @Test("READY is told only when the forwards stand", .enabled(if: Subject.isCulvert, "ssh tells nobody"))
    func readyOnlyThen() throws {
        try onStage { stage in
            let supervisor = try NotifySocket("\(stage.directory)/notify")
            let server = try SSHServer(on: stage)
            server.freeze()
            stage.atEnd { server.thaw() }
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-L", "\(door):127.0.0.1:1"], environment: ["NOTIFY_SOCKET": supervisor.path])
            try during(1, "the tunnel waits for its server") { tunnel.process.isRunning }
            supervisor.listen()
            #expect(!supervisor.heard.contains { $0.contains("READY=1") })
            server.thaw()
            try supervisor.wait("READY=1")
        }
    }

    @Test(
        "with --nodelay sshd turns Nagle's algorithm off, and without it does not",
        .enabled(if: Subject.isCulvert && Subject.engine == nil, "only the native engine has it"),
        arguments: [true, false])
    func nodelay(_ isAsked: Bool) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage, options: ["LogLevel DEBUG2"])
            let door = try Ports.free()
            _ = try Tunnel(to: server, (isAsked ? ["--nodelay"] : []) + ["-L", "\(door):127.0.0.1:\(target)"])
            try OutageTests.expectEcho(.tcp(door), within: 10)
            try OutageTests.expectEcho(.tcp(door), within: 10)
            // sshd says it of each flow's socket, too. What was asked for first is done first.
            let expected = isAsked ? 3 : 2
            try waitUntil("sshd has set \(expected) sockets") {
                server.log.components(separatedBy: "setting TCP_NODELAY").count - 1 >= expected
            }
            #expect(server.log.components(separatedBy: "setting TCP_NODELAY").count - 1 == expected)
        }
    }

    @Test(
        "a server that runs no command is told of once, and carries all the same",
        .enabled(if: Subject.isCulvert && Subject.engine == nil, "only the native engine has --nodelay"))
    func nodelayRefused() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage, options: ["MaxSessions 0"])
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["--nodelay", "--links", "2", "-L", "\(door):127.0.0.1:\(target)"])
            try tunnel.waitForLink(2)
            let words = "runs no command, which --nodelay needs"
            try tunnel.process.waitForLine([words])
            for _ in 0..<4 { try OutageTests.expectEcho(.tcp(door), within: 10) }
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd(within: 10) == .exited(0))
            #expect(tunnel.process.errorText.components(separatedBy: words).count == 2)
        }
    }

    @Test("started without standard input, output and error it keeps their numbers free of its own")
    func closedDescriptors() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-L", "\(door):127.0.0.1:\(target)"],
                launcher: ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
            try tunnel.waitForListener(door)
            try OutageTests.expectEcho(.tcp(door), within: 10)
            for number in 0...2 {
                let place = "/proc/\(tunnel.pid)/fd/\(number)"
                #expect(try FileManager.default.destinationOfSymbolicLink(atPath: place) == "/dev/null")
            }
        }
    }

    @Test("-f returns when the forwards stand and leaves one process behind")
    func background() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let (door, reverse) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(
                to: server,
                [
                    "-f", "-o", "ExitOnForwardFailure=yes", "-L", "\(door):127.0.0.1:\(target)", "-R",
                    "\(reverse):127.0.0.1:\(target)",
                ])
            stage.atEnd { for pid in ProcFS.processes(naming: "\(door):127.0.0.1") { kill(pid, SIGKILL) } }
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            // No waiting here: they stand when it returns.
            #expect(!ProcFS.listeners(port: door).isEmpty)
            #expect(!ProcFS.listeners(port: reverse).isEmpty)
            try OutageTests.expectEcho(.tcp(door), within: 5)
            let left = ProcFS.processes(naming: "\(door):127.0.0.1")
            #expect(left.count == 1)
            if Subject.isCulvert {
                for pid in left { kill(pid, SIGTERM) }
                try waitUntil("it ends on SIGTERM") { ProcFS.listeners(port: door).isEmpty }
                try waitUntil("the reverse forward is cancelled") { ProcFS.listeners(port: reverse).isEmpty }
            }
        }
    }

    @Test("-f ended while it waits leaves nothing behind", .enabled(if: Subject.isCulvert, "ssh has no --persist"))
    func backgroundEnded() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            try server.stop()
            let mark = "\(try Ports.free()):127.0.0.1:1"
            stage.atEnd { for pid in ProcFS.processes(naming: mark) { kill(pid, SIGKILL) } }
            let tunnel = try Tunnel(to: server, ["-f", "--persist", "-L", mark])
            try tunnel.process.waitForLine(["trying again"])
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .signalled(SIGTERM))
            try waitUntil("its child is gone") { ProcFS.processes(naming: mark).isEmpty }
        }
    }

    @Test("-f with a login that is refused returns the error's exit code")
    func backgroundFailure() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(
                to: server, ["-f", "-L", "\(try Ports.free()):127.0.0.1:1"], key: "stranger")
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine(Wording.loginRefused)
        }
    }

    @Test("the first attempt fails with 255, unless --persist", .enabled(if: Subject.isCulvert, "ssh has no --persist"))
    func persist() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            try server.stop()
            let (first, second) = (try Ports.free(), try Ports.free())
            let impatient = try Tunnel(to: server, ["-L", "\(first):127.0.0.1:\(target)"])
            #expect(try impatient.process.waitForEnd() == .exited(ExpectedCode.connection))
            let patient = try Tunnel(to: server, ["--persist", "-L", "\(second):127.0.0.1:\(target)"])
            // Long enough for the attempt that ended the other one.
            try during(2, "it keeps trying") { patient.process.isRunning }
            try server.start()
            try patient.waitForListener(second, within: 40)
            try OutageTests.expectEcho(.tcp(second), within: 15)
        }
    }

    @Test("one forward of two fails: it is reported and the other goes on")
    func partialFailure() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let taken = try Listener(.tcp(0))
            stage.atEnd { taken.close() }
            guard case .tcp(let used) = taken.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-L", "127.0.0.1:\(used):127.0.0.1:1", "-L", "\(door):127.0.0.1:\(target)"])
            try tunnel.waitForListener(door)
            try tunnel.process.waitForLine(Wording.portInUse)
            try OutageTests.expectEcho(.tcp(door), within: 5)
        }
    }

    @Test(
        "a Unix socket of its own is private")
    func unixSocket() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.directFromUnix.start(on: stage, to: echo.address)
            guard case .unix(let path) = forward.address else { return }
            var information = stat()
            #expect(stat(path, &information) == 0 && information.st_mode & 0o777 == 0o600)
            try OutageTests.expectEcho(forward.address, within: 10)
        }
    }
}
