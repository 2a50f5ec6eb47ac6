import CulvertIO
import Testing

@testable import CulvertRelay

/// The relay's small parts, by integers.
@Suite struct QueueTests {
    private func drain(_ queue: inout FlowQueue) -> [Int] {
        var order: [Int] = []
        while let flow = queue.takeFirst() { order.append(flow) }
        return order
    }

    @Test func newFlowsComeBeforeThoseThatHadTheirTurn() {
        var queue = FlowQueue()
        queue.addBacklogged(1)
        queue.addBacklogged(2)
        queue.addSparse(3)
        queue.addSparse(4)
        let count = queue.count
        #expect(count == 4)
        #expect(drain(&queue) == [3, 4, 1, 2])
        let isEmpty = queue.isEmpty
        #expect(isEmpty)
    }

    @Test func aFlowPutBackIsNext() {
        var queue = FlowQueue()
        queue.addSparse(1)
        queue.addBacklogged(2)
        queue.putBack(3)
        #expect(drain(&queue) == [3, 1, 2])
    }

    /// Against an array, far beyond the first ring.
    @Test func anIndexQueueIsAnArray() {
        var dice = Dice(seed: 1)
        var queue = IndexQueue()
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
    @Test func waitsDoubleUpToTheLongest() {
        var backoff = Backoff()
        var waits: [Double] = []
        for _ in 0..<10 { waits.append(backoff.failed(wasRefused: false, jitter: 1).seconds) }
        for (wait, expected) in zip(waits, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]) {
            #expect(abs(wait - expected) < 1e-6)
        }
        #expect(backoff.attempts == 10)
    }

    @Test func aQuarterIsLeftToChance() {
        var backoff = Backoff()
        let wait1 = backoff.failed(wasRefused: false, jitter: 0).seconds
        #expect(abs(wait1 - 0.15) < 1e-6)
    }

    @Test func aRefusalWaitsForMinutesAndIsCountedByItself() {
        var backoff = Backoff()
        _ = backoff.failed(wasRefused: false, jitter: 1)
        var waits: [Double] = []
        for _ in 0..<6 { waits.append(backoff.failed(wasRefused: true, jitter: 1).seconds) }
        #expect(waits == [120, 240, 480, 960, 1800, 1800])
        #expect(backoff.attempts == 1)
    }

    @Test func aSuccessBeginsAnew() {
        var backoff = Backoff()
        for _ in 0..<100 { _ = backoff.failed(wasRefused: false, jitter: 1) }
        for _ in 0..<100 { _ = backoff.failed(wasRefused: true, jitter: 1) }
        backoff.succeeded()
        let wait2 = backoff.failed(wasRefused: false, jitter: 1).seconds
        #expect(abs(wait2 - 0.2) < 1e-6)
        let refused = backoff.failed(wasRefused: true, jitter: 1).seconds
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
