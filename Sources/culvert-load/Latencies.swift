internal import Histogram

/// Latencies in nanoseconds, to three digits.
struct Latencies: Sendable {
    /// Far beyond any time-out: what is longer is recorded as this.
    private static let longest: UInt64 = 3_600_000_000_000

    private var histogram = Histogram<UInt64>(
        highestTrackableValue: Self.longest, numberOfSignificantValueDigits: .three)

    var count: UInt64 { histogram.totalCount }

    mutating func record(nanoseconds: Int64) {
        _ = histogram.record(min(UInt64(max(1, nanoseconds)), Self.longest))
    }

    mutating func add(_ other: Latencies) { histogram.add(other.histogram) }

    mutating func reset() { histogram.reset() }

    /// nil while nothing was recorded.
    func percentile(_ percent: Double) -> UInt64? {
        count == 0 ? nil : histogram.valueAtPercentile(percent)
    }

    var mean: Double? { count == 0 ? nil : histogram.mean }
    var longest: UInt64? { count == 0 ? nil : histogram.max }
}

/// Moments in the order in which they were put in: when the requests under way on one connection began.
struct MomentQueue: Sendable {
    private var moments: [UInt64] = []
    private var taken = 0

    var count: Int { moments.count - taken }
    var isEmpty: Bool { taken == moments.count }
    var first: UInt64? { isEmpty ? nil : moments[taken] }

    mutating func add(_ moment: UInt64) { moments.append(moment) }

    mutating func takeFirst() -> UInt64 {
        precondition(!isEmpty, "only what was put in is taken out")
        let moment = moments[taken]
        taken += 1
        if taken == moments.count {
            moments.removeAll(keepingCapacity: true)
            taken = 0
        } else if taken >= 4096 && taken * 2 >= moments.count {
            moments.removeFirst(taken)
            taken = 0
        }
        return moment
    }
}
