import CulvertIO
import Simulation
import Testing

@testable import CulvertIO

@Suite struct SlotsAndLoadContract {
    /// Somebody keeps every slot: nobody's bytes are lost, and they come when slots come back.
    @Test(arguments: Kind.allCases) func withoutSlotsReadersWaitAndThenGoOn(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let free = bench.driver.freeSlots
        #expect(free > reservedSlots)
        // io_uring has 128 small slots beside the large ones.
        let count = 160
        var pairs: [(Descriptor, any Peer)] = []
        for slot in 0..<count {
            pairs.append(try bench.world.pair())
            bench.driver.receive(pairs[slot].0, bench.token(slot))
            pairs[slot].1.write(pattern(100, seed: slot))
        }
        var kept: [Completion] = []
        var expected: Int { kind == .uring ? 128 + free : free }
        try bench.turns("every slot lent", until: { kept.count == expected }, { kept.append($0) })
        #expect(bench.driver.freeSlots == 0)
        try bench.expectQuiet("no slot is left")
        // Kept slots hold what they held.
        var bytes = [[UInt8]](repeating: [], count: count)
        func take(_ completion: Completion) {
            let slot = completion.token.slot
            bytes[slot] += bench.take(completion)
            if bytes[slot].count < 100 { bench.driver.receive(pairs[slot].0, bench.token(slot)) }
        }
        kept.forEach(take)
        try bench.turns("everybody", until: { bytes.allSatisfy { $0.count == 100 } }, take)
        for slot in 0..<count { #expect(bytes[slot] == pattern(100, seed: slot)) }
        #expect(bench.driver.freeSlots == free)
        for pair in pairs { bench.driver.close(pair.0) }
    }

    @Test(arguments: Kind.allCases) func aStarvedReaderCanBeStoppedAndClosed(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var pairs: [(Descriptor, any Peer)] = []
        for slot in 0..<160 {
            pairs.append(try bench.world.pair())
            bench.driver.receive(pairs[slot].0, bench.token(slot))
            pairs[slot].1.write([UInt8(slot)])
        }
        var kept: [Completion] = []
        try bench.turns("every slot lent", until: { bench.driver.freeSlots == 0 }, { kept.append($0) })
        try bench.expectQuietButFor(&kept)
        let told = Set(kept.map(\.token.slot))
        let starved = (0..<160).filter { !told.contains($0) }
        for slot in starved.dropLast() {
            bench.driver.stopReading(pairs[slot].0)
            if slot % 2 == 0 { bench.driver.close(pairs[slot].0) }
        }
        for completion in kept { bench.driver.release(completion.slot) }
        let last = starved.last!
        let completion = try bench.one("the one that still waits")
        #expect(completion.token.slot == last)
        #expect(bench.take(completion) == [UInt8(last)])
        for slot in starved.dropLast() where slot % 2 == 1 {
            #expect(try bench.collect(pairs[slot].0, 1).bytes == [UInt8(slot)])
        }
    }

    /// More sockets are ready at once than a batch, or the provided buffers, hold.
    @Test(arguments: Kind.allCases) func fiveHundredSocketsReadyAtOnce(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var pairs: [(Descriptor, any Peer)] = []
        for slot in 0..<500 {
            pairs.append(try bench.world.pair())
            bench.driver.receive(pairs[slot].0, bench.token(slot))
        }
        for round in 0..<3 {
            var left = [Int](repeating: 50, count: 500)
            for (slot, pair) in pairs.enumerated() { pair.1.write(pattern(50, seed: slot + round)) }
            var bytes = [[UInt8]](repeating: [], count: 500)
            var missing = 500
            try bench.turns("everybody's bytes", until: { missing == 0 }) {
                let slot = $0.token.slot
                let got = bench.take($0)
                bytes[slot] += got
                left[slot] -= got.count
                if left[slot] == 0 { missing -= 1 }
                bench.driver.receive(pairs[slot].0, bench.token(slot))
            }
            for slot in 0..<500 { #expect(bytes[slot] == pattern(50, seed: slot + round)) }
        }
        for pair in pairs { bench.driver.close(pair.0) }
    }

    /// More requests in one turn than the submission queue holds.
    @Test(arguments: Kind.allCases) func thousandsOfOperationsBetweenTwoTurns(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var descriptors: [Descriptor] = []
        for _ in 0..<(kind.isSimulated ? 300 : 1500) { descriptors.append(try bench.world.pair().0) }
        var written = 0
        for (slot, descriptor) in descriptors.enumerated() {
            bench.driver.receive(descriptor, bench.token(slot))
            bench.driver.awaitWritable(descriptor, bench.token(slot, operation: 2))
        }
        try bench.turns("each is writable", until: { written == descriptors.count }) {
            #expect($0.token.operation == 2)
            written += 1
        }
        for descriptor in descriptors { bench.driver.close(descriptor) }
        try bench.expectQuiet("all are closed")
    }

    @Test(arguments: Kind.allCases) func aTurnEndsAtItsDeadlineAndNotBefore(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, _) = try bench.world.pair()
        bench.driver.receive(descriptor, bench.token(1))
        for milliseconds in [0, 1, 3, 20] {
            try bench.driver.turn(until: bench.driver.now)
            #expect(bench.driver.next() == nil)
            let deadline = bench.driver.now + .milliseconds(milliseconds)
            // A signal may end a wait early; a wait that spins would take thousands of turns.
            var turns = 0
            repeat {
                turns += 1
                try bench.driver.turn(until: deadline)
                #expect(bench.driver.next() == nil)
            } while bench.driver.now < deadline && turns < 100
            #expect(bench.driver.now >= deadline)
        }
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.ofKernel) func aMailboxWakesAWorkerThatWaitsForEver(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let mailbox = try Mailbox<Int>()
        let answers = try Mailbox<Bool>()
        let count = 2000
        try Thread.start(name: "poster") {
            for message in 0..<count { mailbox.post(message) }
            answers.post(true)
        }
        var got: [Int] = []
        while got.count < count {
            bench.driver.awaitReadable(mailbox.descriptor, bench.token(1))
            try bench.driver.turn(until: nil)
            while bench.driver.next() != nil { got += mailbox.takeAll() }
        }
        #expect(got == Array(0..<count), "in order, each once")
        _ = Wait.forReadable([answers.descriptor], until: nil)
        bench.driver.awaitReadable(mailbox.descriptor, bench.token(1))
        bench.driver.stopReading(mailbox.descriptor)
    }

    @Test func theSimulationSeesAMailbox() throws {
        let bench = try Bench(.simulated)
        let mailbox = try Mailbox<Int>()
        bench.driver.awaitReadable(mailbox.descriptor, bench.token(1))
        try bench.expectQuiet("nothing was posted")
        mailbox.post(5)
        #expect(try bench.one("the message").token == bench.token(1))
        #expect(mailbox.takeAll() == [5])
    }

    @Test(arguments: Kind.allCases) func gatheredRangesArriveInOrder(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        let sent = pattern(16 * 300)
        var done = 0
        try sent.withUnsafeBytes { bytes in
            try bench.turns(
                "all sent", until: { done == sent.count },
                idle: {
                    var ranges = RangeList()
                    var at = done
                    while at < sent.count && !ranges.isFull {
                        let length = min(300, sent.count - at)
                        ranges.append(bytes.baseAddress! + at, length)
                        at += length
                    }
                    if !ranges.isEmpty { done += max(0, bench.driver.send(descriptor, ranges)) }
                })
        }
        try bench.turns("all there", until: { peer.received.count >= sent.count })
        #expect(peer.received == sent)
        bench.driver.close(descriptor)
    }
}

extension Bench {
    /// As `expectQuiet`, but the last completions of a shortage may still come.
    fileprivate func expectQuietButFor(_ kept: inout [Completion]) throws {
        for _ in 0..<20 { try turn { kept.append($0) } }
    }
}
