import CulvertPlan
import Foundation
import Testing

@testable import CulvertConfig

/// The ssh that is installed says with `-G` what it makes of a command line; culvert must make the same of it.
@Suite struct OracleTests {
    static let lines: [[String]] = [
        ["-p", "2222", "h"], ["-p22", "-p23", "h"], ["-vvNp2222", "h"], ["h", "-p", "33"], ["-oPort=44", "-p45", "h"],
        ["-p45", "-o", "Port 44", "h"], ["ann@h"], ["-l", "ann", "bob@h"], ["bob@h", "-l", "ann"], ["a@b@h"],
        ["-oUser=ann", "-lbob", "h"], ["ssh://ann@h:33"], ["-p44", "ssh://ann@h:33"], ["ssh://ann@h:33/", "-p44"],
        ["-v", "h"], ["-vv", "h"], ["-vvvv", "h"], ["-q", "h"], ["-v", "-q", "h"], ["-q", "-v", "h"],
        ["-q", "-oLogLevel=debug", "h"], ["-oLogLevel=error", "-vv", "h"], ["-oLogLevel=verbose", "h"],
        ["-ologlevel=FATAL", "-oLogLevel=info", "h"], ["-4", "-6", "h"], ["-6", "-4", "-oAddressFamily=inet6", "h"],
        ["-oAddressFamily=inet6", "-4", "h"], ["-b", "127.0.0.1", "-b127.0.0.2", "h"], ["-B", "lo", "h"],
        ["-Blo", "-oBindInterface=x", "h"],
        ["-oBindAddress=127.0.0.1", "-b", "127.0.0.2", "h"], ["-g", "-oGatewayPorts=no", "h"],
        ["-oGatewayPorts=yes", "h"],
        ["-o", "ServerAliveInterval=1w2d", "h"], ["-oServerAliveInterval = 1m30", "h"],
        ["-oServerAliveCountMax=9", "h"],
        ["-oConnectTimeout=1H", "h"], ["-oConnectionAttempts=3", "h"], ["-oTCPKeepAlive=no", "h"],
        ["-oExitOnForwardFailure=true", "h"], ["-oStrictHostKeyChecking=ACCEPT-NEW", "h"],
        ["-oStrictHostKeyChecking=yes", "h"], ["-oNumberOfPasswordPrompts=1", "h"], ["-oBatchMode=yes", "h"],
        ["-oUserKnownHostsFile=/a \"/b\" /c", "h"], ["-oGlobalKnownHostsFile=/a", "h"], ["-oHostKeyAlias=x", "h"],
        ["-oHostName=%h.example.org", "h"], ["-oIdentitiesOnly=yes", "h"], ["-oHashKnownHosts=yes", "h"],
        ["-fN", "h"], ["-oStreamLocalBindUnlink=yes", "h"], ["-oStreamLocalBindMask=0117", "h"],
        ["-NfvvL1:a:2", "-R3:b:4", "h"], ["-L", "[::1]:1:[::2]:2", "h"], ["-L*:1:a:2", "h"], ["-L", ":1:a:2", "h"],
        ["-Llocalhost:1:a:2", "h"], ["-L/s:a:2", "h"], ["-Rb:1:/t", "h"], ["-R/s:/t", "h"], ["-R0:a:2", "h"],
        ["-R", "*:0:a:2", "h"], ["-o", "LocalForward=1 a:2", "h"], ["-oRemoteForward [::1]:1 a:2", "h"],
        ["-D1080", "h"], ["-D[::1]:1080", "h"], ["-D*:1", "-Dlocalhost:2", "h"], ["-oDynamicForward=1080", "h"],
        ["-R1080", "h"], ["-Rlocalhost:1080", "h"], ["-R[::1]:0", "h"], ["-R/s", "h"], ["-oRemoteForward 1080", "h"],
        ["-D1", "-oPermitRemoteOpen=a:1 *:2 [::1]:*", "h"], ["-D1", "-oPermitRemoteOpen=none", "h"],
        [#"-La\:b:1:c:2"#, "h"], ["-L./s:a:2", "h"], ["--", "h"], ["-AaCKkMnTtXxYy", "-S", "none", "-e", "none", "h"],
    ]

    @Test(arguments: lines) func sshReadsTheSame(_ line: [String]) throws {
        let ssh = try said(bySSH: line)
        let environment = ConfigurationEnvironment.current()
        let hasForward = ssh["localforward"] != nil || ssh["remoteforward"] != nil || ssh["dynamicforward"] != nil
        // A tunnel needs a forward, where ssh does not.
        let whole = hasForward ? line : ["-L", "1:a:2"] + line
        guard case .tunnel(let tunnel) = try parseCommandLine(whole, environment: environment, access: .nothing) else {
            Issue.record("not a tunnel: \(line)")
            return
        }
        for (key, mine) in summary(tunnel) {
            if key.hasSuffix("forward"), !hasForward { continue }
            // Where the defaults differ on purpose, only what was typed counts.
            if key == "serveraliveinterval", !line.joined().lowercased().contains(key) { continue }
            #expect(ssh[key] ?? [] == mine, "\(key) of \(line)")
        }
    }

    static let refusedByBoth: [[String]] = [
        ["-p0", "h"], ["-p", "70000", "h"], ["-L1:a", "h"], ["-L1:a:0", "h"], ["-L::1:2:a:3", "h"],
        ["-L[::1:1:a:2", "h"], ["-La:/p:3:4", "h"], ["-L1:a:2:/p", "h"], ["-L/a:b", "h"], ["-L:", "h"], ["-z", "h"],
        ["-oFoo=1", "h"], ["-oPort", "h"], ["-oPort=22 33", "h"], ["-oBatchMode=ON", "h"],
        ["-oServerAliveInterval=5x", "h"],
        ["-oLogLevel=debug4", "h"], ["-oConnectionAttempts=0x10", "h"], ["@h"], ["ssh://h/path"], ["-p"],
        ["ssh://h:x!"], ["-Dx!", "h"], ["-D1:a:2", "h"], ["-D::1:1", "h"], ["-Wa", "h"], ["-Wa:0", "h"],
        ["-oPermitRemoteOpen=a", "h"],
    ]

    @Test(arguments: refusedByBoth) func sshRefusesTheSame(_ line: [String]) {
        #expect(throws: SSHRefused.self) { try said(bySSH: line) }
        #expect(fault(line + (line == ["-p"] ? [] : ["-R5:a:6"])) != nil)
    }

    // MARK: What ssh says

    struct SSHRefused: Error {}

    private func said(bySSH line: [String]) throws -> [String: [String]] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/ssh")
        process.arguments = ["-G", "-F", "none"] + line
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 { throw SSHRefused() }
        var said: [String: [String]] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            said[parts[0], default: []].append(parts.count > 1 ? parts[1] : "")
        }
        return said
    }

    // MARK: The same from culvert

    private func summary(_ tunnel: TunnelConfiguration) -> [(String, [String])] {
        func flag(_ value: Bool) -> String { value ? "yes" : "no" }
        func seconds(_ time: Duration?, _ none: String) -> String { time.map { String($0.components.seconds) } ?? none }
        let checking: [HostKeyOptions.Checking: String] = [
            .ask: "ask", .yes: "true", .no: "false", .acceptNew: "accept-new",
        ]
        let connection = tunnel.connection
        let summary: [(String, [String])] = [
            ("port", ["\(tunnel.destination.port)"]), ("user", [tunnel.destination.user]),
            ("hostname", [tunnel.destination.host]), ("loglevel", [level(tunnel.output.verbosity)]),
            ("addressfamily", [connection.addressFamily.rawValue]),
            ("bindaddress", connection.bindAddress.map { [$0] } ?? []),
            ("bindinterface", connection.bindInterface.map { [$0] } ?? []),
            ("gatewayports", [flag(tunnel.forwarding.gatewayPorts)]),
            ("serveraliveinterval", [seconds(connection.serverAliveInterval, "0")]),
            ("serveralivecountmax", ["\(connection.serverAliveCountMax)"]),
            ("connecttimeout", [seconds(connection.connectTimeout, "none")]),
            ("connectionattempts", ["\(connection.connectionAttempts)"]),
            ("tcpkeepalive", [flag(connection.tcpKeepAlive)]),
            ("exitonforwardfailure", [flag(tunnel.forwarding.exitOnForwardFailure)]),
            ("streamlocalbindunlink", [flag(tunnel.forwarding.streamLocalBindUnlink)]),
            ("streamlocalbindmask", ["0" + String(tunnel.forwarding.streamLocalBindMask, radix: 8)]),
            ("stricthostkeychecking", [checking[tunnel.hostKeys.checking] ?? ""]),
            ("userknownhostsfile", [tunnel.hostKeys.userKnownHostsFiles.joined(separator: " ")]),
            ("globalknownhostsfile", [tunnel.hostKeys.globalKnownHostsFiles.joined(separator: " ")]),
            ("hostkeyalias", tunnel.hostKeys.alias.map { [$0] } ?? []),
            ("hashknownhosts", [flag(tunnel.hostKeys.hashKnownHosts)]),
            ("identitiesonly", [flag(tunnel.login.identitiesOnly)]), ("batchmode", [flag(tunnel.login.batchMode)]),
            ("numberofpasswordprompts", ["\(tunnel.login.numberOfPasswordPrompts)"]),
            ("forkafterauthentication", [flag(tunnel.process.background != nil)]),
            ("localforward", tunnel.forwards.filter { $0.kind == .local }.map(shape)),
            ("remoteforward", tunnel.forwards.filter { $0.kind == .remote }.map(shape)),
            ("dynamicforward", tunnel.forwards.filter { $0.kind == .dynamic }.map(shape)),
            (
                "permitremoteopen",
                [tunnel.forwarding.permitRemoteOpen.map(permitted) ?? "any"]
            ),
        ]
        return summary
    }

    private func level(_ verbosity: Verbosity) -> String {
        switch verbosity {
        // ssh's -q and LogLevel=quiet are one level, that it prints by its other name.
        case .quiet: "SILENT"
        case .fatal: "FATAL"
        case .error: "ERROR"
        case .info: "INFO"
        case .verbose: "VERBOSE"
        case .debug1: "DEBUG"
        case .debug2: "DEBUG2"
        case .debug3: "DEBUG3"
        }
    }

    private func permitted(_ targets: [PermittedTarget]) -> String {
        let texts = targets.map { target in
            let host = target.host ?? "*"
            return "\(host.contains(":") ? "[\(host)]" : host):\(target.port.map(String.init) ?? "*")"
        }
        return texts.isEmpty ? "none" : texts.joined(separator: " ")
    }

    /// As `ssh -G` prints a forward. An empty bind address and `*` are one value here.
    private func shape(_ forward: ForwardSpecification) -> String {
        let listen =
            switch forward.listen {
            case .unix(let path): path
            case .standardStreams: "-"
            case .tcp(.default, let port): "\(port)"
            case .tcp(.everywhere, let port): forward.text.hasPrefix("*") ? "[*]:\(port)" : "[]:\(port)"
            case .tcp(.loopback, let port): "[localhost]:\(port)"
            case .tcp(.address(let address), let port): "[\(address)]:\(port)"
            }
        return switch forward.target {
        case .requested where forward.kind == .dynamic: listen
        case .requested: "\(listen) [socks]:0"
        case .unix(let path): "\(listen) \(path)"
        case .tcp(let host, let port): "\(listen) [\(host)]:\(port)"
        }
    }
}
