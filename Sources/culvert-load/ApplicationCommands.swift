internal import ArgumentParser

/// `culvert-load vnc`.
struct VNCCommand: WorkloadCommand {
    static let configuration = CommandConfiguration(
        commandName: "vnc", abstract: "A remote screen: small input events up, bursts of updates down.",
        usage: "culvert-load vnc <host:port> [options]",
        discussion: """
            Input events are due at even distances whatever becomes of the updates, and each causes a burst of updates \
            of the screen. Latency counts from when an event was due to the end of the last update that it caused. \
            --event-size and --update-size take what 'culvert-load request' takes for sizes.

            Examples:
              culvert-load vnc 127.0.0.1:5900
              culvert-load vnc 127.0.0.1:5900 --connections 5 --rate 300
              culvert-load vnc 127.0.0.1:5900 --burst 1 --update-size uniform:10K:200K
            """)

    static let eventsASecond = 20.0
    static let updates = SizeDistribution(shape: .lognormal, low: 4096, maximum: 4 << 20, spread: 1600)

    @OptionGroup var common: CommonOptions
    @Option(
        help: "Input events a second, of all connections together (20 for each).", transform: Amounts.rate)
    var rate: Double?
    @Option(
        help: ArgumentHelp("Bytes of an event (uniform:6:8).", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var eventSize: SizeDistribution?
    @Option(
        help: ArgumentHelp("Bytes of an update (\(VNCCommand.updates)).", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var updateSize: SizeDistribution?
    @Option(
        help: "Updates that an event causes (3).",
        transform: { try Amounts.count($0, upTo: ExchangeSizes.maximumAnswers) })
    var burst: Int?

    func workload(_ place: String?) throws -> Workload {
        var workload = try common.workload(.vnc, connections: 1, place)
        workload.sizes = ExchangeSizes(
            requests: eventSize ?? SizeDistribution(shape: .uniform, low: 6, maximum: 8),
            answers: updateSize ?? Self.updates, answersEach: UInt32(burst ?? 3))
        workload.rate = rate ?? Self.eventsASecond * Double(workload.connections)
        return workload
    }
}

/// `culvert-load database`.
struct DatabaseCommand: WorkloadCommand {
    static let configuration = CommandConfiguration(
        commandName: "database",
        abstract: "Small queries; results from a heavy-tailed distribution, some of them bulk.",
        usage: "culvert-load database <host:port> [options]",
        discussion: """
            Without --rate each connection makes one query after the other; with it, queries are due at even distances, \
            and latency counts from when each was due. Of the results --bulk-share are --bulk-size long; they are told \
            by themselves, and are no part of the other results' latency. --query-size and --result-size take what \
            'culvert-load request' takes for sizes.

            Examples:
              culvert-load database 127.0.0.1:5432 --connections 20
              culvert-load database 127.0.0.1:5432 --connections 20 --rate 2000
              culvert-load database 127.0.0.1:5432 --bulk-share 0.001 --bulk-size 64M
            """)

    static let results = SizeDistribution(shape: .lognormal, low: 500, maximum: 1 << 20, spread: 1700)

    @OptionGroup var common: CommonOptions
    @Option(help: "Queries a second, of all connections together.", transform: Amounts.rate) var rate: Double?
    @Option(
        help: ArgumentHelp("Bytes of a query (uniform:40:400).", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var querySize: SizeDistribution?
    @Option(
        help: ArgumentHelp("Bytes of a result (\(DatabaseCommand.results)).", valueName: "sizes"),
        transform: SizeDistribution.init(text:))
    var resultSize: SizeDistribution?
    @Option(help: "Which share of the results is bulk, 0 to 1 (0.01).", transform: Amounts.share) var bulkShare: Double?
    @Option(help: "Bytes of a bulk result (4M).", transform: Amounts.size) var bulkSize: Int?

    func workload(_ place: String?) throws -> Workload {
        var workload = try common.workload(.database, connections: 1, place)
        workload.sizes = ExchangeSizes(
            requests: querySize ?? SizeDistribution(shape: .uniform, low: 40, maximum: 400),
            answers: resultSize ?? Self.results)
        let share = UInt32(((bulkShare ?? 0.01) * 1_000_000).rounded())
        if share > 0 {
            workload.sizes.answers.bulkShare = share
            workload.sizes.answers.bulkSize = UInt32(bulkSize ?? 4 << 20)
        }
        workload.rate = rate
        return workload
    }
}
