internal import CCrypto

/// A cipher as SSH_MSG_KEXINIT names it: with a MAC, where it needs one, it is a `PacketCipher`.
enum CipherAlgorithm: String, CaseIterable, BitwiseCopyable {
    case aes256GCM = "aes256-gcm@openssh.com"
    case aes128GCM = "aes128-gcm@openssh.com"
    case chaCha20Poly1305 = "chacha20-poly1305@openssh.com"
    /// RFC 4344 §4.
    case aes128CTR = "aes128-ctr"
    case aes192CTR = "aes192-ctr"
    case aes256CTR = "aes256-ctr"

    /// All of them, the one to be preferred first: AES-GCM costs a quarter of ChaCha20 with AES instructions, and is slow
    /// and leaks by its timing without. Those that need a MAC come last, in OpenSSH's order.
    static func preference(aesInstructions: Bool = hasAESInstructions) -> [CipherAlgorithm] {
        let aead: [CipherAlgorithm] =
            aesInstructions
            ? [.aes256GCM, .aes128GCM, .chaCha20Poly1305] : [.chaCha20Poly1305, .aes256GCM, .aes128GCM]
        return aead + [.aes128CTR, .aes192CTR, .aes256CTR]
    }

    /// Whether this processor has AES instructions.
    static var hasAESInstructions: Bool { culvert_crypto_has_aes_instructions() != 0 }

    /// Whether it does not authenticate by itself. The MACs of the two ends do not matter otherwise (OpenSSH's PROTOCOL §1.6).
    var needsMAC: Bool {
        switch self {
        case .aes256GCM, .aes128GCM, .chaCha20Poly1305: false
        case .aes128CTR, .aes192CTR, .aes256CTR: true
        }
    }

    /// Whether it is unsafe by itself without strict key exchange, whatever the MAC: see `PacketCipher`.
    var needsStrictExchange: Bool {
        switch self {
        case .chaCha20Poly1305: true
        case .aes256GCM, .aes128GCM, .aes128CTR, .aes192CTR, .aes256CTR: false
        }
    }

    /// How packets are protected; `mac` is asked only where one is needed.
    func protection(mac: () throws(SSHError) -> PacketMAC) throws(SSHError) -> PacketCipher {
        switch self {
        case .aes256GCM: .aes256GCM
        case .aes128GCM: .aes128GCM
        case .chaCha20Poly1305: .chaCha20Poly1305
        case .aes128CTR: .aesCTR(.aes128, try mac())
        case .aes192CTR: .aesCTR(.aes192, try mac())
        case .aes256CTR: .aesCTR(.aes256, try mac())
        }
    }
}
