import Testing

@testable import CulvertSSH

/// Packets under a key as a stream: in parts, in large number, and over a change of keys.
@Suite struct CipherStreamTests {
    /// What must be there for a length to be known, with this length in it, sealed by whoever has the keys.
    private func prefix(_ test: CipherCase, _ length: Int) throws -> [UInt8] {
        var field = Script.u32(length) + [UInt8](repeating: 0, count: 16 + test.cipher.tagLength)
        let key = try test.key(.sealing)
        field.withUnsafeMutableBytes { key.seal($0.baseAddress!, length: 16, sequenceNumber: 0) }
        return Array(field.prefix(test.cipher.hidesLength ? 16 : 4))
    }

    /// The length is judged from four bytes alone, or the first block. Where it is ciphered with the rest, a false one is not
    /// told from a false tag.
    @Test(
        arguments: CipherCase.all,
        [
            0, 1, 4, 7, 9, 15, 17, 20, 31, 262145, 262156, 262160, 0x50000, 0x7fff_ffff, 0xffff_fff0, 0xffff_fffc,
            0xffff_ffff,
        ])
    func aFalseLengthThrowsAtOnce(_ test: CipherCase, _ length: Int) throws {
        var opener = try test.opener()
        let error = #expect(throws: SSHError.self) { try opener.message(prefix(test, length)) }
        #expect(error?.kind == (test.cipher.hidesLength ? .integrity : .protocolViolation))
        // What counts toward the multiple is not the same.
        var other = try test.opener()
        let another = test.cipher.hidesLength ? 16 : 12
        #expect(throws: SSHError.self) { try other.message(prefix(test, another)) }
    }

    @Test(arguments: CipherCase.all, [16, 32, 34992, 262144]) func aRightLengthWaits(_ test: CipherCase, _ length: Int)
        throws
    {
        let prefix = try prefix(test, test.cipher.hidesLength ? length - 4 : length)
        var opener = try test.opener()
        for count in 0...prefix.count {
            #expect(try opener.message(Array(prefix[..<count])) == nil)
        }
        // Its length was deciphered once, and is the same.
        #expect(try opener.message(prefix) == nil)
    }

    /// Byte by byte, at one place: each prefix waits and is left as it was, the whole opens.
    @Test(arguments: CipherCase.all) func aDrippingStreamOpensPacketByPacket(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        let messages = [1, 15, 16, 300, 700].map { [UInt8](repeating: UInt8($0 & 255), count: $0) }
        let stream = messages.flatMap { sealer.packet($0) }
        var opener = try test.opener()
        var opened: [[UInt8]] = []
        var bytes = stream
        try bytes.withUnsafeMutableBytes { buffer in
            var begin = 0
            for end in 0...buffer.count {
                let got = try opener.open(buffer.baseAddress! + begin, available: end - begin)
                if let got {
                    let message = UnsafeRawBufferPointer(start: got.packet.message, count: got.packet.count)
                    opened.append(Array(message))
                    begin += got.wireLength
                    #expect(begin == end)
                } else {
                    #expect(buffer[begin..<end].elementsEqual(stream[begin..<end]))
                }
            }
            #expect(begin == buffer.count)
        }
        #expect(opened == messages)
    }

