internal import CLibSSH2
internal import CulvertSSH

/// What the user chose for this engine: algorithm lists in ssh's syntax (`a,b`: these; `+a`: also; `-a`: not;
/// `^a`: first; `*` and `?` match). nil: the safe ones that libssh2 has. Its CBC ciphers, SHA-1 and MD5 are used only
/// when they are named.
public struct LibSSH2Settings: Sendable, Hashable {
    public var keyExchange: String?
    public var ciphers: String?
    public var macs: String?
    public var hostKeyAlgorithms: String?

    public init(
        keyExchange: String? = nil, ciphers: String? = nil, macs: String? = nil, hostKeyAlgorithms: String? = nil
    ) {
        self.keyExchange = keyExchange
        self.ciphers = ciphers
        self.macs = macs
        self.hostKeyAlgorithms = hostKeyAlgorithms
    }
}

/// One of the four choices of SSH_MSG_KEXINIT (RFC 4253 §7.1) that a user can steer.
enum AlgorithmChoice: CaseIterable {
    case keyExchange, hostKey, cipher, mac

    /// ssh's name of the option.
    var option: String {
        switch self {
        case .keyExchange: "KexAlgorithms"
        case .hostKey: "HostKeyAlgorithms"
        case .cipher: "Ciphers"
        case .mac: "MACs"
        }
    }

    var words: String {
        switch self {
        case .keyExchange: "key exchange"
        case .hostKey: "host key algorithm"
        case .cipher: "cipher"
        case .mac: "MAC"
        }
    }

    /// libssh2's names of the choice; ciphers and MACs have one for each direction.
    var methods: [Int32] {
        switch self {
        case .keyExchange: [LIBSSH2_METHOD_KEX]
        case .hostKey: [LIBSSH2_METHOD_HOSTKEY]
        case .cipher: [LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC]
        case .mac: [LIBSSH2_METHOD_MAC_CS, LIBSSH2_METHOD_MAC_SC]
        }
    }

    /// Used without being named, best first. What is missing here and known to libssh2 rests on SHA-1, MD5, CBC,
    /// RC4 or keys of 64-bit blocks.
    var safe: [String] {
        switch self {
        case .keyExchange:
            [
                "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
                "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512",
                "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256",
            ]
        case .hostKey: ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        case .cipher: ["aes256-ctr", "aes192-ctr", "aes128-ctr"]
        case .mac: ["hmac-sha2-256", "hmac-sha2-512"]
        }
    }

    func setting(_ settings: LibSSH2Settings) -> String? {
        switch self {
        case .keyExchange: settings.keyExchange
        case .hostKey: settings.hostKeyAlgorithms
        case .cipher: settings.ciphers
        case .mac: settings.macs
        }
    }

    /// The list to offer. `known`: what this libssh2 has. `preferred`: moved to the front unless the user gave an
    /// order of their own.
    func list(_ setting: String?, known: [String], preferred: [String] = []) throws(SSHError) -> [String] {
        let base = safe.filter(known.contains)
        guard let setting, !setting.isEmpty else { return Self.moved(preferred, base) }
        let sign = setting.first ?? " "
        let names = (["+", "-", "^"].contains(sign) ? setting.dropFirst() : setting[...])
            .split(separator: ",").map(String.init)
        var list: [String]
        switch sign {
        case "-":
            list = Self.moved(
                preferred, base.filter { name in !names.contains { Wildcard.matches(name, pattern: $0) } })
        case "+":
            let more = try expand(names, known)
            list = Self.moved(preferred, base + more.filter { !base.contains($0) })
        case "^":
            let first = try expand(names, known)
            list = first + base.filter { !first.contains($0) }
        default:
            list = try expand(names, known)
        }
        guard !list.isEmpty else {
            throw SSHError(
                .unsupported, "\(option)=\(setting) leaves no \(words); libssh2 has \(known.joined(separator: ","))")
        }
        return list
    }

    private func expand(_ names: [String], _ known: [String]) throws(SSHError) -> [String] {
        var list: [String] = []
        for name in names {
            let found = known.filter { Wildcard.matches($0, pattern: name) }
            guard !found.isEmpty else {
                throw SSHError(
                    .unsupported,
                    "\(option): libssh2 has no \(words) \"\(PeerText(name))\"; it has \(known.joined(separator: ","))")
            }
            list += found.filter { !list.contains($0) }
        }
        return list
    }

    private static func moved(_ preferred: [String], _ list: [String]) -> [String] {
        let first = preferred.filter(list.contains)
        return first + list.filter { !first.contains($0) }
    }
}
