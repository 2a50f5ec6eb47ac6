internal import CulvertIO

/// How much may be sealed and unsent on a link: two packets, or 5 ms at its measured rate, whichever is more. What is
/// not sealed yet can still be overtaken by a flow that matters more.
struct SealAhead: BitwiseCopyable {
    static let leastBytes = 64 * 1024
    static let mostBytes = 1024 * 1024
    private static let span = Tick.Span.milliseconds(5)
    /// A rate is taken over at least this long.
    private static let window = Tick.Span.milliseconds(50)

    private(set) var bytes = 512 * 1024
    private var windowStart: Tick
    private var sentInWindow = 0
    private var wasFull = false

    init(now: Tick) { windowStart = now }

    /// `count` bytes were sent; `isFull`: the socket then took no more. True when `bytes` has changed noticeably and
    /// the socket's low-water mark should follow.
    mutating func sent(_ count: Int, isFull: Bool, now: Tick) -> Bool {
        sentInWindow += count
        wasFull = wasFull || isFull
        let passed = now - windowStart
        guard passed >= Self.window else { return false }
        defer {
            windowStart = now
            sentInWindow = 0
            wasFull = false
        }
        // Only a link that was held back by its socket shows its rate; another one shows its sources'.
        guard wasFull, passed < .milliseconds(500) else { return false }
        let rate = Double(sentInWindow) / passed.seconds
        let target = min(Self.mostBytes, max(Self.leastBytes, Int(rate * Self.span.seconds)))
        let smoothed = (bytes + target) / 2
        let isNoticeable = abs(smoothed - bytes) > bytes / 8
        bytes = smoothed
        return isNoticeable
    }
}
