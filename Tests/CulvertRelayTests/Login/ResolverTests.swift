import CulvertIO
import Testing

@testable import CulvertRelay

@Suite struct LookupQueueTests {
    private func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 0) + .seconds(seconds) }
    private let small = LookupQueue.Limits(threads: 2, waiting: 2, patience: .seconds(10))

    @Test func soManyRunAndSoManyWait() {
        var queue = LookupQueue(small)
        let verdicts = (0..<5).map { _ in queue.ask(now: at(0)) }
        #expect(verdicts == [.begin(1), .begin(2), .wait(3), .wait(4), .refuse])
        let ended = queue.finish(2)
        #expect(ended.isAwaited && ended.next == 3)
        let later = queue.ask(now: at(1))
        #expect(later == .wait(5))
    }

    @Test func whatIsNotAnsweredInTimeIsAwaitedNoLonger() {
        var queue = LookupQueue(small)
        let verdicts = [0.0, 1, 2].map { queue.ask(now: at($0)) }
        #expect(verdicts == [.begin(1), .begin(2), .wait(3)])
        #expect(queue.nextDeadline == at(10))
        let early = queue.expire(now: at(9.9))
        #expect(early.isEmpty)
        let due = queue.expire(now: at(11))
        #expect(due == [1, 2])
        #expect(queue.nextDeadline == at(12))
        // Both keep their threads until they end.
        let held = queue.ask(now: at(11))
        #expect(held == .wait(4))
        let waited = queue.expire(now: at(12))
        #expect(waited == [3], "it has waited for a thread for as long as for an answer")
        let ended = queue.finish(1)
        #expect(!ended.isAwaited && ended.next == 4)
        let last = queue.finish(2)
        #expect(!last.isAwaited && last.next == nil)
        #expect(queue.nextDeadline == at(21))
    }

    /// Every lookup is answered once, by its end or its deadline, and no limit is passed.
    @Test(arguments: UInt64(1)...50) func everyLookupIsAnsweredOnce(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let limits = LookupQueue.Limits(
            threads: Int.random(in: 1...4, using: &dice), waiting: Int.random(in: 0...4, using: &dice),
            patience: .seconds(5))
        var queue = LookupQueue(limits)
        var now = at(0)
        var running: [LookupQueue.Number] = []
        var unanswered: [LookupQueue.Number: Tick] = [:]
        for _ in 0..<2000 {
            switch Int.random(in: 0..<4, using: &dice) {
            case 0, 1:
                let verdict = queue.ask(now: now)
                switch verdict {
                case .begin(let number):
                    running.append(number)
                    unanswered[number] = now
                case .wait(let number): unanswered[number] = now
                case .refuse: try #require(running.count == limits.threads)
                }
            case 2 where !running.isEmpty:
                let number = running.remove(at: Int.random(in: 0..<running.count, using: &dice))
                let ended = queue.finish(number)
                let wasAwaited = unanswered.removeValue(forKey: number) != nil
                try #require(ended.isAwaited == wasAwaited)
                if let next = ended.next { running.append(next) }
            default:
                now = now + .seconds(Double.random(in: 0...2, using: &dice))
                for number in queue.expire(now: now) {
                    let begun = unanswered.removeValue(forKey: number)
                    let asked = try #require(begun)
                    try #require(now - asked >= limits.patience)
                }
            }
            try #require(running.count <= limits.threads)
            try #require(unanswered.keys.count { !running.contains($0) } <= limits.waiting)
            try #require(queue.nextDeadline == unanswered.values.min().map { $0 + limits.patience })
        }
    }
}

/// Names on real threads, and a look-up of the test's own: what is called dead waits until the test lets it go.
@Suite struct ResolverTests {
    private struct Answer: Sendable {
        let host: String
        let addresses: [SocketAddress]
        let failure: String
    }

    private let gate: Mailbox<Void>
    private let answers: Mailbox<Answer>

    init() throws {
        gate = try Mailbox()
        answers = try Mailbox()
    }

    private func resolver(_ limits: LookupQueue.Limits = LookupQueue.Limits()) throws -> Resolver {
        let gate = gate
        return try Resolver(limits) { host, port throws(ResolveError) in
            guard host.hasPrefix("dead") else {
                return try SocketAddress.resolve(host: "127.0.0.1", port: port, numeric: true)
            }
            _ = Wait.forReadable([gate.descriptor], until: Tick.current() + .seconds(60))
            throw ResolveError(host: host, reason: "no such name")
        }
    }

    private func ask(_ resolver: Resolver, _ host: String) {
        let answers = answers
        resolver.look(up: host, port: 80) { answers.post(Answer(host: host, addresses: $0, failure: $1)) }
    }

    private func collect(_ count: Int, within seconds: Double = 10) -> [Answer] {
        let deadline = Tick.current() + .seconds(seconds)
        var all: [Answer] = []
        while all.count < count, Tick.current() < deadline {
            _ = Wait.forReadable([answers.descriptor], until: deadline)
            all += answers.takeAll()
        }
        return all
    }

    @Test func deadNamesDoNotHoldUpOthers() throws {
        let resolver = try resolver()
        for number in 0..<15 { ask(resolver, "dead\(number)") }
        for _ in 0..<3 {
            ask(resolver, "alive")
            let came = collect(1)
            #expect(came.map(\.host) == ["alive"])
            #expect(came.first?.addresses.map(\.description) == ["127.0.0.1:80"])
        }
        gate.post(())
        let late = collect(15)
        #expect(late.count == 15)
        #expect(late.allSatisfy { $0.failure == "Could not resolve hostname \($0.host): no such name" })
    }

    @Test func aDeadNameIsGivenUpAndItsThreadComesBack() throws {
        let resolver = try resolver(LookupQueue.Limits(threads: 2, waiting: 1, patience: .milliseconds(300)))
        for host in ["dead1", "dead2", "alive1", "alive2"] { ask(resolver, host) }
        let came = collect(4)
        #expect(came.map(\.host) == ["alive2", "dead1", "dead2", "alive1"])
        #expect(came.first?.failure == "Could not resolve hostname alive2: too many names are being looked up")
        #expect(came.dropFirst().allSatisfy { $0.failure.hasSuffix("nobody answers") })
        ask(resolver, "alive3")
        gate.post(())
        #expect(collect(1).map(\.failure) == [""], "the threads are free again")
        #expect(collect(1, within: 0.1).isEmpty, "nobody is answered twice")
    }

    @Test func aResolverThatNobodyHasAnyMoreEnds() throws {
        weak var gone: Mailbox<Void>?
        do {
            let kept = try Mailbox<Void>()
            gone = kept
            let resolver = try Resolver { _, _ throws(ResolveError) in
                kept.post(())
                return []
            }
            ask(resolver, "name")
            #expect(collect(1).count == 1)
        }
        let deadline = Tick.current() + .seconds(10)
        while gone != nil, Tick.current() < deadline {
            _ = Wait.forReadable([], until: Tick.current() + .milliseconds(5))
        }
        #expect(gone == nil)
    }
}
