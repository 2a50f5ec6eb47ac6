import Foundation
import Testing

/// Everything that can be wrong at the start: one clear line, and the exit code that the help promises.
@Suite(.serialized) struct BadInputTests {
    /// What a row of the table may refer to.
    struct Context {
        let stage: Stage
        let server: SSHServer
        let freePort: UInt16
        let usedPort: UInt16
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let says: [String]
        let code: Int32
        var serverOptions: [String] = []
        var isForCulvertOnly = false
        /// Arguments before the destination, and the destination where it is another one.
        let arguments: @Sendable (Context) throws -> (options: [String], destination: String?)

        var testDescription: String { name }
    }

    static var rows: [Row] { all.filter { Subject.isCulvert || !$0.isForCulvertOnly } }

    private static func usage(_ name: String, _ says: [String], _ options: [String], culvertOnly: Bool = false) -> Row {
        Row(name: name, says: says, code: ExpectedCode.usage, isForCulvertOnly: culvertOnly) { _ in (options, nil) }
    }

    private static let all: [Row] = [
        usage("-L that is no forward", Wording.badForward + ["nonsense"], ["-L", "nonsense"]),
        usage("-L with a port too large", Wording.badForward + ["70000"], ["-L", "70000:a:1"]),
        usage("-L without a target port", Wording.badForward + ["8080:host"], ["-L", "8080:host"]),
        usage("-L with an open bracket", Wording.badForward + ["[::1:80:a:1"], ["-L", "[::1:80:a:1"]),
        usage("-L with an empty target", Wording.badForward + ["8080::1"], ["-L", "8080::1"], culvertOnly: true),
        usage("-R that is no forward", Wording.badForward + ["8080:a:b:c:d"], ["-R", "8080:a:b:c:d"]),
        usage("a bad port", ["-p", "x22"], ["-p", "x22"], culvertOnly: true),
        usage("an unknown option", ["-Z"], ["-Z"], culvertOnly: true),
        usage(
            "an unknown setting, with the nearest known one", ["ServerAliveIntervall", "ServerAliveInterval"],
            ["-o", "ServerAliveIntervall=3"], culvertOnly: true),
        usage("a bad value", ["ServerAliveInterval", "soon"], ["-o", "ServerAliveInterval=soon"], culvertOnly: true),
        usage(
            "a cipher with a mistake of typing",
            ["-c", "'aes256-gmc@openssh.com'", "did you mean aes256-gcm@openssh.com?"],
            ["-c", "aes256-gmc@openssh.com"], culvertOnly: true),
        usage("a tunnel device", ["-w 0:0", "no tunnel device"], ["-w", "0:0", "-L", "1:a:1"], culvertOnly: true),
        usage("an unknown long option", ["--link"], ["--link", "2"], culvertOnly: true),
        usage("a wrong driver", ["--io", "kqueue"], ["--io", "kqueue"], culvertOnly: true),
        Row(name: "a port in use", says: Wording.portInUse, code: ExpectedCode.connection) {
            (["-o", "ExitOnForwardFailure=yes", "-L", "127.0.0.1:\($0.usedPort):localhost:1"], nil)
        },
        Row(
            name: "a port in use, and no other forward", says: Wording.portInUse, code: ExpectedCode.connection,
            isForCulvertOnly: true
        ) {
            (["-L", "127.0.0.1:\($0.usedPort):localhost:1"], nil)
        },
        Row(name: "an unknown host", says: Wording.unknownHost, code: ExpectedCode.connection) {
            (["-L", "\($0.freePort):localhost:1"], "no-such-host.invalid")
        },
        Row(name: "a host that refuses", says: Wording.unreachableHost, code: ExpectedCode.connection) {
            // The first -p wins.
            (["-p", "\($0.freePort)", "-L", "\(try Ports.free()):localhost:1"], nil)
        },
        Row(name: "a wrong key", says: Wording.loginRefused, code: ExpectedCode.connection) {
            (["-i", $0.server.keys.path("stranger"), "-L", "\($0.freePort):localhost:1"], nil)
        },
        Row(
            name: "a refused login", says: Wording.loginRefused, code: ExpectedCode.connection,
            serverOptions: ["DenyUsers *"]
        ) { (["-L", "\($0.freePort):localhost:1"], nil) },
        Row(
            name: "a key file that others can read", says: Wording.openKey, code: ExpectedCode.connection
        ) { context in
            let copy = try context.stage.write(
                "open-key", readWhole(context.server.keys.path("login")), mode: 0o644)
            return (["-i", copy, "-L", "\(context.freePort):localhost:1"], nil)
        },
        Row(
            name: "a server that forbids remote forwarding", says: ["AllowTcpForwarding"],
            code: ExpectedCode.connection, serverOptions: ["AllowTcpForwarding no"], isForCulvertOnly: true
        ) { (["-o", "ExitOnForwardFailure=yes", "-R", "\($0.freePort):localhost:1"], nil) },
        Row(
            name: "a server that forbids this listening port", says: ["PermitListen"],
            code: ExpectedCode.connection, serverOptions: ["PermitListen localhost:1"], isForCulvertOnly: true
        ) { (["-o", "ExitOnForwardFailure=yes", "-R", "\($0.freePort):localhost:1"], nil) },
        Row(
            name: "a reverse forward refused, and no other", says: ["AllowTcpForwarding"],
            code: ExpectedCode.connection, serverOptions: ["AllowTcpForwarding local"], isForCulvertOnly: true
        ) { (["-R", "\($0.freePort):localhost:1"], nil) },
        Row(name: "a log file that cannot be written", says: ["/nowhere/log"], code: ExpectedCode.logFile) {
            (["-E", "/nowhere/log", "-L", "\($0.freePort):localhost:1"], nil)
        },
    ]

