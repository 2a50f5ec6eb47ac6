import CulvertIO
import CulvertSSH
import Synchronization
import Testing

@testable import CulvertRelay

/// Memory, targets, links, timers and parcels, by integers.
@Suite struct SpillTests {
    /// Several spills in one pool, against arrays: bytes in order, memory counted block by block.
    @Test(arguments: UInt64(1)...5)
    func spillsAreQueuesOfBytes(_ seed: UInt64) {
        var dice = Dice(seed: seed)
        let budget = MemoryBudget(ceiling: 20 * SpillPool.largeLength)
        var pool = SpillPool(budget: budget)
        var spills = [Spill](repeating: Spill(), count: 4)
        var models = [[UInt8]](repeating: [], count: 4)
        var refusals = 0
        for _ in 0..<2000 {
            let index = Int.random(in: 0..<4, using: &dice)
            if Bool.random(using: &dice) {
                let bytes = dice.bytes(dice.some(upTo: 150_000))
                let used = budget.inUse
                let fits = bytes.withUnsafeBytes { pool.append($0.baseAddress!, bytes.count, to: &spills[index]) }
                if fits { models[index] += bytes } else { refusals += 1 }
                #expect(fits || budget.inUse == used, "what is refused takes nothing")
            } else if !spills[index].isEmpty {
                let first = pool.first(of: spills[index])
                let count = dice.some(upTo: first.count)
                let same = models[index].prefix(count).elementsEqual(
                    UnsafeRawBufferPointer(start: first.start, count: count))
                #expect(same)
                models[index].removeFirst(count)
                pool.consume(count, of: &spills[index])
            }
            #expect(spills[index].count == models[index].count)
            #expect(spills[index].isEmpty == models[index].isEmpty)
            #expect(budget.inUse <= budget.limit && budget.inUse >= models.reduce(0) { $0 + $1.count })
        }
        #expect(refusals > 0)
        for index in 0..<4 { pool.removeAll(&spills[index]) }
        #expect(budget.inUse == 0)
        #expect(spills.allSatisfy { $0.isEmpty })
    }

    @Test func everyBlockCanBeTakenTwice() {
        let budget = MemoryBudget(ceiling: 100 * SpillPool.largeLength)
        var pool = SpillPool(budget: budget)
        let block = [UInt8](repeating: 5, count: SpillPool.largeLength)
        for _ in 0..<2 {
            var spill = Spill()
            var taken = 0
            while block.withUnsafeBytes({ pool.append($0.baseAddress!, block.count, to: &spill) }) { taken += 1 }
            #expect(taken * block.count > budget.ceiling && taken * block.count <= budget.limit)
            pool.removeAll(&spill)
            #expect(budget.inUse == 0)
        }
    }

    /// Many readers that owe a little cost a little.
    @Test func aSpillBeginsWithSmallBlocks() {
        let budget = MemoryBudget(ceiling: 10 * 1024 * 1024)
        var pool = SpillPool(budget: budget)
        let bytes = [UInt8](repeating: 5, count: 1000)
        var spills = [Spill](repeating: Spill(), count: 100)
        for index in spills.indices {
            #expect(bytes.withUnsafeBytes { pool.append($0.baseAddress!, bytes.count, to: &spills[index]) })
            #expect(spills[index].held == SpillPool.smallLength)
        }
        #expect(budget.inUse == 100 * SpillPool.smallLength)
        #expect(budget.floor == budget.ceiling / 2 / 100)
        for index in spills.indices { pool.removeAll(&spills[index]) }
        #expect(budget.inUse == 0)
        #expect(budget.floor == budget.ceiling / 2)
    }

    /// One receive of each worker may pass the ceiling, and no more.
    @Test func aBudgetGivesNoMoreThanItsLimit() {
        let budget = MemoryBudget(ceiling: 10, workers: 2)
        #expect(budget.take(10))
        #expect(!budget.isOver)
        #expect(budget.take(2 * MemoryBudget.overdraft))
        #expect(budget.isOver)
        #expect(!budget.take(1))
        budget.give(back: 10 + 2 * MemoryBudget.overdraft)
        #expect(budget.inUse == 0)
    }

    @Test func whoeverHoldsTheSameForLongerGoesFirst() {
        let short = HoldRank(held: 272 * 1024, stalled: .milliseconds(20))
        let long = HoldRank(held: 272 * 1024, stalled: .seconds(100_000))
        let more = HoldRank(held: 290 * 1024, stalled: .zero)
        #expect(short < long && long < more)
    }

