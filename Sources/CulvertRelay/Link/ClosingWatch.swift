internal import CulvertIO

/// How long a link is kept whose flows are over while the server has not closed every channel: it may still be handing
/// to a slow target what it was sent. As long as it says that it works on that, and this long after its last word.
struct ClosingWatch: Equatable {
    enum Verdict: Equatable {
        case wait(until: Tick)
        /// Nothing of any channel has come for too long.
        case giveUp
    }

    static let patience = Tick.Span.seconds(30)

    private var seen: UInt64
    private var since: Tick

    /// `progress`: what the engine counts of the channels' messages.
    init(progress: UInt64, now: Tick) {
        seen = progress
        since = now
    }

    mutating func look(progress: UInt64, now: Tick) -> Verdict {
        if progress != seen {
            seen = progress
            since = now
        }
        return now - since >= Self.patience ? .giveUp : .wait(until: since + Self.patience)
    }
}
