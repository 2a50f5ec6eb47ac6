internal import CulvertIO

/// What is looked up: a name, and the port that its addresses are to have.
struct LookupName: Hashable, Sendable {
    let host: String
    let port: UInt16
}

/// Which names are being looked up, which wait for a thread, who waits for them, and until when. A value: it starts no
/// thread and looks nothing up.
///
/// Invariants: at most `Limits.threads` lookups run, and one of a name; at most `Limits.questions` wait for their answers,
/// a quarter of them for one who asks; every question that was taken is answered once: with what was found, or at its
/// deadline. A lookup that is past its deadline cannot be called back: it keeps its thread until it ends. One that has no
/// thread is dropped with its last question.
struct LookupQueue {
    struct Limits {
        /// Each holds one name that nobody answers, and costs a stack meanwhile.
        var threads = 16
        /// Beyond it something is wrong with the names or with those who ask.
        var questions = 1024
        /// getaddrinfo asks up to three servers for 5 s each, and then again: after the first round hardly an answer
        /// comes any more.
        var patience = Tick.Span.seconds(20)
        /// Where an older answer is there: RFC 8767 §5 waits 1.8 s for a newer one.
        var patienceWithStale = Tick.Span.seconds(1)

        /// As many as one who asks may have.
        var questionsOfOne: Int { max(1, questions / 4) }
    }

    /// A number that no other question of this queue has.
    typealias Number = UInt64

    enum Verdict: Equatable {
        /// The name is to be looked up, now, on a thread of its own.
        case begin(Number)
        case wait(Number)
        /// Too many wait already, or too many of this one's.
        case refuse
    }

    private struct Question {
        let name: LookupName
        let asker: String?
        let deadline: Tick
    }

    private let limits: Limits
    private var last: Number = 0
    private var questions: [Number: Question] = [:]
    /// Those that have a thread.
    private var running: Set<LookupName> = []
    /// Those that have none, in the order in which they came.
    private var waiting: [LookupName] = []

    init(_ limits: Limits = Limits()) { self.limits = limits }

    /// - Parameter asker: whoever may not have more than a quarter of the queue; nil: one's own question.
    /// - Parameter hasStale: there is an older answer, which will do when no newer one comes soon.
    mutating func ask(_ name: LookupName, by asker: String? = nil, hasStale: Bool = false, now: Tick) -> Verdict {
        guard questions.count < limits.questions else { return .refuse }
        if let asker {
            let own = questions.values.count { $0.asker == asker }
            guard own < limits.questionsOfOne else { return .refuse }
        }
        last += 1
        let patience = hasStale ? limits.patienceWithStale : limits.patience
        questions[last] = Question(name: name, asker: asker, deadline: now + patience)
        if running.contains(name) || waiting.contains(name) { return .wait(last) }
        guard running.count < limits.threads else {
            waiting.append(name)
            return .wait(last)
        }
        running.insert(name)
        return .begin(last)
    }

    /// The lookup has ended and its thread with it: whose questions are answered by what it found, and which one is begun
    /// in its place.
    mutating func finish(_ name: LookupName) -> (answered: [Number], next: LookupName?) {
        guard running.remove(name) != nil else { preconditionFailure("a lookup that was begun ends once") }
        let answered = questions.filter { $0.value.name == name }.keys.sorted()
        for number in answered { questions[number] = nil }
        guard !waiting.isEmpty else { return (answered, nil) }
        let next = waiting.removeFirst()
        running.insert(next)
        return (answered, next)
    }

    /// Those whose deadline has come, to be answered without what the lookup may still find.
    mutating func expire(now: Tick) -> [Number] {
        let expired = questions.filter { $0.value.deadline <= now }.keys.sorted()
        guard !expired.isEmpty else { return [] }
        for number in expired { questions[number] = nil }
        let wanted = Set(questions.values.map(\.name))
        waiting.removeAll { !wanted.contains($0) }
        return expired
    }

    var nextDeadline: Tick? { questions.values.map(\.deadline).min() }
}
