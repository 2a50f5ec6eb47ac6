import CulvertIO
import Glibc
import Testing

@testable import CulvertIO

@Suite struct ClosingContract {
    @Test(arguments: Kind.allCases) func whatIsStoppedDoesNotComplete(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        for submitted in [false, true] {
            bench.driver.receive(descriptor, bench.token(1))
            if submitted { try bench.expectQuiet("nothing was sent") }
            bench.driver.stopReading(descriptor)
            bench.driver.awaitReadable(descriptor, bench.token(2))
            if submitted { try bench.expectQuiet("nothing was sent") }
            bench.driver.stopReading(descriptor)
        }
        bench.driver.stopReading(descriptor)
        peer.write([1, 2])
        try bench.expectQuiet("everything was stopped")
        #expect(try bench.collect(descriptor, 2).bytes == [1, 2])
        bench.driver.close(descriptor)
    }

    /// A receive that is stopped after its bytes have come, before anybody was told: they must not be lost.
    @Test(arguments: Kind.allCases, 0..<4) func whatAStoppedReceiveTookComesWithTheNextRead(
        _ kind: Kind, _ reading: Int
    ) throws {
        let bench = try Bench(kind)
        let (other, otherPeer) = try bench.world.pair()
        let (descriptor, peer) = try bench.world.pair()
        let sent = pattern(900)
        bench.driver.receive(other, bench.token(1))
        bench.driver.receive(descriptor, bench.token(2))
        try bench.expectQuiet("nothing was sent")
        // Both become ready in one turn; the first that is told stops the other.
        otherPeer.write([1])
        peer.write(Array(sent[..<500]))
        var told: [Int] = []
        var bytes: [UInt8] = []
        try bench.turns("one of two", until: { !told.isEmpty }) {
            told.append($0.token.slot)
            if $0.token.slot == 2 { bytes += bench.take($0) } else { _ = bench.take($0) }
            bench.driver.stopReading(other)
            bench.driver.stopReading(descriptor)
        }
        #expect(told.count == 1, "the other was stopped")
        peer.write(Array(sent[500...]))
        switch reading {
        case 0:
            bytes += try bench.collect(descriptor, 900 - bytes.count).bytes
        case 1:
            while bytes.count < 900 {
                bench.driver.awaitReadable(descriptor, bench.token(3))
                _ = try bench.one("readiness")
                let (result, now) = bench.readNow(descriptor, limit: 130)
                #expect(result > 0 || result == -Int(EAGAIN))
                bytes += now
            }
        case 2:
            // Reading at once, without waiting: refused or right, never out of order.
            try bench.turns("every byte", until: { bytes.count >= 900 }) { _ in
                Issue.record("nothing is waited for")
            } idle: {
                bytes += bench.readNow(descriptor, limit: 130).bytes
            }
        default:
            bench.driver.receive(descriptor, bench.token(3))
            bench.driver.stopReading(descriptor)
            bytes += try bench.collect(descriptor, 900 - bytes.count).bytes
        }
        #expect(bytes == sent)
        bench.driver.close(other)
        bench.driver.close(descriptor)
        #expect(bench.driver.freeSlots >= reservedSlots)
    }

    @Test(arguments: Kind.allCases) func whatIsClosedDoesNotComplete(_ kind: Kind) throws {
        let bench = try Bench(kind)
        for submitted in [false, true] {
            let (descriptor, peer) = try bench.world.pair()
            bench.driver.receive(descriptor, bench.token(1))
            if submitted { try bench.expectQuiet("nothing was sent") }
            peer.write([1])
            bench.driver.awaitWritable(descriptor, bench.token(2))
            bench.driver.close(descriptor)
            try bench.expectQuiet("it is closed")
        }
    }

    /// The handler of one completion closes the socket of another that is ready in the same turn.
    @Test(arguments: Kind.allCases) func closingWithinATurnDropsTheReadyCompletion(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var pairs: [(Descriptor, any Peer)] = []
        for _ in 0..<8 { pairs.append(try bench.world.pair()) }
        for (slot, pair) in pairs.enumerated() { bench.driver.receive(pair.0, bench.token(slot)) }
        try bench.expectQuiet("nothing was sent")
        for pair in pairs { pair.1.write([1, 2, 3]) }
        var told = 0
        try bench.turns("the first", until: { told > 0 }) {
            told += 1
            _ = bench.take($0)
            for pair in pairs { bench.driver.close(pair.0) }
        }
        try bench.expectQuiet("all are closed")
        #expect(told == 1)
    }

