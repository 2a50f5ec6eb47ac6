/// What the user chose for the native engine. Algorithm lists in ssh's syntax (`a,b`: these; `+a`: also; `-a`: not; `^a`:
/// first; `*` and `?` match); nil: all that the engine has, which is all safe.
public struct NativeSettings: Sendable {
    public var ciphers: String?
    public var keyExchange: String?
    /// Offered, never used: every cipher here authenticates by itself.
    public var macs: String?
    public var hostKeyAlgorithms: String?
    public var publicKeyAlgorithms: String?
    public var rekeyLimits = RekeyLimits()
    public var connection = ConnectionSettings()

    public init() {}
}

/// What the native engine has, best first.
public enum NativeAlgorithms {
    public static var ciphers: [String] { AlgorithmKind.cipher.known }
    public static var macs: [String] { AlgorithmKind.mac.known }
    public static var keyExchanges: [String] { AlgorithmKind.keyExchange.known }
    public static var hostKeys: [String] { AlgorithmKind.hostKey.known }
    public static var publicKeys: [String] { AlgorithmKind.publicKey.known }
}
