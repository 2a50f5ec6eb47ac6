import CulvertIO
import Glibc
import Testing

/// Descriptors that another driver had, and those that are no sockets.
@Suite struct OtherDescriptorTests {
    static let kernels: [Kind] = [.uring, .epoll]

    @Test(arguments: kernels) func aDescriptorGoesFromOneDriverToAnother(_ kind: Kind) throws {
        let (first, second) = (try Bench(kind), try Bench(kind))
        let (descriptor, peer) = try first.world.pair()
        for _ in 0..<3 {
            first.driver.awaitReadable(descriptor, first.token(1))
            peer.write([1])
            #expect(try first.one("readiness").token == first.token(1))
            #expect(first.readNow(descriptor).bytes == [1])
            first.driver.letGo(descriptor)
            second.driver.awaitReadable(descriptor, second.token(2))
            peer.write([2])
            first.world.pump()
            #expect(try second.one("readiness").token == second.token(2))
            try first.expectQuiet("it is the other one's")
            #expect(second.readNow(descriptor).bytes == [2])
            second.driver.letGo(descriptor)
        }
        second.driver.close(descriptor)
        // The number is free for a new socket of the first one's.
        let (other, newPeer) = try first.world.pair()
        try #require(dup2(other, descriptor) == descriptor)
        first.driver.awaitReadable(descriptor, first.token(3))
        newPeer.write([3])
        #expect(try first.one("readiness").token == first.token(3))
        first.driver.close(descriptor)
        first.driver.close(other)
    }

    @Test(arguments: kernels) func filesAreAlwaysReady(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var name = Array("/tmp/culvert-file.XXXXXX".utf8CString)
        let file = mkstemp(&name)
        try #require(file >= 0)
        unlink(name)
        for round in 0..<3 {
            bench.driver.awaitReadable(file, bench.token(1))
            bench.driver.awaitWritable(file, bench.token(2))
            var came: [Token] = []
            try bench.turns("both", until: { came.count == 2 }, { came.append($0.token) })
            #expect(Set(came.map(\.raw)) == Set([bench.token(1).raw, bench.token(2).raw]), "\(round)")
            try bench.expectQuiet("nobody asked again")
        }
        try bench.sendAll(file, pattern(100_000))
        lseek(file, 0, SEEK_SET)
        #expect(bench.readNow(file, limit: 200_000).bytes == pattern(100_000))
        #expect(bench.readNow(file).result == 0)
        bench.driver.close(file)
    }

    @Test(arguments: kernels) func pipesAreReadAndWritten(_ kind: Kind) throws {
        let bench = try Bench(kind)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        bench.driver.awaitReadable(ends[0], bench.token(1))
        try bench.expectQuiet("nothing was written")
        #expect(bench.readNow(ends[0]).result == -Int(EAGAIN))
        try bench.sendAll(ends[1], [1, 2, 3])
        #expect(try bench.one("readiness").token == bench.token(1))
        // Into several slots at once, as a link's payload is read.
        var memory = [UInt8](repeating: 0, count: 32)
        let count = memory.withUnsafeMutableBytes {
            bench.driver.receive(
                ends[0], into: $0.baseAddress!, stride: 16, slotLength: 2, lastLength: 2, count: 2)
        }
        #expect(count == 3 && memory[0] == 1 && memory[1] == 2 && memory[16] == 3)
        var written = 0
        while true {
            let result = pattern(65_536).withUnsafeBytes { bench.driver.send(ends[1], $0) }
            if result < 0 {
                #expect(result == -Int(EAGAIN))
                break
            }
            written += result
        }
        bench.driver.awaitWritable(ends[1], bench.token(2))
        try bench.expectQuiet("it is full")
        while written > 0 { written -= bench.readNow(ends[0], limit: 65_536).bytes.count }
        #expect(try bench.one("room").token == bench.token(2))
        bench.driver.close(ends[1])
        bench.driver.awaitReadable(ends[0], bench.token(3))
        #expect(try bench.one("the end").token == bench.token(3))
        #expect(bench.readNow(ends[0]).result == 0)
        bench.driver.close(ends[0])
    }
}
