internal import CulvertIO

/// What one thread measured in one interval.
struct IntervalFigures: Sendable {
    /// From the beginning of the measured time on.
    let number: Int
    /// Seconds from the beginning of the measured time.
    let start: Double
    let seconds: Double
    let figures: Figures
    /// Of requests that were answered in it, and had begun in the measured time. Bulk answers are not among them.
    let latencies: Latencies
}

/// The measured time of one thread: the interval that it is in.
struct ThreadTimeline {
    private let begin: Tick
    private let length: Tick.Span
    private var number = 0
    private var start: Tick
    private var before: Figures
    /// When the interval is over.
    private(set) var next: Tick
    var latencies = Latencies()

    init(start: Tick, length: Tick.Span, _ total: Figures) {
        begin = start
        self.start = start
        self.length = length
        before = total
        next = start + length
    }

    /// Ends the interval at `now`, and begins the next one.
    mutating func take(until now: Tick, _ total: Figures) -> IntervalFigures {
        let taken = IntervalFigures(
            number: number, start: (start - begin).seconds, seconds: (now - start).seconds, figures: total - before,
            latencies: latencies)
        number += 1
        start = now
        before = total
        next = begin + Tick.Span(nanoseconds: length.nanoseconds * Int64(number + 1))
        latencies.reset()
        return taken
    }
}

/// The measured time of one workload, interval by interval: what its threads tell, put together.
///
/// Invariant: an interval is complete when every thread has told it, or is done; they complete in order.
struct Timeline {
    struct Interval {
        var start: Double
        var seconds: Double
        var figures = Figures()
        var latencies = Latencies()
    }

    /// Short runs are looked at more closely.
    static func length(of duration: Tick.Span) -> Tick.Span {
        .milliseconds(duration <= .seconds(20) ? 100 : 1000)
    }

    private var pending: [Int: Interval] = [:]
    /// How many intervals each thread has told.
    private var told: [Int]
    private var completed = 0

    init(threads: Int) { told = [Int](repeating: 0, count: threads) }

    mutating func add(_ told: IntervalFigures, from thread: Int) {
        precondition(told.number == self.told[thread], "a thread tells every interval, in order")
        self.told[thread] += 1
        var interval = pending[told.number] ?? Interval(start: told.start, seconds: told.seconds)
        interval.start = min(interval.start, told.start)
        interval.seconds = max(interval.seconds, told.seconds)
        interval.figures = interval.figures + told.figures
        interval.latencies.add(told.latencies)
        pending[told.number] = interval
    }

    /// This thread tells nothing more.
    mutating func end(_ thread: Int) { told[thread] = .max }

    /// The next complete interval.
    mutating func takeComplete() -> Interval? {
        guard told.allSatisfy({ $0 > completed }), let interval = pending.removeValue(forKey: completed) else {
            return nil
        }
        completed += 1
        return interval
    }
}
