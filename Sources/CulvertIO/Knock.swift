/// What a connection that is being made wants to send: each is one SYN on the wire, which a firewall at the server may
/// count.
public enum Knock: Equatable, Sendable {
    /// The first SYN of a connection.
    case begins
    /// The same SYN once more, because nothing has answered it.
    case repeats
    /// It was sent once more before anybody could ask: this process was not running.
    case wasRepeated
}

/// Whether an address may be knocked at. What was granted is sent.
public enum KnockAnswer: Equatable, Sendable {
    case granted
    /// Not now; asked again at that moment, which is later.
    case notBefore(Tick)
    /// The connection is not wanted any more: nothing is sent.
    case never
}
