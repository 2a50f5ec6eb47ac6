/// One of the choices of SSH_MSG_KEXINIT (RFC 4253 §7.1) that a user can steer, with ssh's name of the option, and
/// what this engine has for it.
enum AlgorithmKind: CaseIterable {
    case keyExchange, hostKey, cipher, mac, publicKey

    /// ssh's name of the option.
    var option: String {
        switch self {
        case .keyExchange: "KexAlgorithms"
        case .hostKey: "HostKeyAlgorithms"
        case .cipher: "Ciphers"
        case .mac: "MACs"
        case .publicKey: "PubkeyAcceptedAlgorithms"
        }
    }

    var words: String {
        switch self {
        case .keyExchange: "key exchange"
        case .hostKey: "host key algorithm"
        case .cipher: "cipher"
        case .mac: "MAC"
        case .publicKey: "public key algorithm"
        }
    }

    /// What is offered unless the user says otherwise, best first: all that the engine has and OpenSSH offers.
    var standard: [String] {
        switch self {
        case .keyExchange: KeyAgreementMethod.standard.map(\.rawValue)
        case .hostKey, .cipher, .mac, .publicKey: known
        }
    }

    /// What the engine has, best first: all of it is safe.
    var known: [String] {
        switch self {
        case .keyExchange: KeyAgreementMethod.allCases.map(\.rawValue)
        case .hostKey: SignatureScheme.allCases.map(\.rawValue)
        case .cipher: PacketCipher.preference().map(\.name)
        // Offered because some peers look for a common one though every cipher here has its own; never used.
        case .mac:
            [
                "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
            ]
        case .publicKey: SignatureAlgorithm.all
        }
    }
}

extension PacketCipher {
    /// The cipher of a name in SSH_MSG_KEXINIT; nil for what the engine does not have, "none" included.
    init?(name: String) {
        guard let cipher = PacketCipher.preference().first(where: { $0.name == name }) else { return nil }
        self = cipher
    }

    /// Whether packets can be taken out of the stream unseen unless both ends keep to strict key exchange
    /// (CVE-2023-48795). AES-GCM counts packets by itself.
    var needsStrictExchange: Bool {
        switch self {
        case .chaCha20Poly1305: true
        case .none, .aes128GCM, .aes256GCM: false
        }
    }
}
