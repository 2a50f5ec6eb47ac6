internal import CulvertIO

/// Sums up what is said again and again: a target that is down, or a hostile peer, must not fill a disk. A value: it has
/// no clock and says nothing.
///
/// Invariants: of one kind at most `Limits.said` lines are said in a span, and then one that counts the others for each
/// span in which there were any; no line is lost uncounted. At most `Limits.kinds` kinds are remembered: lines of others
/// count as one kind.
struct LogBrake {
    struct Limits {
        /// Enough to see who is concerned.
        var said = 5
        var span = Tick.Span.seconds(10)
        var kinds = 256
    }

    /// What was not said.
    struct Summary: Equatable {
        let kind: String
        let count: Int
        let span: Tick.Span
    }

    private struct Repeated {
        var since: Tick
        var said: Int
        var more = 0
    }

    static let others = "other failures"

    private let limits: Limits
    private var repeated: [String: Repeated] = [:]

    init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Whether a line of this kind is said now. One that is not is counted.
    mutating func admits(_ kind: String, now: Tick) -> Bool {
        var kind = kind
        if repeated[kind] == nil, repeated.count >= limits.kinds {
            forget(now)
            if repeated.count >= limits.kinds { kind = Self.others }
        }
        var state = repeated[kind] ?? Repeated(since: now, said: 0)
        if state.more == 0, now - state.since >= limits.span { state = Repeated(since: now, said: 0) }
        let isSaid = state.said < limits.said
        if isSaid { state.said += 1 } else { state.more += 1 }
        repeated[kind] = state
        return isSaid
    }

    /// When `take` has something, nil while nothing is held back.
    var nextMoment: Tick? {
        repeated.values.filter { $0.more > 0 }.map { $0.since + limits.span }.min()
    }

    /// What was held back in spans that are over. What goes on is from then on only summed up.
    mutating func take(now: Tick) -> [Summary] {
        summaries(now, ofSpansOf: limits.span)
    }

    /// All that was held back: the process ends.
    mutating func takeAll(now: Tick) -> [Summary] { summaries(now, ofSpansOf: .zero) }

    private mutating func summaries(_ now: Tick, ofSpansOf length: Tick.Span) -> [Summary] {
        var found: [Summary] = []
        for (kind, state) in repeated where state.more > 0 && now - state.since >= length {
            found.append(Summary(kind: kind, count: state.more, span: now - state.since))
            repeated[kind] = Repeated(since: now, said: limits.said)
        }
        forget(now)
        return found.sorted { $0.kind < $1.kind }
    }

    /// Kinds that have not been seen for a span.
    private mutating func forget(_ now: Tick) {
        repeated = repeated.filter { $0.value.more > 0 || now - $0.value.since < limits.span }
    }
}

extension LogBrake.Summary {
    /// The line that says it.
    var text: String {
        let first = kind.prefix { $0 != "\n" }
        return "\(first) … and \(count) more in \(max(1, Int(span.seconds.rounded()))) s"
    }
}
