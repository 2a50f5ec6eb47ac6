internal import CulvertIO

/// Bytes and answers up to some moment.
struct Figures: Sendable {
    var bytesUp: UInt64 = 0
    var bytesDown: UInt64 = 0
    /// Requests answered whole.
    var answers: UInt64 = 0
    /// Answers: as many, unless a request has several.
    var pieces: UInt64 = 0

    static func + (left: Figures, right: Figures) -> Figures {
        Figures(
            bytesUp: left.bytesUp + right.bytesUp, bytesDown: left.bytesDown + right.bytesDown,
            answers: left.answers + right.answers,
            pieces: left.pieces + right.pieces)
    }

    static func - (left: Figures, right: Figures) -> Figures {
        Figures(
            bytesUp: left.bytesUp - right.bytesUp, bytesDown: left.bytesDown - right.bytesDown,
            answers: left.answers - right.answers,
            pieces: left.pieces - right.pieces)
    }
}

/// What one thread has measured; of several threads, their sum.
struct ThreadResult: Sendable {
    /// Within the measured time.
    var measured = Figures()
    /// How long that was: less than asked for when every connection had failed, or it was interrupted.
    var elapsed = Tick.Span.zero
    /// Of requests that began within the measured time.
    var latencies = Latencies()
    /// Of those whose answer was one of the larger ones; they are not among `latencies`.
    var bulkLatencies = Latencies()
    var troubles = TroubleCount()
    /// Requests that were begun and never answered.
    var unanswered: UInt64 = 0
    /// What the threads took of the processors within the measured time.
    var processorSeconds = 0.0
    /// The largest share of the measured time that one thread took of a processor: near 1, it was the bottleneck.
    var busiest = 0.0
    /// Connections that were made.
    var connected = 0
    /// Connections whose every byte, both ways, was checked up to their end.
    var verified = 0

    mutating func add(_ other: ThreadResult) {
        measured = measured + other.measured
        elapsed = max(elapsed, other.elapsed)
        latencies.add(other.latencies)
        bulkLatencies.add(other.bulkLatencies)
        troubles.add(other.troubles)
        unanswered += other.unanswered
        processorSeconds += other.processorSeconds
        busiest = max(busiest, other.busiest)
        connected += other.connected
        verified += other.verified
    }
}

/// What a thread is told.
enum ClientMessage: Sendable {
    /// The clock starts.
    case begin(Tick)
    /// Ends before its time.
    case stop
}

/// What a thread tells.
enum ClientReport: Sendable {
    /// Every connection is made or has failed.
    case ready
    /// What came to pass since the last such report.
    case progress(part: Int, ProgressFigures)
    /// The next interval is over.
    case interval(part: Int, thread: Int, IntervalFigures)
    case done(part: Int, thread: Int, ThreadResult)
    case failed(IOError)
}
