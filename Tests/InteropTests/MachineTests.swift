import Foundation
import Testing

/// What the machine and whoever starts culvert there allow, and what they do not.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has limits of its own"))
struct MachineTests {
    /// A shell that changes something and then becomes the program.
    private static func launcher(_ change: String) -> [String] { ["/bin/sh", "-c", "\(change); exec \"$@\"", "sh"] }

    private static func forward(_ stage: Stage) throws -> (words: [String], address: Address) {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        let door = try Ports.free()
        return (["-L", "\(door):127.0.0.1:\(target)"], .tcp(door))
    }

    @Test("of 64 descriptors most are for connections", arguments: Driver.allCases)
    func fewDescriptors(_ driver: Driver) throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            _ = try Tunnel(to: server, driver.arguments + words, launcher: Self.launcher("ulimit -n 64"))
            try OutageTests.expectEcho(address, within: 15)
            let many = try (0..<33).map { _ in try TestSocket.connectWhenListening(address) }
            for socket in many {
                socket.setDeadline(10)
                try socket.send("hello")
            }
            for socket in many { #expect(try socket.receiveText(count: 5) == "hello") }
        }
    }

    @Test(
        "little address space, no large file: it carries all the same",
        arguments: ["ulimit -v 2000000", "ulimit -v 400000", "ulimit -f 1", "ulimit -c 0; ulimit -l 0"])
    func limits(_ change: String) throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(to: server, ["--memory", "1024G"] + words, launcher: Self.launcher(change))
            try OutageTests.expectEcho(address, within: 15)
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
        }
    }

    @Test("a filter that refuses io_uring_enter: epoll, with one line; or an error where io_uring was asked for")
    func filtered() throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            let launcher = ["/usr/bin/python3", Tools.script("without_io_uring_enter.py")]
            let tunnel = try Tunnel(to: server, words, launcher: launcher)
            try tunnel.process.waitForLine(["io_uring is not available (io_uring_enter: ", "using epoll"])
            try OutageTests.expectEcho(address, within: 15)
            let asked = try Tunnel(to: server, ["--io", "uring", "-L", "\(try Ports.free()):a:1"], launcher: launcher)
            #expect(try asked.process.waitForEnd() == .exited(71))
            #expect(asked.process.errorLines.count == 1, "\(asked.process.errorText)")
        }
    }

    @Test("nobody reads standard error: flows go on, and a signal ends it within its time")
    func fullPipe() throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            let fifo = "\(stage.directory)/full"
            try #require(mkfifo(fifo, 0o600) == 0)
            // Filled by the shell, and open for reading in the program itself.
            let launcher = Self.launcher(
                "exec 9<>\(fifo); dd if=/dev/zero of=/proc/self/fd/9 bs=4096 count=15 2>/dev/null")
            let tunnel = try Tunnel(
                to: server, ["-vv"] + words, launcher: launcher + ["/bin/sh", "-c", "exec \"$@\" 2>&9", "sh"])
            try OutageTests.expectEcho(address, within: 15)
            let held = try TestSocket.connectWhenListening(address)
            held.setDeadline(10)
            // Each says a line.
            for _ in 0..<300 { try OutageTests.expectEcho(address, within: 15) }
            try held.send("hello")
            #expect(try held.receiveText(count: 5) == "hello")
            held.close()
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd(within: 5) == .exited(0))
        }
    }

    @Test("a failure that repeats is summed up, to its last line")
    func summedUp() throws {
        try onStage { stage in
            let (door, nobody) = (try Ports.free(), try Ports.free())
            let relay = try stage.start(
                "culvert", Subject.command(["relay", "-L", "\(door):127.0.0.1:\(nobody)"]),
                environment: Tunnel.environment(stage))
            for _ in 0..<100 {
                let socket = try TestSocket.connectWhenListening(.tcp(door))
                socket.setDeadline(10)
                _ = try? socket.receiveText(count: 1)
                socket.close()
            }
            relay.signal(SIGTERM)
            #expect(try relay.waitForEnd() == .exited(0))
            let said = relay.errorLines.filter { $0.contains("Connection refused") }
            #expect(said.count == 6, "\(relay.errorText)")
            #expect(said.last?.contains(" … and 95 more in ") == true)
        }
    }

    @Test(
        "no program that it could run would have more rights, unless one may have to be run",
        arguments: [
            ("", true), ("-o ProxyCommand=socat_-_TCP:%h:%p", false), ("askpass", false), ("condition", false),
        ])
    func privileges(_ kind: String, _ areRenounced: Bool) throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            var options: [String] = []
            if kind.hasPrefix("-o") { options = kind.components(separatedBy: " ").map { $0.replacing("_", with: " ") } }
            if kind == "condition" {
                options = ["-F", try stage.write("config", "Match exec true\nServerAliveInterval 9\n")]
            }
            let environment = ["DISPLAY": kind == "askpass" ? ":9" : "", "WAYLAND_DISPLAY": "", "SHELL": "/bin/sh"]
            let tunnel = try Tunnel(to: server, options + words, environment: environment)
            try OutageTests.expectEcho(address, within: 15)
            let status = readWhole("/proc/\(tunnel.pid)/status")
            #expect(status.contains("NoNewPrivs:\t\(areRenounced ? 1 : 0)\n"))
        }
    }

    /// Zombies count.
    private static func states(under pid: pid_t) -> [String] {
        ProcFS.programs(under: pid).map { child in
            let stat = readWhole("/proc/\(child)/stat")
            return stat.lastIndex(of: ")").map { String(stat[stat.index($0, offsetBy: 2)...].prefix(1)) } ?? "gone"
        }
    }

    @Test(
        "as the first process of a container it reaps orphans, and not what it waits for itself",
        .enabled(if: getuid() == 0, "a namespace of processes takes root"))
    func firstProcess() throws {
        try onStage { stage in
            let (words, address) = try Self.forward(stage)
            let server = try SSHServer(on: stage)
            let launcher = ["unshare", "--pid", "--fork", "--kill-child"]
            let orphans = Self.launcher("(sleep 0.1 &); (sleep 0.7 &)")
            let tunnel = try Tunnel(
                to: server, ["-o", "ProxyCommand=socat - TCP:%h:%p"] + words, environment: ["SHELL": "/bin/sh"],
                launcher: launcher + orphans)
            try OutageTests.expectEcho(address, within: 15)
            // culvert and its program.
            try waitUntil("no orphan is left", within: 10) { Self.states(under: tunnel.pid).count == 2 }
            #expect(Self.states(under: tunnel.pid).contains("Z") == false)
            let failing = try Tunnel(
                to: server, ["-o", "ProxyCommand=sh -c 'sleep 0.3; exit 3'"] + words,
                environment: ["SHELL": "/bin/sh"], launcher: launcher)
            #expect(try failing.process.waitForEnd() == .exited(ExpectedCode.connection))
            #expect(failing.process.errorText.contains("the ProxyCommand ended with exit status 3"))
        }
    }
}
