internal import ArgumentParser

/// culvert's own options, which ssh has not.
enum LongOptionName: String, CaseIterable, Sendable {
    case io, links, threads, engine, hold, memory, persist, version, help

    var takesValue: Bool {
        switch self {
        case .io, .links, .threads, .engine, .hold, .memory: true
        case .persist, .version, .help: false
        }
    }

    /// Typed with one dash it can only be a mistake; `-io` may be an identity file.
    var isMistakenForCluster: Bool { self != .io }
}

/// The long options as ArgumentParser reads them from normalised words. Arrays, because the first value wins.
struct LongOptions: ParsableArguments {
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.ioChoice) var io: [IOChoice] = []
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.links) var links: [Int] = []
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.threads) var threads: [Int] = []
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.engine) var engine: [EngineChoice] = []
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.hold) var hold: [Duration] = []
    @Option(parsing: .unconditionalSingleValue, transform: LongOptions.memory) var memory: [Int] = []
    @Flag var persist: Int

    /// Throws one clear line: an unknown option with the nearest known one, or a value with what is accepted.
    static func parse(_ words: [CommandWord], command: String) throws(ConfigurationError) -> LongOptions {
        var spelled: [String] = []
        for case .long(let name, let value) in words {
            let known = LongOptionName(rawValue: String(name.dropFirst(2)))
            guard let known else {
                let nearest =
                    NearestName.of(name, among: LongOptionName.allCases.map { "--" + $0.rawValue }) ?? "--help"
                throw ConfigurationError("\(name): unknown option: did you mean \(nearest)?", command: command)
            }
            if value != nil, !known.takesValue {
                throw ConfigurationError("\(name) takes no value", command: command)
            }
            spelled.append(name)
            if let value { spelled.append(value) }
        }
        do {
            return try LongOptions.parse(spelled)
        } catch {
            throw ConfigurationError(cause(of: error), command: command)
        }
    }

    /// ArgumentParser puts its own words before ours ("The value … is invalid for …: "); ours name option and value.
    private static func cause(of error: any Error) -> String {
        let text = message(for: error)
        guard let mark = text.lastIndex(of: ValueFault.mark) else { return text }
        return String(text[text.index(after: mark)...])
    }

    private static func fault(_ option: LongOptionName, _ value: String, _ cause: String) -> ValidationError {
        ValidationError("\(ValueFault.mark)--\(option.rawValue) \(value): \(cause)")
    }

    @Sendable private static func ioChoice(_ text: String) throws -> IOChoice {
        guard let choice = IOChoice(rawValue: text) else { throw fault(.io, text, "give auto, uring or epoll") }
        return choice
    }

    @Sendable private static func engine(_ text: String) throws -> EngineChoice {
        switch text {
        case "libssh2": return .libssh2
        case "native": throw fault(.engine, text, "not built yet: use libssh2")
        default: throw fault(.engine, text, "give libssh2 or native")
        }
    }

    @Sendable private static func links(_ text: String) throws -> Int {
        guard let count = Int(text), (1...TunnelConfiguration.maximumLinks).contains(count) else {
            throw fault(.links, text, "give a number from 1 to \(TunnelConfiguration.maximumLinks)")
        }
        return count
    }

    @Sendable private static func threads(_ text: String) throws -> Int {
        guard let count = Int(text), (1...RuntimeOptions.maximumThreads).contains(count) else {
            throw fault(.threads, text, "give a number from 1 to \(RuntimeOptions.maximumThreads)")
        }
        return count
    }

    @Sendable private static func hold(_ text: String) throws -> Duration {
        guard let seconds = TimeValue.seconds(text) else { throw fault(.hold, text, TimeValue.cause) }
        return .seconds(seconds)
    }

    @Sendable private static func memory(_ text: String) throws -> Int {
        guard let bytes = SizeValue.bytes(text) else { throw fault(.memory, text, SizeValue.cause) }
        guard bytes >= RuntimeOptions.minimumMemory else {
            throw fault(.memory, text, "too little: give at least \(RuntimeOptions.minimumMemory >> 20)M")
        }
        return bytes
    }
}

/// Marks where our own words begin in ArgumentParser's message.
private enum ValueFault {
    static let mark: Character = "\u{1}"
}
