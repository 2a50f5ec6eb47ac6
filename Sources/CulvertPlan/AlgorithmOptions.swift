/// What may be negotiated with a server; nil: the engine's own list.
public struct AlgorithmOptions: Hashable, Sendable {
    public var ciphers: AlgorithmList?
    public var macs: AlgorithmList?
    public var keyExchanges: AlgorithmList?
    public var hostKeys: AlgorithmList?
    public var publicKeys: AlgorithmList?
    /// nil: the engine's own limits.
    public var rekeyLimit: RekeyLimit?

    public init() {}
}

/// RekeyLimit: when keys are exchanged again.
public struct RekeyLimit: Hashable, Sendable {
    /// nil: the engine's own amount.
    public var bytes: Int?
    /// nil: time does not matter.
    public var interval: Duration?

    public init(bytes: Int? = nil, interval: Duration? = nil) {
        self.bytes = bytes
        self.interval = interval
    }
}
