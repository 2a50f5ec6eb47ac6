/// The MAC of packets whose cipher does not authenticate: HMAC with SHA-2 (RFC 6668), by its name in SSH_MSG_KEXINIT, the
/// one to be preferred first.
enum PacketMAC: String, CaseIterable, BitwiseCopyable {
    /// Over the length in clear and the ciphered rest: checked before anything is deciphered (OpenSSH's PROTOCOL §1.5).
    case sha256OverCiphertext = "hmac-sha2-256-etm@openssh.com"
    case sha512OverCiphertext = "hmac-sha2-512-etm@openssh.com"
    /// Over what the packet was before it was ciphered, the length included (RFC 4253 §6.4).
    case sha256 = "hmac-sha2-256"
    case sha512 = "hmac-sha2-512"

    /// Bytes of the key and of the tag.
    var length: Int {
        switch self {
        case .sha256OverCiphertext, .sha256: 32
        case .sha512OverCiphertext, .sha512: 64
        }
    }

    /// Encrypt-then-MAC.
    var coversCiphertext: Bool {
        switch self {
        case .sha256OverCiphertext, .sha512OverCiphertext: true
        case .sha256, .sha512: false
        }
    }

    /// With one over the ciphertext packets can be taken out of the stream before anything is deciphered, as CVE-2023-48795
    /// says; one over the plaintext fails as soon as the counter and the stream do not go together.
    var needsStrictExchange: Bool { coversCiphertext }
}
