internal import ArgumentParser

/// A subcommand that makes one workload: run by itself, or as a part of a `mix`.
protocol WorkloadCommand: ParsableCommand {
    var common: CommonOptions { get }
    /// How it is told in reports.
    var label: String { get }

    /// `place` is used where no target was given.
    func workload(_ place: String?) throws -> Workload
}

extension WorkloadCommand {
    var label: String { Self.configuration.commandName ?? "" }

    func run() throws {
        try common.whole.run([LoadPart(label: label, workload: try workload(nil))], isMix: false)
    }
}

extension StreamDirection: ExpressibleByArgument {}

/// `culvert-load stream`.
struct StreamCommand: WorkloadCommand {
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

    var label: String { "stream \(direction.rawValue)" }

    func workload(_ place: String?) throws -> Workload {
        try common.workload(.stream(direction), connections: 1, place)
    }
}

/// `culvert-load request`.
struct RequestCommand: WorkloadCommand {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "Requests and answers over connections that stay.",
        usage: "culvert-load request <host:port> [options]",
        discussion: """
            Without --rate each connection keeps --depth requests under way. With --rate requests are due at even \
            distances whatever becomes of the answers, and latency counts from when a request was due: a stall shows in \
            every request that it held up. Sizes from a distribution are chosen by --seed; what a heavy tail would make \
            longer than its most (16M unless given) is that long.

            Examples:
              culvert-load request 127.0.0.1:9000 --connections 50
              culvert-load request 127.0.0.1:9000 --depth 16 --response-size 4K
              culvert-load request 127.0.0.1:9000 --connections 10 --rate 5000
              culvert-load request 127.0.0.1:9000 --response-size lognormal:2K:1.5
              culvert-load request 127.0.0.1:9000 --request-size uniform:50:500
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

    func workload(_ place: String?) throws -> Workload {
        var workload = try common.workload(.request(depth: depth ?? 1), connections: 1, place)
        exchange.apply(to: &workload)
        workload.rate = rate
        return workload
    }
}

/// `culvert-load churn`.
struct ChurnCommand: WorkloadCommand {
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

    func workload(_ place: String?) throws -> Workload {
        var workload = try common.workload(.churn, connections: 1, place)
        exchange.apply(to: &workload)
        workload.rate = rate
        return workload
    }
}

/// `culvert-load idle`.
struct IdleCommand: WorkloadCommand {
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

    func workload(_ place: String?) throws -> Workload {
        var workload = try common.workload(.idle, connections: 100, place)
        exchange.apply(to: &workload)
        return workload
    }
}
