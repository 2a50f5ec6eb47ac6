import CulvertPlan
import Testing

@testable import CulvertConfig

/// ProxyJump and ProxyCommand: what is between here and the destination.
@Suite struct RouteTests {
    private func hops(_ arguments: String...) throws -> [String] {
        try tunnel(arguments + ["-L", "1:a:2", "-p", "33", "-l", "eve", "-i", "/key", "server"]).hops.map {
            "\($0.destination.user)@\($0.destination.host)#\($0.destination.port)"
        }
    }

    @Test(arguments: [
        ("gate", ["ann@gate#22"]), ("bob@gate", ["bob@gate#22"]), ("gate:44", ["ann@gate#44"]),
        ("a@b@gate:44", ["a@b@gate#44"]), ("one,two", ["ann@one#22", "ann@two#22"]),
        ("bob@one:1,two:2,c@three", ["bob@one#1", "ann@two#2", "c@three#22"]),
        ("[::1]:44", ["ann@::1#44"]), ("bob@[fe80::1%eth0]", ["bob@fe80::1%eth0#22"]),
        ("ssh://bob@gate:44,ssh://[::1]:3", ["bob@gate#44", "ann@::1#3"]),
        ("%r@gate-%p", ["eve@gate-33#22"]), ("none", []), ("NONE", []),
    ]) func jumps(_ text: String, _ expected: [String]) throws {
        #expect(try hops("-J", text) == expected)
        #expect(try hops("-o", "ProxyJump=\(text)") == expected)
    }

    /// ssh gives a hop nothing of what the destination is told.
    @Test func aHopHasSettingsOfItsOwn() throws {
        let made = try settings(
            "-J", "gate", "-i", "/key", "-o", "UserKnownHostsFile=/known", "-o", "StrictHostKeyChecking=no", "-c",
            "aes256-gcm@openssh.com", "-4", "-b", "10.0.0.1", "-o", "BatchMode=yes", "-o", "HostKeyAlias=x")
        let hop = try #require(made.hops.first)
        #expect(hop.login.identityFiles == .defaults && !hop.login.batchMode)
        #expect(hop.hostKeys.checking == .ask && hop.hostKeys.alias == nil)
        #expect(hop.hostKeys.userKnownHostsFiles == ["/home/ann/.ssh/known_hosts", "/home/ann/.ssh/known_hosts2"])
        #expect(hop.algorithms == AlgorithmOptions())
        #expect(hop.connection.addressFamily == .any && hop.connection.bindAddress == nil)
        #expect(hop.proxyCommand == nil && made.proxyCommand == nil)
        #expect(made.server.login.identityFiles == .listed(["/key"]))
    }

    @Test func nobodyWaitsLongerForAHop() throws {
        #expect(try settings("-J", "gate", "-o", "ConnectTimeout=5").hops[0].connection.connectTimeout == .seconds(5))
    }

    @Test(arguments: [
        ("nc %h %p", "nc server 22"),
        ("a %n %r %% %u %i '${HOME}' \"$x\" # b", "a server ann % ann 1000 '${HOME}' \"$x\" # b"),
        ("\"quoted words\" 'kept' =", "\"quoted words\" 'kept' ="),
    ]) func commands(_ text: String, _ expected: String) throws {
        for spelling in ["ProxyCommand=\(text)", "proxycommand \(text)", "ProxyCommand = \(text)"] {
            let made = try settings("-o", spelling)
            #expect(made.proxyCommand == ProxyCommand(shell: "/bin/sh", text: expected), "\(spelling)")
        }
    }

    @Test func theShellIsTheUsers() throws {
        var environment = testEnvironment
        environment.variables["SHELL"] = "/bin/fish"
        let line = ["-o", "ProxyCommand=x", "-L", "1:a:2", "server"]
        guard case .tunnel(let made) = try parseCommandLine(line, environment: environment) else { throw NotATunnel() }
        #expect(made.proxyCommand?.shell == "/bin/fish")
    }

    @Test func theFirstShutsTheOtherOut() throws {
        let jump = try settings("-o", "ProxyJump=gate", "-o", "ProxyCommand=x")
        #expect(jump.hops.count == 1 && jump.proxyCommand == nil)
        let command = try settings("-o", "ProxyCommand=x", "-o", "ProxyJump=gate")
        #expect(command.hops.isEmpty && command.proxyCommand?.text == "x")
        let none = try settings("-o", "ProxyCommand=none", "-o", "ProxyJump=gate", "-o", "ProxyCommand=x")
        #expect(none.hops.isEmpty && none.proxyCommand == nil)
        // As ssh -G has it: a jump that is none leaves room for a command.
        #expect(try settings("-J", "none", "-o", "ProxyCommand=x").proxyCommand?.text == "x")
    }

