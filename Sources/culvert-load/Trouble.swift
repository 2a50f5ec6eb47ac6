internal import CulvertIO
internal import Glibc

/// Why a connection did not do what it should.
enum TroubleKind: String, CaseIterable, Sendable {
    case refused
    case reset
    case timeout
    case endedEarly = "ended early"
    case mismatch
    case other

    init(errorNumber number: Int32) {
        switch number {
        case ECONNREFUSED: self = .refused
        case ECONNRESET, EPIPE, ECONNABORTED: self = .reset
        case ETIMEDOUT: self = .timeout
        default: self = .other
        }
    }

    /// The name in `--json`.
    var key: String { self == .endedEarly ? "ended_early" : rawValue }
}

/// Troubles counted by kind, the first few with their words.
///
/// Invariant: `described.count` is at most `describedLimit`; the counts leave nothing out.
struct TroubleCount: Sendable {
    /// Lines that a person reads; a run that goes wrong has thousands of the same.
    static let describedLimit = 10

    private var counts = [Int](repeating: 0, count: TroubleKind.allCases.count)
    private(set) var described: [String] = []

    var total: Int { counts.reduce(0, +) }

    subscript(kind: TroubleKind) -> Int { counts[Self.index(kind)] }

    mutating func add(_ kind: TroubleKind, _ words: @autoclosure () -> String) {
        counts[Self.index(kind)] += 1
        if described.count < Self.describedLimit { described.append(words()) }
    }

    mutating func add(_ other: TroubleCount) {
        for index in counts.indices { counts[index] += other.counts[index] }
        described += other.described.prefix(Self.describedLimit - described.count)
    }

    private static func index(_ kind: TroubleKind) -> Int {
        guard let index = TroubleKind.allCases.firstIndex(of: kind) else { preconditionFailure("every kind is listed") }
        return index
    }
}
