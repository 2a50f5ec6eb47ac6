import CCrypto
import Crypto
import Testing

@testable import CulvertSSH

/// Streamlined NTRU Prime 761, by what others calculated.
@Suite struct LatticeTests {
    private static let publicLength = Int(CULVERT_SNTRUP761_PUBLIC)
    private static let ciphertextLength = Int(CULVERT_SNTRUP761_CIPHERTEXT)
    private static let keyDraws = Int(CULVERT_SNTRUP761_KEY_RANDOM)
    private static let ciphertextDraws = Int(CULVERT_SNTRUP761_CIPHERTEXT_RANDOM)

    private func digest(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }
    private func bytes(_ secret: Secret) -> [UInt8] { secret.withBytes { Array($0) } }
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16, uppercase: true) + String($0 & 15, radix: 16, uppercase: true) }.joined()
    }

    private func secret(_ bytes: [UInt8]) -> Secret { bytes.withUnsafeBytes { Secret(copying: $0) } }

    /// SHA-512 of the name and 0, 1, …
    private func draws(_ name: String, _ count: Int) -> Secret {
        secret(
            Array(
                (0...count / 64).flatMap { Array(SHA512.hash(data: Array("\(name) \($0)".utf8))) }.prefix(count)))
    }

    private struct Pair {
        var publicKey = [UInt8](repeating: 0, count: LatticeTests.publicLength)
        var secretKey = [UInt8](repeating: 0, count: Int(CULVERT_SNTRUP761_SECRET))
        let result: Int32

        init(_ draws: [UInt8]) { result = culvert_sntrup761_key(draws, &publicKey, &secretKey) }
    }

    /// The first of the answers that its authors gave to NIST (round 3, kat_kem.rsp), by the digest of its text that liboqs
    /// has too: what random bytes are drawn is laid down by NIST's generator.
    @Test func official() throws {
        var seeds = NISTGenerator(seed: (0..<48).map { $0 })
        let seed = seeds.draw(48)
        var generator = NISTGenerator(seed: seed)
        let (forG, forF) = (generator.draw(761 * 4), generator.draw(761 * 4))
        let pair = Pair(forG + forF + generator.draw(191))
        #expect(pair.result == 1)
        var ciphertext = [UInt8](repeating: 0, count: Self.ciphertextLength)
        var (shared, own) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 32))
        #expect(
            culvert_sntrup761_encapsulate(generator.draw(761 * 4), pair.publicKey, &ciphertext, &shared) == 1)
        #expect(culvert_sntrup761_decapsulate(pair.secretKey, ciphertext, &own) == 1)
        #expect(own == shared)
        let fields = [
            ("seed", seed), ("pk", pair.publicKey), ("sk", pair.secretKey), ("ct", ciphertext), ("ss", shared),
        ]
        let text = fields.reduce("count = 0\n") { text, field in
            text + "\(field.0) = \(Self.hexadecimal(field.1))\n"
        }
        #expect(
            digest(Array(text.utf8)) == unhex("afc42c3a5b10f4ef69654250097ebda9b9564570f4086744b24a6daf2bd1f89a"))
    }

    /// What OpenSSH 10.5's own code gives for the same draws: SHA-256 of the public key and of the ciphertext; what is shared;
    /// what the ciphertext with one bit turned over leads to, and one of ones alone; and for a public key of ones alone SHA-256
    /// of the ciphertext, and what is shared.
    @Test(
        arguments: [
            [
                "01d1c5057b3205ecbd7eb57f305d26acb33a2a900555e147cea84c7ad70069f0",
                "3ce4c850cc90f7b4d6fffb9c857914f8c13274af3ce120f671c17a219fa38d7e",
                "b3727066d68a6b2e25093469c2056b26c8408a039ba6f96311e714cceabb61e6",
                "e5238c03ee6f3fb2ca71bed91762ec7d1853002fb0e4f47506f51f75a1d387a2",
                "979533bfbded32cae5f361e9face7f184e10eec4b5b3eb7fdf1729328ed70780",
                "6c78f34e1be468d055d0af5e69d5916fca51ff6f4d6d6f87af8b4ab1c5986a4d",
                "8416ccc8c77bc7d8dedcd240712fefe07bc49ff16aad3461604f4015a4a1a366",
            ],
            [
                "7a0dafa82e436b9b9cfd5d08ed00bbba03641528af27d929394d2d91ab6d25a4",
                "1e6b6a8fbe74f69be92101f057cc1bad960f06dd91bdaf777a67949584526a87",
                "80f390a00d0216e041f1489aa88ad6cc0249c52c4d7e72b2faa260d0868bae8e",
                "8f79ae275ebc0d73f7fa48a81f49f0418ed8499a0ba748694c9361583c91e0c1",
                "b77fc42c267c9f3c320b13c57d37837e2bb3c133f0d0135082e5e3d5f0b7c637",
                "68fd8f3daaa12aa0cab5e7d638beedaaba743213cf8c689c63b17ac0e5978fec",
                "6d88ccd67b3c45be3cf83c50b387c4d794ee9ecec86ef6ea30a8730f77015490",
            ],
            [
                "ea95b024f364092769529617ddae0a3e6dd623f51c1ff56f53c385f12e0b2dd8",
                "e648fafacc6ee2f738a82d3634583c327087eb2ef4fe0efad0fbd976a6d82845",
                "45247e3f04b140feaf63b8f16b8599825a33c5a85f8bc378be9c7fcf0187dfc7",
                "1a10872a280237486327ea05c45a865c3edd7324aa231116b4072d6115932c23",
                "35d0dc09bfbd4066fcae025d62e21aa9aeb19f6b4e04e2e99a4a84db93c8f9df",
                "f065a35d65acd09c6fc7399ee24dbde0d24f438a99ab5b27c17de7584631f91b",
                "9e0515306f63f55c7a1004dec4e53423455564d404b2890ca9e8014303dfe6e8",
            ],
        ].enumerated().map { ($0.offset, $0.element) })
    func openSSH(_ number: Int, _ answers: [String]) throws {
        let known = answers.map(unhex)
        let key = try #require(try SNTRUPKey(draws: draws("key \(number)", Self.keyDraws)))
        #expect(digest(key.publicPart) == known[0])
        let forCiphertext = draws("ciphertext \(number)", Self.ciphertextDraws)
        let (ciphertext, shared) = try SNTRUPKey.answer(key.publicPart, draws: forCiphertext)
        #expect(digest(ciphertext) == known[1])
        #expect(bytes(shared) == known[2])
        #expect(bytes(try key.secret(ciphertext: ciphertext)) == known[2])
        var wrong = ciphertext
        wrong[100 * number] ^= 1
        #expect(bytes(try key.secret(ciphertext: wrong)) == known[3])
        let ones = [UInt8](repeating: 0xff, count: Self.publicLength)
        #expect(bytes(try key.secret(ciphertext: Array(ones.prefix(Self.ciphertextLength)))) == known[4])
        let other = try SNTRUPKey.answer(ones, draws: forCiphertext)
        #expect(digest(other.ciphertext) == known[5])
        #expect(bytes(other.secret) == known[6])
    }

    /// g = 0 has no inverse; and what is drawn then is another.
    @Test func drawsThatGiveNoKey() throws {
        let zeros = Array([[UInt8]](repeating: [0, 0, 0, 0x20], count: 761).joined())
        let rest = [UInt8](repeating: 0x35, count: Self.keyDraws - zeros.count)
        #expect(try SNTRUPKey(draws: secret(zeros + rest)) == nil)
        #expect(Pair(zeros + rest).result == 0)
        // g = 1.
        #expect(Pair([0, 0, 0, 0x3f] + zeros.dropFirst(4) + rest).result == 1)
    }

    /// One bit anywhere in a ciphertext: no error, and what nobody else knows, another for each.
    @Test func ciphertextsThatAreNone() throws {
        var random = RandomSource.reproducible(seed: 3)
        let key = try SNTRUPKey(&random)
        let (ciphertext, shared) = try SNTRUPKey.answer(key.publicPart, &random)
        #expect(bytes(try key.secret(ciphertext: ciphertext)) == bytes(shared))
        var seen: Set<[UInt8]> = [bytes(shared)]
        let places = stride(from: 0, to: Self.ciphertextLength, by: 61) + [1006, 1007, 1038]
        for place in places {
            var wrong = ciphertext
            wrong[place] ^= 1 << UInt8(place % 8)
            seen.insert(bytes(try key.secret(ciphertext: wrong)))
        }
        #expect(seen.count == 1 + Set(places).count)
    }

    /// RFC 9941 §3: how long the parts are; others end the exchange, and say so.
    @Test(arguments: [KeyAgreementMethod.sntrup761x25519, .sntrup761x25519openssh])
    func lengths(_ method: KeyAgreementMethod) throws {
        var random = RandomSource()
        let client = try KeyAgreement(method, &random)
        let (part, _) = try KeyAgreement.answer(method, peerPart: client.publicPart, &random)
        #expect(client.publicPart.count == 1158 + 32 && part.count == 1039 + 32)
        func refused(_ count: Int, _ body: () throws -> Void) {
            let error = #expect(throws: SSHError.self) { try body() }
            #expect(error?.kind == .keyExchange)
            #expect(error?.description.contains("the peer's part of \(method.rawValue) has \(count) bytes") == true)
        }
        for count in [0, 31, 32, 1039, 1039 + 31, 1039 + 33, 1158 + 32] {
            refused(count) { _ = try client.secret(peerPart: [UInt8](repeating: 1, count: count)) }
        }
        for count in [0, 31, 32, 1158, 1158 + 31, 1158 + 33, 1039 + 32] {
            refused(count) {
                _ = try KeyAgreement.answer(method, peerPart: [UInt8](repeating: 1, count: count), &random)
            }
        }
        // A point that gives no secret is refused beside a ciphertext that is right.
        let error = #expect(throws: SSHError.self) {
            _ = try client.secret(peerPart: part.prefix(1039) + [UInt8](repeating: 0, count: 32))
        }
        #expect(error?.kind == .keyExchange)
    }
}

/// The generator of NIST's known answers: AES-256 in counter mode with no further input (SP 800-90A §10.2.1.5).
private struct NISTGenerator {
    private var key = [UInt8](repeating: 0, count: 32)
    private var counter = [UInt8](repeating: 0, count: 16)

    init(seed: [UInt8]) { update(with: seed, behind: 0) }

    mutating func draw(_ count: Int) -> [UInt8] {
        let blocks = (count + 15) / 16
        let drawn = stream(blocks).prefix(count)
        update(with: [UInt8](repeating: 0, count: 48), behind: blocks)
        return Array(drawn)
    }

    private func stream(_ blocks: Int) -> [UInt8] {
        var first = counter
        for place in (0..<16).reversed() {
            first[place] &+= 1
            if first[place] != 0 { break }
        }
        let cipher = PacketCipher.aesCTR(.aes256, .sha256)
        return CounterReference(cipher, key: key, iv: first, macKey: [])
            .ciphered([UInt8](repeating: 0, count: blocks * 16))
    }

    private mutating func update(with data: [UInt8], behind blocks: Int) {
        let next = zip(stream(blocks + 3).suffix(48), data).map { $0 ^ $1 }
        (key, counter) = (Array(next[..<32]), Array(next[32...]))
    }
}