    /// Whoever holds most goes, on whichever worker it is.
    @Test func theGreatestHolderOfAllWorkersGoes() {
        let now = Tick(nanoseconds: 1_000_000_000)
        let budget = MemoryBudget(ceiling: 100, workers: 3)
        #expect(budget.relief(for: WorkerID(0), lastAsked: nil, now: now) == .none)
        budget.publish(HoldRank(held: 50 * HoldRank.unit, stalled: .zero), by: WorkerID(1))
        budget.publish(HoldRank(held: 40 * HoldRank.unit, stalled: .zero), by: WorkerID(2))
        #expect(budget.relief(for: WorkerID(1), lastAsked: nil, now: now) == .own)
        #expect(budget.relief(for: WorkerID(0), lastAsked: nil, now: now) == .ask(WorkerID(1)))
        #expect(budget.relief(for: WorkerID(0), lastAsked: now, now: now + .milliseconds(4)) == .none)
        #expect(budget.relief(for: WorkerID(0), lastAsked: now, now: now + .milliseconds(5)) == .ask(WorkerID(1)))
        budget.publish(nil, by: WorkerID(1))
        #expect(budget.relief(for: WorkerID(2), lastAsked: nil, now: now) == .own)
    }
}

@Suite struct SmallPartsTests {
    private func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 0) + .seconds(seconds) }

    @Test func aNumberNeedsNoLookingUp() throws {
        let cache = TargetCache<FlowID>(.tcp(host: "127.0.0.1", port: 80))
        #expect(cache.addresses(now: at(0))?.map(\.description) == ["127.0.0.1:80"])
        #expect(TargetCache<FlowID>(.unix(path: "/run/x")).addresses(now: at(0))?.map(\.description) == ["/run/x"])
        let long = TargetCache<FlowID>(.unix(path: String(repeating: "x", count: 200)))
        #expect(long.addresses(now: at(0))?.isEmpty == true, "no such path can be: nothing to try, nothing to ask")
    }

    @Test func aNameIsBelievedForFiveSeconds() throws {
        var cache = TargetCache<FlowID>(.tcp(host: "db.invalid", port: 80))
        #expect(cache.addresses(now: at(1)) == nil)
        cache.isAsked = true
        let address = try SocketAddress.resolve(host: "127.0.0.9", port: 80, numeric: true)
        _ = cache.learn(address, now: at(10))
        #expect(!cache.isAsked)
        #expect(cache.addresses(now: at(14.9)) == address)
        #expect(cache.addresses(now: at(15)) == nil)
        _ = cache.learn([], now: at(20))
        #expect(cache.addresses(now: at(20)) == nil, "a failure is not kept")
    }

    @Test func theLeastLoadedOpenLinkIsChosen() {
        let links = (0..<3).map { LinkStatus(worker: WorkerID($0)) }
        #expect(LinkStatus.leastLoaded(links) == nil)
        links[1].isOpen = true
        links[2].isOpen = true
        #expect(LinkStatus.leastLoaded(links) == 1)
        links[1].flowBegan()
        #expect(LinkStatus.leastLoaded(links) == 2)
        links[2].flowBegan()
        links[2].flowBegan()
        #expect(LinkStatus.leastLoaded(links) == 1)
        links[1].isOpen = false
        #expect(LinkStatus.leastLoaded(links) == 2)
        links[2].flowEnded()
        #expect(links[2].flowCount == 1)
        #expect(LinkStatus.leastLoaded([]) == nil)
    }

    @Test func timersComeInTheirOrderAndNotBefore() {
        var dice = Dice(seed: 6)
        var timers = TimerQueue()
        for slot in 0..<500 {
            timers.add(
                at(Double(Int.random(in: 0..<100, using: &dice))), Token(operation: 1, slot: slot, generation: 1))
        }
        var moments = 0
        for second in 0..<100 {
            while let soonest = timers.soonest, timers.takeDue(at(Double(second))) != nil {
                #expect(soonest == at(Double(second)))
                moments += 1
            }
        }
        #expect(moments == 500 && timers.count == 0)
    }

    @Test func aParcelIsOpenedOnce() async {
        let parcel = Parcel(NullCipherEngine(role: .client))
        let summary = { () -> String in
            var engine = parcel.take()
            engine.probe()
            return engine.summary
        }()
        #expect(!summary.isEmpty)
        await #expect(processExitsWith: .failure) {
            let parcel = Parcel(NullCipherEngine(role: .client))
            _ = parcel.take()
            _ = parcel.take()
        }
    }

    /// A Unix peer names itself, and forges no line by that.
    @Test func aPeersNameIsSafe() {
        let name = "/tmp/a\nculvert: connected to bank\u{1b}[2J\u{202e}"
        #expect(
            SocketAddress(path: name)?.shown == "/tmp/a\\u{a}culvert: connected to bank\\u{1b}[2J\\u{202e}")
    }

    @Test func everyLineOfTheJournalIsSafe() {
        let lines = Mutex<[String]>([])
        let journal = Journal(level: .info) { line in lines.withLock { $0.append(line.text) } }
        journal.error("a\u{1b}[2J\u{202e}b")
        journal.named("t", level: .info).info("c\nd")
        #expect(lines.withLock { $0 } == ["a\\u{1b}[2J\\u{202e}b", "t: c\nt: d"])
    }
}
