/// How a host key, or an authority's, signs: a type of key and a hash, by its name on the wire. Best first. SHA-1 is not
/// among them.
enum SignatureScheme: String, CaseIterable {
    /// RFC 8709.
    case ed25519 = "ssh-ed25519"
    /// RFC 5656 §3.
    case ecdsa256 = "ecdsa-sha2-nistp256"
    case ecdsa384 = "ecdsa-sha2-nistp384"
    case ecdsa521 = "ecdsa-sha2-nistp521"
    /// OpenSSH's PROTOCOL.u2f: of hardware keys.
    case hardwareED25519 = "sk-ssh-ed25519@openssh.com"
    case hardwareECDSA256 = "sk-ecdsa-sha2-nistp256@openssh.com"
    /// RFC 8332.
    case rsa512 = "rsa-sha2-512"
    case rsa256 = "rsa-sha2-256"

    /// The type in the key's blob.
    var keyType: String {
        switch self {
        case .ed25519, .ecdsa256, .ecdsa384, .ecdsa521, .hardwareED25519, .hardwareECDSA256: rawValue
        case .rsa512, .rsa256: "ssh-rsa"
        }
    }
}
