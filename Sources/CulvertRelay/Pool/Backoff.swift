internal import CulvertIO

/// How long to wait before the next attempt at a lost link: 0.2 s, doubled each time up to 30 s, with jitter; at most
/// 1 s while a local connection waits; minutes after a refused login, which a retry does not mend.
struct Backoff: Sendable {
    static let first = Tick.Span.seconds(0.2)
    static let longest = Tick.Span.seconds(30)
    static let longestWhileWaited = Tick.Span.seconds(1)
    static let firstAfterRefusal = Tick.Span.seconds(120)
    static let longestAfterRefusal = Tick.Span.seconds(1800)

    /// A link that has lived for this long was a success: after its loss the first attempt is made at once.
    static let settled = Tick.Span.seconds(1)

    private(set) var attempts = 0
    private var refusals = 0

    mutating func succeeded() {
        attempts = 0
        refusals = 0
    }

    /// The wait after one more failed attempt. `jitter` is in 0..<1: a quarter of the wait is left to chance, so that
    /// many clients of one server do not come back in step.
    mutating func failed(wasRefused: Bool, jitter: Double) -> Tick.Span {
        let base: Double
        if wasRefused {
            base = min(
                Self.longestAfterRefusal.seconds, Self.firstAfterRefusal.seconds * Double(1 << min(refusals, 10)))
            refusals += 1
        } else {
            base = min(Self.longest.seconds, Self.first.seconds * Double(1 << min(attempts, 16)))
            attempts += 1
        }
        return .seconds(base * (0.75 + 0.25 * jitter))
    }
}
