import CulvertIO
import Glibc
import Testing

/// How a connection ends, and what a driver tells of a peer that has ended.
@Suite struct EndsContract {
    /// A socket that was made to reset its peer, and then ended in order, ends in order.
    @Test(arguments: Kind.allCases) func aResetOnCloseIsTakenBack(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        bench.driver.resetOnClose(descriptor)
        bench.driver.finishOnClose(descriptor)
        bench.driver.close(descriptor)
        try bench.turns("the end", until: { peer.sawEnd || peer.sawReset })
        #expect(peer.sawEnd && !peer.sawReset)
    }

    @Test(arguments: Kind.allCases) func connectionsInheritItFromTheirListener(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (listener, address) = try bench.world.listen()
        bench.driver.resetOnClose(listener)
        let peer = try bench.world.client(to: address)
        var accepted = -Int(EAGAIN)
        try bench.turns(
            "the connection", until: { accepted >= 0 },
            idle: {
                var from = SocketAddress()
                if accepted < 0 { accepted = bench.driver.accept(listener, peer: &from) }
            })
        bench.driver.close(Descriptor(accepted))
        try bench.turns("the end", until: { peer.sawEnd || peer.sawReset })
        #expect(peer.sawReset && !peer.sawEnd)
        bench.driver.close(listener)
    }

    /// The new owner of a descriptor is told what its former one waited for.
    @Test(arguments: Kind.allCases) func aWaitToWriteIsRedirected(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (descriptor, peer) = try bench.world.pair()
        #expect(!bench.driver.redirectWriting(descriptor, bench.token(9)), "nothing is under way")
        peer.isReading = false
        let bytes = [UInt8](repeating: 7, count: 64 * 1024)
        var isFull = false
        var sent = 0
        try bench.turns(
            "a full socket", until: { isFull },
            idle: {
                let count = bytes.withUnsafeBytes { bench.driver.send(descriptor, $0) }
                if count > 0 { sent += count }
                isFull = bench.driver.unacknowledged(descriptor) > 0 && count == -Int(EAGAIN) && sent > 0
            })
        bench.driver.awaitWritable(descriptor, bench.token(1))
        for _ in 0..<3 { try bench.turn { _ in } }
        // A simulated wait may have completed for no reason.
        if !bench.driver.redirectWriting(descriptor, bench.token(2)) {
            bench.driver.awaitWritable(descriptor, bench.token(2))
        }
        peer.isReading = true
        var told: [Int] = []
        try bench.turns("writable", until: { !told.isEmpty }) { told.append($0.token.slot) }
        #expect(told == [2])
        try bench.turns("everything is read", until: { peer.received.count == sent })
        try bench.turns("and acknowledged", until: { bench.driver.unacknowledged(descriptor) == 0 })
        bench.driver.close(descriptor)
    }

    /// Seen behind bytes that nobody has read.
    @Test(arguments: Kind.allCases) func aPeerThatHasEndedHasGone(_ kind: Kind) throws {
        let bench = try Bench(kind)
        for resets in [false, true] {
            let (descriptor, peer) = try bench.world.pair()
            peer.write([1, 2, 3])
            try bench.expectQuiet("nobody waits")
            #expect(!bench.driver.peerHasGone(descriptor))
            #expect(!bench.driver.isReset(descriptor))
            if resets { peer.reset() } else { peer.finish() }
            try bench.turns("it has gone", until: { bench.driver.peerHasGone(descriptor) })
            #expect(bench.driver.isReset(descriptor) == resets)
            bench.driver.close(descriptor)
        }
    }

    /// A program that has said all at a Unix socket may still wait for the answer.
    @Test(arguments: Kind.ofKernel) func atAUnixSocketOnlyAClosedPeerHasGone(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (near, far) = try SocketOption.pair()
        #expect(shutdown(far, Int32(SHUT_WR)) == 0)
        #expect(!bench.driver.peerHasGone(near))
        SocketOption.close(far)
        #expect(bench.driver.peerHasGone(near))
        bench.driver.close(near)
    }
}
