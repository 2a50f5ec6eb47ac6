import Crypto
import Testing

@testable import CulvertSSH

/// Packets under a key: their layout, their order, and what happens to those that were altered.
@Suite struct CipherPacketTests {
    /// What a full packet has on the wire: 32788 bytes and the tag, 12 more where the length is padded with the rest.
    private func fullLength(_ test: CipherCase) -> Int {
        test.cipher.mac.map { 32788 + $0.length + ($0.coversCiphertext ? 0 : 12) } ?? 32804
    }

    /// The fixed stride: slots of 32 KiB are 32804 bytes apart with each cipher that authenticates by itself.
    @Test(arguments: CipherCase.all) func aFullPacketIsAsLongAsItsStride(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        let full = fullLength(test)
        let message = [UInt8](repeating: 94, count: ChannelData.headerLength + OutputBlock.maximumPayload)
        #expect(sealer.packet(message).count == full && full <= OutputBlock.maximumStride)
        var output = PacketOutput()
        output.setKey(try test.key(.sealing), resetsSequence: true)
        #expect(output.payloadRoom(slotLength: 32768) == 16 * 32768)
        #expect(output.reserve(maximum: 32768, slotLength: 32768).stride == full)
        output.commit(recipient: 1, count: 32768)
        #expect(output.unsent.count == full)
    }

