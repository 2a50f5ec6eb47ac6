internal import CulvertPlan

/// culvert's own settings in a configuration file: the long options of the command line, which outrank them.
///
/// ssh takes such a line for a mistake, unless `IgnoreUnknown Culvert*` stands before it.
enum CulvertKey: String, CaseIterable, Sendable {
    case drain = "CulvertDrain"
    case engine = "CulvertEngine"
    case hold = "CulvertHold"
    case io = "CulvertIO"
    case knocks = "CulvertKnocks"
    case links = "CulvertLinks"
    case memory = "CulvertMemory"
    case nodelay = "CulvertNoDelay"
    case persist = "CulvertPersist"
    case threads = "CulvertThreads"

    init?(name: String) {
        guard let key = Self.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
            return nil
        }
        self = key
    }
}

/// What files say of them; nil where nothing was said.
struct CulvertSettings {
    var drain: Duration?
    var engine: EngineChoice?
    var hold: Duration?
    var io: IOChoice?
    var knocks: KnockLimit?
    var links: Int?
    /// Bytes.
    var memory: Int?
    var nodelay: Bool?
    var persist: Bool?
    var threads: Int?

    /// The first value wins; every one is checked.
    mutating func apply(_ key: CulvertKey, _ setting: Setting) throws(ConfigurationError) {
        let text = try setting.word()
        do throws(LongOptions.Cause) {
            switch key {
            case .drain: first(\.drain, try LongOptions.time(text))
            case .engine: first(\.engine, try LongOptions.engine(text))
            case .hold: first(\.hold, try LongOptions.time(text))
            case .io: first(\.io, try LongOptions.io(text))
            case .knocks: first(\.knocks, try LongOptions.knocks(text))
            case .links: first(\.links, try LongOptions.links(text))
            case .memory: first(\.memory, try LongOptions.memory(text))
            case .nodelay: first(\.nodelay, try LongOptions.flag(text))
            case .persist: first(\.persist, try LongOptions.flag(text))
            case .threads: first(\.threads, try LongOptions.threads(text))
            }
        } catch {
            throw setting.fault(error.text)
        }
    }

    private mutating func first<Value>(_ field: WritableKeyPath<Self, Value?>, _ value: Value) {
        if self[keyPath: field] == nil { self[keyPath: field] = value }
    }
}
