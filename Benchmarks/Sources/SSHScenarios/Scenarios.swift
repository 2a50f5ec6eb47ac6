public import Scenario

/// CulvertSSH: packets, windows, and the way of a byte from one engine to another.
public enum SSHScenarios {
    public static let all = packets + counterFloors + windows + paths
}

extension PacketCipher {
    /// As it stands in a benchmark's name.
    var word: String {
        switch self {
        case .none: "nothing"
        case .aes256GCM: "aes256gcm"
        case .aes128GCM: "aes128gcm"
        case .chaCha20Poly1305: "chacha20"
        case .aesCTR(_, .sha256OverCiphertext): "aesctr-sha256etm"
        case .aesCTR(_, .sha512OverCiphertext): "aesctr-sha512etm"
        case .aesCTR(_, .sha256): "aesctr-sha256"
        case .aesCTR(_, .sha512): "aesctr-sha512"
        }
    }

    static var protecting: [PacketCipher] {
        [
            .aes256GCM, .aes128GCM, .chaCha20Poly1305, .aesCTR(.aes128, .sha256OverCiphertext),
            .aesCTR(.aes128, .sha512),
        ]
    }
}
