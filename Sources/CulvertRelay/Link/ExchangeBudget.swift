internal import CulvertIO

/// How many key exchanges a server may begin. Each has us calculate for up to 16 ms, while the worker's other links wait, and
/// OpenSSH bounds their size and not their number.
///
/// A server whose RekeyLimit is short exchanges keys with every packet, of either direction: so what is carried counts, and a
/// link that stood long has many to spend at once. No server can make us send.
struct ExchangeBudget {
    static let most = 1000.0
    static let perSecond = 20.0
    /// Bytes that are carried between two exchanges which begin for their sake.
    static let bytesEach = 8.0 * 1024

    private var left = Self.most
    private var since: Tick
    private var carried: UInt64 = 0
    private var begun: UInt64 = 0

    init(now: Tick) { since = now }

    /// `begun`: how many the server has begun so far; `carried`: bytes sent and received so far. False: it is too many.
    mutating func allows(_ begun: UInt64, _ now: Tick, carried: UInt64) -> Bool {
        guard begun > self.begun else { return true }
        let gain = (now - since).seconds * Self.perSecond + Double(carried - self.carried) / Self.bytesEach
        left = min(Self.most, left + gain) - Double(begun - self.begun)
        (since, self.carried, self.begun) = (now, carried, begun)
        return left >= 0
    }
}
