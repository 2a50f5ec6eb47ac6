import Testing

@testable import CulvertLibSSH2

/// The memory that libssh2 takes and gives back, and what can be seen in it.
@Suite struct SessionMemoryTests {
    @Test func whatIsHeldIsCounted() {
        var memory = SessionMemory()
        var blocks: [UnsafeMutableRawPointer] = []
        for count in [0, 1, 100, 40_000] { blocks.append(memory.allocate(count)!) }
        #expect(memory.held >= 40_101)
        let moved = memory.reallocate(blocks[2], 5000, hostKey: nil)!
        let made = memory.reallocate(nil, 7, hostKey: nil)!
        for block in [blocks[0], blocks[1], blocks[3], moved, made] { memory.free(block, hostKey: nil) }
        #expect(memory.held == 0)
    }

    /// A block keeps what is in it when it grows or shrinks.
    @Test func aBlockThatMoves() {
        var memory = SessionMemory()
        var block = memory.allocate(10)!
        for place in 0..<10 { block.storeBytes(of: UInt8(place), toByteOffset: place, as: UInt8.self) }
        for count in [100_000, 10] { block = memory.reallocate(block, count, hostKey: nil)! }
        #expect((0..<10).allSatisfy { block.load(fromByteOffset: $0, as: UInt8.self) == UInt8($0) })
        memory.free(block, hostKey: nil)
        #expect(memory.held == 0)
    }

    /// libssh2 1.10 may free its host key twice: the block is freed the second time, or when the next one is.
    @Test func aHostKeyMayBeFreedTwice() {
        var memory = SessionMemory()
        let first = memory.allocate(51)!
        memory.free(first, hostKey: first)
        #expect(memory.held > 0)
        memory.free(first, hostKey: first)
        #expect(memory.held == 0)

        let second = memory.allocate(51)!
        let third = memory.allocate(51)!
        memory.free(second, hostKey: second)
        memory.free(third, hostKey: third)
        #expect(memory.held > 0)
        memory.freeFormerHostKey()
        memory.freeFormerHostKey()
        #expect(memory.held == 0)
    }

    /// A block that looks like our SSH_MSG_KEXINIT when a packet leaves is one, until it is freed.
    @Test func anExchangeLastsAsLongAsItsMessage() {
        var memory = SessionMemory()
        let message: [UInt8] = [20] + [UInt8](repeating: 7, count: 16) + Array("the lists".utf8)
        let packet: [UInt8] = [0, 0, 0, UInt8(message.count + 5), 4] + message + [0, 0, 0, 0]
        func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { memory.sends($0) } }
        func block(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
            let block = memory.allocate(bytes.count)!
            block.copyMemory(from: bytes, byteCount: bytes.count)
            return block
        }
        // The version line, then the first one, which is not counted.
        send(Array("SSH-2.0-x\r\n".utf8))
        send(packet)
        #expect(memory.exchange == nil)
        for number in 1...2 {
            // Another cookie; as long, and something else.
            let other = block([21] + message.dropFirst())
            send([1, 2, 3])
            #expect(memory.exchange == nil)
            let own = block([20] + [UInt8](repeating: UInt8(number), count: 16) + message.dropFirst(17))
            send([1, 2, 3])
            #expect(memory.exchange == number)
            memory.free(other, hostKey: nil)
            #expect(memory.exchange == number)
            memory.free(own, hostKey: nil)
            #expect(memory.exchange == nil)
        }
        // One that is freed before anything leaves was none.
        memory.free(block(message), hostKey: nil)
        send([1, 2, 3])
        #expect(memory.exchange == nil && memory.held == 0)
    }
}
