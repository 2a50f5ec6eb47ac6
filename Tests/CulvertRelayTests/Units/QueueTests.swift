import CulvertIO
import Testing

@testable import CulvertRelay

/// The order of a link's flows (RFC 8290 §4), by integers.
@Suite struct QueueTests {
    /// A queue with flows that say where they stand.
    private struct Model: ~Copyable {
        var queue = FlowQueue()
        var standing: [Int32: FlowQueue.Standing] = [:]

        func id(_ flow: Int) -> FlowID { FlowID(slot: Int32(flow), generation: 1) }

        mutating func add(_ flow: Int) { queue.add(id(flow), &standing[Int32(flow), default: .idle]) }

        /// Whose turn it is; those that go round with nothing are passed over.
        mutating func take() -> Int? {
            while let flow = queue.takeFirst() {
                guard standing[flow.slot] != .goingRound else {
                    standing[flow.slot] = .idle
                    continue
                }
                return Int(flow.slot)
            }
            return nil
        }

        mutating func end(_ flow: Int, sent: Int, hasMore: Bool) {
            queue.turnEnded(id(flow), &standing[Int32(flow)]!, sent: sent, hasMore: hasMore)
        }

        mutating func serve(sent: Int = 1000, hasMore: (Int) -> Bool = { _ in false }) -> Int? {
            guard let flow = take() else { return nil }
            end(flow, sent: sent, hasMore: hasMore(flow))
            return flow
        }
    }

    @Test func newFlowsComeBeforeThoseThatHadTheirTurn() {
        var model = Model()
        for flow in [1, 2] { model.add(flow) }
        #expect(model.serve(hasMore: { _ in true }) == 1)
        #expect(model.serve(hasMore: { _ in true }) == 2)
        for flow in [3, 4] { model.add(flow) }
        var order: [Int] = []
        while let flow = model.serve() { order.append(flow) }
        #expect(order == [3, 4, 1, 2])
        let isEmpty = model.queue.isEmpty
        #expect(isEmpty)
    }

    /// RFC 8290 §4.2: a flow that was served as a new one waits its turn among the old ones before it is new again.
    @Test func aSparseFlowGoesOnceRoundTheOldList() {
        var model = Model()
        model.add(1)
        #expect(model.serve(hasMore: { _ in true }) == 1, "a backlogged flow")
        model.add(2)
        #expect(model.serve() == 2, "a sparse one comes first")
        model.add(2)
        #expect(model.standing[2] == .light, "it has more while it goes round")
        #expect(model.serve(hasMore: { _ in true }) == 1, "the old one is before it")
        #expect(model.serve() == 2)
        #expect(model.standing[2] == .goingRound, "and again")
        #expect(model.serve() == 1)
        #expect(model.take() == nil)
        model.add(2)
        #expect(model.standing[2] == .sparse, "once round with nothing to send, it is new again")
        #expect(model.serve() == 2)
    }

    @Test func aFlowPutBackIsNext() {
        var model = Model()
        for flow in [1, 2] { model.add(flow) }
        let first = model.take()
        #expect(first == 1)
        model.queue.putBack(model.id(1), .sparse, sent: 10)
        #expect(model.serve(hasMore: { _ in true }) == 1)
        #expect(model.serve(hasMore: { _ in true }) == 2)
        let old = model.take()
        #expect(old == 1)
        model.queue.putBack(model.id(1), .backlogged, sent: 0)
        #expect(model.serve() == 1)
        #expect(model.serve() == 2)
    }

    /// However many small flows there are, new ones or ones that come again and again, an old one keeps a third.
    @Test(arguments: [false, true])
    func smallFlowsDoNotStarveABackloggedOne(_ comeAgain: Bool) {
        var model = Model()
        model.add(0)
        #expect(model.serve(sent: FlowQueue.quantum, hasMore: { _ in true }) == 0)
        if comeAgain { for flow in 1...20 { model.add(flow) } }
        var bulk = 0
        var light = 0
        for turn in 1...600 {
            if !comeAgain { model.add(turn) }
            let served = model.take()!
            if served == 0 {
                bulk += FlowQueue.quantum
                model.end(0, sent: FlowQueue.quantum, hasMore: true)
            } else {
                light += 30_000
                model.end(served, sent: 30_000, hasMore: false)
                if comeAgain { model.add(served) }
            }
        }
        #expect(bulk * 2 >= light - FlowQueue.lightRun - 30_000, "\(bulk) beside \(light)")
        #expect(bulk * 2 <= light + FlowQueue.lightRun)
    }

    /// One that always comes again with a little has no more than its turn beside many that have much.
    @Test func aFlowOfShortTurnsHasItsTurnAndNoMore() {
        var model = Model()
        for flow in 0..<7 { model.add(flow) }
        for _ in 0..<7 { _ = model.serve(sent: FlowQueue.quantum, hasMore: { _ in true }) }
        model.add(9)
        var turns: [Int: Int] = [:]
        for _ in 0..<800 {
            let served = model.serve(sent: 60_000, hasMore: { $0 != 9 })!
            turns[served, default: 0] += 1
            if served == 9 { model.add(9) }
        }
        #expect(turns.values.allSatisfy { $0 >= 95 && $0 <= 105 }, "\(turns)")
    }

