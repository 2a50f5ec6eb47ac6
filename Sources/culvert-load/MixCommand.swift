internal import ArgumentParser
internal import CulvertIO

/// `culvert-load mix`.
struct MixCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mix", abstract: "Several workloads at once, each reported by itself.",
        usage: "culvert-load mix [<host:port>] --part <workload> --part <workload> ... [options]",
        discussion: """
            A part is a workload as it would be given by itself, in quotes: its name, its options, and a target where \
            it is not mix's own. What concerns the run as a whole (--duration, --warmup, --json and so on) is given \
            to mix. Parts have threads of their own, connect together, and are measured over the same time. \
            The payload of part n is chosen by mix's --seed + n unless it has a --seed itself.

            Examples:
              culvert-load mix 127.0.0.1:9000 --part request --part stream
              culvert-load mix [::1]:9000 --part request --part 'stream --connections 4'
              culvert-load mix 127.0.0.1:9000 --part 'request --rate 50' --part stream
              culvert-load mix --part 'request [::1]:5001' --part 'stream [::1]:5002'
            """)

    @Argument(help: ArgumentHelp("Target of the parts that have none.", valueName: "host:port"))
    var target: String?
    @Option(help: ArgumentHelp("A workload with its options, in quotes; repeated.", valueName: "workload"))
    var part: [String]
    @OptionGroup var whole: RunOptions

    static let kinds: [any WorkloadCommand.Type] = [
        StreamCommand.self, RequestCommand.self, ChurnCommand.self, IdleCommand.self, VNCCommand.self,
        DatabaseCommand.self,
    ]

    func run() throws {
        try whole.run(try workloads(), isMix: true)
    }

    func workloads() throws -> [LoadPart] { try part.enumerated().map { try read($1, number: $0) } }

    private func read(_ text: String, number: Int) throws -> LoadPart {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        func wrong(_ why: String) -> Complaint { Complaint("--part '\(text)': \(why)", exit: .usage) }
        guard let kind = Self.kinds.first(where: { $0.configuration.commandName == words.first }) else {
            let known = Self.kinds.compactMap { $0.configuration.commandName }.joined(separator: ", ")
            throw wrong("begin with one of \(known)")
        }
        let command: any WorkloadCommand
        do { command = try Self.parse(kind, Array(words.dropFirst())) } catch {
            // --help, --version: no fault, and no workload.
            guard !CulvertLoad.exitCode(for: error).isSuccess else {
                throw wrong("ask outside of a mix: culvert-load \(words.joined(separator: " "))")
            }
            throw wrong(CulvertLoad.message(for: error))
        }
        if let option = command.common.whole.givenForAll {
            throw wrong("\(option) is for all parts together: give it to mix, outside the quotes")
        }
        var workload: Workload
        do { workload = try command.workload(target) } catch let complaint as Complaint {
            throw wrong(complaint.description)
        }
        let own = command.common.whole
        whole.apply(to: &workload)
        workload.seed = own.seed ?? (whole.seed ?? 1) &+ UInt64(number)
        if let timeout = own.timeout { workload.timeout = timeout }
        return LoadPart(label: command.label, workload: workload)
    }

    private static func parse<Command: WorkloadCommand>(_ kind: Command.Type, _ words: [String]) throws -> Command {
        try Command.parse(words)
    }
}
