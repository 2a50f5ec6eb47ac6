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
        case .hostKey: HostKeyAlgorithm.all.map(\.name)
        case .cipher: CipherAlgorithm.preference().map(\.rawValue)
        // With ciphers that authenticate by themselves too: some peers look for a common one all the same.
        case .mac: PacketMAC.allCases.map(\.rawValue)
        case .publicKey: SignatureAlgorithm.all
        }
    }
}
