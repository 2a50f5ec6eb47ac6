import Foundation
import Testing

@testable import CulvertIO

/// Counts its lives.
private struct Counted: ~Copyable {
    final class Tally {
        var ended = 0
    }
    let value: Int
    let tally: Tally
    deinit { tally.ended += 1 }
}

@Suite struct SlabTests {
    @Test func valuesStayWhereTheyAreAndEndOnce() {
        let tally = Counted.Tally()
        do {
            var slab = Slab<Counted>(capacity: 100)
            for value in 0..<100 { #expect(slab.insert(Counted(value: value, tally: tally)) == value) }
            #expect(slab.isFull && slab.count == 100 && slab.highWater == 100)
            for slot in stride(from: 0, to: 100, by: 3) {
                let removed = slab.remove(slot)
                #expect(removed.value == slot)
            }
            #expect(slab.count == 66 && !slab.isUsed(0) && slab.isUsed(1))
            for slot in 0..<100 where slab.isUsed(slot) { #expect(slab[slot].value == slot) }
        }
        #expect(tally.ended == 100)
    }

    @Test func aTokenOfAFormerLifeIsNotCurrent() {
        var slab = Slab<Int>(capacity: 2)
        let slot = slab.insert(1)
        let token = Token(operation: 3, slot: slot, generation: slab.generation(slot))
        #expect(slab.isCurrent(token) == true)
        #expect(slab.remove(slot) == 1)
        #expect(slab.isCurrent(token) == false)
        #expect(slab.insert(2) == slot, "a free slot is used again")
        #expect(slab.isCurrent(token) == false)
        #expect(slab.generation(slot) == 3)
        #expect(slab.isCurrent(Token(operation: 0, slot: 1, generation: 0)) == false, "a slot that was never used")
        #expect(
            slab.isCurrent(Token(operation: 0, slot: 4_000_000_000, generation: 1)) == false,
            "a slot that does not exist")
    }

    @Test func generationsGoRoundWithoutZero() {
        var slab = Slab<UInt8>(capacity: 1)
        var sawFirst = 0
        // 2^24 lives wrap the generation; debug builds do it in seconds.
        for _ in 0..<(1 << 24) {
            let slot = slab.insert(0)
            let generation = slab.generation(slot)
            if generation == 0 { Issue.record("a token of zeros means none") }
            if generation == 1 { sawFirst += 1 }
            _ = slab.remove(slot)
        }
        #expect(sawFirst == 2)
    }

    @Test func growsWithUseAndKeepsWhatItHas() {
        let tally = Counted.Tally()
        do {
            // So many that nobody reserves memory for all of them.
            var slab = Slab<Counted>(capacity: Int(Int32.max))
            for value in 0..<100_000 {
                #expect(slab.isFull == false)
                if slab.insert(Counted(value: value, tally: tally)) != value { Issue.record("slot \(value)") }
                guard value % 3 == 0 else { continue }
                let removed = slab.remove(value)
                #expect(removed.value == value)
                if slab.insert(Counted(value: value, tally: tally)) != value { Issue.record("slot \(value) again") }
            }
            for slot in 0..<100_000 where slab[slot].value != slot || slab.generation(slot) & 1 == 0 {
                Issue.record("slot \(slot) has changed")
            }
        }
        #expect(tally.ended == 100_000 + 33_334)
    }

    @Test func withoutMemoryForMoreItIsFull() async {
        await #expect(processExitsWith: .success) {
            // 64 MiB more than the process has now.
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[0]
            var limit = rlimit()
            limit.rlim_cur = rlim_t(Int(pages)! * Int(sysconf(Int32(_SC_PAGESIZE))) + 64 << 20)
            limit.rlim_max = limit.rlim_cur
            precondition(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
            var slab = Slab<InlineArray<512, UInt64>>(capacity: 1 << 20)
            var count: UInt64 = 0
            while !slab.isFull {
                _ = slab.insert(InlineArray(repeating: count))
                count += 1
            }
            precondition(count > 1000 && count < 1 << 15, "\(count)")
            for slot in 0..<Int(count) { precondition(slab[slot][511] == UInt64(slot)) }
            _ = slab.remove(7)
            precondition(!slab.isFull && slab.insert(InlineArray(repeating: 1)) == 7 && slab.isFull)
        }
    }

    @Test func misuseStopsTheProgram() async {
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>(capacity: 1)
            _ = slab.insert(1)
            _ = slab.insert(2)
        }
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>(capacity: 1)
            _ = slab.insert(1)
            _ = slab.remove(0)
            _ = slab.remove(0)
        }
        await #expect(processExitsWith: .failure) {
            let slab = Slab<Int>(capacity: 1)
            print(slab[0])
        }
    }
}