    @Test("one clear line and the right exit code", arguments: rows)
    func stops(_ row: Row) throws {
        try onStage { stage in
            let taken = try Listener(.tcp(0))
            stage.atEnd { taken.close() }
            guard case .tcp(let usedPort) = taken.address else { return }
            let server = try SSHServer(on: stage, options: row.serverOptions)
            let freePort = try Ports.free()
            let (options, destination) = try row.arguments(
                Context(stage: stage, server: server, freePort: freePort, usedPort: usedPort))
            var login = try Tunnel.login(server)
            if options.contains("-i") {
                // IdentitiesOnly with exactly the key of the row.
                let index = try #require(login.firstIndex(of: "-i"))
                login.removeSubrange(index...(index + 1))
            }
            let process = try stage.start(
                "culvert",
                Subject.command(options + login + [destination ?? "\(SSHServer.user)@127.0.0.1"]),
                environment: Tunnel.environment(stage))
            let ending = try process.waitForEnd(within: 30)
            #expect(ending == .exited(row.code), "\(process.errorText)")
            let line = process.errorLines.first { line in
                row.says.allSatisfy { line.localizedCaseInsensitiveContains($0) }
            }
            #expect(line != nil, "no line says \(row.says):\n\(process.errorText)")
            #expect(ProcFS.listeners(port: freePort).isEmpty)
            #expect(!process.errorText.contains("Fatal error") && !process.errorText.contains("PRIVATE KEY-----"))
        }
    }