    @Test(arguments: Kind.allCases) func closingOverUnreadBytesOrByChoiceIsAReset(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (chosen, chosenPeer) = try bench.world.pair()
        bench.driver.resetOnClose(chosen)
        bench.driver.close(chosen)
        let (orderly, orderlyPeer) = try bench.world.pair()
        bench.driver.receive(orderly, bench.token(1))
        bench.driver.close(orderly)
        try bench.turns("reset and end", until: { chosenPeer.sawReset && orderlyPeer.sawEnd })
        #expect(!orderlyPeer.sawReset && !chosenPeer.sawEnd)
    }

    /// Numbers are only the same again in a process where nothing else opens any.
    @Test func aNumberThatIsUsedAgainAtOnceHasNothingOfItsFormerLife() async {
        await #expect(processExitsWith: .success) {
            for kind in Kind.allCases {
                let bench = try Bench(kind)
                var others = 0
                for round in 0..<9 {
                    let (old, _) = try bench.world.pair()
                    // Still queued when it is closed, or with the kernel.
                    bench.driver.receive(old, bench.token(1, generation: 1))
                    bench.driver.awaitWritable(old, bench.token(2, generation: 1))
                    if round % 3 == 1 {
                        var writable = 0
                        try bench.turns("writable", until: { writable == 1 }, { _ in writable += 1 })
                        bench.driver.awaitWritable(old, bench.token(2, generation: 1))
                    }
                    let (new, peer) = try successor(bench, of: old)
                    // The runtime's own threads open a file now and then.
                    guard new == old else {
                        others += 1
                        precondition(others < 5, "\(kind): the lowest free number is given")
                        bench.driver.close(new)
                        continue
                    }
                    let sent = pattern(5000, seed: round)
                    peer.write(sent)
                    bench.world.pump()
                    let (bytes, _) = try bench.collect(new, sent.count)
                    precondition(bytes == sent, "\(kind): every byte reaches the number's new owner")
                    bench.driver.close(new)
                }
            }
        }
    }

    @Test func nothingStaysOpen() async {
        await #expect(processExitsWith: .success) {
            for kind in Kind.ofKernel {
                let before = openDescriptorCount()
                do {
                    let bench = try Bench(kind)
                    for round in 0..<50 {
                        let (descriptor, peer) = try bench.world.pair()
                        bench.driver.receive(descriptor, bench.token(round))
                        bench.driver.awaitWritable(descriptor, bench.token(round, operation: 2))
                        if round % 2 == 0 { try bench.turn { if $0.result > 0 { bench.driver.release($0.slot) } } }
                        bench.driver.close(descriptor)
                        peer.close()
                    }
                }
                precondition(openDescriptorCount() == before, "\(kind): as many descriptors as before")
            }
        }
    }

    /// The kernel lets go of what was under way when a driver ends.
    @Test(arguments: Kind.ofKernel) func aDriverThatEndsHoldsNoSocket(_ kind: Kind) throws {
        let (near, far) = try SocketOption.pair()
        try { () throws in
            let bench = try Bench(kind)
            bench.driver.receive(near, bench.token(1))
            try bench.expectQuiet("nothing was sent")
        }()
        SocketOption.close(near)
        let socket = BlockingSocket(adopting: far)
        var byte: [UInt8] = [0]
        let count = try byte.withUnsafeMutableBytes { try socket.receive(into: $0, deadline: .current() + .seconds(5)) }
        #expect(count == 0, "the peer's end is seen: nobody else holds it")
    }
}

/// Closes the descriptor and gives its number to another connection.
private func successor(_ bench: Bench, of old: Descriptor) throws -> (Descriptor, any Peer) {
    if bench.kind.isSimulated {
        bench.driver.close(old)
        return try bench.world.pair()
    }
    let (made, peer) = try bench.world.pair()
    bench.driver.close(old)
    let moved = dup(made)
    SocketOption.close(made)
    return (moved, peer)
}
