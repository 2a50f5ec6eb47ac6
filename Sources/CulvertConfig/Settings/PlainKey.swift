/// A key of ssh_config(5) that culvert reads, checks and prints; it acts on few of them.
struct PlainKey: Sendable {
    /// What becomes of a value that is in force.
    enum Fate: Sendable {
        /// A note, unless it is what ssh does anyway.
        case ignored
        /// Out of use in OpenSSH too.
        case obsolete
        /// An error unless the value is one of these: leaving it out would change where or how one connects, or whom
        /// one trusts.
        case refused(unless: [String])
        /// A note in a file, which may have been written for ssh; an error where it was typed for culvert, unless the
        /// value is this one.
        case refusedWhenTyped(unless: String, mend: String)
        /// An error where it says so of the value, with the mend; else a note.
        case refusedIf(@Sendable ([String]) -> Bool, mend: String)
        /// The file says that nobody is to connect there, and its value why.
        case refusal
        /// culvert acts on it, as it was written.
        case used
    }

    /// As ssh_config(5) writes it.
    let name: String
    let shape: PlainShape
    /// What `-G` prints where nothing was said; nil: no line.
    let standard: [String]?
    let fate: Fate

    init(_ name: String, _ shape: PlainShape, _ standard: String? = nil, _ fate: Fate = .ignored) {
        self.name = name
        self.shape = shape
        self.standard = standard.map { $0.split(separator: " ").map(String.init) }
        self.fate = fate
    }

    /// By any name that ssh reads, in any case.
    static func named(_ name: String) -> PlainKey? {
        let lower = name.lowercased()
        return byName[aliases[lower] ?? lower]
    }

    static let all: [PlainKey] = interactive + connection + trust + newer + obsolete

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name.lowercased(), $0) })

    private static let aliases = [
        "hostbasedkeytypes": "hostbasedacceptedalgorithms", "smartcarddevice": "pkcs11provider",
    ]

    /// What a terminal, a shell and forwarding of other things need.
    private static let interactive = [
        PlainKey("AddKeysToAgent", .addKeys, "false"),
        PlainKey("ControlMaster", .choice(.master), "false"), PlainKey("ControlPath", .text),
        PlainKey("ControlPersist", .persistence, "no"),
        PlainKey("EnableEscapeCommandline", .flag, "no"), PlainKey("EscapeChar", .escape, "~"),
        PlainKey("ForwardAgent", .agentForwarding, "no"), PlainKey("ForwardX11", .flag, "no"),
        PlainKey("ForwardX11Timeout", .time, "1200"), PlainKey("ForwardX11Trusted", .flag, "yes"),
        PlainKey("LocalCommand", .command, nil, .used), PlainKey("PermitLocalCommand", .flag, "no", .used),
        // As `ssh -N`: a tunnel runs no command.
        PlainKey("RemoteCommand", .command), PlainKey("RequestTTY", .choice(.terminal), "auto"),
        PlainKey("SendEnv", .names), PlainKey("SessionType", .choice(.session), "default"),
        PlainKey("SetEnv", .assignments), PlainKey("StdinNull", .flag, "no"),
        PlainKey(
            "Tunnel", .choice(.device), "false",
            .refusedWhenTyped(
                unless: "false", mend: LackingMend.device)),
        PlainKey("TunnelDevice", .deviceNumbers, "any:any"),
        PlainKey("XAuthLocation", .text, "/usr/bin/xauth"),
    ]

    /// How the connection is made, and what is written about it.
    private static let connection = [
        PlainKey("CanonicalDomains", .domains, "none", .used),
        PlainKey("CanonicalizeFallbackLocal", .flag, "yes", .used),
        PlainKey("CanonicalizeHostname", .choice(.canonicalization), "false", .used),
        PlainKey("CanonicalizeMaxDots", .count, "1", .used),
        PlainKey("CanonicalizePermittedCNAMEs", .aliases, "none", .used),
        PlainKey(
            "ChannelTimeout", .channelTimeouts, nil,
            .refusedIf(ChannelTimeouts.endForwards, mend: "culvert ends no connection for being idle: leave it out")),
        PlainKey("IPQoS", .service, "lowdelay throughput"), PlainKey("LogVerbose", .firstOf, "none"),
        PlainKey("PermitRemoteOpen", .targets, "any", .used),
        PlainKey("ProxyUseFdpass", .flag, "no", .used),
        PlainKey("SyslogFacility", .choice(.facility), "USER", .used),
    ]

    /// Keys of ours and of hosts.
    private static let trust = [
        PlainKey("CASignatureAlgorithms", .algorithms(.plainSignatures), DefaultAlgorithms.plainSignatures, .used),
        PlainKey("CertificateFile", .text, nil, .used), PlainKey("EnableSSHKeysign", .flag, "no"),
        PlainKey("FingerprintHash", .choice(.digest), "SHA256"),
        PlainKey("GSSAPIAuthentication", .flag, "no"), PlainKey("GSSAPIClientIdentity", .text),
        PlainKey("GSSAPIDelegateCredentials", .flag, "no"),
        PlainKey("GSSAPIKexAlgorithms", .text, DefaultAlgorithms.gssapi), PlainKey("GSSAPIKeyExchange", .flag, "no"),
        PlainKey("GSSAPIRenewalForcesRekey", .flag, "no"), PlainKey("GSSAPIServerIdentity", .text),
        PlainKey("GSSAPITrustDns", .flag, "no"),
        PlainKey("HostbasedAcceptedAlgorithms", .algorithms(.signatures), DefaultAlgorithms.signatures),
        PlainKey("HostbasedAuthentication", .flag, "no"), PlainKey("KbdInteractiveDevices", .text),
        PlainKey("KnownHostsCommand", .command, nil, .used),
        PlainKey("NoHostAuthenticationForLocalhost", .flag, "no", .used),
        PlainKey(
            "PKCS11Provider", .text, nil,
            .refusedWhenTyped(
                unless: "none", mend: LackingMend.library)),
        PlainKey("RequiredRSASize", .count, "1024", .used), PlainKey("RevokedHostKeys", .files, nil, .used),
        PlainKey("SecurityKeyProvider", .text, "internal", .used),
        PlainKey("UpdateHostKeys", .choice(.question), "true", .used),
        PlainKey(
            "VerifyHostKeyDNS", .choice(.question), "false",
            .refusedIf({ $0 != ["false"] }, mend: "keys are not looked up in the DNS: put them into known_hosts")),
        PlainKey("VisualHostKey", .flag, "no"),
    ]

    /// Of later versions than the one whose `-G` is printed.
    private static let newer = [
        PlainKey("ObscureKeystrokeTiming", .keystrokes), PlainKey("RefuseConnection", .text, nil, .refusal),
        PlainKey("VersionAddendum", .command), PlainKey("WarnWeakCrypto", .choice(.warning)),
    ]

    private static let obsolete = """
        AFSTokenPassing Cipher CompressionLevel FallBackToRsh GlobalKnownHostsFile2 KerberosAuthentication
        KerberosTGTPassing Protocol RhostsAuthentication RhostsRSAAuthentication RSAAuthentication
        UseBlacklistedKeys UsePrivilegedPort UseRoaming UseRsh UserKnownHostsFile2
        """.split(whereSeparator: \.isWhitespace).map { PlainKey(String($0), .anything, nil, .obsolete) }
}

/// What to do about what culvert has not, by flag and by key.
enum LackingMend {
    static let device = "culvert carries connections and has no tunnel device: use ssh for it"
    static let library = "load the library into an agent, whose keys culvert uses: ssh-add -s"
}
