internal import ArgumentParser
internal import CulvertIO

/// What every workload can be told.
struct CommonOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Where 'culvert-load serve' can be reached.", valueName: "host:port"))
    var target: String

    @Option(help: "Connections.", transform: Amounts.connections) var connections: Int?
    @Option(help: "How long is measured (10s).", transform: Amounts.duration) var duration: Tick.Span?
    @Option(help: "How long the load runs before that (1s).", transform: Amounts.time) var warmup: Tick.Span?
    @Option(
        help: "Threads (as many as there are processors, and at most one a connection).", transform: Amounts.threads)
    var threads: Int?
    @Option(help: "Chooses the payload.") var seed: UInt64 = 1
    @Option(
        help: "A connection that should move and does not is given up after so long (10s).",
        transform: Amounts.duration)
    var timeout: Tick.Span?
    @Option(
        help: ArgumentHelp(
            "A process whose processor time and memory are told, too; may be repeated.", valueName: "pid"))
    var watchPid: [Int32] = []
    @Flag(help: "One JSON object in place of the table.") var json = false
    @Option(help: "The kernel's interface.") var io = DriverOption.auto

    /// Everything but the kind, resolved and checked.
    func workload(_ kind: Workload.Kind, connections standard: Int) throws -> Workload {
        var workload = Workload(kind: kind, target: try Self.resolve(target))
        workload.connections = connections ?? standard
        if kind == .idle { workload.connections += 1 }
        workload.threads = min(
            workload.connections, threads ?? Thread.processors(startingAt: 0).count)
        workload.seed = seed
        if let duration { workload.duration = duration }
        if let warmup { workload.warmup = warmup }
        if let timeout { workload.timeout = timeout }
        return workload
    }

    func run(_ workload: Workload, _ command: String) throws {
        let watched = try watchPid.map { identifier in
            guard let process = WatchedProcess(identifier) else {
                throw Complaint("--watch-pid \(identifier): there is no such process", exit: .usage)
            }
            return process
        }
        let outcome = try LoadRun.run(workload, io, watched: watched, showsProgress: Output.isTerminal)
        let report = Report(command: command, workload: workload, outcome: outcome)
        Output.say(json ? report.json : report.table)
        if report.hasTrouble { throw Complaint("", exit: .trouble) }
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
    @Option(help: "Bytes of a request (64).", transform: Amounts.size) var requestSize: Int?
    @Option(help: "Bytes of an answer (64).", transform: Amounts.size) var responseSize: Int?

    func apply(to workload: inout Workload) {
        if let requestSize { workload.requestSize = requestSize }
        if let responseSize { workload.responseSize = responseSize }
    }
}

extension StreamDirection: ExpressibleByArgument {}

/// `culvert-load stream`.
struct StreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream", abstract: "Payload as fast as it goes, up, down or both ways at once.",
        usage: "culvert-load stream <host:port> [options]",
        discussion: """
            Examples:
              culvert-load stream 127.0.0.1:9000
              culvert-load stream 127.0.0.1:9000 --direction down --duration 30s
              culvert-load stream 127.0.0.1:9000 --direction both --watch-pid 4711 --json
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Which way, as seen from here.") var direction = StreamDirection.up

    func run() throws {
        try common.run(try common.workload(.stream(direction), connections: 1), "stream \(direction.rawValue)")
    }
}

/// `culvert-load request`.
struct RequestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "Requests and answers over connections that stay.",
        usage: "culvert-load request <host:port> [options]",
        discussion: """
            Without --rate each connection keeps --depth requests under way. With --rate requests are due at even \
            distances whatever becomes of the answers, and latency counts from when a request was due: a stall shows in \
            every request that it held up.

            Examples:
              culvert-load request 127.0.0.1:9000 --connections 50
              culvert-load request 127.0.0.1:9000 --depth 16 --response-size 4K
              culvert-load request 127.0.0.1:9000 --connections 10 --rate 5000
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var exchange: ExchangeOptions
    @Option(help: "Requests under way on a connection (1).", transform: Amounts.depth) var depth: Int?
    @Option(help: "Requests a second, of all connections together.", transform: Amounts.rate) var rate: Double?

    func validate() throws {
        if depth != nil && rate != nil {
            throw ValidationError("--depth and --rate: at a rate as many are under way as there are: leave --depth out")
        }
    }

    func run() throws {
        var workload = try common.workload(.request(depth: depth ?? 1), connections: 1)
        exchange.apply(to: &workload)
        workload.rate = rate
        try common.run(workload, "request")
    }
}

/// `culvert-load churn`.
struct ChurnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn", abstract: "A connection for every request: connect, one exchange, end.",
        usage: "culvert-load churn <host:port> [options]",
        discussion: """
            As many as --connections are open at once; without --rate the next one begins when one has ended. Latency \
            counts from the beginning of the connection, with --rate from when it was due, to the end of the answer.

            Examples:
              culvert-load churn 127.0.0.1:9000 --connections 8
              culvert-load churn 127.0.0.1:9000 --connections 100 --rate 500
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var exchange: ExchangeOptions
    @Option(help: "Connections a second.", transform: Amounts.rate) var rate: Double?

    func run() throws {
        var workload = try common.workload(.churn, connections: 1)
        exchange.apply(to: &workload)
        workload.rate = rate
        try common.run(workload, "churn")
    }
}

/// `culvert-load idle`.
struct IdleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idle", abstract: "Connections that are held and do nothing, beside one that makes requests.",
        usage: "culvert-load idle <host:port> [options]",
        discussion: """
            As many as --connections (100) are held, and one more makes one request after the other. With \
            --watch-pid the memory of a process is told before they were opened and while they are held.

            Example:
              culvert-load idle 127.0.0.1:9000 --connections 1000 --watch-pid 4711
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var exchange: ExchangeOptions

    func run() throws {
        var workload = try common.workload(.idle, connections: 100)
        exchange.apply(to: &workload)
        try common.run(workload, "idle")
    }
}
