internal import CulvertIO

/// Which names are being looked up, which wait for a thread, and until when anybody waits for the answer. A value: it
/// starts no thread and looks nothing up.
///
/// Invariants: at most `Limits.threads` lookups run, at most `Limits.waiting` wait, and every one that was taken is
/// answered once: with what was found, or at its deadline. A lookup that is past its deadline cannot be called back: it
/// keeps its thread until it ends.
struct LookupQueue {
    struct Limits {
        /// Each holds one name that nobody answers, and costs a stack meanwhile.
        var threads = 16
        /// Beyond it something is wrong with the names or with those who ask.
        var waiting = 1024
        /// getaddrinfo asks up to three servers for 5 s each, and then again: after the first round hardly an answer
        /// comes any more.
        var patience = Tick.Span.seconds(20)
    }

    /// A number that no other lookup of this queue has.
    typealias Number = UInt64

    enum Verdict: Equatable {
        /// On a thread of its own, now.
        case begin(Number)
        case wait(Number)
        /// Too many wait already.
        case refuse
    }

    private let limits: Limits
    private var last: Number = 0
    /// Every lookup that has a thread; nil once it is past its deadline.
    private var running: [Number: Tick?] = [:]
    /// Those that have none, in the order in which they came.
    private var waiting: [(number: Number, deadline: Tick)] = []

    init(_ limits: Limits = Limits()) { self.limits = limits }

    mutating func ask(now: Tick) -> Verdict {
        let hasThread = running.count < limits.threads
        guard hasThread || waiting.count < limits.waiting else { return .refuse }
        last += 1
        let deadline = now + limits.patience
        if hasThread {
            running[last] = .some(deadline)
            return .begin(last)
        }
        waiting.append((last, deadline))
        return .wait(last)
    }

    /// The lookup has ended and its thread with it: whether somebody still waits for what it found, and which one is
    /// begun in its place.
    mutating func finish(_ number: Number) -> (isAwaited: Bool, next: Number?) {
        guard let deadline = running.removeValue(forKey: number) else {
            preconditionFailure("a lookup that was begun ends once")
        }
        guard let next = waiting.first else { return (deadline != nil, nil) }
        waiting.removeFirst()
        running[next.number] = .some(next.deadline)
        return (deadline != nil, next.number)
    }

    /// Those whose deadline has come, to be answered without an address.
    mutating func expire(now: Tick) -> [Number] {
        var expired: [Number] = []
        for case (let number, let deadline?) in running where deadline <= now { expired.append(number) }
        for number in expired { running[number] = .some(nil) }
        expired += waiting.filter { $0.deadline <= now }.map(\.number)
        waiting.removeAll { $0.deadline <= now }
        return expired.sorted()
    }

    var nextDeadline: Tick? { (running.values.compactMap(\.self) + waiting.map(\.deadline)).min() }
}
