internal import CulvertIO
internal import Glibc

/// Where to a run's intervals are written, and what of them is kept.
///
/// Invariant: only sums and a few percentiles are kept of an interval, so a long run takes little memory.
struct IntervalRecorder {
    struct Point: Sendable {
        /// Seconds from the beginning of the measured time, at the interval's middle.
        let middle: Double
        let seconds: Double
        let figures: Figures
    }

    private let parts: [LoadPart]
    private let log: HistogramLog?
    private var timelines: [Timeline]
    private(set) var points: [[Point]]

    init(_ parts: [LoadPart], log: HistogramLog?) {
        self.parts = parts
        self.log = log
        timelines = parts.map { Timeline(threads: $0.workload.threads) }
        points = parts.map { _ in [] }
    }

    /// The measured time begins in so long.
    func begin(in warmup: Tick.Span) throws {
        var now = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
        try log?.begin(Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 + warmup.seconds)
    }

    mutating func add(_ figures: IntervalFigures, part: Int, thread: Int) throws {
        timelines[part].add(figures, from: thread)
        try takeComplete(part)
    }

    mutating func end(part: Int, thread: Int) throws {
        timelines[part].end(thread)
        try takeComplete(part)
    }

    private mutating func takeComplete(_ part: Int) throws {
        while let interval = timelines[part].takeComplete() {
            points[part].append(
                Point(
                    middle: interval.start + interval.seconds / 2, seconds: interval.seconds,
                    figures: interval.figures))
            guard parts[part].workload.exchanges else { continue }
            try log?.add(interval, tag: parts.count > 1 ? Self.tag(part, parts[part].label) : nil)
        }
    }

    /// A tag ends at a comma.
    private static func tag(_ part: Int, _ label: String) -> String {
        "\(part + 1)-" + label.map { $0 == " " || $0 == "," ? "-" : String($0) }.joined()
    }
}
