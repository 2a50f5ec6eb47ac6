internal import ArgumentParser
internal import CulvertIO

/// What a run as a whole can be told: of `mix`, once for all its parts.
struct RunOptions: ParsableArguments {
    @Option(help: "How long is measured (10s).", transform: Amounts.duration) var duration: Tick.Span?
    @Option(help: "How long the load runs before that (1s).", transform: Amounts.time) var warmup: Tick.Span?
    @Option(help: "Chooses the payload (1).") var seed: UInt64?
    @Option(
        help: "A connection that should move and does not is given up after so long (10s).",
        transform: Amounts.duration)
    var timeout: Tick.Span?
    @Option(
        help: ArgumentHelp(
            "A process whose processor time and memory are told, too; may be repeated.", valueName: "pid"))
    var watchPid: [Int32] = []
    @Flag(help: "One JSON object in place of the table.") var json = false
    @Option(
        help: ArgumentHelp("Latencies of every interval as an HdrHistogram log (without bulk).", valueName: "file"))
    var hdr: String?
    @Option(
        help: ArgumentHelp("Throughput over time and latency by percentile as a drawing.", valueName: "file.svg"))
    var plot: String?
    @Option(help: "The kernel's interface (auto).") var io: DriverOption?

    /// What was given and concerns the whole run, not one part of a mix; nil when nothing.
    var givenForAll: String? {
        if duration != nil { return "--duration" }
        if warmup != nil { return "--warmup" }
        if !watchPid.isEmpty { return "--watch-pid" }
        if json { return "--json" }
        if hdr != nil { return "--hdr" }
        if plot != nil { return "--plot" }
        return io == nil ? nil : "--io"
    }

    func apply(to workload: inout Workload) {
        if let duration { workload.duration = duration }
        if let warmup { workload.warmup = warmup }
        if let seed { workload.seed = seed }
        if let timeout { workload.timeout = timeout }
    }

    /// Runs the workloads, and tells what was found. Throws when something of it is wrong.
    func run(_ parts: [LoadPart], isMix: Bool) throws {
        let watched = try watchPid.map { identifier in
            guard let process = WatchedProcess(identifier) else {
                throw Complaint("--watch-pid \(identifier): there is no such process", exit: .usage)
            }
            return process
        }
        if hdr != nil && !parts.contains(where: { $0.workload.exchanges }) {
            throw Complaint("--hdr: a stream has no latencies: leave it out", exit: .usage)
        }
        let log = try hdr.map { try HistogramLog($0) }
        // Made now: that it cannot be is told before the run, not after it.
        let drawing = try plot.map { try OutputFile($0) }
        let recorder = log == nil && drawing == nil ? nil : IntervalRecorder(parts, log: log)
        let outcome = try LoadRun.run(
            parts, io ?? .auto, watched: watched, showsProgress: Output.isTerminal, recorder: recorder)
        let report = Report(outcome: outcome, isMix: isMix)
        try drawing?.write(Plot(report, outcome.points).svg)
        Output.say(json ? report.json : report.table)
        if report.hasTrouble { throw Complaint("", exit: .trouble) }
    }
}

/// What every workload can be told.
struct CommonOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Where 'culvert-load serve' can be reached.", valueName: "host:port"))
    var target: String?

    @Option(help: "Connections.", transform: Amounts.connections) var connections: Int?
    @Option(
        help: "Threads (as many as there are processors, and at most one a connection).", transform: Amounts.threads)
    var threads: Int?
    @OptionGroup var whole: RunOptions

    /// Everything but the kind, resolved and checked. `place` is used where no target was given.
    func workload(_ kind: Workload.Kind, connections standard: Int, _ place: String?) throws -> Workload {
        guard let text = target ?? place else {
            throw Complaint(
                "no target: give host:port of a 'culvert-load serve', for example 127.0.0.1:9000", exit: .usage)
        }
        var workload = Workload(kind: kind, target: try Self.resolve(text))
        workload.connections = connections ?? standard
        if kind == .idle { workload.connections += 1 }
        workload.threads = min(
            workload.connections, threads ?? Thread.processors(startingAt: 0).count)
        whole.apply(to: &workload)
        return workload
    }

    /// `host:port`, an IPv6 address in brackets.
    private static func resolve(_ text: String) throws -> [SocketAddress] {
        let wrong = Complaint(
            "'\(text)': not host:port: give for example 127.0.0.1:9000 or [::1]:9000", exit: .usage)
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { throw wrong }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw wrong
        }
        guard !host.isEmpty else { throw wrong }
        do throws(ResolveError) {
            return try SocketAddress.resolve(host: String(host), port: port)
        } catch {
            throw Complaint(error.description, exit: .usage)
        }
    }
}

/// Sizes of requests and of answers.
struct ExchangeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Bytes of a request (64): \(SizeDistribution.spelling).", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var requestSize: SizeDistribution?
    @Option(
        help: ArgumentHelp("Bytes of an answer (64): the same.", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var responseSize: SizeDistribution?

    func apply(to workload: inout Workload) {
        if let requestSize { workload.sizes.requests = requestSize }
        if let responseSize { workload.sizes.answers = responseSize }
    }
}
