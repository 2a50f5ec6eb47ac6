import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct RelayTests {
    func relay(_ arguments: String...) throws -> RelayConfiguration? {
        guard case .relay(let configuration) = try parseCommandLine(["relay"] + arguments, environment: testEnvironment)
        else { return nil }
        return configuration
    }

    @Test func readsItsOptions() throws {
        let configuration = try #require(
            try relay(
                "-L", "1:a:2", "-vgL[::1]:3:b:4", "-E/log", "--io=epoll", "--threads", "2", "--memory=64M",
                "--drain=7s"))
        let plan = configuration.plan
        #expect(
            plan.forwards == [
                LocalForward(listen: .everywhere(port: 1), target: .tcp(host: "a", port: 2), text: "-L 1:a:2"),
                LocalForward(
                    listen: .address("::1", port: 3), target: .tcp(host: "b", port: 4), text: "-L [::1]:3:b:4"),
            ])
        #expect(plan.drain == .seconds(7))
        #expect(try relay("-L1:a:2")?.plan.drain == .seconds(5))
        #expect(try relay("-L1:a:2")?.plan.forwards.map(\.listen) == [.loopback(port: 1)])
        #expect(configuration.output == OutputOptions(verbosity: .debug1, logFile: "/log", syslog: false))
        #expect(plan.runtime == RuntimeOptions(io: .epoll, threads: 2, memory: 64 << 20))
    }

    static let bad: [(String, String)] = [
        ("", "nothing to forward: give -L, for example culvert relay -L 5432:db:5432"),
        ("-L1:a:2 host", "'host': the relay takes no destination: to tunnel to a host named relay, write user@relay"),
        ("-R1:a:2", "-R: the relay speaks no SSH: it listens here only, with -L"),
        ("-p22 -L1:a:2", "-p: the relay speaks no SSH: leave it out"),
        ("--links 2 -L1:a:2", "--links: the relay speaks no SSH: leave it out"),
        ("--thread 2 -L1:a:2", "--thread: unknown option: did you mean --threads?"),
        ("-L 1:a", "-L 1:a: no target port: give [bind_address:]port:host:hostport"),
        ("-Z", "-Z: unknown option: did you mean -C?"),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ line: String, _ message: String) {
        let expected = ConfigurationError(message, command: "culvert relay")
        #expect(throws: expected) {
            try parseCommandLine(["relay"] + line.split(separator: " ").map(String.init), environment: testEnvironment)
        }
        #expect(expected.report == "culvert: \(message)\ntry 'culvert relay --help'")
        #expect(expected.exitCode == 64)
    }

    /// A host of that name, wherever the word is not the first.
    @Test(arguments: [
        ["-N", "relay", "-L1:a:2"], ["--", "relay"], ["user@relay", "-L1:a:2"], ["ssh://relay", "-L1:a:2"],
        ["-L1:a:2", "relay"],
    ]) func canBeAHost(_ arguments: [String]) throws {
        let whole = arguments.first == "--" ? ["-L1:a:2"] + arguments : arguments
        #expect(try tunnel(whole).destination.host == "relay")
        #expect(fault(["--", "relay"])?.hasPrefix("nothing to forward: give -L, -R, -D or -W") == true)
    }
}
