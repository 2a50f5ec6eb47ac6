internal import CulvertIO

/// How large a window the streams of a link can use. More than what comes in during two round trips does not make them
/// faster: it makes the server read ahead of its link into megabytes that it moves for each 32 KiB more. With windows of
/// 15 MiB sshd had no time left to fill a link of 50 Mbit/s, and one of 1 Gbit/s over 100 ms carried a fifth of what it
/// carries now.
struct WindowNeed: BitwiseCopyable {
    /// Enough wherever the path is short, and what OpenSSH grants everywhere, bytes.
    static let leastBytes = 2 * 1024 * 1024
    /// Where the path cannot be measured, because the link is no TCP connection, bytes: 335 Mbit/s over 100 ms.
    static let unmeasuredBytes = 4 * 1024 * 1024
    /// Of an empty path: one for the way there and back, the other for growing; a stream that its window holds back shows
    /// how much it may at least use, and so doubles it.
    private static let roundTrips = 2.0
    private static let span = Tick.Span.milliseconds(50)
    /// Less than this before a pause was no stream, and what comes after it begins anew, bytes.
    private static let noticeable = 64 * 1024

    private(set) var bytes = leastBytes
    private var spanStart = Tick(nanoseconds: 0)
    private var receivedInSpan = 0
    /// Of the span before, bytes a second: what came once may have waited for a reader, and says nothing about the path.
    private var lastRate = 0.0

    /// `count` bytes came. True when `bytes` may have changed.
    mutating func received(_ count: Int, now: Tick, roundTrip: () -> Tick.Span?) -> Bool {
        receivedInSpan += count
        let passed = now - spanStart
        guard passed >= Self.span else { return false }
        let isStream = receivedInSpan - count >= Self.noticeable
        let rate = isStream ? Double(receivedInSpan) / passed.seconds : 0
        if isStream {
            let steady = min(rate, lastRate)
            bytes =
                roundTrip().map { max(Self.leastBytes, Int(min(steady * $0.seconds * Self.roundTrips, 1e9))) }
                ?? Self.unmeasuredBytes
        }
        lastRate = rate
        spanStart = now
        receivedInSpan = isStream ? 0 : count
        return isStream
    }
}
