/// How many completions a wait is for. With many busy sockets one wake that finds a batch costs less than a wake for
/// each; with few, waiting for more would only add to the round trip, so a wait is then for the first one.
struct WakeGathering {
    /// A wait gathers for at most this long; then the first completion ends it.
    static let microseconds: UInt32 = 20
    /// Below this many completions a wake, on average, nothing is gathered.
    static let busy = 8
    /// A wait is for at most this many: the rest of a batch is found by the next turn.
    static let most = 64

    private let isSupported: Bool
    /// Completions a wake, times 16: an average over about eight wakes.
    private var average = 0

    init(isSupported: Bool) { self.isSupported = isSupported }

    mutating func woke(_ completions: Int) { average += (completions * 16 - average) / 8 }

    var expected: UInt32 {
        guard isSupported, average >= Self.busy * 16 else { return 1 }
        return UInt32(min(Self.most, average / 8))
    }
}
