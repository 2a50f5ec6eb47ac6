import Foundation
import Testing

/// The I/O driver and the engine that were asked for are the ones that run.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has no drivers to choose from"))
struct DriverTests {
    @Test("io_uring is used where it was asked for, and nowhere else", arguments: Driver.allCases)
    func driver(_ driver: Driver) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address, options: driver.arguments)
            try OutageTests.expectEcho(forward.address, within: 15)
            let pid = forward.process.pid
            #expect(ProcFS.holdsRing(pid) == (driver == .uring))

            let carrier = ProcFS.ownChildren(pid).first ?? pid
            let counts = try Self.countCalls(stage, carrier) {
                let near = try TestSocket.connect(forward.address)
                for _ in 0..<200 {
                    try near.send("ping")
                    #expect(try near.receiveText(count: 4) == "ping")
                }
            }
            switch driver {
            case .uring: #expect(counts.ring >= 200, "\(counts)")
            case .epoll:
                #expect(counts.ring == 0, "\(counts)")
                #expect(counts.epoll >= 200, "\(counts)")
            }
        }
    }

    @Test("where io_uring is forbidden, auto runs on epoll with one line, and --io uring is refused")
    func forbiddenRing() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let door = try Ports.free()
            let forbid = [Tools.python, Tools.script("forbid_io_uring.py")]
            let relay = ["relay", "-L", "\(door):127.0.0.1:\(target)"]
            let auto = try stage.start(
                "culvert", forbid + Subject.command(relay), environment: Tunnel.environment(stage))
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(!ProcFS.holdsRing(auto.pid))
            let lines = auto.errorLines.filter { $0.contains("io_uring") }
            #expect(lines.count == 1, "\(lines)")
            auto.destroy()

            let forced = try stage.start(
                "culvert", forbid + Subject.command(relay + ["--io", "uring"]), environment: Tunnel.environment(stage))
            let ending = try forced.waitForEnd()
            #expect(ending != .exited(0))
            #expect(forced.errorText.contains("io_uring"))
        }
    }

    @Test("the server's log shows the client version of the engine asked for")
    func clientVersion() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(
                on: stage, to: echo.address, options: ["--engine", "libssh2"])
            try OutageTests.expectEcho(forward.address, within: 15)
            let log = try #require(forward.server).log
            let version = log.split(separator: "\n").first { $0.contains("remote software version") }
            #expect(version?.contains("libssh2") == true, "\(version ?? "no version")")
        }
    }

    /// Counts the waits of both kinds that `pid` makes while `body` runs.
    private static func countCalls(
        _ stage: Stage, _ pid: pid_t, _ body: () throws -> Void
    ) throws -> (ring: Int, epoll: Int) {
        let path = "\(stage.directory)/calls"
        let tracer = try stage.start(
            "strace",
            [
                "strace", "-f", "-qq", "-o", path, "-p", "\(pid)",
                "-e", "trace=io_uring_enter,epoll_wait,epoll_pwait,epoll_pwait2",
            ])
        try waitUntil("every thread is traced") {
            guard tracer.isRunning else { throw Failure("strace ended: \(tracer.errorText)") }
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            return threads.allSatisfy { !readWhole("/proc/\(pid)/task/\($0)/status").contains("TracerPid:\t0\n") }
        }
        try body()
        tracer.signal(SIGINT)
        try tracer.waitForEnd()
        let lines = readWhole(path).split(separator: "\n")
        return (
            lines.filter { $0.contains("io_uring_enter(") }.count,
            lines.filter { $0.contains("epoll_wait(") || $0.contains("epoll_pwait") }.count
        )
    }
}
