/// A name of HostKeyAlgorithms: how the server signs, and whether its key comes in a certificate (PROTOCOL.certkeys).
struct HostKeyAlgorithm: Hashable {
    let scheme: SignatureScheme
    let isCertified: Bool

    /// In OpenSSH's order: certificates first.
    static let all = [true, false].flatMap { isCertified in
        SignatureScheme.allCases.map { HostKeyAlgorithm(scheme: $0, isCertified: isCertified) }
    }

    /// nil: the engine has none of this name.
    init?(name: String) {
        guard let algorithm = Self.all.first(where: { $0.name == name }) else { return nil }
        self = algorithm
    }

    init(scheme: SignatureScheme, isCertified: Bool) {
        self.scheme = scheme
        self.isCertified = isCertified
    }

    /// On the wire.
    var name: String { isCertified ? CertificateType.name(ofPlain: scheme.rawValue) : scheme.rawValue }

    /// Those of this name, or by which a plain key of this type signs.
    static func named(_ name: String) -> [HostKeyAlgorithm] {
        all.filter { $0.name == name || !$0.isCertified && $0.scheme.keyType == name }
    }
}
