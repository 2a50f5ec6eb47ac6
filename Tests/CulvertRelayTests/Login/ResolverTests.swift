import CulvertIO
import Testing

@testable import CulvertRelay

private func name(_ host: String) -> LookupName { LookupName(host: host, port: 80) }

@Suite struct LookupQueueTests {
    private func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 0) + .seconds(seconds) }
    private let small = LookupQueue.Limits(
        threads: 2, questions: 4, patience: .seconds(10), patienceWithStale: .seconds(1))

    @Test func soManyRunAndSoManyWait() {
        var queue = LookupQueue(small)
        let verdicts = ["a", "b", "c", "d", "e"].map { queue.ask(name($0), now: at(0)) }
        #expect(verdicts == [.begin(1), .begin(2), .wait(3), .wait(4), .refuse])
        let ended = queue.finish(name("b"))
        #expect(ended.answered == [2] && ended.next == name("c"))
        let later = queue.ask(name("e"), now: at(1))
        #expect(later == .wait(5))
    }

    @Test func oneNameIsLookedUpOnceForAllWhoAsk() {
        var queue = LookupQueue(small)
        let verdicts = ["a", "b", "a", "c"].map { queue.ask(name($0), now: at(0)) }
        #expect(verdicts == [.begin(1), .begin(2), .wait(3), .wait(4)])
        let first = queue.finish(name("a"))
        #expect(first.answered == [1, 3] && first.next == name("c"))
        // Its port is another one: the addresses are others.
        let other = queue.ask(LookupName(host: "c", port: 81), now: at(0))
        #expect(other == .wait(5))
    }

    @Test func oneWhoAsksHasAQuarterOfTheQueue() {
        var queue = LookupQueue(LookupQueue.Limits(threads: 1, questions: 8))
        let greedy = (0..<4).map { queue.ask(name("x\($0)"), by: "203.0.113.7", now: at(0)) }
        #expect(greedy == [.begin(1), .wait(2), .refuse, .refuse])
        let others = (0..<3).map { queue.ask(name("y\($0)"), by: "203.0.113.\($0)", now: at(0)) }
        #expect(others == [.wait(3), .wait(4), .wait(5)])
        let own = (0..<4).map { queue.ask(name("z\($0)"), now: at(0)) }
        #expect(own == [.wait(6), .wait(7), .wait(8), .refuse])
        _ = queue.finish(name("x0"))
        let again = queue.ask(name("x4"), by: "203.0.113.7", now: at(1))
        #expect(again == .wait(9))
    }

    @Test func whatIsNotAnsweredInTimeIsAwaitedNoLonger() {
        var queue = LookupQueue(small)
        let verdicts = [("a", 0.0), ("b", 1), ("c", 2)].map { queue.ask(name($0.0), now: at($0.1)) }
        #expect(verdicts == [.begin(1), .begin(2), .wait(3)])
        #expect(queue.nextDeadline == at(10))
        let early = queue.expire(now: at(9.9))
        #expect(early.isEmpty)
        let due = queue.expire(now: at(11))
        #expect(due == [1, 2])
        #expect(queue.nextDeadline == at(12))
        // Both keep their threads until they end.
        let held = queue.ask(name("d"), now: at(11))
        #expect(held == .wait(4))
        let waited = queue.expire(now: at(12))
        #expect(waited == [3], "it has waited for a thread for as long as for an answer")
        let ended = queue.finish(name("a"))
        #expect(ended.answered.isEmpty && ended.next == name("d"), "nobody waits for c any more")
        let last = queue.finish(name("b"))
        #expect(last.answered.isEmpty && last.next == nil)
        #expect(queue.nextDeadline == at(21))
    }

    @Test func whereThereIsAnOlderAnswerANewerOneIsAwaitedForLess() {
        var queue = LookupQueue(small)
        _ = queue.ask(name("a"), now: at(0))
        _ = queue.ask(name("a"), hasStale: true, now: at(0))
        #expect(queue.nextDeadline == at(1))
        let due = queue.expire(now: at(1))
        #expect(due == [2])
        let ended = queue.finish(name("a"))
        #expect(ended.answered == [1])
    }

    /// Every question is answered once, by the lookup's end or its deadline, and no limit is passed.
    @Test(arguments: UInt64(1)...50) func everyQuestionIsAnsweredOnce(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let limits = LookupQueue.Limits(
            threads: Int.random(in: 1...4, using: &dice), questions: Int.random(in: 4...12, using: &dice),
            patience: .seconds(5))
        var queue = LookupQueue(limits)
        var now = at(0)
        var running: [LookupName] = []
        var unanswered: [LookupQueue.Number: (name: LookupName, asker: String, asked: Tick)] = [:]
        for _ in 0..<2000 {
            switch Int.random(in: 0..<4, using: &dice) {
            case 0, 1:
                let asked = name("host\(Int.random(in: 0..<8, using: &dice))")
                let asker = "client\(Int.random(in: 0..<3, using: &dice))"
                let verdict = queue.ask(asked, by: asker, now: now)
                switch verdict {
                case .begin(let number):
                    try #require(!running.contains(asked))
                    running.append(asked)
                    unanswered[number] = (asked, asker, now)
                case .wait(let number): unanswered[number] = (asked, asker, now)
                case .refuse:
                    let own = unanswered.values.count { $0.asker == asker }
                    try #require(unanswered.count == limits.questions || own == limits.questionsOfOne)
                }
            case 2 where !running.isEmpty:
                let ended = running.remove(at: Int.random(in: 0..<running.count, using: &dice))
                let result = queue.finish(ended)
                let expected = unanswered.filter { $0.value.name == ended }.keys.sorted()
                try #require(result.answered == expected)
                for number in expected { unanswered[number] = nil }
                if let next = result.next {
                    try #require(!running.contains(next) && unanswered.values.contains { $0.name == next })
                    running.append(next)
                }
            default:
                now = now + .seconds(Double.random(in: 0...2, using: &dice))
                for number in queue.expire(now: now) {
                    let removed = unanswered.removeValue(forKey: number)
                    let question = try #require(removed)
                    try #require(now - question.asked >= limits.patience)
                }
            }
            try #require(running.count <= limits.threads && unanswered.count <= limits.questions)
            try #require(queue.nextDeadline == unanswered.values.map(\.asked).min().map { $0 + limits.patience })
        }
    }
}

