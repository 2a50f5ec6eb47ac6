import Crypto
import Testing

@testable import CulvertSSH

/// What both ends come to, by known answers that others calculated.
@Suite struct KeyAgreementTests {
    static let methods = KeyAgreementMethod.allCases

    private func bytes(_ secret: Secret) -> [UInt8] { secret.withBytes { Array($0) } }

    /// RFC 5903 §8: the numbers of both ends, their points, and the x-coordinate that both come to.
    @Test(arguments: [
        (
            KeyCurve.p256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
            "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
                + "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
            "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
                + "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"
        ),
        (
            .p384,
            "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
            "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
            "04667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa"
                + "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
            "04e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
                + "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746"
        ),
        (
            .p521,
            "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777f5"
                + "957b2639bab072462f68c27a57382d4a52",
            "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2f8"
                + "69cca7458aa4a4effc311f5cb151685eb9",
            "040015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564"
                + "941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4"
                + "a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
            "0400d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6"
                + "c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077"
                + "b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06b3"
                + "c715a3a8cc3151f2bee417996d19f3ddea"
        ),
    ])
    func curves(_ curve: KeyCurve, _ i: String, _ r: String, _ gi: String, _ gr: String, _ secret: String) throws {
        let own = try #require(CurveKey(curve, number: unhex(i)))
        let peer = try #require(CurveKey(curve, number: unhex(r)))
        #expect(own.publicPart == unhex(gi) && peer.publicPart == unhex(gr))
        #expect(own.publicPart.count == curve.partLength)
        for (key, part) in [(own, peer.publicPart), (peer, own.publicPart)] {
            let shared = try key.secret(peerPart: part[...])
            #expect(shared.withUnsafeBytes { Array($0) } == unhex(secret))
        }
    }

    /// RFC 3526 by its formula, 2^n - 2^(n-64) - 1 + 2^64 ([2^(n-130) π] + k): n - 128 bits between 64 that are 1 at either
    /// end. The digits of π are those whose test calculates them.
    @Test(arguments: [(2048, 124_476), (3072, 1_690_314), (4096, 240_904), (6144, 929_484), (8192, 4_743_158)])
    func primes(_ bits: Int, _ k: Int) {
        let fraction = PiDigits.words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) }
        }
        // The 3 before the point has two bits.
        var middle = (0..<(bits - 128) / 8).map { index in
            (index == 0 ? 3 : fraction[index - 1]) << 6 | fraction[index] >> 2
        }
        // The 1 that is taken from the end borrows one here.
        var carry = k - 1
        for index in middle.indices.reversed() {
            carry += Int(middle[index])
            middle[index] = UInt8(truncatingIfNeeded: carry)
            carry >>= 8
        }
        #expect(carry == 0)
        let ones = [UInt8](repeating: 0xff, count: 8)
        let group = DiffieHellmanGroup(bits: bits)
        #expect(group.prime == ones + middle + ones)
        #expect(group.generator == [2] && group.length == bits)
    }

    /// By Python's pow(2, x, p): SHA-256 of e, of f, and of K as an `mpint`.
    @Test(arguments: [
        (
            2048, "ac6f843d1656fad8610cadda42df1df9153aa291cc48d915315348d297f162bc",
            "128c54181b34d36244f37c08abd94b724c44de3256a42fcdfacb597ec548cc3e",
            "82244970949742fe8c7fb0a1268ff7c5d3eb4796c59dbc32e4f3d445b9d03a70"
        ),
        (
            3072, "ac71d7772fc028d798eaf3d5ada2bc208ec252c8f9d58ed1520771b604b807f9",
            "a3d12a5cdc6e349cc8deaa5259c0a8fc5d9018712cc1f61ba5413ffe577f3ab8",
            "377b6a90242385c3f4e58c57585748295ab6ad1ba30fe8d71312e827492f032f"
        ),
        (
            4096, "9f66c99a5cf3f4cbce418501c91f411e59b23d8de7d1fc4faf738440dc474ebd",
            "eeff93fb9ac85acf5dadd2d96713a75d48af9707665fe595b53be58e552203f6",
            "e5244d436268349c7b1b4476751531468c910b578b657417e507bd9a3ecef16f"
        ),
        (
            8192, "4dbcfa4f70e8481fb6b9c5d577246794faf004dab33b310730a576b86b8446d6",
            "60777c24f75a13911aa16bfb77c57d5153e18262b9062bf1294ac7abfa4e382b",
            "71baa479767d1ec7abfa4e7081808b35d969c047e4e7b4caa9b82d72c06b0d06"
        ),
    ])
    func groups(_ bits: Int, _ e: String, _ f: String, _ k: String) throws {
        let group = DiffieHellmanGroup(bits: bits)
        func key(_ step: Int, _ start: Int) throws -> DiffieHellmanKey {
            var exponent = (0..<64).map { UInt8(truncatingIfNeeded: $0 * step + start) }
            return try DiffieHellmanKey(group, exponent: Secret(wiping: &exponent))
        }
        let (own, peer) = (try key(7, 0x81), try key(11, 0xc3))
        #expect(Array(SHA256.hash(data: own.publicPart)) == unhex(e))
        #expect(Array(SHA256.hash(data: peer.publicPart)) == unhex(f))
        #expect(Array(SHA256.hash(data: bytes(try own.secret(peerPart: peer.publicPart)))) == unhex(k))
        #expect(Array(SHA256.hash(data: bytes(try peer.secret(peerPart: own.publicPart)))) == unhex(k))
    }

    /// Both ends come to the same with fresh keys, and to something else the next time.
    @Test(arguments: methods)
    func bothEndsAgree(_ method: KeyAgreementMethod) throws {
        var random = RandomSource()
        let group = method.kind == .groupExchange ? DiffieHellmanGroup(bits: 3072) : nil
        var seen: Set<[UInt8]> = []
        for _ in 0..<2 {
            let client = try KeyAgreement(method, in: group, &random)
            let server = try KeyAgreement.answer(method, in: group, peerPart: client.publicPart, &random)
            let secret = bytes(try client.secret(peerPart: server.publicPart))
            #expect(secret == bytes(server.secret))
            #expect(Script.number(secret, 0) == secret.count - 4)
            seen.formUnion([secret, client.publicPart, server.publicPart])
        }
        #expect(seen.count == 6)
        // The same draws give the same keys.
        var (one, two) = (RandomSource.reproducible(seed: 5), RandomSource.reproducible(seed: 5))
        let parts = (try KeyAgreement(method, in: group, &one), try KeyAgreement(method, in: group, &two))
        #expect(parts.0.publicPart == parts.1.publicPart)
    }

    /// RFC 10042 §2.2 and §2.3: how long the parts of the hybrids are.
    @Test func partsOfTheHybrids() throws {
        var random = RandomSource()
        for (method, point) in [(KeyAgreementMethod.mlkem768x25519, 32), (.mlkem768p256, 65)] {
            let client = try KeyAgreement(method, &random)
            let server = try KeyAgreement.answer(method, peerPart: client.publicPart, &random)
            #expect(client.publicPart.count == 1184 + point && server.publicPart.count == 1088 + point)
        }
    }
}

func unhex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue).map(UInt8.init)
    precondition(digits.count == text.count && text.count % 2 == 0, "two digits a byte")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