    @Test(
        "a changed or revoked host key ends the attempt before a listener opens",
        // ssh goes on with a warning under StrictHostKeyChecking=no: culvert does not.
        arguments: ["changed", "revoked"]
            + (Subject.isCulvert
                ? ["changed, StrictHostKeyChecking=no", "revoked, StrictHostKeyChecking=no"] : []))
    func hostKey(_ what: String) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let known =
                what.hasPrefix("changed")
                ? try server.knownHosts("changedhost")
                : try stage.write("revoked", "@revoked * \(server.keys.publicKey("host"))\n")
            let door = try Ports.free()
            let options = what.contains("no") ? ["-o", "StrictHostKeyChecking=no"] : []
            let tunnel = try Tunnel(to: server, options + ["-L", "\(door):localhost:1"], knownHosts: known)
            var wasOpen = false
            try waitUntil("it ends") {
                wasOpen = wasOpen || !ProcFS.listeners(port: door).isEmpty
                return !tunnel.process.isRunning
            }
            #expect(!wasOpen)
            #expect(tunnel.process.ending == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine(Wording.hostKeyRefused)
            #expect(!server.log.contains("Accepted publickey"))
        }
    }

    @Test(
        "a target that refuses, or that the server may not dial: a line, the flow ends, the tunnel goes on",
        arguments: [
            ("refused", [String](), Wording.targetRefused),
            ("forbidden", ["PermitOpen none"], Wording.either(culvert: ["PermitOpen"], ssh: ["prohibited"])),
            (
                "disabled", ["AllowTcpForwarding no"],
                Wording.either(culvert: ["AllowTcpForwarding"], ssh: ["prohibited"])
            ),
        ])
    func target(_ name: String, _ serverOptions: [String], _ says: [String]) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage, options: serverOptions)
            let (door, closed) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(to: server, ["-L", "\(door):127.0.0.1:\(closed)"])
            try tunnel.waitForListener(door)
            let near = try TestSocket.connect(.tcp(door))
            try near.drainToEnd(within: 5)
            try tunnel.process.waitForLine(says)
            #expect(tunnel.process.isRunning)
            #expect(!ProcFS.listeners(port: door).isEmpty)
        }
    }

    @Test("a target that refuses behind a reverse forward: the flow ends at the server, the tunnel goes on")
    func reverseTarget() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (door, closed) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(to: server, ["-R", "\(door):127.0.0.1:\(closed)"])
            try tunnel.waitForListener(door)
            let near = try TestSocket.connect(.tcp(door))
            try near.drainToEnd(within: 5)
            if Subject.isCulvert { try tunnel.process.waitForLine(Wording.ownTargetRefused) }
            #expect(tunnel.process.isRunning)
        }
    }

    @Test(
        "a wildcard reverse forward says which line of sshd_config decides",
        .enabled(if: Subject.isCulvert, "ssh says nothing"))
    func wildcard() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-R", "*:\(door):127.0.0.1:1"])
            try tunnel.waitForListener(door)
            try tunnel.process.waitForLine(["GatewayPorts"])
        }
    }

    /// Root may do everything: what a user may not do is tried without the capability for it.
    private static func without(_ capability: String) -> [String] {
        getuid() == 0 ? ["setpriv", "--bounding-set=-\(capability)", "--inh-caps=-\(capability)"] : []
    }

    @Test("a privileged port without the right to it")
    func privilegedPort() throws {
        let first = Int(readWhole("/proc/sys/net/ipv4/ip_unprivileged_port_start").filter(\.isNumber)) ?? 1024
        try #require(first > 100, "this system has no privileged ports")
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(
                to: server, ["-o", "ExitOnForwardFailure=yes", "-L", "99:localhost:1"],
                launcher: Self.without("net_bind_service"))
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine(Wording.privilegedPort)
        }
    }

    @Test("a key file that cannot be read")
    func unreadableKey() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let copy = try stage.write("unreadable", readWhole(server.keys.path("login")), mode: 0)
            var login = try Tunnel.login(server)
            login[try #require(login.firstIndex(of: "-i")) + 1] = copy
            let process = try stage.start(
                "culvert",
                Self.without("dac_override,-dac_read_search")
                    + Subject.command(
                        ["-L", "\(try Ports.free()):localhost:1"] + login + ["\(SSHServer.user)@127.0.0.1"]),
                environment: Tunnel.environment(stage))
            #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
            try process.waitForLine(Wording.unreadableKey + [copy])
        }
    }

    @Test("io_uring asked for and forbidden", .enabled(if: Subject.isCulvert, "ssh has no drivers"))
    func forbiddenRing() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(
                to: server, ["--io", "uring", "-L", "\(try Ports.free()):localhost:1"],
                launcher: [Tools.python, Tools.script("forbid_io_uring.py")])
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.system))
            try tunnel.process.waitForLine(Wording.ringRefused)
        }
    }

    @Test("an unresponsive server ends the first attempt after ConnectTimeout")
    func connectTimeout() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            server.freeze()
            stage.atEnd { server.thaw() }
            let began = monotonicSeconds()
            let tunnel = try Tunnel(
                to: server, ["-o", "ConnectTimeout=2", "-L", "\(try Ports.free()):localhost:1"])
            #expect(try tunnel.process.waitForEnd(within: 20) == .exited(ExpectedCode.connection))
            #expect(monotonicSeconds() - began < 10)
        }
    }
}
