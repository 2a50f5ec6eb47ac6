internal import ArgumentParser
internal import CulvertPlan

/// culvert's own options, which ssh has not.
enum LongOptionName: String, CaseIterable, Sendable {
    case io, links, threads, engine, hold, knocks, drain, memory, persist, nodelay, version, help
    case pidFile = "pid-file"
    case portFile = "port-file"
    case noControl = "no-control"
    case metrics

    var takesValue: Bool {
        switch self {
        case .io, .links, .threads, .engine, .hold, .knocks, .drain, .memory, .pidFile, .portFile, .metrics: true
        case .persist, .nodelay, .noControl, .version, .help: false
        }
    }

    /// Typed with one dash it can only be a mistake; `-io` may be an identity file.
    var isMistakenForCluster: Bool { self != .io }
}

/// The long options as ArgumentParser reads them from normalised words. Arrays, because the first value wins; texts,
/// because what is said about a wrong value is said here.
private struct LongOptionTexts: ParsableArguments {
    @Option(parsing: .unconditionalSingleValue) var io: [String] = []
    @Option(parsing: .unconditionalSingleValue) var links: [String] = []
    @Option(parsing: .unconditionalSingleValue) var threads: [String] = []
    @Option(parsing: .unconditionalSingleValue) var engine: [String] = []
    @Option(parsing: .unconditionalSingleValue) var hold: [String] = []
    @Option(parsing: .unconditionalSingleValue) var knocks: [String] = []
    @Option(parsing: .unconditionalSingleValue) var drain: [String] = []
    @Option(parsing: .unconditionalSingleValue) var memory: [String] = []
    @Option(parsing: .unconditionalSingleValue) var pidFile: [String] = []
    @Option(parsing: .unconditionalSingleValue) var portFile: [String] = []
    @Option(parsing: .unconditionalSingleValue) var metrics: [String] = []
    @Flag var persist: Int
    @Flag var nodelay: Int
    @Flag var noControl: Int
}

/// What culvert's own options say; nil where nothing was said.
struct LongOptions {
    let io: IOChoice?
    let links: Int?
    let threads: Int?
    let engine: EngineChoice?
    let hold: Duration?
    let knocks: KnockLimit?
    let drain: Duration?
    /// Bytes.
    let memory: Int?
    /// As typed.
    let pidFile: String?
    let portFile: String?
    let metrics: MetricsPlace?
    let persist: Bool
    let nodelay: Bool
    /// Nobody may ask how the process is.
    let noControl: Bool

    /// Throws one clear line: an unknown option with the nearest known one, or a value with what is accepted.
    init(_ words: [CommandWord], command: String) throws(ConfigurationError) {
        let spelled = try Self.spelled(words, command: command)
        let texts: LongOptionTexts
        do {
            texts = try LongOptionTexts.parse(spelled)
        } catch {
            throw ConfigurationError(LongOptionTexts.message(for: error), command: command)
        }
        io = try Self.first(.io, texts.io, Self.io)
        links = try Self.first(.links, texts.links, Self.links)
        threads = try Self.first(.threads, texts.threads, Self.threads)
        engine = try Self.first(.engine, texts.engine, Self.engine)
        hold = try Self.first(.hold, texts.hold, Self.time)
        knocks = try Self.first(.knocks, texts.knocks, Self.knocks)
        drain = try Self.first(.drain, texts.drain, Self.time)
        memory = try Self.first(.memory, texts.memory, Self.memory)
        pidFile = try Self.first(.pidFile, texts.pidFile, Self.path)
        portFile = try Self.first(.portFile, texts.portFile, Self.path)
        metrics = try Self.first(.metrics, texts.metrics, Self.metrics)
        persist = texts.persist > 0
        nodelay = texts.nodelay > 0
        noControl = texts.noControl > 0
    }

    /// The long ones among the words, known and with a value exactly when they take one.
    private static func spelled(_ words: [CommandWord], command: String) throws(ConfigurationError) -> [String] {
        var spelled: [String] = []
        for case .long(let name, let value) in words {
            guard let known = LongOptionName(rawValue: String(name.dropFirst(2))) else {
                let hint = OtherNames.hint(for: String(name.dropFirst(2)))
                throw ConfigurationError("\(name): \(hint)", command: command)
            }
            if value != nil, !known.takesValue {
                throw ConfigurationError("\(name) takes no value", command: command)
            }
            spelled.append(name)
            if let value { spelled.append(value) }
        }
        return spelled
    }

