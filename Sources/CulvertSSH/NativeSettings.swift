public import CulvertPlan

/// What the user chose for the native engine. Of the lists of algorithms nil is all that the engine has, which is all
/// safe.
public struct NativeSettings: Sendable {
    public var ciphers: AlgorithmList?
    public var keyExchange: AlgorithmList?
    /// For ciphers that do not authenticate by themselves: those in counter mode.
    public var macs: AlgorithmList?
    public var hostKeyAlgorithms: AlgorithmList?
    public var publicKeyAlgorithms: AlgorithmList?
    /// Logins with a key name the server's host key where the server takes that (publickey-hostbound-v00@openssh.com).
    public var bindsToHost = true
    public var rekeyLimits = RekeyLimits()
    public var connection = ConnectionSettings()

    public init() {}
}

/// What the native engine has, best first.
public enum NativeAlgorithms {
    public static var ciphers: [String] { AlgorithmKind.cipher.known }
    public static var macs: [String] { AlgorithmKind.mac.known }
    public static var keyExchanges: [String] { AlgorithmKind.keyExchange.known }
    /// Those that are offered where nothing is said.
    public static var standardKeyExchanges: [String] { AlgorithmKind.keyExchange.standard }
    public static var hostKeys: [String] { AlgorithmKind.hostKey.known }
    public static var publicKeys: [String] { AlgorithmKind.publicKey.known }
}
