internal import CulvertIO

/// How large a window the streams of a link can use. More than what comes in during two round trips does not make them
/// faster: it makes the server read ahead of its link into megabytes that it moves for each 32 KiB more. With windows of
/// 15 MiB sshd had no time left to fill a link of 50 Mbit/s, and one of 1 Gbit/s over 100 ms carried a fifth of what it
/// carries now; with 2 MiB for each of 64 streams on loopback, four sshds took four times the processor time.
struct WindowNeed: BitwiseCopyable {
    /// Before anything is known of a path, and at least where it is long: what OpenSSH grants everywhere, bytes.
    static let firstBytes = 2 * 1024 * 1024
    /// Of the shortest path: several packets, while others are on their way, bytes.
    static let leastBytes = 256 * 1024
    /// A path that was never seen as fast may be so at once, bytes a second.
    private static let plausibleRate = 1e9
    /// Where the path cannot be measured, because the link is no TCP connection, bytes: 335 Mbit/s over 100 ms.
    static let unmeasuredBytes = 4 * 1024 * 1024
    /// Of an empty path: one for the way there and back, the other for growing; a stream that its window holds back shows
    /// how much it may at least use, and so doubles it.
    private static let roundTrips = 2.0
    private static let span = Tick.Span.milliseconds(50)
    /// Less than this before a pause was no stream, and what comes after it begins anew, bytes.
    private static let noticeable = 64 * 1024

    private(set) var bytes = firstBytes
    private var spanStart = Tick(nanoseconds: 0)
    private var receivedInSpan = 0
    /// Of the span before, bytes a second: what came once may have waited for a reader, and says nothing about the path.
    private var lastRate = 0.0

    private static func need(rate: Double, roundTrip: Tick.Span) -> Int {
        // A reader that rests answers so much later.
        let seconds = roundTrip.seconds + StreamRest.span.seconds
        let least = min(firstBytes, max(leastBytes, Int(min(seconds, 1) * plausibleRate)))
        return max(least, Int(min(rate * seconds * roundTrips, 1e9)))
    }

    /// `count` bytes came. True when `bytes` may have changed.
    mutating func received(_ count: Int, now: Tick, roundTrip: () -> Tick.Span?) -> Bool {
        receivedInSpan += count
        let passed = now - spanStart
        guard passed >= Self.span else { return false }
        let isStream = receivedInSpan - count >= Self.noticeable
        let rate = isStream ? Double(receivedInSpan) / passed.seconds : 0
        if isStream {
            bytes = roundTrip().map { Self.need(rate: min(rate, lastRate), roundTrip: $0) } ?? Self.unmeasuredBytes
        }
        lastRate = rate
        spanStart = now
        receivedInSpan = isStream ? 0 : count
        return isStream
    }
}
