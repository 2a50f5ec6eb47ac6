import CulvertPlan
import Foundation
import Testing

@testable import CulvertConfig

/// What came after OpenSSH 9.2, with what OpenSSH 10.5 makes of it. `CULVERT_NEWER_SSH` names such an ssh, which is asked
/// again then.
@Suite struct NewerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let file: String
        let line: String
        /// Lines of `-G`; nil: it is refused.
        let said: [String]?
        var testDescription: String { "\(line) of \(file.split(separator: "\n").joined(separator: "; "))" }

        init(_ file: String, _ line: String, _ said: [String]?) {
            self.file = file
            self.line = line
            self.said = said
        }
    }

    static let cases: [Case] = [
        // Tags.
        Case("Tag a\nMatch tagged a\nPort 1\n", "host", ["tag a", "port 1"]),
        Case("Tag a\nMatch tagged a\nPort 1\n", "-P b host", ["tag b", "port 22"]),
        Case("Match tagged b*,!bc\nPort 1\n", "-P bd host", ["port 1"]),
        Case("Match tagged b*,!bc\nPort 1\n", "-P bc host", ["port 22"]),
        Case("Match tagged \"\"\nPort 1\n", "host", ["port 1"]),
        Case("Match tagged \"\"\nPort 1\n", "-P x host", ["port 22"]),
        Case("Match tagged *\nPort 1\n", "host", ["port 22"]), Case("Match !tagged a\nPort 1\n", "host", ["port 1"]),
        Case("Host h*\nTag a\nHost host\nTag b\nMatch tagged=a\nPort 1\n", "host", ["tag a", "port 1"]),
        Case("", "-P a -P b -oTag=c host", ["tag a"]), Case("Match tagged\nPort 1\n", "host", nil),
        // Networks.
        Case("Match localnetwork 127.0.0.0/8\nPort 1\n", "host", ["port 1"]),
        Case("Match localnetwork 198.51.100.0/24,127.0.0.1\nPort 1\n", "host", ["port 1"]),
        Case("Match !localnetwork 198.51.100.0/24\nPort 1\n", "host", ["port 1"]),
        Case("Match localnetwork 198.51.100.0/24\nPort 1\n", "host", ["port 22"]),
        Case("Match localnetwork 127.0.0.1/8\nPort 1\n", "host", nil),
        Case("Match localnetwork home\nPort 1\n", "host", nil), Case("Match localnetwork \"\"\nPort 1\n", "host", nil),
        Case("Match host x localnetwork 127.0.0.0/8\nPort 1\n", "host", ["port 22"]),
        // Commands and what a session is for.
        Case("Match command \"\"\nPort 1\n", "host", ["port 1"]),
        Case("Match command ls*\nPort 1\n", "host ls -l", ["port 1"]),
        Case("Match command ls*\nPort 1\n", "host", ["port 22"]),
        Case("Match command *\nPort 1\n", "host", ["port 22"]),
        Case("Match command \"rsync --server*\"\nPort 1\n", "host rsync --server -x", ["port 1"]),
        Case("Match sessiontype shell\nPort 1\n", "host", ["port 1"]),
        Case("Match sessiontype exec\nPort 1\n", "host true", ["port 1"]),
        Case("Match sessiontype none\nPort 1\n", "-N host", ["port 1"]),
        Case("Match sessiontype none\nPort 1\n", "-oSessionType=none host true", ["port 1"]),
        Case("Match sessiontype subsystem,none\nPort 1\n", "-s host sftp", ["port 1"]),
        Case("Match sessiontype shell,exec\nPort 1\n", "-W a:1 host", ["port 22"]),
        Case("Match version OpenSSH_10*\nPort 1\n", "host", ["port 1"]),
        Case("Match version OpenSSH_9*\nPort 1\n", "host", ["port 22"]),
        Case("Match !version OpenSSH_[89]*,OpenSSH_1?.*\nPort 1\n", "host", ["port 22"]),
        Case("Match sessiontypes none\n", "host", nil),
        // Tokens.
        Case("RevokedHostKeys /k/%h-%p /%n\nPort 7\n", "host", ["revokedhostkeys /k/host-7 /host"]),
        Case("Host host\nUser u-%n\n", "host", ["user u-host"]), Case("User %u\n", "-l x%u host", ["user x%u"]),
        Case("", "-oUser=a%%b host", ["user a%b"]), Case("User ${CORPUS}\n", "host", ["user from-the-environment"]),
        Case("User %r\n", "host", nil), Case("User %C\n", "host", nil),
        Case("User ${NOTHING_OF_THAT_NAME}\n", "host", nil),
        Case("HostName 127.0.0.9\nUser %h-%p\nPort 9\n", "host", ["user 127.0.0.9-9"]),
        Case("Include @/more-%n\n", "host", ["port 1"]), Case("Include @/more-%h\n", "other", ["port 22"]),
        Case("HostName host\nInclude @/more-%h\n", "other", ["port 1"]),
        Case("Include @/more-${NAMED}\n", "other", ["port 1"]),
        Case("ProxyJump a,ann@gate:7\nIdentityAgent /run/%j\n", "host", ["identityagent /run/gate"]),
        Case("Match exec \"test %j = gate\"\nPort 1\n", "-J gate host", ["port 1"]),
        Case("UserKnownHostsFile /k/%j-%k\n", "host", ["userknownhostsfile /k/-host"]),
        Case("LocalForward /run/%n-%j /run/${CORPUS}\n", "host", ["localforward /run/host- /run/from-the-environment"]),
        Case("SetEnv A%n=%n-${CORPUS} B=1\n", "host", ["setenv A%n=host-from-the-environment", "setenv B=1"]),
        Case("User ${CONTROL}\n", "host", nil), Case("User a;${CORPUS}\n", "host", nil),
        Case("User a;b\n", "host", ["user a;b"]),
        // Keys.
        Case("ObscureKeystrokeTiming interval:80\n", "host", ["obscurekeystroketiming 80"]),
        Case("ObscureKeystrokeTiming no\n", "host", ["obscurekeystroketiming no"]),
        Case("ObscureKeystrokeTiming interval:0\n", "host", nil), Case("ObscureKeystrokeTiming maybe\n", "host", nil),
        Case("ChannelTimeout session=5m\n", "host", ["channeltimeout session=5m"]),
        Case("ChannelTimeout none\n", "host", ["channeltimeout none"]), Case("ChannelTimeout session\n", "host", nil),
        Case("WarnWeakCrypto no-pq-kex\n", "host", ["warnweakcrypto no"]), Case("WarnWeakCrypto x\n", "host", nil),
        Case("VersionAddendum a b %n\n", "host", ["versionaddendum a b host"]),
        Case("Host x\nRefuseConnection \"not here\"\n", "host", ["port 22"]),
        Case(
            "Ciphers aes128-ctr\nKexAlgorithms mlkem768x25519-sha256\n", "host", ["kexalgorithms mlkem768x25519-sha256"]
        ),
    ]

    private static func arguments(_ each: Case, _ directory: String) -> [String] {
        ["-G", "-F", directory + "/config"] + each.line.split(separator: " ").map(String.init)
    }

    private static func prepared(_ each: Case) throws -> String {
        let directory = FileManager.default.temporaryDirectory.path + "/culvert-newer-\(UUID().uuidString)"
        try CorpusCase("", each.file, more: ["more-host": "Port 1\n"]).write(to: directory)
        return directory
    }

    private static let variables = [
        "CORPUS": "from-the-environment", "NAMED": "host", "CONTROL": "x\u{7}y", "SHELL": "/bin/sh",
    ]

    @Test(arguments: cases) func culvertReadsThemSo(_ each: Case) throws {
        let directory = try Self.prepared(each)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var environment = ConfigurationEnvironment.current()
        environment.variables.merge(Self.variables) { $1 }
        var access = ConfigurationAccess.system
        access.algorithms = { _ in
            var algorithms = EngineAlgorithms()
            algorithms.keyExchanges = ["mlkem768x25519-sha256", "curve25519-sha256"]
            algorithms.standardKeyExchanges = algorithms.keyExchanges
            return algorithms
        }
        let said: [String]?
        do throws(ConfigurationError) {
            guard
                case .show(let text) = try parseCommandLine(
                    Self.arguments(each, directory), environment: environment, access: access)
            else { throw ConfigurationError("not printed") }
            said = text.split(separator: "\n").map(String.init)
        } catch {
            said = nil
        }
        Self.expect(each, said)
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["CULVERT_NEWER_SSH"] != nil, "no newer ssh is named"),
        arguments: cases)
    func sshReadsThemSo(_ each: Case) throws {
        let directory = try Self.prepared(each)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: ProcessInfo.processInfo.environment["CULVERT_NEWER_SSH"] ?? "/usr/bin/ssh")
        process.arguments = Self.arguments(each, directory)
        process.environment = ProcessInfo.processInfo.environment.merging(Self.variables) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        Self.expect(each, process.terminationStatus == 0 ? text.split(separator: "\n").map(String.init) : nil)
    }

    // MARK: What becomes of it

    @Test func whatCannotMatterIsTakenAndWhatMattersIsMeant() throws {
        let tunnel = try settings(
            "-o", "ChannelTimeout=session=5m *=0", "-o", "VerifyHostKeyDNS=no", "-o", "ObscureKeystrokeTiming=no", "-P",
            "x")
        #expect(tunnel.notes.contains("-o ChannelTimeout has no effect here: ignored"))
        #expect(try settings("-P", "2222").notes.contains("-P 2222: a tag for Match tagged: the port is -p"))
        #expect(try settings("-o", "ServerAliveCountMax=0").connection.serverAliveCountMax == 3)
        let asked = try settings("-o", "ServerAliveCountMax=0", "-o", "ServerAliveInterval=20").connection
        #expect(asked.serverAliveCountMax == 0 && asked.serverAliveInterval == .seconds(20))
    }

    /// The table of OpenSSH 10.5's readconf.c, and what Debian's 9.2 has beside it.
    @Test func everyKeyIsKnown() {
        let keys = """
            AddKeysToAgent AddressFamily BatchMode BindAddress BindInterface CASignatureAlgorithms CanonicalDomains
            CanonicalizeFallbackLocal CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs CertificateFile
            ChallengeResponseAuthentication ChannelTimeout CheckHostIP Ciphers ClearAllForwardings Compression
            ConnectTimeout ConnectionAttempts ControlMaster ControlPath ControlPersist DSAAuthentication DynamicForward
            EnableEscapeCommandline EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash
            ForkAfterAuthentication ForwardAgent ForwardX11 ForwardX11Timeout ForwardX11Trusted GSSAPIAuthentication
            GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange GSSAPIRenewalForcesRekey
            GSSAPIServerIdentity GSSAPITrustDns GatewayPorts GlobalKnownHostsFile HashKnownHosts HostKeyAlgorithms
            HostKeyAlias HostbasedAcceptedAlgorithms HostbasedAuthentication HostbasedKeyTypes HostName IPQoS
            IdentitiesOnly IdentityAgent IdentityFile IdentityFile2 IgnoreUnknown KbdInteractiveAuthentication
            KbdInteractiveDevices KeepAlive KexAlgorithms KnownHostsCommand LocalCommand LocalForward LogLevel LogVerbose
            MACs NoHostAuthenticationForLocalhost NumberOfPasswordPrompts ObscureKeystrokeTiming PKCS11Provider
            PasswordAuthentication PermitLocalCommand PermitRemoteOpen Port PreferredAuthentications ProxyCommand
            ProxyJump ProxyUseFdpass PubkeyAcceptedAlgorithms PubkeyAcceptedKeyTypes PubkeyAuthentication RefuseConnection
            RekeyLimit RemoteCommand RemoteForward RequestTTY RequiredRSASize RevokedHostKeys SecurityKeyProvider SendEnv
            ServerAliveCountMax ServerAliveInterval SessionType SetEnv SkeyAuthentication SmartcardDevice StdinNull
            StreamLocalBindMask StreamLocalBindUnlink StrictHostKeyChecking SyslogFacility TCPKeepAlive
            TISAuthentication Tag Tunnel TunnelDevice UpdateHostKeys User UserKnownHostsFile VerifyHostKeyDNS
            VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation
            AFSTokenPassing Cipher CompressionLevel FallBackToRsh GlobalKnownHostsFile2 KerberosAuthentication
            KerberosTGTPassing Protocol RSAAuthentication RhostsAuthentication RhostsRSAAuthentication UsePrivilegedPort
            UseRoaming UseRsh UserKnownHostsFile2
            """.split(whereSeparator: \.isWhitespace).map(String.init)
        for key in keys { #expect(SettingKey(name: key) != nil || PlainKey.named(key) != nil, "\(key)") }
    }

    @Test func programsOfAHost() throws {
        let file = """
            Host unix/* vsock/*
              ProxyCommand connect %h %p
              ProxyUseFdpass yes
            Host db
              PermitLocalCommand yes
              LocalCommand echo "%n %h %p %r %T %%" # to all
              HostName db.example
            Host quiet
              LocalCommand echo %T
            Host wrong
              PermitLocalCommand yes
              LocalCommand echo %H
            """
        let files = MemoryFiles([FileTests.user: file])
        let socket = try FileTests.tunnel(files, "-L1:a:2 unix/run/sshd")
        #expect(socket.destination.host == "unix/run/sshd" && socket.plan.localCommand == nil)
        #expect(
            socket.proxyCommand
                == ProxyCommand(shell: "/bin/sh", text: "connect unix/run/sshd 22", passesDescriptor: true))
        let db = try FileTests.tunnel(files, "-L1:a:2 bob@db").plan
        #expect(
            db.localCommand
                == LocalCommand(shell: "/bin/sh", text: "echo \"db db.example 22 bob NONE %\" # to all"))
        #expect(db.runsPrograms && db.server.proxyCommand == nil)
        #expect(try FileTests.tunnel(files, "-L1:a:2 quiet").plan.localCommand == nil)
        #expect(
            FileTests.fault(files, "-L1:a:2 wrong")
                == "LocalCommand echo %H: unknown token after '%': write %% for the sign itself")
        #expect(
            FileTests.fault(files, "-L1:a:2 -l $x db")?.hasSuffix("has characters that a shell reads") == true)
    }

    private static func expect(_ each: Case, _ said: [String]?) {
        guard let wanted = each.said, let said else {
            #expect(each.said == nil && said == nil, "\(each): \(said == nil ? "refused" : "taken")")
            return
        }
        for line in wanted { #expect(said.contains(line), "\(each): no \(line) in \(said)") }
    }
}
