import CulvertIO
import Testing

/// What only io_uring does: small receives land in provided buffers, which are numbered from 65,536.
@Suite struct UringDriverTests {
    private func isProvided(_ completion: Completion) -> Bool { completion.slot.number >= 1 << 16 }

    /// If the kernel answered -EAGAIN for a socket that is O_NONBLOCK, each receive would cost a poll and a read more.
    @Test func aReceiveOnAnIdleSocketWaitsInTheKernel() throws {
        let bench = try Bench(.uring)
        let (descriptor, peer) = try bench.world.pair()
        for round in 0..<300 {
            bench.driver.receive(descriptor, bench.token(1))
            try bench.driver.turn(until: bench.driver.now)
            #expect(bench.driver.next() == nil)
            peer.write([UInt8(truncatingIfNeeded: round)])
            let completion = try bench.one("a byte")
            #expect(isProvided(completion))
            #expect(
                bench.take(completion) == [UInt8(truncatingIfNeeded: round)], "more rounds than buffers: none leaks")
        }
        bench.driver.close(descriptor)
    }

    @Test func aFloodIsReadInLargePiecesAndSmallMessagesAreNot() throws {
        let bench = try Bench(.uring)
        let (descriptor, peer) = try bench.world.pair()
        func next() throws -> Completion {
            bench.driver.receive(descriptor, bench.token(1))
            return try bench.one("bytes")
        }
        peer.write(pattern(2_000_000))
        var got: [UInt8] = []
        var large = 0
        while got.count < 2_000_000 {
            let completion = try next()
            if !isProvided(completion) { large += 1 }
            got += bench.take(completion)
        }
        #expect(got == pattern(2_000_000))
        #expect(large > 0, "a full receive makes the socket hot")
        // The first small read ends it.
        peer.write([1])
        _ = bench.take(try next())
        peer.write([2])
        let small = try next()
        #expect(isProvided(small))
        #expect(bench.take(small) == [2])
        bench.driver.close(descriptor)
    }

    /// Stopped and closed receives give their buffers back: 300 of them leave all 128.
    @Test func noProvidedBufferLeaks() throws {
        let bench = try Bench(.uring)
        for round in 0..<300 {
            let (descriptor, peer) = try bench.world.pair()
            bench.driver.receive(descriptor, bench.token(1))
            if round % 2 == 0 { try bench.expectQuiet("nothing was sent") }
            peer.write([1, 2, 3])
            if round % 3 == 0 { bench.driver.stopReading(descriptor) }
            if round % 5 == 0 { try bench.driver.turn(until: bench.driver.now) }
            // Taken by the kernel, not yet told: closed over.
            bench.driver.close(descriptor)
            while let completion = bench.driver.next() { _ = bench.take(completion) }
            peer.reset()
        }
        try bench.expectQuiet("all are closed")
        var pairs: [(Descriptor, any Peer)] = []
        for slot in 0..<128 {
            pairs.append(try bench.world.pair())
            bench.driver.receive(pairs[slot].0, bench.token(slot))
            pairs[slot].1.write([1])
        }
        var kept: [Completion] = []
        try bench.turns("128 buffers", until: { kept.count == 128 }, { kept.append($0) })
        #expect(kept.allSatisfy(isProvided))
        for completion in kept { bench.driver.release(completion.slot) }
        for pair in pairs { bench.driver.close(pair.0) }
    }
}
