import Testing

@testable import CulvertSSH

@Suite struct PacketTests {
    /// Opens what is in `bytes` from memory of exactly that length.
    private func open(_ bytes: [UInt8]) throws -> (message: [UInt8], wireLength: Int)? {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        defer { memory.deallocate() }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        var opener = PacketOpener()
        guard let opened = try opener.open(memory, available: bytes.count) else { return nil }
        return (
            Array(UnsafeRawBufferPointer(start: opened.packet.message, count: opened.packet.count)), opened.wireLength
        )
    }

    @Test func everyLengthIsPaddedAndComesBack() throws {
        for length in Array(1...300) + [32777, 32778, 34000] {
            let message = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            var sealer = PacketSealer()
            let room = sealer.wireLength(messageLength: length)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 1)
            defer { memory.deallocate() }
            // What stood in the padding's place before must not leave.
            memory.initializeMemory(as: UInt8.self, repeating: 0xaa, count: room)
            (memory + 5).copyMemory(from: message, byteCount: length)
            let wire = sealer.seal(at: memory, messageLength: length)
            #expect(wire == room && wire.isMultiple(of: 8) && wire >= 16)
            #expect(sealer.sequenceNumber == 1)
            let bytes = Array(UnsafeRawBufferPointer(start: memory, count: wire))
            #expect(bytes == Script.packet(message))
            let opened = try #require(try open(bytes))
            #expect(opened.message == message && opened.wireLength == wire)
            #expect(try open(Array(bytes.dropLast())) == nil)
        }
    }

    /// The length is judged from four bytes alone: a false one must not make us wait for the rest.
    @Test(arguments: [
        0, 1, 2, 3, 4, 11, 13, 14, 15, 19, 21, 65537, 65540, 0x10000, 0x7fff_ffff, 0xffff_ffff, 0xffff_fffc,
    ])
    func aFalseLengthThrowsAtOnce(_ length: Int) {
        let error = #expect(throws: SSHError.self) { try open(Script.u32(length)) }
        #expect(error?.kind == .protocolViolation)
    }

    @Test(arguments: [12, 20, 28, 34996, 65532])
    func aRightLengthWaitsForTheRest(_ length: Int) throws {
        #expect(try open(Script.u32(length)) == nil)
        #expect(try open(Array(Script.u32(length).dropLast())) == nil)
    }

    /// packet_length 12: padding of 4 to 10 leaves a message, the rest does not.
    @Test(arguments: 0...255)
    func paddingOutsideThePacketThrows(_ padding: Int) throws {
        let bytes = Script.u32(12) + [UInt8(padding)] + [UInt8](repeating: 9, count: 11)
        if (4...10).contains(padding) {
            let opened = try #require(try open(bytes))
            #expect(opened.message.count == 11 - padding)
        } else {
            #expect(throws: SSHError.self) { try open(bytes) }
        }
    }

    // MARK: Output

    private func packet(_ output: inout PacketOutput, ignore length: Int) {
        var message = output.message()
        message.byte(MessageNumber.ignore)
        message.string(String(repeating: "x", count: length))
        output.send(message)
    }

    private func reserveAndCommit(_ output: inout PacketOutput, _ count: Int, slotLength: Int) -> PayloadSlots {
        let slots = output.reserve(maximum: count, slotLength: slotLength)
        output.commit(recipient: 1, count: count)
        return slots
    }

    /// A batch of full packets is one range, each packet of exactly the stride, wherever it begins.
    @Test(arguments: [256, 257, 1000, 16384, 32767, 32768], [0, 1, 100])
    func fullPacketsLieBackToBack(_ slotLength: Int, _ before: Int) {
        var output = PacketOutput()
        if before > 0 { packet(&output, ignore: before) }
        let begin = output.unsent.count
        let room = output.payloadRoom(slotLength: slotLength)
        #expect(room == 16 * slotLength)
        let slots = output.reserve(maximum: room, slotLength: slotLength)
        #expect(slots.count == 16 && slots.lastLength == slotLength && slots.slotLength == slotLength)
        #expect(slots.stride == Script.packet(Script.data(1, slotLength)).count)
        for index in 0..<slots.count {
            (slots.first! + index * slots.stride).initializeMemory(
                as: UInt8.self, repeating: UInt8(index), count: slotLength)
        }
        output.commit(recipient: 1, count: room)
        #expect(output.unsent.count == begin + 16 * slots.stride)
        let base = output.unsent.baseAddress! + begin
        #expect(UnsafeRawPointer(slots.first!) == base + 14)
        let messages = Script.messages(Array(output.unsent.dropFirst(begin)))
        #expect(messages.count == 16)
        for (index, message) in messages.enumerated() {
            #expect(
                message == [94] + Script.u32(1) + Script.string([UInt8](repeating: UInt8(index), count: slotLength)))
        }
        output.invariants()
    }

    @Test func lessMayBeCommittedThanReserved() {
        for count in [0, 1, 255, 256, 257, 511, 512, 600] {
            var output = PacketOutput()
            _ = output.reserve(maximum: 700, slotLength: 256)
            output.commit(recipient: 3, count: count)
            let lengths = Script.messages(Array(output.unsent)).map { $0.count - 9 }
            #expect(lengths.reduce(0, +) == count && lengths.dropLast().allSatisfy { $0 == 256 })
            #expect(output.payloadRoom(slotLength: 256) > 0)
            _ = reserveAndCommit(&output, 256, slotLength: 256)
        }
    }

    /// Control messages fit where payload has to wait, and go out in order when even they had to.
    @Test func controlPacketsHaveRoomOfTheirOwn() {
        var output = PacketOutput()
        for slotLength in [32768, 4096, 256] {
            while case let room = output.payloadRoom(slotLength: slotLength), room > 0 {
                _ = reserveAndCommit(&output, room, slotLength: slotLength)
            }
        }
        let payload = output.unsent.count
        for number in 0..<1000 {
            var message = output.message()
            ChannelWindowAdjust.write(recipient: UInt32(number), count: 5, to: &message)
            output.send(message)
            output.invariants()
            if number < OutputBlock.controlRoom / 24 { #expect(output.deferredBytes == 0) }
        }
        #expect(output.deferredBytes > 0 && output.unsent.count > payload)
        #expect(output.payloadRoom(slotLength: 256) == 0)
        var all: [UInt8] = []
        while !output.unsent.isEmpty {
            let some = Array(output.unsent.prefix(10000))
            all += some
            output.didSend(some.count)
            output.invariants()
        }
        let adjusts = Script.messages(all).filter { $0[0] == 93 }.map { Script.number($0, 1) }
        #expect(adjusts == Array(0..<1000))
        #expect(output.payloadRoom(slotLength: 32768) == 16 * 32768)
    }

    @Test func theLastWordAlwaysFitsAndIsTheLast() {
        var output = PacketOutput()
        while output.payloadRoom(slotLength: 256) > 0 {
            _ = reserveAndCommit(&output, output.payloadRoom(slotLength: 256), slotLength: 256)
        }
        while output.deferredBytes == 0 { packet(&output, ignore: 1) }
        output.sendLastWord(.byApplication)
        output.sendLastWord(.macError)
        packet(&output, ignore: 1)
        #expect(output.deferredBytes == 0)
        let last = Script.messages(Array(output.unsent)).last!
        #expect(last[0] == 1 && Script.number(last, 1) == 11)
        output.didSend(output.unsent.count)
        #expect(output.unsent.isEmpty && output.payloadRoom(slotLength: 256) == 0)
    }

    /// During a key exchange nothing of the connection passes; after it, all in the order in which it was made.
    @Test func whatIsHeldGoesOutInOrder() {
        var output = PacketOutput()
        output.hold()
        #expect(output.payloadRoom(slotLength: 32768) == 0 && !output.passesMessages)
        for length in 1...50 { packet(&output, ignore: length) }
        #expect(output.unsent.isEmpty)
        output.resume()
        #expect(Script.messages(Array(output.unsent)).map { $0.count - 5 } == Array(1...50))
        #expect(output.passesMessages && output.payloadRoom(slotLength: 32768) == 16 * 32768)
    }

    @Test func aLongRestWaitsAndAShortOneMoves() {
        var block = OutputBlock()
        let total = OutputBlock.capacity - 1
        for index in 0..<total { (block.end + index).storeBytes(of: UInt8(truncatingIfNeeded: index), as: UInt8.self) }
        block.append(total)
        block.didSend(total - OutputBlock.smallRest - 1)
        #expect(block.sent > 0 && block.payloadRoom == 0)
        block.didSend(1)
        #expect(block.sent == 0 && block.filled == OutputBlock.smallRest && block.payloadRoom > 0)
        let expected = (total - OutputBlock.smallRest..<total).map { UInt8(truncatingIfNeeded: $0) }
        #expect(Array(block.unsent) == expected)
        block.didSend(OutputBlock.smallRest)
        #expect(block.filled == 0)
    }

    @Test func repliesToAPeerThatDoesNotReadAreBounded() throws {
        var output = PacketOutput()
        output.hold()
        var error: SSHError?
        var count = 0
        while error == nil {
            var message = output.message()
            ChannelSignal.write(MessageNumber.channelFailure, recipient: 1, to: &message)
            do throws(SSHError) { try output.reply(message) } catch let thrown { error = thrown }
            count += 1
            try #require(count < 100_000)
        }
        #expect(error?.kind == .protocolViolation)
        #expect(output.deferredBytes <= PacketOutput.maximumDeferredReplies + 16)
    }

    @Test func deferredMessagesKeepNoMemoryOfWhatHasGone() {
        var queue = DeferredMessages()
        let place = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 1)
        defer { place.deallocate() }
        for number in 0..<20_000 {
            withUnsafeBytes(of: number) { queue.append($0) }
            if number >= 10 {
                #expect(queue.firstLength == 8)
                queue.removeFirst(to: place)
                #expect(place.load(as: Int.self) == number - 10)
            }
            #expect(queue.byteCount <= 12 * 11 && queue.storedBytes <= 12 * 32)
        }
    }
}