    /// Many packets of every size, through one pair, at places that move about; then the same pair turned round.
    @Test(arguments: CipherCase.all) func manyPacketsOfEverySize(_ test: CipherCase) throws {
        let count = 100_000
        for way in 0..<2 {
            var sealer = try test.sealer(salt: UInt8(way))
            var opener = try test.opener(salt: UInt8(way))
            var numbers = CipherNumbers(UInt64(way))
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 40_000, alignment: 64)
            defer { memory.deallocate() }
            var total: UInt64 = 0
            var wrong = 0
            for number in 0..<count {
                // Mostly short ones: the long ones are the same loop, and a debug build is slow.
                let size = Int.random(in: 1...(number.isMultiple(of: 50) ? 34_900 : 300), using: &numbers)
                let packet = memory + Int.random(in: 0..<64, using: &numbers)
                let first = numbers.next(), last = numbers.next() & 255
                packet.storeBytes(of: UInt8(last), toByteOffset: 5 + size - 1, as: UInt8.self)
                if size >= 9 { packet.storeBytes(of: first, toByteOffset: 5, as: UInt64.self) }
                let wire = sealer.seal(at: packet, messageLength: size)
                total += UInt64(wire)
                guard let opened = try opener.open(packet, available: wire), opened.wireLength == wire,
                    opened.packet.count == size, opened.packet.sequenceNumber == UInt32(number),
                    packet.load(fromByteOffset: 5 + size - 1, as: UInt8.self) == UInt8(last),
                    size < 9 || packet.loadUnaligned(fromByteOffset: 5, as: UInt64.self) == first
                else {
                    wrong += 1
                    continue
                }
            }
            #expect(wrong == 0)
            #expect(sealer.use.packets == UInt64(count) && sealer.use.bytes == total)
            #expect(opener.use.packets == UInt64(count) && opener.use.bytes == total)
        }
    }

    // MARK: Change of keys

    /// From each cipher to each other: the packet before is under the old key, the one after under the new, in each
    /// direction when its SSH_MSG_NEWKEYS passes; the sequence number goes on, or begins again under strict exchange.
    @Test(arguments: CipherCase.all, CipherCase.all)
    func keysChangeBetweenTwoPackets(_ before: CipherCase, _ after: CipherCase) throws {
        for resets in [false, true] {
            var sealer = PacketSealer()
            var opener = PacketOpener()
            var expected: UInt32 = 0
            func pass(_ count: Int) throws {
                for _ in 0..<count {
                    let message: [UInt8] = [21, UInt8(truncatingIfNeeded: expected)]
                    let packet = sealer.packet(message)
                    #expect(opener.sequenceNumber == expected && sealer.sequenceNumber == expected + 1)
                    #expect(try opener.message(packet)?.message == message)
                    expected += 1
                }
            }
            try pass(3)
            for (salt, test) in [before, after, before, after].enumerated() {
                sealer.setKey(try test.key(.sealing, salt: UInt8(salt)), resetsSequence: resets)
                #expect(sealer.use.packets == 0 && sealer.use.bytes == 0 && sealer.cipher == test.cipher)
                // The other direction has not come to its own change yet.
                #expect(opener.use.packets == 3)
                opener.setKey(try test.key(.opening, salt: UInt8(salt)), resetsSequence: resets)
                #expect(opener.use.packets == 0 && opener.use.bytes == 0 && opener.cipher == test.cipher)
                if resets { expected = 0 }
                try pass(3)
            }
            #expect(expected == (resets ? 3 : 15))
        }
    }

    /// Two to the 32 packets have nonces of their own, and not one more.
    @Test func aKeyIsSpentBeforeANonceComesTwice() {
        var use = KeyUse(packets: (1 << 32) - 1, bytes: 7)
        #expect(!use.isSpent && use.bytes == 7)
        use.count(32804)
        #expect(use.isSpent && use.bytes == 32811)
    }

    /// ChaCha20's nonce is the sequence number: an end that resets it and one that does not part at once.
    @Test func aResetOnOneSideOnlyIsNoticed() throws {
        let test = CipherCase(cipher: .chaCha20Poly1305, gcm: .best)
        var sealer = PacketSealer()
        var opener = PacketOpener()
        _ = try opener.message(sealer.packet([20]))
        sealer.setKey(try test.key(.sealing), resetsSequence: true)
        opener.setKey(try test.key(.opening), resetsSequence: false)
        let packet = sealer.packet([5]) + CipherNumbers.pool
        #expect(throws: SSHError.self) { try opener.message(packet) }
    }

    /// AES-GCM counts invocations and AES-CTR blocks, not packets of the connection: both begin at the IV after each change.
    @Test(arguments: CipherCase.all.filter { $0.cipher != .chaCha20Poly1305 })
    func theCounterBeginsAtTheIV(_ test: CipherCase) throws {
        var first = PacketSealer()
        first.setKey(try test.key(.sealing), resetsSequence: false)
        let packet = first.packet([UInt8](repeating: 1, count: 11))
        _ = first.packet([2])
        first.setKey(try test.key(.sealing), resetsSequence: false)
        // Length and message; padding and tag are others.
        #expect(first.packet([UInt8](repeating: 1, count: 11)).prefix(16) == packet.prefix(16))
    }
}