@Suite struct NameMemoryTests {
    private func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 0) + .seconds(seconds) }
    private let one = [SocketAddress(path: "/one")!]
    private let two = [SocketAddress(path: "/two")!]

    @Test func anAnswerIsFreshThenStaleThenForgotten() {
        var memory = NameMemory()
        #expect(memory.known(name("a"), now: at(0)) == .nothing)
        memory.learn(name("a"), .success(one), now: at(0))
        #expect(memory.known(name("a"), now: at(1.9)) == .answer(one))
        #expect(memory.known(name("a"), now: at(2)) == .stale(one))
        #expect(memory.known(name("a"), now: at(3599)) == .stale(one))
        #expect(memory.known(name("a"), now: at(3600)) == .nothing)
        memory.learn(name("a"), .success(two), now: at(3601))
        #expect(memory.known(name("a"), now: at(3601)) == .answer(two))
        #expect(memory.known(LookupName(host: "a", port: 81), now: at(3601)) == .nothing)
    }

    @Test func aFailureIsBelievedForSeconds() {
        var memory = NameMemory()
        let gone = ResolveError(host: "a", reason: "no such name")
        memory.learn(name("a"), .failure(gone), now: at(0))
        #expect(memory.known(name("a"), now: at(2.9)) == .failure(gone.description))
        #expect(memory.known(name("a"), now: at(3)) == .nothing)
    }

    @Test func aNameThatIsGoneIsGoneAndOneThatNobodyKnowsJustNowIsNot() {
        var memory = NameMemory()
        let later = ResolveError(host: "a", reason: "try again", isTemporary: true)
        memory.learn(name("a"), .success(one), now: at(0))
        memory.learn(name("a"), .failure(later), now: at(10))
        #expect(memory.known(name("a"), now: at(12)) == .answer(one), "as long as a failure is believed nobody asks")
        #expect(memory.known(name("a"), now: at(13)) == .stale(one))
        memory.learn(name("a"), .failure(ResolveError(host: "a", reason: "no such name")), now: at(14))
        #expect(memory.known(name("a"), now: at(20)) == .nothing)
    }

    @Test func theOldestNameMakesRoom() {
        var limits = NameMemory.Limits()
        limits.names = 2
        var memory = NameMemory(limits)
        for (second, host) in ["a", "b", "a", "c"].enumerated() {
            memory.learn(name(host), .success(one), now: at(Double(second) / 10))
        }
        #expect(memory.known(name("b"), now: at(1)) == .nothing)
        #expect(["a", "c"].allSatisfy { memory.known(name($0), now: at(1)) == .answer(one) })
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
        let resolver = try resolver(LookupQueue.Limits(threads: 2, questions: 3, patience: .milliseconds(300)))
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

    @Test func anOlderAnswerServesWhileANewerOneIsAwaited() throws {
        let dead = Guarded(false)
        let gate = gate
        var memory = NameMemory.Limits()
        memory.fresh = .zero
        let limits = LookupQueue.Limits(patienceWithStale: .milliseconds(100))
        let resolver = try Resolver(limits, memory: memory) { host, port throws(ResolveError) in
            if dead.withLock({ $0 }) { _ = Wait.forReadable([gate.descriptor], until: Tick.current() + .seconds(60)) }
            return try SocketAddress.resolve(host: "127.0.0.1", port: port, numeric: true)
        }
        ask(resolver, "name")
        #expect(collect(1).map(\.failure) == [""])
        dead.withLock { $0 = true }
        let begun = Tick.current()
        for _ in 0..<3 { ask(resolver, "name") }
        let came = collect(3)
        #expect(came.map { $0.addresses.map(\.description) } == .init(repeating: ["127.0.0.1:80"], count: 3))
        #expect(Tick.current() - begun < .seconds(10))
        gate.post(())
    }

    @Test func aFailureIsNotAskedForAgainAtOnce() throws {
        let asked = Guarded(0)
        let resolver = try Resolver { host, _ throws(ResolveError) in
            asked.withLock { $0 += 1 }
            throw ResolveError(host: host, reason: "no such name")
        }
        for _ in 0..<3 {
            ask(resolver, "gone")
            #expect(collect(1).map(\.failure) == ["Could not resolve hostname gone: no such name"])
        }
        #expect(asked.withLock { $0 } == 1)
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
