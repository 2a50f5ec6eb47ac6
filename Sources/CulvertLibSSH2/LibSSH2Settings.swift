internal import CLibSSH2
public import CulvertPlan
internal import CulvertSSH

/// What the user chose for this engine. Of the lists of algorithms nil is the safe ones that libssh2 has. Its CBC
/// ciphers, SHA-1 and MD5 are used only when they are named.
public struct LibSSH2Settings: Sendable, Hashable {
    public var keyExchange: AlgorithmList?
    public var ciphers: AlgorithmList?
    public var macs: AlgorithmList?
    public var hostKeyAlgorithms: AlgorithmList?

    public init(
        keyExchange: AlgorithmList? = nil, ciphers: AlgorithmList? = nil, macs: AlgorithmList? = nil,
        hostKeyAlgorithms: AlgorithmList? = nil
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

    func setting(_ settings: LibSSH2Settings) -> AlgorithmList? {
        switch self {
        case .keyExchange: settings.keyExchange
        case .hostKey: settings.hostKeyAlgorithms
        case .cipher: settings.ciphers
        case .mac: settings.macs
        }
    }

    /// Safe as well, and missing in libssh2 1.10: it knows RSA host keys with SHA-1 only.
    private var safeWhereKnown: [String] {
        switch self {
        case .hostKey: ["rsa-sha2-512", "rsa-sha2-256"]
        case .keyExchange, .cipher, .mac: []
        }
    }

    /// The list to offer. `known`: what this libssh2 has. `preferred`: moved to the front unless the user gave an
    /// order of their own. `withheld`: what it has and must not use.
    func list(
        _ list: AlgorithmList?, known: [String], preferred: [String] = [], withheld: [String] = []
    ) throws(SSHError) -> [String] {
        let base = (safe + safeWhereKnown).filter(known.contains)
        guard let list else { return AlgorithmList.moved(preferred, base) }
        do throws(AlgorithmList.Fault) {
            return try list.offer(standard: base, known: known, preferred: preferred)
        } catch {
            let all = known.joined(separator: ",")
            let option = PeerText(list.place).description + option
            switch error {
            case .unknown(let names) where names.contains(where: withheld.contains):
                let name = names.filter(withheld.contains).joined(separator: ",")
                throw SSHError(
                    .unsupported,
                    "\(option): \(name) is open to Terrapin (CVE-2023-48795) before libssh2 "
                        + "\(LibSSH2Version.strictKeyExchange.text), and this is \(LibSSH2Version.inUse.text)")
            case .unknown(let names):
                let missing = PeerText(names.joined(separator: ","))
                throw SSHError(.unsupported, "\(option): libssh2 has no \(words) \"\(missing)\"; it has \(all)")
            case .empty:
                throw SSHError(.unsupported, "\(option)=\(list) leaves no \(words); libssh2 has \(all)")
            }
        }
    }

    // MARK: Host keys that are known

    private static let rsaWithSHA1 = "ssh-rsa"

    /// Algorithms that check a known host key, best first: one that is good for RSA with SHA-2 is with SHA-1 too, and that
    /// is used only where the user has named it.
    static func checking(_ knownHostKeys: [String]) -> [String] {
        knownHostKeys.contains { $0.hasPrefix("rsa-sha2-") } ? knownHostKeys + [rsaWithSHA1] : knownHostKeys
    }

    /// Where no known key can be checked the server would show another one, and that would look like a changed key.
    static func requireCheckable(
        _ knownHostKeys: [String], offered: [String], library: [String]
    ) throws(SSHError) {
        let checking = checking(knownHostKeys)
        guard !knownHostKeys.isEmpty, !offered.contains(where: checking.contains) else { return }
        let mend = library.filter(checking.contains).joined(separator: ",")
        throw SSHError(
            .unsupported,
            "of this server only host keys are known (for \(knownHostKeys.joined(separator: ","))) that libssh2 "
                + "\(LibSSH2Version.inUse.text) is not to check here: use --engine native"
                + (mend.isEmpty ? "" : ", or -o HostKeyAlgorithms=+\(mend)"))
    }
}
