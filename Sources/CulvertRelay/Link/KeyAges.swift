internal import CulvertIO

/// When the keys of a link are exchanged again because of their age (RFC 4253 §9), and how long an exchange may take: an
/// engine has no clock.
struct KeyAges {
    /// Whether an exchange takes too long.
    enum Verdict: Equatable {
        case fine(nextLook: Tick?)
        case overdue
    }

    /// A server that says so much while a key exchange takes its time is still sending what stood in line before its
    /// part of it, over a slow path: the windows and the engine's own limit bound that. Bytes.
    static let progress: UInt64 = 16 * 1024

    /// RekeyLimit's time; nil: keys do not age.
    let interval: Tick.Span?
    /// A key exchange that takes longer ends the link.
    let patience: Tick.Span
    private var since: Tick
    /// The key exchange that is under way, by the engine's number.
    private var exchange: Int?
    /// When it was first seen, or was last seen to have much coming before its end; and what had been received then.
    private var exchangeSince = Tick(nanoseconds: 0)
    private var exchangeHeard: UInt64 = 0

    init(interval: Tick.Span?, patience: Tick.Span, now: Tick) {
        self.interval = interval
        self.patience = patience
        since = now
    }

    /// When the keys will be old.
    var due: Tick? { interval.map { since + $0 } }

    /// Returns whether an exchange is to be begun now.
    mutating func areOld(_ now: Tick) -> Bool {
        guard let due, now >= due else { return false }
        since = now
        return true
    }

    /// What the engine says is under way. `heard`: bytes received so far. Returns when that is to be looked at, if it
    /// is news.
    mutating func saw(_ exchange: Int?, now: Tick, heard: UInt64) -> Tick? {
        guard exchange != self.exchange else { return nil }
        self.exchange = exchange
        guard exchange != nil else { return nil }
        exchangeSince = now
        exchangeHeard = heard
        return now + patience
    }

    mutating func look(_ now: Tick, heard: UInt64) -> Verdict {
        guard exchange != nil else { return .fine(nextLook: nil) }
        guard now >= exchangeSince + patience else { return .fine(nextLook: exchangeSince + patience) }
        guard heard - exchangeHeard >= Self.progress else { return .overdue }
        exchangeHeard = heard
        exchangeSince = now
        return .fine(nextLook: now + patience)
    }
}
