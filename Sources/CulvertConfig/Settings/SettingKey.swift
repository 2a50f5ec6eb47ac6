/// The keys of ssh_config(5) that culvert acts on.
enum SettingKey: String, CaseIterable, Sendable {
    case addressFamily = "AddressFamily"
    case batchMode = "BatchMode"
    case bindAddress = "BindAddress"
    case checkHostIP = "CheckHostIP"
    case ciphers = "Ciphers"
    case clearAllForwardings = "ClearAllForwardings"
    case compression = "Compression"
    case connectTimeout = "ConnectTimeout"
    case connectionAttempts = "ConnectionAttempts"
    case dynamicForward = "DynamicForward"
    case exitOnForwardFailure = "ExitOnForwardFailure"
    case forkAfterAuthentication = "ForkAfterAuthentication"
    case gatewayPorts = "GatewayPorts"
    case globalKnownHostsFile = "GlobalKnownHostsFile"
    case hashKnownHosts = "HashKnownHosts"
    case hostKeyAlgorithms = "HostKeyAlgorithms"
    case hostKeyAlias = "HostKeyAlias"
    case hostName = "HostName"
    case identitiesOnly = "IdentitiesOnly"
    case identityAgent = "IdentityAgent"
    case identityFile = "IdentityFile"
    case ignoreUnknown = "IgnoreUnknown"
    case kbdInteractiveAuthentication = "KbdInteractiveAuthentication"
    case kexAlgorithms = "KexAlgorithms"
    case localForward = "LocalForward"
    case logLevel = "LogLevel"
    case macs = "MACs"
    case numberOfPasswordPrompts = "NumberOfPasswordPrompts"
    case passwordAuthentication = "PasswordAuthentication"
    case permitRemoteOpen = "PermitRemoteOpen"
    case port = "Port"
    case preferredAuthentications = "PreferredAuthentications"
    case pubkeyAcceptedAlgorithms = "PubkeyAcceptedAlgorithms"
    case pubkeyAuthentication = "PubkeyAuthentication"
    case rekeyLimit = "RekeyLimit"
    case remoteForward = "RemoteForward"
    case serverAliveCountMax = "ServerAliveCountMax"
    case serverAliveInterval = "ServerAliveInterval"
    case streamLocalBindMask = "StreamLocalBindMask"
    case streamLocalBindUnlink = "StreamLocalBindUnlink"
    case strictHostKeyChecking = "StrictHostKeyChecking"
    case tcpKeepAlive = "TCPKeepAlive"
    case user = "User"
    case userKnownHostsFile = "UserKnownHostsFile"

    /// Case-insensitive, with the older names that ssh still reads.
    init?(name: String) {
        guard let key = Self.byName[name.lowercased()] else { return nil }
        self = key
    }

    private static let byName: [String: SettingKey] = {
        var table = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue.lowercased(), $0) })
        table["challengeresponseauthentication"] = .kbdInteractiveAuthentication
        table["skeyauthentication"] = .kbdInteractiveAuthentication
        table["tisauthentication"] = .kbdInteractiveAuthentication
        table["dsaauthentication"] = .pubkeyAuthentication
        table["identityfile2"] = .identityFile
        table["keepalive"] = .tcpKeepAlive
        table["pubkeyacceptedkeytypes"] = .pubkeyAcceptedAlgorithms
        return table
    }()
}

/// The keys of ssh_config(5) that culvert knows and does not act on.
enum OtherKey {
    /// What becomes of it.
    enum Fate: Sendable {
        /// Accepted, with a note.
        case ignored
        /// An error unless the value is one of these (lower case): leaving it out would change where or how one
        /// connects, or whom one trusts.
        case notYet(unless: [String])
        /// Its place is a configuration file.
        case fileOnly
    }

    static func fate(of name: String) -> (name: String, fate: Fate)? { byName[name.lowercased()] }

    /// As ssh_config(5) writes them, without those that only a file can hold.
    static var names: [String] { ignored + notYet.map(\.0) }

    private static let byName: [String: (name: String, fate: Fate)] = {
        var table: [String: (name: String, fate: Fate)] = [:]
        for name in ignored { table[name.lowercased()] = (name, .ignored) }
        for (name, harmless) in notYet { table[name.lowercased()] = (name, .notYet(unless: harmless)) }
        for name in fileOnly { table[name.lowercased()] = (name, .fileOnly) }
        return table
    }()

    private static let fileOnly = ["Host", "Match", "Include"]

    private static let notYet: [(String, [String])] = [
        ("BindInterface", []), ("CanonicalizeHostname", ["no", "false", "none"]), ("CertificateFile", ["none"]),
        ("KnownHostsCommand", ["none"]),
        ("ProxyCommand", ["none"]), ("ProxyJump", ["none"]), ("RemoteCommand", ["none"]), ("RequiredRSASize", []),
        ("RevokedHostKeys", ["none"]),
    ]

    private static let ignored = """
        AddKeysToAgent AFSTokenPassing CanonicalDomains CanonicalizeFallbackLocal CanonicalizeMaxDots
        CanonicalizePermittedCNAMEs CASignatureAlgorithms ChannelTimeout Cipher CompressionLevel ControlMaster
        ControlPath ControlPersist EnableEscapeCommandline EnableSSHKeysign EscapeChar FallBackToRsh FingerprintHash
        ForwardAgent ForwardX11 ForwardX11Timeout ForwardX11Trusted GlobalKnownHostsFile2 GSSAPIAuthentication
        GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange
        GSSAPIRenewalForcesRekey GSSAPIServerIdentity GSSAPITrustDns HostbasedAcceptedAlgorithms
        HostbasedAuthentication HostbasedKeyTypes IPQoS KbdInteractiveDevices KerberosAuthentication
        KerberosTGTPassing LocalCommand LogVerbose NoHostAuthenticationForLocalhost ObscureKeystrokeTiming
        PermitLocalCommand PKCS11Provider Protocol ProxyUseFdpass RefuseConnection RequestTTY
        RhostsAuthentication RhostsRSAAuthentication RSAAuthentication SecurityKeyProvider SendEnv SessionType SetEnv
        SmartcardDevice StdinNull SyslogFacility Tag Tunnel TunnelDevice UpdateHostKeys UsePrivilegedPort UseRoaming UseRsh
        UserKnownHostsFile2 VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation
        """.split(whereSeparator: \.isWhitespace).map(String.init)
}
