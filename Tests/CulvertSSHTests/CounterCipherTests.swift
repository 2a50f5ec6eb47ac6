import CCrypto
import Crypto
import Testing

@testable import CulvertSSH

/// AES-CTR with HMAC-SHA-2: known answers, and streams of packets beside a reference that shares nothing with them.
@Suite struct CounterCipherTests {
    private static func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.utf8.count, by: 2).map { at in
            let digits = Array(hex.utf8)[at..<at + 2].map { $0 <= UInt8(ascii: "9") ? $0 - 48 : $0 - 87 }
            return digits[0] << 4 | digits[1]
        }
    }

    static let ciphers = PacketCipher.CounterKey.allCases.flatMap { key in
        PacketMAC.allCases.map { CipherCase(cipher: .aesCTR(key, $0), gcm: .best) }
    }

    // MARK: Known answers

    /// NIST SP 800-38A, F.5.1, F.5.3 and F.5.5.
    private static let clear = bytes(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            + "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
    private static let firstCounter = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")

    @Test(arguments: [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                + "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
        ),
        (
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
                + "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
                + "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
        ),
    ])
    func aesGivesTheKnownAnswers(_ key: String, _ ciphered: String) throws {
        let key = Self.bytes(key)
        let reference = CounterReference(.aesCTR(.aes128, .sha256), key: key, iv: Self.firstCounter, macKey: [])
        #expect(reference.ciphered(Self.clear) == Self.bytes(ciphered))
        let macKey = [UInt8](repeating: 1, count: 32)
        // The text of a packet, the length before it in the clear; and a packet in two parts, where the length is ciphered.
        let over = try #require(culvert_ctr_new(key, key.count, Self.firstCounter, 256, macKey, 1))
        defer { culvert_ctr_free(over) }
        var packet = Script.u32(64) + Self.clear + [UInt8](repeating: 0, count: 32)
        #expect(culvert_ctr_seal(over, 0, &packet, 64) == 0)
        #expect(Array(packet[4..<68]) == Self.bytes(ciphered))
        let plain = try #require(culvert_ctr_new(key, key.count, Self.firstCounter, 256, macKey, 0))
        defer { culvert_ctr_free(plain) }
        for part in [Self.clear[..<16], Self.clear[16...]] {
            var packet = Array(part) + [UInt8](repeating: 0, count: 32)
            #expect(culvert_ctr_seal(plain, 0, &packet, part.count - 4) == 0)
            #expect(Array(packet[..<part.count]) == Self.bytes(ciphered)[part.startIndex..<part.endIndex].map { $0 })
        }
    }

    struct MACVector: Sendable {
        let key, text: [UInt8]
        let narrow, wide: String
    }

    /// RFC 4231 §4.2 to §4.8 without the truncated one.
    static let macVectors = [
        MACVector(
            key: [UInt8](repeating: 0x0b, count: 20), text: Array("Hi There".utf8),
            narrow: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            wide: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"),
        MACVector(
            key: Array("Jefe".utf8), text: Array("what do ya want for nothing?".utf8),
            narrow: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            wide: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        MACVector(
            key: [UInt8](repeating: 0xaa, count: 20), text: [UInt8](repeating: 0xdd, count: 50),
            narrow: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            wide: "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
                + "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"),
        MACVector(
            key: Array(1...25), text: [UInt8](repeating: 0xcd, count: 50),
            narrow: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            wide: "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"),
        MACVector(
            key: [UInt8](repeating: 0xaa, count: 131),
            text: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            narrow: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            wide: "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"),
        MACVector(
            key: [UInt8](repeating: 0xaa, count: 131),
            text: Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. The key needs"
                    + " to be hashed before being used by the HMAC algorithm.").utf8),
            narrow: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            wide: "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
                + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"),
    ]

    /// The first four bytes of the text are the sequence number, the next ones the length, the rest is what is ciphered: under
    /// this tag it opens, and under none with another bit. A key as long as the digest is what a shorter one is with zeros
    /// behind it, and what a longer one is hashed to (RFC 2104 §2).
    @Test(arguments: macVectors) func hmacGivesTheKnownAnswers(_ vector: MACVector) throws {
        for (bits, known) in [(256, vector.narrow), (512, vector.wide)] as [(Int, String)] {
            let hashed = bits == 256 ? Array(SHA256.hash(data: vector.key)) : Array(SHA512.hash(data: vector.key))
            let key =
                vector.key.count > 128
                ? hashed : vector.key + [UInt8](repeating: 0, count: bits / 8 - vector.key.count)
            let sequence = vector.text[..<4].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
            let tag = Self.bytes(known)
            for bit in [nil, 0, 7, 8 * tag.count - 1] as [Int?] {
                var packet = vector.text[4...] + tag
                if let bit { packet[packet.endIndex - tag.count + bit / 8] ^= 1 << (bit % 8) }
                var bytes = Array(packet)
                let handle = try #require(
                    culvert_ctr_new([UInt8](repeating: 2, count: 16), 16, Self.firstCounter, Int32(bits), key, 1))
                defer { culvert_ctr_free(handle) }
                #expect(culvert_ctr_open(handle, sequence, &bytes, vector.text.count - 8) == (bit == nil ? 0 : -1))
            }
        }
    }

    @Test func whatIsNoKeyIsRefused() {
        let key = [UInt8](repeating: 3, count: 64)
        for length in [0, 8, 17, 48] { #expect(culvert_ctr_new(key, length, key, 256, key, 1) == nil) }
        for bits in [0, 160, 384] { #expect(culvert_ctr_new(key, 16, key, Int32(bits), key, 1) == nil) }
    }

    // MARK: Packets

    /// Every short length and some long ones, sealed as the reference does, over the ends of the counter's low 32 and 64
    /// bits and of the whole of it.
    @Test(arguments: ciphers) func packetsAreThoseOfTheReference(_ test: CipherCase) throws {
        let ones = [UInt8](repeating: 0xff, count: 15)
        for (iv, lengths) in [
            (test.ivBytes, Array(1...80) + [1448, 32777]), (ones + [0xf0], Array(60...70)),
            ([UInt8](repeating: 0, count: 12) + ones[..<3] + [0xf5], Array(60...70)),
            ([UInt8](repeating: 7, count: 8) + ones[..<7] + [0xfb], Array(60...70)),
        ] as [([UInt8], [Int])] {
            var numbers = CipherNumbers(4344)
            let reference = CounterReference(
                test.cipher, key: test.keyBytes(), iv: iv, macKey: test.macKeyBytes())
            var sealer = try test.sealer(iv: iv)
            var opener = try test.opener(iv: iv)
            let peek = try test.key(.opening, iv: iv)
            for (sequence, length) in lengths.enumerated() {
                let message = numbers.bytes(length)
                let packet = sealer.packet(message)
                let covered = packet.count - test.cipher.tagLength - (test.cipher.hidesLength ? 0 : 4)
                let padding = packet.count - test.cipher.tagLength - 5 - length
                #expect((4...19).contains(padding) && covered.isMultiple(of: 16))
                // The padding is read from the packet: which bytes it has is the sealer's affair.
                var clear = packet
                let (said, again, isRight) = clear.withUnsafeMutableBytes { memory in
                    let (start, number) = (memory.baseAddress!, UInt32(sequence))
                    let said = peek.length(of: start, sequenceNumber: number)
                    let again = peek.length(of: start, sequenceNumber: number)
                    return (said, again, peek.open(start, length: said, sequenceNumber: number))
                }
                #expect(said == 1 + length + padding && again == said && isRight)
                clear.removeLast(test.cipher.tagLength)
                #expect(Array(clear[..<5]) == Script.u32(1 + length + padding) + [UInt8(padding)])
                #expect(Array(clear[5..<5 + length]) == message)
                #expect(packet == reference.seal(UInt32(sequence), clear), "packet \(sequence)")
                #expect(try opener.message(packet)?.message == message)
            }
        }
    }

    /// The last sequence numbers there are, and the first after them (RFC 4253 §6.4).
    @Test(arguments: CipherCase.counter) func theSequenceNumberIsUnderTheTag(_ test: CipherCase) throws {
        for sequence in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as [UInt32] {
            let reference = CounterReference(
                test.cipher, key: test.keyBytes(), iv: test.ivBytes, macKey: test.macKeyBytes())
            let length = test.cipher.hidesLength ? 28 : 32
            let packet = reference.seal(
                sequence, Script.u32(length) + [10] + [UInt8](repeating: 8, count: length - 1))
            for said in [sequence, sequence &+ 1, sequence ^ 0x100] {
                let opener = try test.key(.opening)
                var bytes = packet
                let isRight = bytes.withUnsafeMutableBytes {
                    opener.open($0.baseAddress!, length: length, sequenceNumber: said)
                }
                #expect(isRight == (said == sequence), "\(sequence), \(said)")
            }
        }
    }

    /// What was deciphered before its tag was found to be false is overwritten; what was not is as it came.
    @Test(arguments: ciphers) func nothingOfAFalsePacketIsLeft(_ test: CipherCase) throws {
        var sealer = try test.sealer()
        let packet = sealer.packet(Array("a message that nobody must read".utf8))
        let length = packet.count - 4 - test.cipher.tagLength
        for place in 4..<packet.count {
            var altered = packet
            altered[place] ^= 0x20
            let came = altered
            let opener = try test.key(.opening)
            let isRight = altered.withUnsafeMutableBytes {
                opener.open($0.baseAddress!, length: length, sequenceNumber: 0)
            }
            let zeros = [UInt8](repeating: 0, count: 4 + length)
            #expect(!isRight)
            #expect(test.verifiesFirst ? altered == came : Array(altered[..<(4 + length)]) == zeros, "byte \(place)")
        }
    }
}
