import Glibc
import Testing

@testable import CulvertIO

@Suite struct MirroredRingTests {
    @Test func everyPartIsContiguousAcrossTheWrap() throws {
        var ring = try MirroredRing(capacity: 4096)
        var written = 0
        var read = 0
        func byte(_ position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position &* 13 &+ position >> 9) }
        // Steps that share no factor with the capacity, and never empty the ring, so that every position occurs.
        for step in 0..<300 {
            let fill = min(ring.writableCount, 1 + step % 1777)
            let target = ring.writable
            #expect(target.count == ring.writableCount)
            for offset in 0..<fill { target[offset] = byte(written + offset) }
            ring.advance(fill)
            written += fill
            let take = min(ring.readableCount - 1, 1 + step % 1489)
            let source = ring.readable
            #expect(source.count == written - read)
            var isRight = true
            for offset in 0..<source.count where source[offset] != byte(read + offset) { isRight = false }
            #expect(isRight)
            ring.release(take)
            read += take
            #expect(ring.invariants() == true)
        }
        #expect(written > 10 * 4096, "it wrapped")
    }

    @Test(
        "it needs no file and no descriptor where the process may have none",
        arguments: [Int(RLIMIT_FSIZE.rawValue), Int(RLIMIT_NOFILE.rawValue)])
    func limited(_ resource: Int) async {
        await #expect(processExitsWith: .success) { [resource] in
            HostProcess.surviveLargeFiles()
            var limit = rlimit(rlim_cur: 0, rlim_max: 0)
            precondition(setrlimit(__rlimit_resource_t(UInt32(resource)), &limit) == 0)
            var ring = try MirroredRing(capacity: 1 << 20)
            for position in [0, 4095, 4096, 1 << 20 - 1] {
                ring.writable[position] = UInt8(truncatingIfNeeded: position &+ 77)
                ring.advance(position + 1)
                ring.release(position)
                // The last byte of one turn is the first of what is readable.
                precondition(ring.readable[0] == UInt8(truncatingIfNeeded: position &+ 77))
                ring.release(1)
            }
            ring.advance(1 << 20 - 1)
            ring.release(1 << 20 - 2)
            ring.writable[0] = 1
            ring.writable[1] = 2
            ring.advance(2)
            precondition(ring.readable[1] == 1 && ring.readable[2] == 2, "across the wrap")
        }
    }

    @Test func anEmptyRingBeginsAtItsStartAgain() throws {
        var ring = try MirroredRing(capacity: 8192)
        let start = ring.writable.baseAddress
        ring.advance(100)
        #expect(ring.readable.baseAddress == start && ring.writable.baseAddress == start! + 100)
        ring.release(60)
        #expect(ring.readable.count == 40 && ring.readable.baseAddress == start! + 60)
        ring.release(40)
        #expect(ring.writable.baseAddress == start && ring.writableCount == 8192 && ring.readableCount == 0)
        ring.advance(8192)
        #expect(ring.writableCount == 0 && ring.readableCount == 8192)
        ring.advance(0)
        ring.release(0)
        #expect(ring.readableCount == 8192)
    }

    @Test func bothCopiesAreOneMemory() throws {
        var ring = try MirroredRing(capacity: 4096)
        ring.advance(4000)
        ring.release(3999)
        let around = ring.writable
        #expect(around.count == 4095)
        for offset in 0..<around.count { around[offset] = 7 }
        ring.advance(4095)
        ring.release(1)
        #expect(ring.readable.allSatisfy { $0 == 7 } && ring.readable.count == 4095)
    }

    @Test func misuseStopsTheProgram() async {
        await #expect(processExitsWith: .failure) { _ = try MirroredRing(capacity: 5000) }
        await #expect(processExitsWith: .failure) {
            var ring = try MirroredRing(capacity: 4096)
            ring.advance(4097)
        }
        await #expect(processExitsWith: .failure) {
            var ring = try MirroredRing(capacity: 4096)
            ring.advance(10)
            ring.release(11)
        }
        await #expect(processExitsWith: .failure) {
            var ring = try MirroredRing(capacity: 4096)
            ring.advance(-1)
        }
    }

    @Test func aRangeListIsBounded() async {
        let memory: [UInt8] = [1, 2, 3, 4]
        memory.withUnsafeBytes { bytes in
            var ranges = RangeList()
            #expect(ranges.isEmpty == true)
            for _ in 0..<RangeList.capacity { ranges.append(bytes.baseAddress!, 4) }
            #expect(ranges.isFull && ranges.totalLength == 64 && ranges.length(3) == 4)
            #expect(ranges.start(15) == bytes.baseAddress)
            ranges.removeAll()
            #expect(ranges.isEmpty && ranges.totalLength == 0)
        }
        await #expect(processExitsWith: .failure) {
            var ranges = RangeList()
            let byte: [UInt8] = [1]
            byte.withUnsafeBytes { for _ in 0...RangeList.capacity { ranges.append($0.baseAddress!, 1) } }
        }
    }
}
