internal import CulvertIO

/// How long to wait before the next attempt at a link, as attempts come to nothing: three quick ones (at once, after
/// 0.4 s, after 1.5 s), then less and less often up to every 30 s; longer after a refusal. All that is lengthened is short
/// again only once a link has settled.
struct Backoff: Sendable {
    /// Why there is no link.
    enum Cause: Equatable {
        /// Of the network, or the server did not say: time may mend it.
        case failure
        /// The login was refused, though it led in before and asks nobody: a server that boots does so for seconds.
        case refusalForNow
        /// The login was refused, and what is tried again costs its user (a password, a code), or never led in.
        case refusal
        /// The host key is another: a person mends that, or the network leads elsewhere.
        case hostKey
    }

    /// The pauses after the first attempt, which is made at once.
    static let quick = [Tick.Span.seconds(0.4), .seconds(1.1)]
    static let first = Tick.Span.seconds(2.5)
    static let longest = Tick.Span.seconds(30)
    /// A little more than 10 s: firewalls that count in 30 s count a connection that they refuse twice (`ufw limit`), and let
    /// one in again only where fewer than three were tried.
    static let longestWhileWaited = Tick.Span.seconds(10.1)
    static let firstAfterRefusalForNow = Tick.Span.seconds(1)
    static let firstAfterHostKey = Tick.Span.seconds(30)
    static let longestOfThose = Tick.Span.seconds(300)
    static let firstAfterRefusal = Tick.Span.seconds(120)
    static let longestAfterRefusal = Tick.Span.seconds(1800)

    /// A link that has stood for this long was a success; so was one that carried payload.
    static let settled = Tick.Span.seconds(30)

    private(set) var attempts = 0
    private var refusals = 0

    mutating func settled() {
        attempts = 0
        refusals = 0
    }

    /// The server lets in, whatever becomes of the link.
    mutating func letIn() { refusals = 0 }

    /// The wait after one more attempt, or link, that came to nothing. `jitter` is in 0..<1: a quarter of the wait is left
    /// to chance, so that many clients of one server do not come back in step.
    mutating func failed(_ cause: Cause, jitter: Double) -> Tick.Span {
        let base = pause(cause)
        switch cause {
        case .failure: attempts += 1
        case .refusalForNow, .refusal, .hostKey: refusals += 1
        }
        return .seconds(base * (0.75 + 0.25 * jitter))
    }

    /// Seconds.
    private func pause(_ cause: Cause) -> Double {
        let (first, longest, step) =
            switch cause {
            case .failure where attempts < Self.quick.count: (Self.quick[attempts], Self.longest, 0)
            case .failure: (Self.first, Self.longest, attempts - Self.quick.count)
            case .refusalForNow: (Self.firstAfterRefusalForNow, Self.longestOfThose, refusals)
            case .refusal: (Self.firstAfterRefusal, Self.longestAfterRefusal, refusals)
            case .hostKey: (Self.firstAfterHostKey, Self.longestOfThose, refusals)
            }
        return min(longest.seconds, first.seconds * Double(1 << min(step, 16)))
    }
}