    // MARK: Values

    /// Why a value is none.
    struct Cause: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    /// The first value; every one is checked.
    private static func first<Value>(
        _ option: LongOptionName, _ texts: [String], _ read: (String) throws(Cause) -> Value
    ) throws(ConfigurationError) -> Value? {
        var first: Value?
        for text in texts {
            do throws(Cause) {
                let value = try read(text)
                if first == nil { first = value }
            } catch {
                throw ConfigurationError("--\(option.rawValue) \(text): \(error.text)")
            }
        }
        return first
    }

    static func io(_ text: String) throws(Cause) -> IOChoice {
        guard let choice = IOChoice(rawValue: text) else { throw Cause("give auto, uring or epoll") }
        return choice
    }

    static func engine(_ text: String) throws(Cause) -> EngineChoice {
        guard let choice = EngineChoice(rawValue: text) else { throw Cause("give native or libssh2") }
        return choice
    }

    static func links(_ text: String) throws(Cause) -> Int {
        try count(text, upTo: TunnelPlan.maximumLinks)
    }

    static func threads(_ text: String) throws(Cause) -> Int {
        try count(text, upTo: RuntimeOptions.maximumThreads)
    }

    private static func count(_ text: String, upTo most: Int) throws(Cause) -> Int {
        guard let count = Int(text), (1...most).contains(count) else { throw Cause("give a number from 1 to \(most)") }
        return count
    }

    static func knocks(_ text: String) throws(Cause) -> KnockLimit {
        guard let count = Int(text), (0...TunnelPlan.maximumKnocks).contains(count) else {
            throw Cause("give a number from 0, for no limit, to \(TunnelPlan.maximumKnocks)")
        }
        return count == 0 ? .unlimited : .perHalfMinute(count)
    }

    static func time(_ text: String) throws(Cause) -> Duration {
        guard let seconds = TimeValue.seconds(text) else { throw Cause(TimeValue.cause) }
        return .seconds(seconds)
    }

    static func path(_ text: String) throws(Cause) -> String {
        if text.isEmpty { throw Cause("give a file's name") }
        return text
    }

    /// `[address:]port`, or a path.
    static func metrics(_ text: String) throws(Cause) -> MetricsPlace {
        if text.hasPrefix("/") { return .unix(path: text) }
        let colon = text.lastIndex(of: ":")
        let digits = colon.map { text[text.index(after: $0)...] } ?? text[...]
        guard let port = UInt16(digits), port > 0 else { throw Cause("give [address:]port, or the path of a socket") }
        guard let colon else { return .tcp(address: MetricsPlace.usualAddress, port: port) }
        var address = String(text[..<colon])
        let isBracketed = address.hasPrefix("[") && address.hasSuffix("]")
        if isBracketed { address = String(address.dropFirst().dropLast()) }
        if address == "*" || address.isEmpty { address = "0.0.0.0" }
        guard address != "localhost" else { return .tcp(address: MetricsPlace.usualAddress, port: port) }
        guard isBracketed == address.contains(":"), address.allSatisfy({ $0.isHexDigit || ".:".contains($0) }) else {
            throw Cause("give an address in numbers, one of IPv6 in brackets")
        }
        return .tcp(address: address, port: port)
    }

    static func flag(_ text: String) throws(Cause) -> Bool {
        switch text.lowercased() {
        case "yes", "true": return true
        case "no", "false": return false
        default: throw Cause("give yes or no")
        }
    }

    static func memory(_ text: String) throws(Cause) -> Int {
        guard let bytes = SizeValue.bytes(text) else { throw Cause(SizeValue.cause) }
        guard bytes >= RuntimeOptions.minimumMemory else {
            throw Cause("too little: give at least \(RuntimeOptions.minimumMemory >> 20)M")
        }
        guard bytes <= RuntimeOptions.maximumMemory else {
            throw Cause("too much: give at most \(RuntimeOptions.maximumMemory >> 30)G")
        }
        return bytes
    }
}