    @Test(arguments: [
        (["-J", "a:b:c"], "-J a:b:c: 'a:b:c' is no jump host: give [user@]host[:port]"),
        (["-J", "one,,two"], "-J one,,two: '' is no jump host: give [user@]host[:port]"),
        (["-J", "@gate"], "-J @gate: '@gate' is no jump host: give [user@]host[:port]"),
        (["-J", "gate:0"], "-J gate:0: 'gate:0' is no jump host: give [user@]host[:port]"),
        (["-J", "one", "-J", "two"], "-J two: a jump is given already: put several hops into one -J"),
        (
            ["-o", "ProxyCommand=x", "-J", "two"],
            "-J two: ProxyCommand is given already: put several hops into one -J"
        ),
        (["-J", "1,2,3,4,5,6,7,8,9"], "ProxyJump 1,2,3,4,5,6,7,8,9: more than 8 hops"),
        (["-o", "ProxyCommand=nc %z"], "ProxyCommand nc %z: unknown token after '%': write %% for the sign itself"),
        (
            ["-l", "$reboot", "-o", "ProxyCommand=nc %%r %r"],
            "ProxyCommand nc %%r %r: the user's name '$reboot' has characters that a shell reads"
        ),
        (
            ["-o", "HostKeyAlias=$reboot", "-o", "ProxyCommand=nc %%k %k"],
            "ProxyCommand nc %%k %k: the HostKeyAlias '$reboot' has characters that a shell reads"
        ),
        (["-J", "a\u{202e}b"], "-J a\\u{202e}b: 'a\\u{202e}b' is no jump host: give [user@]host[:port]"),
    ]) func faults(_ arguments: [String], _ expected: String) {
        #expect(fault(arguments + ["-L", "1:a:2", "server"]) == expected)
    }

    // MARK: Files

    /// What `files` makes of `-J`, or of the host's own words where there is none.
    private func path(_ text: String, _ arguments: String...) throws -> [String] {
        let file = ConfigurationAccess.File(bytes: Array(text.utf8), owner: 1000, mode: 0o600)
        var access = ConfigurationAccess.nothing
        access.read = { $0 == "/config" ? .success(file) : .failure(.missing) }
        let line = ["-F", "/config", "-L", "1:a:2"] + arguments
        guard case .tunnel(let made) = try parseCommandLine(line, environment: testEnvironment, access: access) else {
            throw NotATunnel()
        }
        return (made.hops + [made.server]).map {
            "\($0.destination.user)@\($0.destination.host)#\($0.destination.port)"
                + ($0.proxyCommand.map { " \($0.text)" } ?? "")
        }
    }

    private static let files = """
        Host prod
          HostName 10.0.0.5
          ProxyJump inner
        Host inner
          HostName 10.0.0.1
          User gate
          ProxyJump outer,middle:33
        Host outer
          Port 2222
          ProxyCommand nc %h %p
        Host middle
          User mid
          ProxyCommand never %h
        Host self
          ProxyJump self
        Host ping
          ProxyJump pong
        Host pong
          ProxyJump ping
        Host other
          HostName other.example.org
          ProxyCommand connect %n %h
        """

    @Test func eachHopIsWhatTheFilesSay() throws {
        let whole = ["ann@outer#2222 nc outer 2222", "mid@middle#33", "gate@10.0.0.1#22", "ann@10.0.0.5#22"]
        #expect(try path(Self.files, "prod") == whole)
        // Only the first of several is looked for as a destination is.
        #expect(
            try path(Self.files, "-J", "middle,inner", "prod")
                == ["mid@middle#22 never middle", "gate@10.0.0.1#22", "ann@10.0.0.5#22"])
        #expect(try path(Self.files, "-J", "none", "prod") == ["ann@10.0.0.5#22"])
        #expect(try path(Self.files, "other") == ["ann@other.example.org#22 connect other other.example.org"])
    }

    @Test func aHopThatLeadsToItselfIsFound() {
        for (host, name) in [("self", "self"), ("ping", "pong")] {
            #expect(throws: ConfigurationError("ProxyJump \(name): \(name) would lead to itself")) {
                try path(Self.files, host)
            }
        }
    }

    /// The jump host has no jump of its own, whatever it is called.
    @Test func theDestinationMayBeAJumpHostToo() throws {
        let files = "Host via\n  ProxyJump gate\n"
        #expect(try path(files, "-J", "via", "gate") == ["ann@gate#22", "ann@via#22", "ann@gate#22"])
    }

    @Test func hopsThatNeverEndAreAnError() {
        #expect(throws: ConfigurationError("ProxyJump j-%h: more than 8 hops")) {
            try path("Host *\n  ProxyJump j-%h\n", "host")
        }
    }

    @Test func aUserThatNoShellSeesMayHaveAnyName() throws {
        #expect(try settings("-l", "$x", "-o", "ProxyCommand=nc %%r %h").proxyCommand?.text == "nc %r server")
    }
}
