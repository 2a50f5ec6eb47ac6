internal import CulvertIO

/// How large a window the streams of a link can use. More than what comes in during a few round trips does not make them
/// faster; it makes the server read ahead of its link into megabytes that no cache holds, which cost a fast stream between
/// neighbours a fifth of its throughput, and a slow one most of it. A slow one may be slow because the path is longer than
/// TCP can see (through another tunnel, say): its windows have a larger least.
struct WindowNeed: BitwiseCopyable {
    /// Enough wherever the path is short, and what OpenSSH grants everywhere, bytes.
    static let leastBytes = 2 * 1024 * 1024
    /// Of a slow stream: 335 Mbit/s over a path of 100 ms that TCP does not see. sshd moves all that it has read ahead for
    /// each 32 KiB more: with windows of 15 MiB it had no time left for a link of 50 Mbit/s, which came to a third of that.
    static let slowLeastBytes = 4 * 1024 * 1024
    /// Of an empty path: one for the way there and back, the others for queues, for what the two ends take besides, and
    /// for growing.
    private static let roundTrips = 4.0
    /// From here on a stream is fast, bytes a second: what the least window carries over a round trip of 10 ms.
    private static let fast = 200e6
    /// How long a stream must be fast to count as such: not long enough for a window to outgrow the need meanwhile.
    private static let fastSpan = Tick.Span.milliseconds(5)
    /// And how long it must not have been. A stream that its window holds back comes in bursts, which may be fast.
    private static let slowSpan = Tick.Span.milliseconds(50)
    /// Less than this before a pause was no stream, and what comes after it begins anew, bytes.
    private static let noticeable = 64 * 1024

    private(set) var bytes = leastBytes
    private var spanStart = Tick(nanoseconds: 0)
    private var receivedInSpan = 0

    /// `count` bytes came. True when `bytes` may have changed. Without a round trip (the stream is not TCP) there is no
    /// bound either.
    mutating func received(_ count: Int, now: Tick, roundTrip: () -> Tick.Span?) -> Bool {
        let passed = now - spanStart
        if passed >= Self.slowSpan && receivedInSpan < Self.noticeable {
            spanStart = now
            receivedInSpan = count
            return false
        }
        receivedInSpan += count
        let rate = Double(receivedInSpan) / passed.seconds
        if passed >= Self.fastSpan && rate >= Self.fast {
            bytes = Self.need(rate, roundTrip(), least: Self.leastBytes)
        } else if passed >= Self.slowSpan {
            bytes = Self.need(rate, roundTrip(), least: Self.slowLeastBytes)
        } else {
            return false
        }
        spanStart = now
        receivedInSpan = 0
        return true
    }

    private static func need(_ rate: Double, _ roundTrip: Tick.Span?, least: Int) -> Int {
        roundTrip.map { max(least, Int(min(rate * $0.seconds * roundTrips, 1e9))) } ?? .max
    }
}
