import CulvertIO
import Glibc
import Simulation
import Testing

@Suite struct ReadingContract {
    @Test(arguments: Kind.allCases) func receiveCompletesOnceWithItsBytes(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.receive(descriptor, bench.token(3))
        try bench.expectQuiet("nothing was sent")
        peer.write([1])
        let completion = try bench.one("a byte")
        #expect(completion.token == bench.token(3))
        #expect(completion.result == 1)
        #expect(bench.take(completion) == [1])
        peer.write([2])
        try bench.expectQuiet("nobody asked again")
        bench.driver.receive(descriptor, bench.token(4))
        #expect(bench.take(try bench.one("the next byte")) == [2])
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func readinessCompletesOnceAndTakesNothing(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.awaitReadable(descriptor, bench.token(3))
        try bench.expectQuiet("nothing was sent")
        peer.write([1, 2, 3])
        let completion = try bench.one("readiness")
        #expect(completion.token == bench.token(3))
        #expect(completion.result == 0 && completion.slot.isNone)
        try bench.expectQuiet("nobody asked again")
        #expect(try bench.collect(descriptor, 3).bytes == [1, 2, 3])
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func theEndIsZeroAndComesAgain(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        peer.write([9])
        peer.finish()
        let (bytes, last) = try bench.collect(descriptor, 2)
        #expect(bytes == [9] && last == 0)
        bench.driver.awaitReadable(descriptor, bench.token(1))
        #expect(try bench.one("the end is readable").result == 0)
        bench.driver.receive(descriptor, bench.token(1))
        let again = try bench.one("the end, again")
        #expect(again.result == 0 && again.slot.isNone)
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func aResetIsAnErrorForAReader(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.receive(descriptor, bench.token(1))
        try bench.expectQuiet("nothing was sent")
        peer.reset()
        #expect(try bench.one("the reset").result == -Int(ECONNRESET))
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func aResetWakesBothWaits(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        peer.isReading = false
        try fill(bench, descriptor)
        bench.driver.awaitReadable(descriptor, bench.token(1))
        bench.driver.awaitWritable(descriptor, bench.token(2))
        var woken: [Int] = []
        peer.reset()
        try bench.turns("both waits", until: { woken.count == 2 }, { woken.append($0.token.slot) })
        #expect(woken.sorted() == [1, 2])
        try bench.expectQuiet("each completes once")
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func halfClosedEitherWayTheOtherWayGoesOn(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.shutdownWriting(descriptor)
        try bench.turns("the end at the peer", until: { peer.sawEnd })
        peer.write(pattern(1000))
        #expect(try bench.collect(descriptor, 1000).bytes == pattern(1000))
        peer.finish()
        #expect(try bench.collect(descriptor, 1).last == 0)
        bench.driver.close(descriptor)
        #expect(!peer.sawReset)
    }

    @Test(arguments: Kind.allCases) func readsIntoSlotsAtAStride(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        let sent = pattern(2500)
        peer.write(sent)
        var bytes: [UInt8] = []
        while bytes.count < sent.count {
            bench.driver.awaitReadable(descriptor, bench.token(1))
            _ = try bench.one("readiness")
            var memory = [UInt8](repeating: 0xee, count: 3 * 100)
            let result = memory.withUnsafeMutableBytes {
                bench.driver.receive(
                    descriptor, into: $0.baseAddress! + 10, stride: 100, slotLength: 70, lastLength: 50, count: 3)
            }
            #expect(result <= 70 + 70 + 50)
            guard result > 0 else {
                #expect(result == -Int(EAGAIN))
                continue
            }
            var left = result
            for (slot, length) in [70, 70, 50].enumerated() {
                let begin = slot * 100 + 10
                let used = min(length, left)
                bytes += memory[begin..<begin + used]
                left -= used
                #expect(memory[(begin + used)..<min(begin + 90, 300)].allSatisfy { $0 == 0xee }, "nothing beyond")
            }
        }
        #expect(bytes == sent)
        bench.driver.close(descriptor)
    }

    /// Small messages, then a flood, then small ones: io_uring changes how it reads twice.
    @Test(arguments: Kind.allCases) func smallThenBulkThenSmall(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        var sent: [UInt8] = []
        for round in 0..<3 {
            for message in 0..<20 {
                let bytes = pattern(1 + message * 37, seed: round)
                peer.write(bytes)
                sent += bytes
                #expect(try bench.collect(descriptor, bytes.count).bytes == bytes)
            }
            let bulk = pattern(kind.isSimulated ? 300_000 : 3_000_000, seed: round + 5)
            peer.write(bulk)
            let got = try bench.collect(descriptor, bulk.count).bytes
            #expect(got == bulk)
        }
        bench.driver.close(descriptor)
    }

    @Test(arguments: Kind.allCases) func awaitWritableCompletesWhenThereIsRoom(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.awaitWritable(descriptor, bench.token(5))
        #expect(try bench.one("an empty socket takes bytes").token == bench.token(5))
        peer.isReading = false
        let sent = try fill(bench, descriptor)
        bench.driver.awaitWritable(descriptor, bench.token(6))
        try bench.expectQuiet("a full socket is not writable")
        peer.isReading = true
        #expect(try bench.one("room").token == bench.token(6))
        try bench.turns("all bytes", until: { peer.received.count == sent })
        bench.driver.close(descriptor)
    }

    /// A writer that waits again from within the turn must get a new event, not the old one again.
    @Test(arguments: Kind.allCases) func aWriterThatWaitsAgainAtOnceEndsItsTurn(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, _) = try bench.world.pair()
        bench.driver.awaitReadable(descriptor, bench.token(1))
        bench.driver.awaitWritable(descriptor, bench.token(2))
        var inOneTurn = 0
        bench.world.pump()
        try bench.driver.turn(until: bench.driver.now + .seconds(1))
        while let completion = bench.driver.next(), inOneTurn < 100 {
            inOneTurn += 1
            if completion.token.slot == 2 { bench.driver.awaitWritable(descriptor, bench.token(2)) }
        }
        #expect((1...2).contains(inOneTurn))
        bench.driver.close(descriptor)
    }

    @discardableResult private func fill(_ bench: Bench, _ descriptor: Descriptor) throws -> Int {
        let chunk = pattern(65536)
        var sent = 0
        var refusals = 0
        // The simulation refuses now and then for no reason, and the kernel moves bytes to the peer's buffer.
        while refusals < 20 {
            let result = chunk.withUnsafeBytes { bench.driver.send(descriptor, $0) }
            if result > 0 {
                sent += result
                refusals = 0
            } else {
                try #require(result == -Int(EAGAIN))
                refusals += 1
                try bench.turn { _ in Issue.record("nothing is waited for") }
            }
        }
        return sent
    }
}
