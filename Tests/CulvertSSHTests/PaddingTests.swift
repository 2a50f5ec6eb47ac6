import Testing

@testable import CulvertSSH

/// What stands behind a message, and how long it is.
@Suite struct PaddingTests {
    /// The padding of each packet in `bytes`, opened under the test's key.
    private func paddings(_ test: CipherCase, _ bytes: [UInt8]) throws -> [[UInt8]] {
        var opener = try test.opener()
        var found: [[UInt8]] = []
        var bytes = bytes
        try bytes.withUnsafeMutableBytes { buffer in
            var at = 0
            while at < buffer.count {
                let packet = buffer.baseAddress! + at
                let opened = try #require(try opener.open(packet, available: buffer.count - at))
                let count = Int(packet.load(fromByteOffset: 4, as: UInt8.self))
                let place = UnsafeRawBufferPointer(start: opened.packet.message + opened.packet.count, count: count)
                found.append(Array(place))
                at += opened.wireLength
            }
        }
        return found
    }

    /// Between two sends no byte of it is used again for some fifty packets, and none after a send.
    @Test(arguments: CipherCase.all) func paddingIsRandomForEachPacket(_ test: CipherCase) throws {
        var output = PacketOutput()
        output.setKey(try test.key(.sealing), resetsSequence: true)
        var stream: [UInt8] = []
        for _ in 0..<400 {
            for _ in 0..<10 {
                // 16 bytes of padding to a block of 16, 12 where the length counts, 8 to one of 8.
                output.send([2] + Script.string([UInt8](repeating: 0, count: 10)))
            }
            stream += Array(output.unsent)
            output.didSend(output.unsent.count)
        }
        let all = try paddings(test, stream)
        let length = test.cipher.hidesLength ? 12 : test.cipher.blockLength
        #expect(all.count == 4000 && all.allSatisfy { $0.count == length })
        #expect(Set(all).count == 4000)
        let bits = all.joined().reduce(0) { $0 + $1.nonzeroBitCount }
        #expect(abs(bits - 4000 * length * 4) < 4000)
    }

    /// However much is made between two sends, there is padding, and it is not what stood there before.
    @Test(arguments: CipherCase.all) func paddingLasts(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        var stream: [UInt8] = []
        for count in 0..<3000 { stream += sealer.packet([UInt8](repeating: 7, count: 1 + count % 40)) }
        for padding in try paddings(test, stream) where padding.count >= 8 {
            #expect(padding != [UInt8](repeating: 0xc5, count: padding.count))
            #expect(padding != [UInt8](repeating: 0, count: padding.count))
        }
    }

    /// OpenSSH's arithmetic of `sshpkt_add_padding(ssh, 64)` in packet.c, bytes that the cipher covers.
    private func openSSH(_ message: Int, _ cipher: PacketCipher) -> Int {
        let block = cipher.blockLength
        let length = (cipher.lengthIsPadded ? 5 : 1) + message
        var padding = block - length % block
        if padding < 4 { padding += block }
        return length + padding + (64 - (length + padding) % 64)
    }

    private func password(_ length: Int) -> [UInt8] {
        [50] + Script.string("root") + Script.string("ssh-connection") + Script.string("password") + [0]
            + Script.string([UInt8](repeating: 0x70, count: length))
    }

    /// A password of any length, and answers: as long on the wire as OpenSSH makes them, which is a multiple of 64 that many
    /// lengths share. Everything else has the least padding.
    @Test(arguments: CipherCase.all) func whatCarriesASecretHasAMultipleOf64(_ test: CipherCase) throws {
        var lengths: Set<Int> = []
        for length in 0..<130 {
            for isDeferred in [false, true] {
                for message in [
                    password(length), [61] + Script.u32(1) + Script.string([UInt8](repeating: 1, count: length)),
                ] {
                    var output = PacketOutput()
                    output.setKey(try test.key(.sealing), resetsSequence: true)
                    if isDeferred { output.hold() }
                    output.send(message)
                    if isDeferred {
                        #expect(output.unsent.isEmpty)
                        output.resume()
                    }
                    let covered = output.unsent.count - test.cipher.tagLength - (test.cipher.lengthIsPadded ? 0 : 4)
                    #expect(covered == openSSH(message.count, test.cipher) && covered.isMultiple(of: 64))
                    if message[0] == 50 { lengths.insert(covered) }
                    var opener = try test.opener()
                    #expect(try opener.message(Array(output.unsent))?.message == message)
                }
            }
        }
        // 130 lengths are four.
        #expect(lengths.count <= 4)
        for number in UInt8(1)...255 where number != 50 && number != 61 {
            var output = PacketOutput()
            output.setKey(try test.key(.sealing), resetsSequence: true)
            output.send([number] + [UInt8](repeating: 0, count: 20))
            #expect(output.unsent.count == PacketLayout(test.cipher).wireLength(messageLength: 21))
        }
    }
}
