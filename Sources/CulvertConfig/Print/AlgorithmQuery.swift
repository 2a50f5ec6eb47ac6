/// What `-Q` asks for, by ssh's names: algorithms of the native engine, a line each.
enum AlgorithmQuery: String, CaseIterable {
    case cipher
    case authenticatedCipher = "cipher-auth"
    case compression
    case keyExchange = "kex"
    case key
    case certificate = "key-cert"
    case plainKey = "key-plain"
    case certifyingSignature = "key-ca-sign"
    case keySignature = "key-sig"
    case mac
    case protocolVersion = "protocol-version"
    case signature = "sig"
    case hostKey = "HostKeyAlgorithms"
    case publicKey = "PubkeyAcceptedAlgorithms"

    /// The text of ssh's answer; `help` names the queries.
    static func text(_ name: String, _ engine: EngineAlgorithms) throws(ConfigurationError) -> String {
        let queries = allCases.map(\.rawValue) + ["help"]
        if name == "help" { return queries.dropLast().joined(separator: "\n") }
        guard let query = AlgorithmQuery(rawValue: name) ?? keywords[name.lowercased()] else {
            let hint = NearestName.hint(
                for: name, among: queries + keywords.keys.sorted(), otherwise: ": give " + queries.listed)
            throw ConfigurationError("-Q \(name): Unsupported query \"\(name)\"\(hint)")
        }
        return query.names(engine).joined(separator: "\n")
    }

    /// Keys of ssh_config(5) that ssh takes for a query, older ones included, in any case.
    private static let keywords: [String: AlgorithmQuery] = [
        "ciphers": .cipher, "macs": .mac, "kexalgorithms": .keyExchange, "hostkeyalgorithms": .hostKey,
        "pubkeyacceptedalgorithms": .publicKey, "pubkeyacceptedkeytypes": .publicKey,
        "casignaturealgorithms": .certifyingSignature, "hostbasedacceptedalgorithms": .keySignature,
        "hostbasedacceptedkeytypes": .keySignature, "hostbasedkeytypes": .keySignature,
    ]

    private func names(_ engine: EngineAlgorithms) -> [String] {
        let signatures = engine.hostKeys + engine.publicKeys.filter { !engine.hostKeys.contains($0) }
        let keys = signatures.map(Self.keyType).reduce(into: [String]()) { list, type in
            if !list.contains(type) { list.append(type) }
        }
        return switch self {
        case .cipher: engine.ciphers
        case .authenticatedCipher: engine.ciphers.filter(KnownAlgorithms.authenticatedCiphers.contains)
        case .compression: ["none"]
        case .keyExchange: engine.keyExchanges
        case .key: keys
        case .certificate: keys.filter(Self.isCertificate)
        case .plainKey: keys.filter { !Self.isCertificate($0) }
        case .keySignature: signatures
        case .certifyingSignature, .signature: signatures.filter { !Self.isCertificate($0) }
        case .mac: engine.macs
        case .protocolVersion: ["2"]
        case .hostKey: engine.hostKeys
        case .publicKey: engine.publicKeys
        }
    }

    private static func isCertificate(_ name: String) -> Bool { name.contains("-cert-v0") }

    /// The type of the key that signs by an algorithm: RSA keys sign by several (RFC 8332 §3).
    private static func keyType(_ algorithm: String) -> String {
        guard algorithm.hasPrefix("rsa-sha2-") else { return algorithm }
        return isCertificate(algorithm) ? "ssh-rsa-cert-v01@openssh.com" : "ssh-rsa"
    }
}
