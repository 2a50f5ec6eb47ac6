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

/// A list of algorithm names as ssh_config(5) has it. Which names exist is for the engine to say.
public struct AlgorithmList: Hashable, Sendable, CustomStringConvertible {
    /// What the first character says about the default list.
    public enum Change: String, Hashable, Sendable, CaseIterable {
        case replace = ""
        case append = "+"
        /// Names may hold wildcards.
        case remove = "-"
        case prepend = "^"
    }

    public var change: Change
    /// Never empty.
    public var names: [String]

    public init(change: Change, names: [String]) {
        self.change = change
        self.names = names
    }

    /// nil: empty, an empty name, or a character that no name has (RFC 4251 §6).
    public init?(_ text: String) {
        change = text.first.flatMap { Change(rawValue: String($0)) } ?? .replace
        names = text.dropFirst(change.rawValue.count).split(separator: ",", omittingEmptySubsequences: false)
            .map(String.init)
        let fits = names.allSatisfy { name in
            !name.isEmpty && name.utf8.count <= 64 && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
        if !fits { return nil }
    }

    /// As ssh_config(5) spells it.
    public var description: String { change.rawValue + names.joined(separator: ",") }
}
