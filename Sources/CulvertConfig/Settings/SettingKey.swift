/// The keys of ssh_config(5) that culvert acts on.
enum SettingKey: String, CaseIterable, Sendable {
    case addressFamily = "AddressFamily"
    case batchMode = "BatchMode"
    case bindAddress = "BindAddress"
    case bindInterface = "BindInterface"
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
    case port = "Port"
    case preferredAuthentications = "PreferredAuthentications"
    case proxyCommand = "ProxyCommand"
    case proxyJump = "ProxyJump"
    case pubkeyAcceptedAlgorithms = "PubkeyAcceptedAlgorithms"
    case pubkeyAuthentication = "PubkeyAuthentication"
    case rekeyLimit = "RekeyLimit"
    case remoteForward = "RemoteForward"
    case serverAliveCountMax = "ServerAliveCountMax"
    case serverAliveInterval = "ServerAliveInterval"
    case streamLocalBindMask = "StreamLocalBindMask"
    case streamLocalBindUnlink = "StreamLocalBindUnlink"
    case strictHostKeyChecking = "StrictHostKeyChecking"
    case tag = "Tag"
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
        // Debian's, from before there was a ServerAliveInterval.
        table["protocolkeepalives"] = .serverAliveInterval
        table["setuptimeout"] = .serverAliveInterval
        table["pubkeyacceptedkeytypes"] = .pubkeyAcceptedAlgorithms
        return table
    }()
}
