import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct SettingTests {
    @Test func defaultsAreSSHsButForTheKeepalive() throws {
        let tunnel = try settings()
        let connection = tunnel.connection
        #expect(connection == ConnectionOptions())
        #expect(connection.addressFamily == .any && connection.bindAddress == nil && connection.connectTimeout == nil)
        #expect(connection.connectionAttempts == 1 && connection.tcpKeepAlive)
        #expect(connection.serverAliveInterval == .seconds(15) && connection.serverAliveCountMax == 3)
        #expect(
            tunnel.forwarding
                == ForwardingOptions(
                    gatewayPorts: false, exitOnForwardFailure: false, streamLocalBindMask: 0o177,
                    streamLocalBindUnlink: false))
        let login = tunnel.login
        #expect(login.identityFiles == .defaults && login.agentSocket == "/run/agent" && !login.identitiesOnly)
        #expect(!login.batchMode && login.numberOfPasswordPrompts == 3)
        #expect(login.methods == [.publicKey, .keyboardInteractive, .password])
        let hostKeys = tunnel.hostKeys
        #expect(hostKeys.checking == .ask && !hostKeys.hashKnownHosts && hostKeys.alias == nil)
        #expect(hostKeys.userKnownHostsFiles == ["/home/ann/.ssh/known_hosts", "/home/ann/.ssh/known_hosts2"])
        #expect(hostKeys.globalKnownHostsFiles == ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"])
        #expect(tunnel.server.home == "/home/ann" && tunnel.proxyCommand == nil && tunnel.hops.isEmpty)
        #expect(!tunnel.nodelay && !tunnel.plan.exitOnForwardFailure)
        #expect(tunnel.algorithms == AlgorithmOptions())
        #expect(tunnel.output == OutputOptions(verbosity: .info, logFile: nil, syslog: false))
        #expect(tunnel.runtime == RuntimeOptions(io: .auto, threads: nil, memory: 256 << 20))
        #expect(
            tunnel.links == 1 && tunnel.engine == .native && tunnel.hold == .seconds(30) && tunnel.drain == .seconds(5))
        #expect(!tunnel.persist && tunnel.process == ProcessOptions() && tunnel.notes.isEmpty)
    }

    /// One setting, and where it shows. The closure says whether it does.
    struct Shown: Sendable, CustomTestStringConvertible {
        let text: String
        let holds: @Sendable (TunnelConfiguration) -> Bool
        init(_ text: String, _ holds: @escaping @Sendable (TunnelConfiguration) -> Bool) {
            self.text = text
            self.holds = holds
        }
        var testDescription: String { text }
    }

    static let shown: [Shown] = [
        Shown("ServerAliveInterval=90") { $0.connection.serverAliveInterval == .seconds(90) },
        Shown("ServerAliveInterval=1m30s") { $0.connection.serverAliveInterval == .seconds(90) },
        Shown("ServerAliveInterval=0") { $0.connection.serverAliveInterval == nil },
        Shown("ServerAliveInterval=none") { $0.connection.serverAliveInterval == nil },
        Shown("ServerAliveCountMax=7") { $0.connection.serverAliveCountMax == 7 },
        Shown("ConnectTimeout=2H") { $0.connection.connectTimeout == .seconds(7200) },
        Shown("ConnectTimeout=none") { $0.connection.connectTimeout == nil },
        Shown("ConnectionAttempts=5") { $0.connection.connectionAttempts == 5 },
        Shown("TCPKeepAlive=no") { !$0.connection.tcpKeepAlive },
        Shown("KeepAlive=no") { !$0.connection.tcpKeepAlive },
        Shown("AddressFamily=inet6") { $0.connection.addressFamily == .inet6 },
        Shown("AddressFamily=ANY") { $0.connection.addressFamily == .any },
        Shown("BindAddress=10.0.0.1") { $0.connection.bindAddress == "10.0.0.1" },
        Shown("ExitOnForwardFailure=yes") { $0.forwarding.exitOnForwardFailure },
        Shown("GatewayPorts=true") { $0.forwarding.gatewayPorts },
        Shown("StreamLocalBindMask=0117") { $0.forwarding.streamLocalBindMask == 0o117 },
        Shown("StreamLocalBindUnlink=yes") { $0.forwarding.streamLocalBindUnlink },
        Shown("ClearAllForwardings=no") { $0.forwards.count == 1 },
        Shown("LocalForward=3:b:4") { $0.forwards.first?.text == "3:b:4" },
        Shown("LocalForward 3 b:4") { $0.forwards.first?.text == "3:b:4" },
        Shown("RemoteForward=[::1]:3 b:4") {
            $0.forwards.first
                == forward(
                    .remote, .tcp(bind: .address("::1"), port: 3), .tcp(host: "b", port: 4), "[::1]:3:b:4")
        },
        Shown("StrictHostKeyChecking=yes") { $0.hostKeys.checking == .yes },
        Shown("StrictHostKeyChecking=ASK") { $0.hostKeys.checking == .ask },
        Shown("StrictHostKeyChecking=accept-new") { $0.hostKeys.checking == .acceptNew },
        Shown("StrictHostKeyChecking=no") { $0.hostKeys.checking == .no },
        Shown("StrictHostKeyChecking=off") { $0.hostKeys.checking == .no },
        Shown("UserKnownHostsFile=~/a \"/b c\" %d/e") {
            $0.hostKeys.userKnownHostsFiles == ["/home/ann/a", "/b c", "/home/ann/e"]
        },
        Shown("UserKnownHostsFile=none") { $0.hostKeys.userKnownHostsFiles.isEmpty },
        Shown("UserKnownHostsFile=/dev/null") { $0.hostKeys.userKnownHostsFiles == ["/dev/null"] },
        Shown("GlobalKnownHostsFile=/a /b") { $0.hostKeys.globalKnownHostsFiles == ["/a", "/b"] },
        Shown("HashKnownHosts=yes") { $0.hostKeys.hashKnownHosts },
        Shown("HostKeyAlias=db") { $0.hostKeys.alias == "db" },
        Shown("CheckHostIP=yes") { $0.hostKeys.checking == .ask && $0.notes.isEmpty },
        Shown("IdentityFile=~/.ssh/%h_%p_%r") { $0.login.identityFiles == .listed(["/home/ann/.ssh/server_22_ann"]) },
        Shown("IdentityFile=${KEYS}/%n-%u-%i-%l-%L-%k-%%") {
            $0.login.identityFiles == .listed(["/keys/server-ann-1000-box.example.org-box-server-%"])
        },
        Shown("IdentityFile=none") { $0.login.identityFiles == .listed([]) },
        Shown("IdentityAgent=none") { $0.login.agentSocket == nil },
        Shown("IdentityAgent=SSH_AUTH_SOCK") { $0.login.agentSocket == "/run/agent" },
        Shown("IdentityAgent=$KEYS") { $0.login.agentSocket == "/keys" },
        Shown("IdentityAgent=$NOTHING") { $0.login.agentSocket == nil },
        Shown("IdentityFile=~eve/k") { $0.login.identityFiles == .listed(["/srv/eve/k"]) },
        Shown("IdentityFile=~eve") { $0.login.identityFiles == .listed(["/srv/eve/"]) },
        Shown("IdentityAgent=~/agent") { $0.login.agentSocket == "/home/ann/agent" },
        Shown("IdentitiesOnly=yes") { $0.login.identitiesOnly },
        Shown("BatchMode=yes") { $0.login.batchMode },
        Shown("NumberOfPasswordPrompts=1") { $0.login.numberOfPasswordPrompts == 1 },
        Shown("PasswordAuthentication=no") { !$0.login.methods.contains(.password) },
        Shown("KbdInteractiveAuthentication=no") { !$0.login.methods.contains(.keyboardInteractive) },
        Shown("ChallengeResponseAuthentication=no") { !$0.login.methods.contains(.keyboardInteractive) },
        Shown("PubkeyAuthentication=no") { !$0.login.methods.contains(.publicKey) },
        Shown("PubkeyAuthentication=host-bound") { $0.login.methods.contains(.publicKey) },
        Shown("PreferredAuthentications=password,publickey") {
            $0.login.methods == [.password, .publicKey]
        },
        Shown("Ciphers=aes128-ctr,aes256-ctr") {
            $0.algorithms.ciphers == AlgorithmList(change: .replace, names: ["aes128-ctr", "aes256-ctr"])
        },
        Shown("MACs=+hmac-sha1") { $0.algorithms.macs == AlgorithmList(change: .append, names: ["hmac-sha1"]) },
        Shown("KexAlgorithms=-*sha1*") { $0.algorithms.keyExchanges?.change == .remove },
        Shown("HostKeyAlgorithms=^ssh-rsa") { $0.algorithms.hostKeys?.change == .prepend },
        Shown("PubkeyAcceptedKeyTypes=ssh-rsa") { $0.algorithms.publicKeys?.names == ["ssh-rsa"] },
        Shown("PubkeyAcceptedAlgorithms=ssh-rsa") { $0.algorithms.publicKeys?.names == ["ssh-rsa"] },
        Shown("LogLevel=quiet") { $0.output.verbosity == .quiet },
        Shown("LogLevel=DEBUG") { $0.output.verbosity == .debug1 },
        Shown("LogLevel=Debug3") { $0.output.verbosity == .debug3 },
        Shown("ForkAfterAuthentication=yes") { $0.process.background == .standing },
        Shown("Compression=no") { $0.notes.isEmpty },
        Shown("Compression=yes") {
            $0.notes == ["compression (-C) is not supported: the connection goes uncompressed"]
        },
        Shown("ProxyJump=none") { $0.notes.isEmpty },
        Shown("ForwardAgent=yes") { $0.notes == ["-o ForwardAgent has no effect here: ignored"] },
        Shown("rekeylimit=1G 1h") {
            $0.algorithms.rekeyLimit?.bytes == 1 << 30 && $0.algorithms.rekeyLimit?.interval == .seconds(3600)
        },
        Shown("RekeyLimit=default none") {
            $0.algorithms.rekeyLimit?.bytes == nil && $0.algorithms.rekeyLimit?.interval == nil
        },
    ]

    @Test(arguments: shown) func isTaken(_ shown: Shown) throws {
        #expect(shown.holds(try tunnel(["-o", shown.text, "-L", "1:a:2", "server"])))
    }

    /// Property: every spelling of one setting is the same setting.
    @Test(arguments: shown) func everySpellingIsTheSame(_ shown: Shown) throws {
        let mark = shown.text.firstIndex { $0 == "=" || $0 == " " } ?? shown.text.endIndex
        let key = String(shown.text[..<mark])
        let value = String(shown.text[shown.text.index(after: mark)...])
        let expected = try tunnel(["-o", shown.text, "-L", "1:a:2", "server"])
        let names = [key, key.lowercased(), key.uppercased()]
        for (turn, joint) in ["=", " ", " = ", "\t", "= ", " ="].enumerated() {
            let text = names[turn % names.count] + joint + value
            let lines = [
                ["-o", text, "-L", "1:a:2", "server"], ["-o" + text, "-L1:a:2", "server"],
                ["-No", text, "-L1:a:2", "server"], ["-NnTo" + text, "-L1:a:2", "--", "server"],
                ["server", "-o", text, "-NL1:a:2"], ["-o", " " + text + " ", "-L1:a:2", "server"],
            ]
            for line in [lines[turn], lines[(turn + 2) % lines.count]] {
                #expect(try tunnel(line) == expected, "\(line)")
            }
        }
    }

    static let bad: [(String, String)] = [
        ("=5", "-o =5: no key: give Key=Value"),
        ("Port", "-o Port: no value: give Port=Value"), ("Port=", "-o Port: no value: give Port=Value"),
        ("Port=0", "-o Port=0: not a port: give a number from 1 to 65535"),
        ("port=x!", "-o port=x!: not a port: give a number from 1 to 65535"),
        ("Port=22 33", "-o Port=22 33: takes one value: put quotes around one that holds a blank"),
        ("User=a b", "-o User=a b: takes one value: put quotes around one that holds a blank"),
        ("User=\"a", "-o User=\"a: a quote is not closed"), ("User=-a", "-o User: '-a' is not a user's name"),
        (
            "ServerAliveInterval=-1",
            "-o ServerAliveInterval=-1: not a time: give seconds or ssh's form, for example 90 or 1m30s"
        ),
        ("ConnectTimeout=5x", "-o ConnectTimeout=5x: not a time: give seconds or ssh's form, for example 90 or 1m30s"),
        ("ServerAliveCountMax=-1", "-o ServerAliveCountMax=-1: give a whole number from 0"),
        ("ConnectionAttempts=0x10", "-o ConnectionAttempts=0x10: give a whole number from 1"),
        ("NumberOfPasswordPrompts=-1", "-o NumberOfPasswordPrompts=-1: give a whole number from 0"),
        ("TCPKeepAlive=1", "-o TCPKeepAlive=1: give yes or no"), ("BatchMode=ON", "-o BatchMode=ON: give yes or no"),
        ("GatewayPorts=clientspecified", "-o GatewayPorts=clientspecified: give yes or no"),
        (
            "StrictHostKeyChecking=maybe",
            "-o StrictHostKeyChecking=maybe: give ask, yes, true, accept-new, no, false or off"
        ),
        ("AddressFamily=ipv4", "-o AddressFamily=ipv4: give any, inet or inet6"),
        (
            "LogLevel=debug4",
            "-o LogLevel=debug4: give QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3"
        ),
        ("StreamLocalBindMask=9", "-o StreamLocalBindMask=9: give an octal mask from 0 to 0777"),
        (
            "RekeyLimit=1Z",
            "-o RekeyLimit=1Z: give an amount such as 1G or default, and perhaps a time such as 1h behind it"
        ),
        (
            "RekeyLimit=15",
            "-o RekeyLimit=15: give an amount such as 1G or default, and perhaps a time such as 1h behind it"
        ),
        (
            "RekeyLimit=1G 1x",
            "-o RekeyLimit=1G 1x: give an amount such as 1G or default, and perhaps a time such as 1h behind it"
        ),
        (
            "Ciphers=,,",
            "-o Ciphers=,,: give names with commas between them, after '+', '-' or '^' to change the default list"
        ),
        ("UserKnownHostsFile=\"\"", "-o UserKnownHostsFile=: a file's name is empty"),
        ("IdentityFile=%T", "IdentityFile %T: unknown token after '%': write %% for the sign itself"),
        ("IdentityFile=${NOTHING}", "IdentityFile ${NOTHING}: the environment has no variable NOTHING"),
        ("IdentityFile=${KEYS", "IdentityFile ${KEYS: '${' without '}'"),
        ("IdentityFile=~bob/k", "IdentityFile ~bob/k: there is no user bob here"),
        ("UserKnownHostsFile=~bob", "UserKnownHostsFile ~bob: there is no user bob here"),
        (
            "LocalForward=1",
            "-L 1: no target: give [bind_address:]port:host:hostport"
        ),
        ("LocalForward=1 a:2 b:3", "-o LocalForward=1 a:2 b:3: give [bind_address:]port host:hostport"),
        (
            "VerifyHostKeyDNS=ask",
            "-o VerifyHostKeyDNS=ask: not supported: keys are not looked up in the DNS: put them into known_hosts"
        ),
        (
            "ChannelTimeout=session=5m direct-*=1h",
            "-o ChannelTimeout=session=5m direct-*=1h: not supported: culvert ends no connection for being idle: leave it"
                + " out"
        ),
        ("DynamicForward=a b", "-o DynamicForward=a b: give [bind_address:]port"),
        ("PermitRemoteOpen=db", "-o PermitRemoteOpen=db: give host:port, any or none"),
        ("PermitRemoteOpen=db:0", "-o PermitRemoteOpen=db:0: give host:port, any or none"),
        ("KnownHostsCommand=/f 'x", "-o KnownHostsCommand=/f 'x: a quote is not closed"),
        ("RequiredRSASize=x", "-o RequiredRSASize=x: give a whole number from 0"),
        ("Host=a", "-o Host: it belongs in a configuration file"),
        ("Foo=1", "-o Foo: unknown key: leave it out, or name it in IgnoreUnknown"),
        ("ServerAliveIntervall=1", "-o ServerAliveIntervall: unknown key: did you mean ServerAliveInterval?"),
        ("stricthostchecking=no", "-o stricthostchecking: unknown key: did you mean StrictHostKeyChecking?"),
        ("ProxyJmp=a", "-o ProxyJmp: unknown key: did you mean ProxyJump?"),
        ("a\u{1}b=1", "-o a\\u{1}b: unknown key: leave it out, or name it in IgnoreUnknown"),
        (
            "Tunnel=yes",
            "-o Tunnel=yes: not supported: culvert carries connections and has no tunnel device: use ssh for it"
        ),
        (
            "PKCS11Provider=/lib/x.so",
            "-o PKCS11Provider=/lib/x.so: not supported: load the library into an agent, whose keys culvert uses:"
                + " ssh-add -s"
        ),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ text: String, _ message: String) {
        #expect(fault(["-o", text, "-L", "1:a:2", "server"]) == message)
    }

    @Test func firstValueWinsAndIdentitiesAdd() throws {
        let twice = try settings(
            "-oServerAliveInterval=1", "-oServerAliveInterval=2", "-i", "/a", "-oIdentityFile=/b",
            "-i/c", "-i", "/a")
        #expect(twice.connection.serverAliveInterval == .seconds(1))
        #expect(twice.login.identityFiles == .listed(["/a", "/b", "/c"]))
        #expect(fault(["-p1", "-p", "x!", "h"]) == "-p x!: not a port: give a number from 1 to 65535")
    }

    @Test func permittedTargets() throws {
        func permitted(_ value: String) throws -> [PermittedTarget]? {
            let all = try settings("-o", "PermitRemoteOpen=\(value)", "-oPermitRemoteOpen=late:1")
            #expect(all.notes.isEmpty)
            return all.forwarding.permitRemoteOpen
        }
        #expect(try settings().forwarding.permitRemoteOpen == nil)
        #expect(try permitted("any") == nil)
        #expect(try permitted("none") == [])
        #expect(
            try permitted("db:5432 *:80 [::1]:* \"10.0.0.1:1\"") == [
                PermittedTarget(host: "db", port: 5432), PermittedTarget(host: nil, port: 80),
                PermittedTarget(host: "::1", port: nil), PermittedTarget(host: "10.0.0.1", port: 1),
            ])
    }

    @Test func ignoreUnknownAsks() throws {
        #expect(
            try settings("-oIgnoreUnknown=Use*,Fo?", "-oUseKeychain=yes", "-oFoo=1").notes == [
                "-o UseKeychain: unknown, ignored as IgnoreUnknown asks",
                "-o Foo: unknown, ignored as IgnoreUnknown asks",
            ])
        #expect(fault(["-oIgnoreUnknown=Fo?", "-oFooo=1", "h"])?.hasPrefix("-o Fooo: unknown key") == true)
    }

    @Test func noKeyIsBothUsedAndNot() {
        let names = SettingKey.allCases.map(\.rawValue) + CulvertKey.allCases.map(\.rawValue) + PlainKey.all.map(\.name)
        #expect(Set(names.map { $0.lowercased() }).count == names.count)
        for key in SettingKey.allCases { #expect(PlainKey.named(key.rawValue) == nil, "\(key)") }
    }
}
