internal import Histogram

/// Latencies in nanoseconds, to three digits.
struct Latencies: Sendable {
    /// Far beyond any time-out: what is longer is recorded as this.
    static let highest: UInt64 = 3_600_000_000_000
    static let digits: Int8 = 3

    private var histogram = Histogram<UInt64>(
        highestTrackableValue: Self.highest, numberOfSignificantValueDigits: .three)

    var count: UInt64 { histogram.totalCount }

    mutating func record(nanoseconds: Int64) {
        _ = histogram.record(min(UInt64(max(1, nanoseconds)), Self.highest))
    }

    mutating func add(_ other: Latencies) { histogram.add(other.histogram) }

    mutating func reset() { histogram.reset() }

    /// nil while nothing was recorded.
    func percentile(_ percent: Double) -> UInt64? {
        count == 0 ? nil : histogram.valueAtPercentile(percent)
    }

    var mean: Double? { count == 0 ? nil : histogram.mean }
    var longest: UInt64? { count == 0 ? nil : histogram.max }

    /// Every bucket in which something was recorded, in order: its index in HdrHistogram's array of counts, and how
    /// many.
    func forEachCount(_ body: (Int, UInt64) -> Void) {
        for each in histogram.recordedValues() { body(Self.index(each.value), each.count) }
    }

    /// Three digits take buckets of 2048 sub-buckets, of which all but the first use their upper 1024.
    static func index(_ value: UInt64) -> Int {
        let bucket = (64 - (value | 2047).leadingZeroBitCount) - 11
        return (bucket + 1) << 10 + Int(value >> UInt64(bucket)) - 1024
    }
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