    @Test func oneThatIsOverOrWaitsIsForgotten() {
        var model = Model()
        for flow in [1, 2] { model.add(flow) }
        for _ in 0..<2 { _ = model.serve(hasMore: { _ in true }) }
        let taken = model.take()
        #expect(taken == 1)
        model.queue.forget(&model.standing[1]!)
        #expect(model.standing[1] == .idle)
        #expect(model.queue.backloggedCount == 1)
        model.queue.forget(&model.standing[2]!)
        #expect(model.queue.backloggedCount == 0)
    }

    /// Against an array, far beyond the first ring.
    @Test func aRingQueueIsAnArray() {
        var dice = Dice(seed: 1)
        var queue = RingQueue<Int32>()
        var model: [Int32] = []
        for step in 0..<20_000 {
            switch Int.random(in: 0..<5, using: &dice) {
            case 0, 1:
                queue.append(Int32(step))
                model.append(Int32(step))
            case 2:
                queue.prepend(Int32(step))
                model.insert(Int32(step), at: 0)
            default:
                let taken = queue.takeFirst()
                #expect(taken == (model.isEmpty ? nil : model.removeFirst()))
            }
            let count = queue.count
            let isEmpty = queue.isEmpty
            #expect(count == model.count && isEmpty == model.isEmpty)
        }
        while let next = queue.takeFirst() { #expect(next == model.removeFirst()) }
        #expect(model.isEmpty)
    }
}

@Suite struct BackoffTests {
    @Test func threeAreQuickAndThenTheWaitsDoubleUpToTheLongest() {
        var backoff = Backoff()
        var waits: [Double] = []
        for _ in 0..<10 { waits.append(backoff.failed(.failure, jitter: 1).seconds) }
        for (wait, expected) in zip(waits, [0.4, 1.1, 2.5, 5, 10, 20, 30, 30, 30, 30]) {
            #expect(abs(wait - expected) < 1e-6)
        }
        #expect(backoff.attempts == 10)
    }

    @Test func aQuarterIsLeftToChance() {
        var backoff = Backoff()
        let wait1 = backoff.failed(.failure, jitter: 0).seconds
        #expect(abs(wait1 - 0.3) < 1e-6)
    }

    @Test func aRefusalWaitsForMinutesAndIsCountedByItself() {
        var backoff = Backoff()
        _ = backoff.failed(.failure, jitter: 1)
        var waits: [Double] = []
        for _ in 0..<6 { waits.append(backoff.failed(.refusal, jitter: 1).seconds) }
        #expect(waits == [120, 240, 480, 960, 1800, 1800])
        #expect(backoff.attempts == 1)
    }

    @Test func aSuccessBeginsAnew() {
        var backoff = Backoff()
        for _ in 0..<100 { _ = backoff.failed(.failure, jitter: 1) }
        for _ in 0..<100 { _ = backoff.failed(.refusal, jitter: 1) }
        backoff.settled()
        let wait2 = backoff.failed(.failure, jitter: 1).seconds
        #expect(abs(wait2 - 0.4) < 1e-6)
        let refused = backoff.failed(.refusal, jitter: 1).seconds
        #expect(refused == 120)
    }
}

@Suite struct SealAheadTests {
    private func at(_ milliseconds: Int) -> Tick { Tick(nanoseconds: 0) + .milliseconds(milliseconds) }

    @Test func aSlowLinkHasLittleSealedAhead() {
        var ahead = SealAhead(now: at(0))
        // 1 MB/s: 5 ms are 5 KB, two packets are more.
        for step in 1...20 { _ = ahead.sent(50_000, isFull: true, now: at(step * 50)) }
        #expect(ahead.bytes <= SealAhead.leastBytes + 1)
    }

    @Test func aFastLinkHasFiveMillisecondsAhead() {
        var ahead = SealAhead(now: at(0))
        for step in 1...30 { _ = ahead.sent(5_000_000, isFull: true, now: at(step * 50)) }
        #expect(abs(ahead.bytes - 500_000) < 10)
        for step in 31...60 { _ = ahead.sent(500_000_000, isFull: true, now: at(step * 50)) }
        #expect(ahead.bytes <= SealAhead.mostBytes && ahead.bytes > SealAhead.mostBytes - 10)
    }

    @Test func onlyAFullSocketShowsItsRate() {
        var ahead = SealAhead(now: at(0))
        let before = ahead.bytes
        for step in 1...20 { let isTold = ahead.sent(1000, isFull: false, now: at(step * 50)); #expect(!isTold) }
        // Nor one that was idle for long.
        let isTold = ahead.sent(1000, isFull: true, now: at(10_000))
        #expect(!isTold)
        #expect(ahead.bytes == before)
    }

    @Test func aSmallChangeIsNotTold() {
        var ahead = SealAhead(now: at(0))
        // The same rate as assumed: 512 KiB in 5 ms.
        let isTold = ahead.sent(512 * 1024 * 10, isFull: true, now: at(50))
        #expect(!isTold)
        let isToldNow = ahead.sent(1000, isFull: true, now: at(100))
        #expect(isToldNow)
    }
}
