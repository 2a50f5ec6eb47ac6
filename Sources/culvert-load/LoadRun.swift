internal import CulvertIO
internal import Glibc

/// One workload of a run, and how it is told in reports.
struct LoadPart: Sendable {
    var label: String
    var workload: Workload
}

/// The control thread of a run: starts the threads of every part, starts the clock, looks at the watched processes, and
/// puts the results together. Each part has threads of its own, so that one part's long turn holds up no other.
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
        var parts: [PartOutcome]
        var watched: [WatchedFigures]
        /// How long it took to make the connections.
        var connecting = Tick.Span.zero
        let driver: DriverKind
        var wasInterrupted = false
        /// Of every part, where intervals were asked for.
        var points: [[IntervalRecorder.Point]] = []
    }

    struct PartOutcome {
        let part: LoadPart
        var result = ThreadResult()
    }

    let showsProgress: Bool
    private let signals: SignalSource
    private let groups: [ClientContext]
    private let control: Mailbox<ClientReport>
    private let threads: Int
    private var outcome: Outcome
    private var progress: ProgressLine
    private var recorder: IntervalRecorder?
    private let began = Tick.current()
    private var ready = 0
    private var done = 0
    private var deadlines: [(moment: Tick, path: WritableKeyPath<WatchedFigures, WatchedProcess.Reading?>)] = []

    /// Runs the parts together to their end; they have the same times. Throws where the system refuses what it needs.
    static func run(
        _ parts: [LoadPart], _ io: DriverOption, watched: [WatchedProcess], showsProgress: Bool,
        recorder: IntervalRecorder?
    ) throws -> Outcome {
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP])
        let limit = HostProcess.raiseDescriptorLimit()
        let connections = parts.reduce(0) { $0 + $1.workload.connections }
        // Rings, mailboxes, standard files.
        let needed = connections + 32 + 4 * parts.reduce(0) { $0 + $1.workload.threads }
        guard needed <= limit else {
            throw Complaint(
                "\(connections) connections need \(needed) open files, and the limit is \(limit):"
                    + " raise the hard limit (ulimit -Hn), or give fewer with --connections", exit: .system)
        }
        let kind = try io.kind()
        let control = try Mailbox<ClientReport>()
        let groups = try parts.enumerated().map { number, part in
            ClientContext(
                part: number, workload: part.workload,
                mailboxes: try (0..<part.workload.threads).map { _ in try Mailbox() }, control: control,
                descriptorLimit: limit, tellsProgress: showsProgress,
                interval: recorder == nil ? nil : Timeline.length(of: part.workload.duration))
        }
        var run = LoadRun(parts, signals, groups, control, showsProgress, kind, watched, recorder)
        return try run.run(kind)
    }

    private init(
        _ parts: [LoadPart], _ signals: SignalSource, _ groups: [ClientContext], _ control: Mailbox<ClientReport>,
        _ showsProgress: Bool, _ kind: DriverKind, _ watched: [WatchedProcess],
        _ recorder: IntervalRecorder?
    ) {
        self.signals = signals
        self.groups = groups
        self.control = control
        self.showsProgress = showsProgress
        self.recorder = recorder
        threads = parts.reduce(0) { $0 + $1.workload.threads }
        progress = ProgressLine(parts)
        outcome = Outcome(
            parts: parts.map { PartOutcome(part: $0) },
            watched: watched.map { WatchedFigures(process: $0, before: $0.read()) }, driver: kind)
    }

    private mutating func run(_ kind: DriverKind) throws -> Outcome {
        let control = control
        for group in groups {
            // Threads of several parts share the processors: the kernel deals them out.
            try LoadThreads.start(
                group.workload.threads, "load-\(group.part)", pinned: groups.count == 1 && group.workload.threads > 1,
                failed: { control.post(.failed($0)) }
            ) { number throws(IOError) in try group.run(number, kind) }
        }
        while done < threads {
            _ = Wait.forReadable([control.descriptor, signals.descriptor], until: deadlines.map(\.moment).min())
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
                tell(.stop)
            }
        }
        // Every connection failed before its time.
        for each in deadlines { look(each.path) }
        if showsProgress { Output.show(progress: "") }
        outcome.points = recorder?.points ?? []
        return outcome
    }

    private func tell(_ message: ClientMessage) {
        for group in groups { for mailbox in group.mailboxes { mailbox.post(message) } }
    }

    private mutating func look(_ path: WritableKeyPath<WatchedFigures, WatchedProcess.Reading?>) {
        for index in outcome.watched.indices {
            outcome.watched[index][keyPath: path] = outcome.watched[index].process.read()
        }
    }

    private mutating func readMailbox() throws {
        for report in control.takeAll() {
            switch report {
            case .ready:
                ready += 1
                if ready == threads { try startClock() }
            case .progress(let part, let figures):
                if let line = progress.take(figures, of: part, from: threads - done) { Output.show(progress: line) }
            case .interval(let part, let thread, let figures):
                try recorder?.add(figures, part: part, thread: thread)
            case .done(let part, let thread, let result):
                try recorder?.end(part: part, thread: thread)
                done += 1
                outcome.parts[part].result.add(result)
            case .failed(let error): throw error
            }
        }
    }

    private mutating func startClock() throws {
        let now = Tick.current()
        outcome.connecting = now - began
        look(\.connected)
        let workload = groups[0].workload
        deadlines = [
            (now + workload.warmup, \.start), (now + workload.warmup + workload.duration, \.end),
        ]
        progress.start(now)
        try recorder?.begin(in: workload.warmup)
        tell(.begin(now))
    }
}