@Suite struct TokenTests {
    @Test func partsComeBackAndAreNeverZeroTogether() {
        for operation in [UInt8(0), 1, 63] {
            for slot in [0, 1, Int(Int32.max)] {
                for generation in [UInt32(1), 0xff_ffff] {
                    let token = Token(operation: operation, slot: slot, generation: generation)
                    #expect(token.operation == operation && token.slot == slot && token.generation == generation)
                    #expect(token.raw != 0)
                }
            }
        }
    }
}

@Suite struct TimerQueueTests {
    @Test func takesTheSoonestFirstAndNothingEarly() {
        var queue = TimerQueue()
        #expect(queue.soonest == nil && queue.takeDue(Tick(nanoseconds: .max)) == nil)
        var state: UInt64 = 42
        var moments: [UInt64] = []
        for slot in 0..<2000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let moment = state >> 33 & 0x3ff
            moments.append(moment)
            queue.add(Tick(nanoseconds: moment), Token(operation: 0, slot: slot, generation: 1))
        }
        var taken: [UInt64] = []
        var slots = Set<Int>()
        for now in UInt64(0)...1024 {
            while let token = queue.takeDue(Tick(nanoseconds: now)) {
                #expect(moments[token.slot] == now, "neither early nor late")
                taken.append(moments[token.slot])
                slots.insert(token.slot)
            }
            if let soonest = queue.soonest { #expect(soonest.nanoseconds > now) }
        }
        #expect(taken == moments.sorted() && slots.count == 2000 && queue.count == 0)
    }
}

@Suite struct TickTests {
    @Test func differencesAndSums() {
        let early = Tick(nanoseconds: 1000)
        let late = early + .milliseconds(2)
        #expect((late - early) == .milliseconds(2) && (early - late).nanoseconds == -2_000_000)
        #expect(early < late && early + Tick.Span(nanoseconds: -5) == early)
        #expect(Tick.Span.seconds(0.5).seconds == 0.5)
        let first = Tick.current()
        #expect(Tick.current() >= first && first.nanoseconds > 0)
        #expect(Tick.currentWithSleep().nanoseconds >= first.nanoseconds)
    }
}

@Suite struct SlotPoolTests {
    @Test func everySlotIsLentOnceLastInFirstOut() {
        var pool = SlotPool()
        var slots: [LentSlot] = []
        while let slot = pool.take() { slots.append(slot) }
        #expect(slots.count == SlotPool.slotCount && pool.freeCount == 0)
        let starts = Set(slots.map { UInt(bitPattern: $0.start) })
        #expect(starts.count == SlotPool.slotCount)
        let sorted = starts.sorted()
        for (one, next) in zip(sorted, sorted.dropFirst()) { #expect(next - one >= SlotPool.slotLength) }
        pool.give(back: slots[3])
        pool.give(back: slots[5])
        #expect(pool.take()?.number == slots[5].number, "the warm one is used next")
        #expect(pool.take()?.number == slots[3].number)
    }

    @Test func aSlotTooManyStopsTheProgram() async {
        await #expect(processExitsWith: .failure) {
            var pool = SlotPool()
            let slot = pool.take()!
            pool.give(back: slot)
            pool.give(back: slot)
        }
    }
}

@Suite struct DescriptorTableTests {
    @Test func entriesBeginEmptyAndKeepWhatIsWritten() {
        var table = DescriptorTable(capacity: 1000)
        for descriptor in Int32(0)..<1000 {
            #expect(table[descriptor].reader == 0 && table[descriptor].writer == 0 && table[descriptor].generation == 0)
            #expect(table[descriptor].keptResult == 0 && !table[descriptor].receiveInFlight)
            table[descriptor].reader = UInt64(descriptor) + 1
        }
        for descriptor in Int32(0)..<1000 { #expect(table[descriptor].reader == UInt64(descriptor) + 1) }
    }

    @Test func aDescriptorBeyondTheTableStopsTheProgram() async {
        await #expect(processExitsWith: .failure) { print(DescriptorTable(capacity: 10)[10].reader) }
        await #expect(processExitsWith: .failure) { print(DescriptorTable(capacity: 10)[-1].reader) }
    }
}
