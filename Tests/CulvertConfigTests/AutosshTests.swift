import CulvertPlan
import Testing

@testable import CulvertConfig

/// `-M NUMBER` and the environment that autossh(1) reads.
@Suite struct AutosshTests {
    private func tunnel(_ words: [String], _ variables: [String: String] = [:]) throws(ConfigurationError)
        -> TunnelConfiguration?
    {
        var environment = testEnvironment
        environment.variables.merge(variables) { _, new in new }
        let parsed = try parseCommandLine(
            words + ["-L", "1:a:2", "server"], environment: environment, access: .nothing)
        guard case .tunnel(let configuration) = parsed else { return nil }
        return configuration
    }

    @Test(arguments: [["-M", "0"], ["-M0"], ["-M20000"], ["-M", "20000:7"], ["-NM", "0"], ["-fNM", "0"]])
    func numberAndFlag(_ words: [String]) throws {
        let tunnel = try #require(try tunnel(words))
        #expect(tunnel.destination.host == "server")
        #expect(tunnel.notes.contains { $0.hasPrefix("-M: culvert asks") })
        #expect(tunnel.plan.persistence == .after(.seconds(words == ["-fNM", "0"] ? 0 : 30)))
    }

    /// ssh's own has no value, and what follows is a destination.
    @Test(arguments: [["-M"], ["-MN"], ["-M", "-N"]]) func sshsFlag(_ words: [String]) throws {
        let tunnel = try #require(try tunnel(words, ["AUTOSSH_GATETIME": "x", "AUTOSSH_PIDFILE": "/run/a.pid"]))
        #expect(tunnel.plan.persistence == .no && tunnel.process == ProcessOptions())
        #expect(tunnel.notes.contains("-M (ControlMaster) has no effect without -S, or ControlPath: ignored"))
    }

    @Test func everyVariable() throws {
        let variables = [
            "AUTOSSH_GATETIME": "0", "AUTOSSH_PIDFILE": "/run/a.pid", "AUTOSSH_LOGFILE": "/log", "AUTOSSH_POLL": "60",
            "AUTOSSH_FIRST_POLL": "5", "AUTOSSH_MAXSTART": "3", "AUTOSSH_MAXLIFETIME": "3600", "AUTOSSH_LOGLEVEL": "7",
        ]
        let tunnel = try #require(try tunnel(["-M", "20000"], variables))
        #expect(tunnel.plan.persistence == .after(.zero) && tunnel.plan.logins == 3)
        var process = ProcessOptions(pidFile: "/run/a.pid", lifetime: .seconds(3600))
        process.pidFileOption = "AUTOSSH_PIDFILE"
        #expect(tunnel.process == process)
        #expect(tunnel.output.logFile == "/log" && tunnel.output.verbosity == .debug1)
        #expect(tunnel.connection.serverAliveInterval == .seconds(5))
        // A server that does not answer such questions is kept, which one of the user's own interval is not.
        #expect(!tunnel.connection.serverAliveIntervalIsSet)
    }

    @Test func whatIsTypedOutranksIt() throws {
        let variables = ["AUTOSSH_PIDFILE": "/run/a.pid", "AUTOSSH_LOGFILE": "/log", "AUTOSSH_LOGLEVEL": "0"]
        let words = ["-M", "0", "--persist", "--pid-file", "/own", "-E", "/mine", "-vv"]
        let tunnel = try #require(try tunnel(words, variables))
        #expect(tunnel.plan.persistence == .always && tunnel.process.pidFile == "/own")
        #expect(tunnel.output.logFile == "/mine" && tunnel.output.verbosity == .debug2)
    }

    /// As with two programs: the first to find the link dead ends it. Without a port autossh asks nothing.
    @Test(arguments: [("0", "10", nil), ("1", "10", 10), ("1", "600", 15)] as [(String, String, Int64?)])
    func theShorterIntervalCounts(_ port: String, _ poll: String, _ seconds: Int64?) throws {
        let tunnel = try #require(try tunnel(["-M", port], ["AUTOSSH_POLL": poll]))
        #expect(tunnel.connection.serverAliveInterval == .seconds(seconds ?? 15))
        let own = try #require(try self.tunnel(["-M", port, "-oServerAliveInterval=0"], ["AUTOSSH_POLL": poll]))
        #expect(own.connection.serverAliveInterval == (port == "0" ? nil : .seconds(Int64(poll) ?? 0)))
    }

    /// autossh goes to the background first of all: nobody can be asked there, and its log is the system's.
    @Test func detached() throws {
        let tunnel = try #require(try tunnel(["-M", "0", "-f"], ["AUTOSSH_GATETIME": "30"]))
        #expect(tunnel.process.background == .atOnce && tunnel.plan.persistence == .after(.zero))
        #expect(tunnel.login.batchMode && tunnel.output.syslog)
        let logged = try #require(try self.tunnel(["-M", "0", "-f"], ["AUTOSSH_LOGFILE": "/log"]))
        #expect(!logged.output.syslog)
    }

    @Test func noLimit() throws {
        let tunnel = try #require(try tunnel(["-M", "0"], ["AUTOSSH_MAXSTART": "-1", "AUTOSSH_MAXLIFETIME": "0"]))
        #expect(tunnel.plan.logins == nil && tunnel.process.lifetime == nil)
    }

    static let wrong: [([String], [String: String], String)] = [
        (["-M", "99999"], [:], "-M 99999: give autossh's port or port:echo_port, or 0: no port is opened"),
        (["-M", "1:0"], [:], "-M 1:0: give autossh's port or port:echo_port, or 0: no port is opened"),
        (["-M", "1:2:3"], [:], "-M 1:2:3: give autossh's port or port:echo_port, or 0: no port is opened"),
        (["-M1:"], [:], "-M 1:: give autossh's port or port:echo_port, or 0: no port is opened"),
        (
            ["-M", "0"], ["AUTOSSH_GATETIME": "soon"],
            "AUTOSSH_GATETIME=soon: give a number from 0 to 2147483647"
        ),
        (["-M", "0"], ["AUTOSSH_POLL": "0"], "AUTOSSH_POLL=0: give a number from 1 to 2147483647"),
        (["-M", "0"], ["AUTOSSH_MAXSTART": "x"], "AUTOSSH_MAXSTART=x: give a number"),
        (["-M", "0"], ["AUTOSSH_LOGLEVEL": "8"], "AUTOSSH_LOGLEVEL=8: give a number from 0 to 7"),
    ]

    @Test(arguments: wrong) func whatIsWrongIsSaid(_ words: [String], _ variables: [String: String], _ fault: String) {
        do throws(ConfigurationError) {
            _ = try tunnel(words, variables)
            Issue.record("it is taken")
        } catch { #expect(error.message == fault) }
    }
}