    /// A batch of slots is sealed where it lies, back to back, and opens in order.
    @Test(arguments: CipherCase.all) func aBatchIsOneRange(_ test: CipherCase) throws {
        var output = PacketOutput()
        output.setKey(try test.key(.sealing), resetsSequence: true)
        let slots = output.reserve(maximum: 15 * 32768 + 5, slotLength: 32768)
        for index in 0..<slots.count {
            (slots.first! + index * slots.stride).initializeMemory(
                as: UInt8.self, repeating: UInt8(index), count: index == 15 ? 5 : 32768)
        }
        output.commit(recipient: 7, count: 15 * 32768 + 5)
        // The last: 1 + 9 + 5 bytes and 17 of padding to a multiple of 16, or 9 to one of 8; with its length, 13 to one of 16.
        let last = test.cipher.mac.map { ($0.coversCiphertext ? 36 : 32) + $0.length }
        #expect(
            output.unsent.count == 15 * fullLength(test) + (last ?? (test.cipher == .chaCha20Poly1305 ? 44 : 52)))
        var input = PacketInput()
        input.setKey(try test.key(.opening), resetsSequence: true)
        var bytes = Array(output.unsent)
        bytes.withUnsafeMutableBytes { buffer in
            input.lend(buffer)
            for index in 0..<16 {
                let packet = try? input.next()
                let message = packet.map { Array(UnsafeRawBufferPointer(start: $0.message, count: $0.count)) }
                let expected = [UInt8](repeating: UInt8(index), count: index == 15 ? 5 : 32768)
                #expect(message == [94] + Script.u32(7) + Script.string(expected))
                #expect(packet?.sequenceNumber == UInt32(index))
            }
            #expect(input.takeConsumed() == buffer.count)
        }
        #expect(output.use.packets == 16 && input.use.packets == 16)
        #expect(output.use.bytes == UInt64(bytes.count) && input.use.bytes == UInt64(bytes.count))
    }

    /// Every short length and some long ones, opened by a library that shares nothing with ours (ChaCha20: see
    /// `CipherVectorTests`): length in clear, padding of 4 to 19 bytes to a multiple of 16, random padding.
    @Test(arguments: CipherCase.all.filter(\.isGCM))
    func gcmPacketsAreLaidOutByRFC5647(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        var numbers = CipherNumbers(5647)
        var iv = test.ivBytes
        let key = SymmetricKey(data: test.keyBytes())
        for length in Array(1...300) + [1448, 32777, 34000] {
            let message = numbers.bytes(length)
            let packet = sealer.packet(message)
            let padding = packet.count - 16 - 5 - length
            #expect((4...19).contains(padding) && (packet.count - 20).isMultiple(of: 16))
            #expect(Array(packet[..<4]) == Script.u32(packet.count - 20))
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: iv), ciphertext: packet[4...].dropLast(16), tag: packet.suffix(16))
            let clear = Array(try AES.GCM.open(box, using: key, authenticating: packet[..<4]))
            #expect(Int(clear[0]) == padding && Array(clear[1...length]) == message)
            #expect(clear.suffix(padding) != [UInt8](repeating: 0, count: padding)[...])
            // 302 invocations: the carry from the lowest byte is seen.
            if iv[11] == 255 { iv[10] += 1 }
            iv[11] &+= 1
        }
    }

    /// RFC 4253 §6: no packet of ours is shorter than 16 bytes, although OpenSSH's may be.
    @Test(arguments: CipherCase.all) func shortMessages(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        for length in 1...20 { #expect(sealer.packet([UInt8](repeating: 52, count: length)).count >= 32) }
        // One byte of message as OpenSSH pads it, the multiple taken without the length field.
        let key = try test.key(.sealing)
        let length = test.cipher == .chaCha20Poly1305 ? 8 : test.cipher.hidesLength ? 12 : 16
        var packet =
            Script.u32(length) + [UInt8(length - 2), 52]
            + [UInt8](repeating: 1, count: length - 2 + test.cipher.tagLength)
        packet.withUnsafeMutableBytes { key.seal($0.baseAddress!, length: length, sequenceNumber: 0) }
        var opener = try test.opener()
        let opened = try #require(try opener.message(packet))
        #expect(opened.message == [52] && opened.wireLength == packet.count)
    }

    // MARK: Alteration

    /// Every bit of a small packet: an error, and not a byte of the message in memory. Behind it stands enough for any
    /// length that the altered field may claim.
    @Test(arguments: CipherCase.all) func noAlteredBitIsDelivered(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        let message = Array("SELECT secret FROM the_table_of_secrets".utf8)
        let packet = sealer.packet(message)
        let rest = [UInt8](repeating: 0x5a, count: PacketOpener.maximumPacketLength + 64)
        for bit in 0..<8 * packet.count {
            var bytes = packet + rest
            bytes[bit / 8] ^= 1 << (bit % 8)
            let came = bytes
            var opener = try test.opener()
            let error = bytes.withUnsafeMutableBytes { buffer in
                #expect(throws: SSHError.self) { try opener.open(buffer.baseAddress!, available: buffer.count) }
            }
            // A false length may be seen before the tag is.
            let tellsLength = bit < 32 && !test.cipher.hidesLength
            #expect(error?.kind == .integrity || tellsLength && error?.kind == .protocolViolation, "bit \(bit)")
            #expect(!Self.contains(bytes[..<packet.count], message.prefix(8)), "bit \(bit)")
            // What was deciphered before the tag was found to be false is overwritten.
            #expect(!test.verifiesFirst || bytes == came, "bit \(bit)")
            #expect(opener.use.packets == 0)
        }
        var opener = try test.opener()
        #expect(try opener.message(packet)?.message == message)
    }

    private static func contains(_ bytes: ArraySlice<UInt8>, _ part: ArraySlice<UInt8>) -> Bool {
        (0...bytes.count - part.count).contains { at in
            bytes[at] == part.first && bytes[at..<at + part.count].elementsEqual(part)
        }
    }

    /// Twice, left out, exchanged: each packet has its number, and its number is under the tag.
    @Test(arguments: CipherCase.all) func packetsOutOfOrderAreRefused(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        let packets = (0..<3).map { sealer.packet([UInt8](repeating: 90 + UInt8($0), count: 20)) }
        for order in [[0, 0], [1], [0, 2], [1, 0], [0, 1, 1], [2, 1, 0]] {
            var opener = try test.opener()
            var bytes = order.flatMap { packets[$0] } + CipherNumbers.pool
            let good = zip(order, 0...).prefix { $0 == $1 }.count
            bytes.withUnsafeMutableBytes { buffer in
                for index in 0..<good {
                    #expect(throws: Never.self) {
                        _ = try opener.open(buffer.baseAddress! + index * packets[0].count, available: packets[0].count)
                    }
                }
                let at = good * packets[0].count
                let error = #expect(throws: SSHError.self) {
                    try opener.open(buffer.baseAddress! + at, available: buffer.count - at)
                }
                // ChaCha20's length is deciphered with the number too, so it is mostly the length that is false.
                #expect(
                    error?.kind == .integrity
                        || test.cipher == .chaCha20Poly1305 && error?.kind == .protocolViolation)
            }
        }
    }

    @Test(arguments: CipherCase.all) func anotherKeyOpensNothing(_ test: CipherCase) throws {
        var sealer = try test.sealer(salt: 1)
        let packet = sealer.packet([1, 2, 3]) + CipherNumbers.pool
        var opener = try test.opener()
        #expect(throws: SSHError.self) { try opener.message(packet) }
    }

    /// Padding that leaves no message, rightly sealed: the peer itself breaks the protocol.
    @Test(arguments: CipherCase.all) func paddingOutsideThePacketThrows(_ test: CipherCase) throws {
        for padding in 0...255 {
            let key = try test.key(.sealing)
            let length = test.cipher.hidesLength ? 12 : 16
            var packet =
                Script.u32(length) + [UInt8(padding)]
                + [UInt8](repeating: 9, count: length - 1 + test.cipher.tagLength)
            packet.withUnsafeMutableBytes { key.seal($0.baseAddress!, length: length, sequenceNumber: 0) }
            var opener = try test.opener()
            if (4...length - 2).contains(padding) {
                #expect(try opener.message(packet)?.message.count == length - 1 - padding)
            } else {
                let error = #expect(throws: SSHError.self) { try opener.message(packet) }
                #expect(error?.kind == .protocolViolation)
            }
        }
    }
}

extension CipherNumbers {
    /// More than the longest packet: what may stand behind one.
    static let pool: [UInt8] = {
        var numbers = CipherNumbers(35000)
        return numbers.bytes(36000)
    }()
}
