public import CulvertIO
public import CulvertPlan

/// What a tunnel has, at about one moment: plain values, of which text, JSON and metrics are views. Whoever
/// shows it escapes its texts, some of which are a peer's. Times are spans before that moment.
public struct TunnelReport: Equatable, Sendable {
    public enum State: String, Sendable {
        /// Every link and every forward stands.
        case up
        /// A link serves, and another link or a forward does not stand.
        case partly
        /// No link serves, and a login is under way.
        case connecting
        /// No link serves, and the next login waits for its time.
        case down
        /// No link stands, and none is made before a connection comes: the server closes those that nobody uses.
        case idle
        case ending
        /// It has ended beside others, and why says its place's last failure.
        case ended
    }

    public let destination: String
    public let engine: EngineChoice
    public let driver: DriverKind
    /// Threads that carry.
    public let workers: Int
    public let state: State
    /// How long links have served without a gap, or none has; nil: none has ever.
    public let since: Tick.Span?
    public let places: [PlaceReport]
    /// Those of the places, those that they have replaced and that still have flows, and those to jump hosts.
    public let links: [LinkReport]
    public let forwards: [ForwardReport]
    /// Flows that carry a link to the next host of a path.
    public let hops: [FlowReport]
    /// SOCKS clients here that have not said where to go.
    public let greetings: Int
    /// Connections that have ended, and whose reader has not taken everything.
    public let deliveries: Int
    /// Connections that wait for a link.
    public let held: Int
    /// Of all links that it has had.
    public let carried: LinkTotals
    /// Bytes of buffers in use, and their ceiling.
    public let buffers: Int
    public let bufferLimit: Int

    public var isUp: Bool { state == .up }
}

/// One place of a tunnel's pool: its link, or the way to the next one.
public struct PlaceReport: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        case up
        /// The link is silent, and another one is made beside it.
        case silent
        case connecting
        /// The next login begins after this time.
        case waiting(Tick.Span)
        /// The next login begins when a connection comes.
        case dormant
        /// No login is made: it waits for the others' first, or there is none left.
        case unused
    }

    /// Something that was said of it, in the words of whoever said it.
    public struct Word: Equatable, Sendable {
        public let text: String
        public let age: Tick.Span
    }

    public let state: State
    /// Of the link that stands.
    public let age: Tick.Span?
    /// Engine and algorithms of the last link.
    public let summary: String
    /// Links that have stood here.
    public let connects: UInt64
    /// Links that were lost here.
    public let losses: UInt64
    /// Logins that have failed since a link stood.
    public let attempts: Int
    /// Why there was no link, the last time.
    public let failure: Word?
    /// Why links were lost, the last first: at most `LinkHistory.length`.
    public let lost: [Word]
}

/// One forward of a tunnel.
public struct ForwardReport: Equatable, Sendable {
    public enum Kind: String, Sendable {
        case local, dynamic, remote
        /// `-W`.
        case stdio
    }

    public enum State: Equatable, Sendable {
        /// Connections may come in, at that port where it is one.
        case standing(port: UInt16?)
        /// It takes no connections for now: something is used up.
        case paused
        /// It cannot be listened on, or the server refuses to, and is tried again.
        case failed(reason: String)
        /// It is not asked for yet.
        case waiting
    }

    public let kind: Kind
    /// As it was typed: "-L 5432:db:5432".
    public let text: String
    public let state: State
    public let tally: ForwardTally
    /// Those that have a channel.
    public let flows: [FlowReport]
}
