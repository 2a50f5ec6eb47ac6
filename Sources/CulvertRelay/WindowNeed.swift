internal import CulvertIO

/// How large a window the streams of a link can use: what comes in during a few round trips. More does not make them
/// faster; it makes the server read ahead of its link into megabytes that no cache holds, which cost a stream between
/// neighbours a fifth of its throughput.
struct WindowNeed: BitwiseCopyable {
    /// Enough wherever the path is short, and what OpenSSH grants everywhere, bytes.
    static let leastBytes = 2 * 1024 * 1024
    /// Of an empty path: one for the way there and back, the others for queues, for what the two ends take besides, and
    /// for growing.
    private static let roundTrips = 4.0
    /// A rate is taken over at least this long.
    private static let window = Tick.Span.milliseconds(50)

    private(set) var bytes = leastBytes
    private var windowStart = Tick(nanoseconds: 0)
    private var receivedInWindow = 0

    /// `count` bytes came. True when `bytes` may have changed. No round trip (the stream is not TCP) sets no bound.
    mutating func received(_ count: Int, now: Tick, roundTrip: () -> Tick.Span?) -> Bool {
        receivedInWindow += count
        let passed = now - windowStart
        guard passed >= Self.window else { return false }
        if let trip = roundTrip() {
            let inTrips = Double(receivedInWindow) / passed.seconds * trip.seconds * Self.roundTrips
            // A stream that its window holds back comes in bursts: one quiet moment says little.
            bytes = max(Self.leastBytes, bytes - bytes / 8, Int(min(inTrips, 1e9)))
        } else {
            bytes = .max
        }
        windowStart = now
        receivedInWindow = 0
        return true
    }
}
