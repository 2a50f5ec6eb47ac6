import Testing

@testable import CulvertSSH

/// A key exchange while the output is full, because the peer does not read.
@Suite struct ExchangeRoomTests {
    private func key(_ byte: UInt8) throws -> PacketKey {
        let bytes = [UInt8](repeating: byte, count: 44)
        return try PacketKey(
            .aes256GCM, key: bytes.span.extracting(first: 32), iv: bytes.span.extracting(last: 12),
            macKey: bytes.span.extracting(first: 0), .sealing)
    }

    /// Payload until there is no more room for it, then messages until one has to wait.
    private func fill(_ output: inout PacketOutput) {
        while case let room = output.payloadRoom(slotLength: 1000), room > 0 {
            _ = output.reserve(maximum: room, slotLength: 1000)
            output.commit(recipient: 0, count: room)
        }
        while output.deferredBytes == 0 {
            var message = output.message()
            message.byte(2)
            message.string("control" as StaticString)
            output.send(message)
        }
    }

    private func drain(_ output: inout PacketOutput, _ limit: Int = .max) -> [UInt8] {
        var all: [UInt8] = []
        while case let some = Array(output.unsent.prefix(limit - all.count)), !some.isEmpty {
            all += some
            output.didSend(some.count)
        }
        return all
    }

    @Test func anExchangeFindsRoom() throws {
        var output = PacketOutput()
        fill(&output)
        output.hold()
        // The longest messages of two exchanges.
        for _ in 0..<2 {
            output.sendExchange([20] + [UInt8](repeating: 1, count: 2000))
            output.sendExchange([30] + [UInt8](repeating: 1, count: 1300))
        }
        let before = output.unsent.count
        try output.sendNewKeys(try key(1), resetsSequence: true)
        #expect(output.unsent.count == before + 16)
        let held = output.isHeld
        #expect(!held)
        // What waits goes behind, under the new key, when there is room.
        let waiting = output.deferredBytes
        #expect(waiting > 0)
        let use = output.use.packets
        #expect(use == 0)
        _ = drain(&output)
        let left = output.deferredBytes
        let sealed = output.use.packets
        #expect(left == 0 && sealed == 1)
    }

    /// More than there is room for waits in its order, and the key changes behind NEWKEYS, not before.
    @Test func whatHasNoRoomWaitsInOrder() throws {
        var output = PacketOutput()
        fill(&output)
        output.hold()
        for _ in 0..<10 { output.sendExchange([20] + [UInt8](repeating: 1, count: 2000)) }
        try output.sendNewKeys(try key(1), resetsSequence: true)
        // The next exchange begins before that has left.
        output.hold()
        output.sendExchange([20] + [UInt8](repeating: 2, count: 2000))
        let error = #expect(throws: SSHError.self) { try output.sendNewKeys(try key(2), resetsSequence: true) }
        #expect(error?.kind == .protocolViolation)
        let clear = drain(&output)
        // The last packet is under the key: all before it are in the clear, NEWKEYS last.
        let wire = output.use.bytes
        let packets = output.use.packets
        #expect(packets == 1)
        let messages = Script.messages(Array(clear.dropLast(Int(wire))))
        #expect(messages.filter { $0.first == 20 }.count == 10)
        #expect(messages.last == [21])
        // And the connection still waits.
        let held = output.isHeld
        let waiting = output.deferredBytes
        #expect(held && waiting > 0)
        output.invariants()
    }

    /// The last word goes at once, also when much waits.
    @Test func theLastWordPasses() throws {
        var output = PacketOutput()
        fill(&output)
        output.hold()
        for _ in 0..<10 { output.sendExchange([20] + [UInt8](repeating: 1, count: 2000)) }
        output.sendLastWord(.protocolError)
        output.sendExchange([20])
        let messages = Script.messages(drain(&output))
        #expect(messages.last.map { Array($0.prefix(5)) } == [1] + Script.u32(2))
    }
}
