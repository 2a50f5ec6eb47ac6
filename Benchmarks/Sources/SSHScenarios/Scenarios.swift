public import Scenario

/// CulvertSSH: packets, windows, and the way of a byte from one engine to another.
public enum SSHScenarios {
    public static let all = packets + windows + paths
}

extension PacketCipher {
    /// As it stands in a benchmark's name.
    var word: String {
        switch self {
        case .none: "nothing"
        case .aes256GCM: "aes256gcm"
        case .aes128GCM: "aes128gcm"
        case .chaCha20Poly1305: "chacha20"
        }
    }

    static var protecting: [PacketCipher] { [.aes256GCM, .aes128GCM, .chaCha20Poly1305] }
}
