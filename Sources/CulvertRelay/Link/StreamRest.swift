internal import CulvertIO

/// When a link is left unread for a moment, so that one wake finds several of the peer's packets. sshd sends each
/// packet of a stream by itself; a reader that is faster is woken for each, and the waking costs both ends more than
/// the packet. Only a link that brings a fast stream and takes no payload out rests: where payload goes out, somebody
/// may wait for the answer.
struct StreamRest: BitwiseCopyable {
    /// A quarter of a millisecond: some seven packets of a fast server, and no more than a near network's round trip.
    static let span = Tick.Span(nanoseconds: 250_000)
    /// What comes within a window of a stream that is worth a rest, bytes: a gigabit a second.
    static let streamBytes = 128 * 1024
    private static let window = Tick.Span.milliseconds(1)
    /// A window that lasted longer had pauses.
    private static let longestWindow = Tick.Span.milliseconds(4)

    private var windowStart = Tick(nanoseconds: 0)
    private var receivedInWindow = 0
    private var isStream = false

    /// `count` bytes were found at `now`: whether to rest, and then to read without being woken.
    mutating func received(_ count: Int, now: Tick) -> Bool {
        receivedInWindow += count
        let passed = now - windowStart
        if passed >= Self.window {
            isStream = receivedInWindow >= Self.streamBytes && passed < Self.longestWindow
            windowStart = now
            receivedInWindow = 0
        }
        return isStream
    }

    /// Payload went out: no rest before another whole window shows a stream.
    mutating func sent(now: Tick) {
        isStream = false
        windowStart = now
        receivedInWindow = 0
    }
}
