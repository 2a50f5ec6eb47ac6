/// Names of public key algorithms for user authentication (RFC 8332 §3, RFC 8709, RFC 5656; OpenSSH's PROTOCOL.certkeys).
public enum SignatureAlgorithm {
    /// What is used when PubkeyAcceptedAlgorithms says nothing: everything but SHA-1, DSA included in that. Best first.
    public static let all = [
        "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com",
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
    ]

    /// The algorithms with which a key of this type can sign; SHA-1 is not among them.
    static func names(keyType: String) -> [String] {
        switch keyType {
        case "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"]
        case "ssh-rsa" + CertificateType.suffix:
            ["rsa-sha2-512" + CertificateType.suffix, "rsa-sha2-256" + CertificateType.suffix]
        default: [keyType]
        }
    }

    /// The name in a signature blob: that of the key inside, when the algorithm is a certificate's.
    public static func signatureName(_ algorithm: String) -> String {
        guard algorithm.hasSuffix(CertificateType.suffix) else { return algorithm }
        let base = String(algorithm.dropLast(CertificateType.suffix.count))
        return base.hasPrefix("sk-") ? base + "@openssh.com" : base
    }

    /// Which to use with a key, or why none.
    enum Choice: Hashable {
        case name(String)
        case refused(String)
    }

    /// - Parameters:
    ///   - accepted: PubkeyAcceptedAlgorithms, best first.
    ///   - server: `server-sig-algs` (RFC 8308 §3.1), nil when the server sent none. Only RSA looks at it, as the name of
    ///     every other key is the name of its only algorithm: the server's answer to the request says the same.
    static func choose(keyType: String, accepted: [String], server: [String]?) -> Choice {
        let possible = names(keyType: keyType)
        let allowed = accepted.filter(possible.contains)
        guard let first = allowed.first else {
            return .refused("PubkeyAcceptedAlgorithms leaves out \(possible.joined(separator: " and "))")
        }
        guard possible.count > 1, let server else { return .name(first) }
        if let both = allowed.first(where: { server.contains(signatureName($0)) || server.contains($0) }) {
            return .name(both)
        }
        return .refused(
            "the server takes no RSA signature with \(allowed.map(signatureName).joined(separator: " or ")); "
                + "an Ed25519 key would do")
    }
}
