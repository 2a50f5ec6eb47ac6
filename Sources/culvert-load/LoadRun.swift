internal import CulvertIO
internal import Glibc

/// The control thread of a run: starts the threads, starts the clock, looks at the watched processes, and puts the
/// results together.
struct LoadRun {
    struct WatchedFigures {
        let process: WatchedProcess
        /// Before the first connection, when all were made, and at the bounds of the measured time; nil where it had
        /// ended.
        var before: WatchedProcess.Reading?
        var connected: WatchedProcess.Reading?
        var start: WatchedProcess.Reading?
        var end: WatchedProcess.Reading?
    }

    struct Outcome {
        var result = ThreadResult()
        var watched: [WatchedFigures]
        /// How long it took to make the connections.
        var connecting = Tick.Span.zero
        let driver: DriverKind
        var wasInterrupted = false
    }

    let workload: Workload
    let signals: SignalSource
    let group: ClientContext
    let showsProgress: Bool
    private var outcome: Outcome
    private let began = Tick.current()
    private var ready = 0
    private var done = 0
    private var deadlines: [(moment: Tick, path: WritableKeyPath<WatchedFigures, WatchedProcess.Reading?>)] = []
    private var pending: [ProgressPart] = []
    private var clockStarted: Tick?

    private struct ProgressPart {
        let figures: Figures
        let mean: Double?
        let longest: UInt64?
        let troubles: Int
    }

    /// Runs the workload to its end. Throws where the system refuses what it needs.
    static func run(_ workload: Workload, _ io: DriverOption, watched: [WatchedProcess], showsProgress: Bool) throws
        -> Outcome
    {
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP])
        let limit = HostProcess.raiseDescriptorLimit()
        // Rings, mailboxes, standard files.
        let needed = workload.connections + 32 + 4 * workload.threads
        guard needed <= limit else {
            throw Complaint(
                "\(workload.connections) connections need \(needed) open files, and the limit is \(limit):"
                    + " raise the hard limit (ulimit -Hn), or give fewer with --connections", exit: .system)
        }
        let kind = try io.kind()
        let context = ClientContext(
            workload: workload, mailboxes: try (0..<workload.threads).map { _ in try Mailbox() },
            control: try Mailbox(), descriptorLimit: limit, tellsProgress: showsProgress)
        var run = LoadRun(workload, signals, context, showsProgress, kind, watched)
        return try run.run(kind)
    }

    private init(
        _ workload: Workload, _ signals: SignalSource, _ group: ClientContext, _ showsProgress: Bool,
        _ kind: DriverKind, _ watched: [WatchedProcess]
    ) {
        self.workload = workload
        self.signals = signals
        self.group = group
        self.showsProgress = showsProgress
        outcome = Outcome(
            watched: watched.map { WatchedFigures(process: $0, before: $0.read()) }, driver: kind)
    }

    private mutating func run(_ kind: DriverKind) throws -> Outcome {
        let context = group
        try LoadThreads.start(workload.threads, "load", failed: { context.control.post(.failed($0)) }) {
            number throws(IOError) in try context.run(number, kind)
        }
        while done < workload.threads {
            _ = Wait.forReadable(
                [group.control.descriptor, signals.descriptor], until: deadlines.map(\.moment).min())
            let now = Tick.current()
            while let index = deadlines.firstIndex(where: { $0.moment <= now }) {
                look(deadlines.remove(at: index).path)
            }
            try readMailbox()
            while signals.next() != nil {
                if outcome.wasInterrupted {
                    throw Complaint("interrupted twice: left without a report", exit: .trouble)
                }
                outcome.wasInterrupted = true
                // What has not been looked at yet is looked at now: the measured time ends here.
                for each in deadlines { look(each.path) }
                deadlines = []
                for mailbox in group.mailboxes { mailbox.post(.stop) }
            }
        }
        // Every connection failed before its time.
        for each in deadlines { look(each.path) }
        if showsProgress { Output.show(progress: "") }
        return outcome
    }

    private mutating func look(_ path: WritableKeyPath<WatchedFigures, WatchedProcess.Reading?>) {
        for index in outcome.watched.indices {
            outcome.watched[index][keyPath: path] = outcome.watched[index].process.read()
        }
    }

    private mutating func readMailbox() throws(IOError) {
        for report in group.control.takeAll() {
            switch report {
            case .ready:
                ready += 1
                if ready == workload.threads { startClock() }
            case .progress(_, let figures, let mean, let longest, let troubles):
                pending.append(ProgressPart(figures: figures, mean: mean, longest: longest, troubles: troubles))
                if pending.count >= workload.threads - done { showProgress() }
            case .done(_, let result):
                done += 1
                outcome.result.add(result)
            case .failed(let error): throw error
            }
        }
    }

    private mutating func startClock() {
        let now = Tick.current()
        outcome.connecting = now - began
        look(\.connected)
        deadlines = [
            (now + workload.warmup, \.start), (now + workload.warmup + workload.duration, \.end),
        ]
        clockStarted = now
        for mailbox in group.mailboxes { mailbox.post(.begin(now)) }
    }

    private mutating func showProgress() {
        let parts = pending
        pending = []
        guard showsProgress, let clockStarted else { return }
        let sum = parts.reduce(Figures()) { $0 + $1.figures }
        let elapsed = (Tick.current() - clockStarted).seconds
        var words = ["\(Int(elapsed.rounded())) s" + (elapsed < workload.warmup.seconds + 0.5 ? " (warming up)" : "")]
        if sum.bytesUp > 0 { words.append("up " + Amounts.rate(Double(sum.bytesUp))) }
        if sum.bytesDown > 0 { words.append("down " + Amounts.rate(Double(sum.bytesDown))) }
        if workload.exchanges {
            words.append("\(sum.answers) answers/s")
            let means = parts.compactMap(\.mean)
            if !means.isEmpty, let longest = parts.compactMap(\.longest).max() {
                let mean = means.reduce(0, +) / Double(means.count)
                words.append("mean \(Amounts.latency(mean)), longest \(Amounts.latency(Double(longest)))")
            }
        }
        let troubles = parts.reduce(0) { $0 + $1.troubles }
        if troubles > 0 { words.append("\(troubles) errors") }
        Output.show(progress: words.joined(separator: "   "))
    }
}
