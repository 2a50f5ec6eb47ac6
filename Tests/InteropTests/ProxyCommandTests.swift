import Foundation
import Testing

/// A link over a program (ProxyCommand): what it is given, what becomes of what it says, and that it goes.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh leaves its ProxyCommand in its own process group"))
struct ProxyCommandTests {
    /// A tunnel to an echo over `command`, in which the words are shell's; the address is the forward's.
    private static func start(
        _ stage: Stage, to server: SSHServer, _ command: String, _ options: [String] = []
    ) throws -> (tunnel: Tunnel, address: Address) {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        let door = try Ports.free()
        let tunnel = try Tunnel(
            to: server, options + ["-o", "ProxyCommand=\(command)", "-L", "\(door):127.0.0.1:\(target)"],
            environment: ["SHELL": "/bin/sh"])
        return (tunnel, .tcp(door))
    }

    /// The program itself: the only child.
    private static func program(of tunnel: Tunnel) throws -> pid_t {
        let found = ProcFS.programs(under: tunnel.pid)
        guard found.count == 1 else { throw Failure("\(found.count) processes run under culvert") }
        return found[0]
    }

    private static func hasEnded(_ pid: pid_t) -> Bool {
        // A zombie counts as ended: whoever inherited it may be slow to look.
        let stat = readWhole("/proc/\(pid)/stat")
        guard let end = stat.lastIndex(of: ")") else { return true }
        return stat[stat.index(after: end)...].hasPrefix(" Z")
    }

    private static func processGroup(_ pid: pid_t) -> pid_t { getpgid(pid) }

    @Test(
        "ssh -W as ProxyCommand: carries, what it says is shown, and each link has its own", arguments: Driver.choices)
    func sshW(_ driver: Driver) throws {
        try onStage { stage in
            let bastion = try SSHServer(on: stage, name: "bastion", hostKey: "secondhost")
            let server = try SSHServer(on: stage)
            let login = try Tunnel.login(bastion, knownHosts: bastion.knownHosts("secondhost")).joined(separator: " ")
            let (tunnel, address) = try Self.start(
                stage, to: server, "ssh -v -F none \(login) -W %h:%p \(SSHServer.user)@127.0.0.1", driver.arguments)
            try OutageTests.expectEcho(address, within: 15)
            try tunnel.process.waitForLine(["ProxyCommand:", "Authenticated to 127.0.0.1"])
            let first = try Self.program(of: tunnel)
            #expect(Self.processGroup(first) == first)
            #expect(getsid(first) == first)

            bastion.killSessions()
            try tunnel.process.waitForLine(Wording.linkBack)
            try OutageTests.expectEcho(address, within: 15)
            #expect(try Self.program(of: tunnel) != first)
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
        }
    }

    @Test("tokens, an empty set of descriptors, escaped words, and an end with culvert", arguments: [SIGTERM, SIGKILL])
    func surroundings(_ signal: Int32) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let said = #"echo "%%|%h|%n|%p|%r|$(ls -m /proc/$$/fd)" >&2; printf "\033[31mred\n" >&2"#
            let (tunnel, address) = try Self.start(
                stage, to: server, "sh -c '\(said); exec socat - TCP:%h:%p'")
            try OutageTests.expectEcho(address, within: 15)
            try tunnel.process.waitForLine([
                "ProxyCommand: %|127.0.0.1|127.0.0.1|\(server.port)|\(SSHServer.user)|0, 1, 2"
            ])
            try tunnel.process.waitForLine([#"ProxyCommand: \u{1b}[31mred"#])
            let program = try Self.program(of: tunnel)
            tunnel.process.signal(signal)
            try tunnel.process.waitForEnd()
            try waitUntil("the program has ended", within: 5) { Self.hasEnded(program) }
        }
    }

    @Test("a program that ignores every sign is gone when culvert is, a stopped one too", arguments: [false, true])
    func stubbornProgramAtTheEnd(_ isStopped: Bool) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (tunnel, address) = try Self.start(
                stage, to: server, #"sh -c 'trap "" HUP TERM INT; socat - TCP:%h:%p; while :; do sleep 1000; done'"#)
            try OutageTests.expectEcho(address, within: 15)
            let programs = ProcFS.programs(under: tunnel.pid)
            #expect(programs.count == 2, "\(programs)")
            if isStopped { for program in programs { kill(program, SIGSTOP) } }
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            try waitUntil("they are gone", within: 0.5) { programs.allSatisfy(Self.hasEnded) }
        }
    }

    @Test("a program that ignores every sign goes with its link all the same")
    func stubbornProgram() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (tunnel, address) = try Self.start(
                stage, to: server,
                #"sh -c 'trap "" HUP TERM; sleep 1000 & socat - TCP:%h:%p; while :; do sleep 1000; done'"#,
                // It keeps the connection open: only the questions show that nobody is there.
                ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"])
            try OutageTests.expectEcho(address, within: 15)
            let first = ProcFS.programs(under: tunnel.pid)
            #expect(first.count == 3, "\(first)")
            server.killSessions()
            try waitUntil("it and what it has started are gone", within: 10) { first.allSatisfy(Self.hasEnded) }
            try tunnel.process.waitForLine(Wording.linkBack)
            try OutageTests.expectEcho(address, within: 15)
        }
    }

    @Test(
        "a program that fails: one line with how it ended",
        arguments: [
            ("exit 3", "the ProxyCommand ended with exit status 127"),
            ("sh -c 'exit 3'", "the ProxyCommand ended with exit status 3"),
            ("sh -c 'kill -9 $$'", "the ProxyCommand was ended by signal 9"),
            ("sleep 1000", "the server did not answer in time"),
        ])
    func failure(_ command: String, _ words: String) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (tunnel, _) = try Self.start(stage, to: server, command, ["-o", "ConnectTimeout=2"])
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            let lines = tunnel.process.errorLines.filter { !$0.hasPrefix("culvert: ProxyCommand: ") }
            #expect(lines.count == 1 && lines[0].hasPrefix("culvert: \(words)"), "\(tunnel.process.errorLines)")
        }
    }

    @Test("many links after each other: descriptors and threads stay")
    func many() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (tunnel, address) = try Self.start(stage, to: server, "socat - TCP:%h:%p")
            try JumpTests.expectNothingLeft(of: tunnel, address, rounds: Scale.pathDeaths) { server.killSessions() }
        }
    }
}
