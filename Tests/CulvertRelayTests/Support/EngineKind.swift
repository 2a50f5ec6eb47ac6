import CulvertSSH

/// What is between relay and link.
enum EngineKind: String, CaseIterable, CustomStringConvertible {
    /// Packets that nothing protects.
    case null = "no keys"
    case native = "the native engine"
    /// Keys are exchanged again every 64 KiB, at whichever end finds it due first.
    case rekeying = "the native engine, exchanging keys"

    var description: String { rawValue }

    func applied(to script: Script) -> Script {
        var script = script
        switch self {
        case .null: break
        case .native: script.cipher = "aes256-gcm@openssh.com"
        case .rekeying:
            script.cipher = "chacha20-poly1305@openssh.com"
            script.rekeyBytes = 64 * 1024
        }
        return script
    }
}
