internal import CulvertIO

/// When a link's TCP acknowledges small packets without waiting for something to send along. sshd leaves Nagle's
/// algorithm on unless a command runs: its next small packet, another flow's reply or an adjusted window, waits until
/// the one before is acknowledged, and a kernel may keep that back for 40 ms. What goes out soon carries the
/// acknowledgement for nothing; so it is asked for only after a millisecond in which nothing did.
struct OwedAcknowledgement: BitwiseCopyable {
    /// What is to be done when the time has come.
    enum Verdict: Equatable {
        case nothing
        case acknowledge
        /// What is owed came later than what the timer was set for.
        case wait(until: Tick)
    }

    static let patience = Tick.Span.milliseconds(1)
    /// As much as this within the patience is several segments, which the kernel acknowledges by itself, bytes. More
    /// acknowledgements of a stream would only disturb how its sender finds the path's rate.
    static let streamBytes = 4 * 1024

    private var owedBytes = 0
    private var owedSince = Tick(nanoseconds: 0)
    private var isTimed = false

    /// `count` bytes came: whether to ask for the verdict after `patience`.
    mutating func received(_ count: Int, now: Tick) -> Bool {
        guard count > 0 else { return false }
        if owedBytes == 0 { owedSince = now }
        owedBytes += count
        if owedBytes >= Self.streamBytes { owedBytes = 0 }
        guard owedBytes > 0, !isTimed else { return false }
        isTimed = true
        return true
    }

    /// Something was sent, and the acknowledgement with it.
    mutating func sent() { owedBytes = 0 }

    mutating func verdict(now: Tick) -> Verdict {
        isTimed = false
        guard owedBytes > 0 else { return .nothing }
        let due = owedSince + Self.patience
        guard due <= now else {
            isTimed = true
            return .wait(until: due)
        }
        owedBytes = 0
        return .acknowledge
    }
}
