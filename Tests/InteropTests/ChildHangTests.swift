import Foundation
import Testing

/// A process of a libssh2 tunnel that hangs and does not end is as good as dead, and treated so.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has one engine")) struct ChildHangTests {
    private static let engine = Subject.engine == nil ? ["--engine", "libssh2"] : []
    /// Asked every 10 s, given up after 30 s, and a login.
    private static let patience = 45.0
    private static let words = ["the libssh2 process was ended", "not answered"]

    /// A tunnel with a flow that stays open.
    private struct Case {
        let tunnel: Tunnel
        let door: UInt16
        let open: TestSocket
        let child: pid_t

        init(_ server: SSHServer, _ target: Address, _ more: [String] = []) throws {
            guard case .tcp(let port) = target else { throw Failure("no port") }
            let door = try Ports.free()
            tunnel = try Tunnel(to: server, engine + more + ["-L", "\(door):127.0.0.1:\(port)"])
            self.door = door
            open = try TestSocket.connectWhenListening(.tcp(door))
            let tunnel = tunnel
            child = try eventually("there is a process for libssh2") { ProcFS.ownChildren(tunnel.pid).first }
            try expectAnswer()
        }

        func expectAnswer() throws {
            open.setDeadline(15)
            try open.send("hello")
            let answer = try open.receiveText(count: 5)
            guard answer == "hello" else { throw Failure("it answers \(answer)") }
        }

        /// What it carried is reset, and a new connection is served.
        func expectReturn(_ hung: Double) throws {
            try tunnel.process.waitForLine(words, within: hung + patience - monotonicSeconds())
            #expect(monotonicSeconds() - hung > 25, "it was given its time")
            guard case .reset = try open.drainToEnd(within: 5) else { throw Failure("the flow ended cleanly") }
            try OutageTests.expectEcho(.tcp(door), within: hung + patience - monotonicSeconds())
            #expect(kill(child, 0) != 0, "it was not reaped")
        }
    }

    private static func thread(_ name: String, of pid: pid_t) throws -> pid_t {
        let threads = ProcFS.threads(pid).map(\.id)
        guard let found = threads.first(where: { readWhole("/proc/\(pid)/task/\($0)/comm") == name + "\n" }),
            let number = pid_t(found)
        else { throw Failure("no thread \(name) among \(threads)") }
        return number
    }

    @Test("one that is stopped, whole or in one thread, is ended; whoever was stopped itself ends nobody")
    func hangs() throws {
        try onStage { stage in
            // Patient: nothing is said for longer than a minute.
            let echo = try TargetServer(on: stage) { connection in
                connection.setDeadline(300)
                try connection.pass(to: connection)
            }
            let server = try SSHServer(on: stage)
            let stopped = try Case(server, echo.address)
            let held = try Case(server, echo.address, ["--links", "2"])
            let deaf = try Case(server, echo.address)
            let sleeping = try Case(server, echo.address)

            let began = monotonicSeconds()
            kill(sleeping.tunnel.pid, SIGSTOP)
            kill(stopped.child, SIGSTOP)
            // A worker, and the thread that hears its parent.
            let worker = try Self.thread("culvert-\(ProcFS.allowedCores(held.child).count > 1 ? 1 : 0)", of: held.child)
            for thread in [worker, deaf.child] {
                let holder = try stage.start("hold", [Tools.python, Tools.script("hold_thread.py"), "\(thread)"])
                try holder.waitForLine(["held"])
            }
            let hung = monotonicSeconds()
            // The other worker's part comes.
            held.tunnel.process.signal(SIGUSR1)
            for each in [stopped, held, deaf] { try each.expectReturn(hung) }
            // What was missing is not waited for.
            try held.tunnel.process.waitForLine(["snapshot of"])
            let said = held.tunnel.process.errorLines.count
            held.tunnel.process.signal(SIGUSR1)
            try held.tunnel.process.waitForLine(["snapshot of"], after: said)

            try during(began + 60 - monotonicSeconds(), "it stands still") { true }
            kill(sleeping.tunnel.pid, SIGCONT)
            try during(Scale.choose(full: 60, small: 12), "its process is there") {
                ProcFS.ownChildren(sleeping.tunnel.pid) == [sleeping.child]
            }
            try sleeping.expectAnswer()
            #expect(!sleeping.tunnel.process.errorText.contains("lost"))
        }
    }

    @Test(
        "another tunnel of the same process notices nothing of one that is stopped, and one stopped shortly is left alone"
    )
    func others() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let names = ["one", "two", "native"]
            let doors = try names.map { _ in try Ports.free() }
            let tables = try zip(names, doors).map { name, door in
                """
                [tunnel.\(name)]
                destination = "\(SSHServer.user)@\(server.host)"
                Port = \(server.port)
                IdentityFile = "\(server.keys.path("login"))"
                UserKnownHostsFile = "\(try server.knownHosts())"
                IdentitiesOnly = true
                BatchMode = true
                engine = "\(name == "native" ? "native" : "libssh2")"
                local = "\(door):127.0.0.1:\(target)"

                """
            }
            let culvert = try stage.start(
                "culvert", [Subject.path, "up", try stage.write("tunnels.toml", tables.joined())],
                environment: Tunnel.environment(stage))
            let open = try doors.map { try TestSocket.connectWhenListening(.tcp($0)) }
            func answers(_ socket: TestSocket) -> Bool {
                socket.setDeadline(5)
                return (try? socket.send("hello")) != nil && (try? socket.receiveText(count: 5)) == "hello"
            }
            try waitUntil("each answers") { open.allSatisfy(answers) }
            let children = ProcFS.ownChildren(culvert.pid)
            #expect(children.count == 2)
            kill(children[0], SIGSTOP)
            kill(children[1], SIGSTOP)
            let hung = monotonicSeconds()
            usleep(5_000_000)
            kill(children[1], SIGCONT)
            try culvert.waitForLine(Self.words, within: hung + Self.patience - monotonicSeconds())
            try waitUntil("it is back", within: hung + Self.patience - monotonicSeconds()) {
                ProcFS.ownChildren(culvert.pid).count == 2
            }
            #expect(ProcFS.ownChildren(culvert.pid).contains(children[1]))
            for door in doors { try OutageTests.expectEcho(.tcp(door), within: 15) }
            #expect(answers(open[2]), "the native one")
            #expect(open[..<2].filter(answers).count == 1, "of the other two one had hung")
            #expect(culvert.errorLines.filter { $0.contains("lost") }.count == 1)
        }
    }
}
