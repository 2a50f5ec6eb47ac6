import Testing

@testable import CulvertSSH

/// Numbers that a peer must not get through with: as parts, and as groups.
@Suite struct DiffieHellmanTests {
    private static func refused(
        _ words: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) {
        let error = #expect(throws: SSHError.self, sourceLocation: sourceLocation) { try body() }
        #expect(error?.kind == .keyExchange, sourceLocation: sourceLocation)
        #expect(
            error?.description.contains(words) == true, "\(String(describing: error))", sourceLocation: sourceLocation)
    }

    /// The content of an `mpint`.
    private static func content(_ magnitude: [UInt8]) -> [UInt8] { magnitude.withUnsafeBytes { MPInt.content($0) } }

    private static func less(_ number: [UInt8], by: UInt8) -> [UInt8] {
        number.dropLast() + [number[number.count - 1] - by]
    }

    /// 0, 1, p - 1, p, p + more, negative, too long, and numbers of fewer than four bits; beside each the nearest that is
    /// right.
    @Test(arguments: [2048, 8192])
    func parts(_ bits: Int) throws {
        let group = DiffieHellmanGroup(bits: bits)
        let prime = group.prime
        let zeros = [UInt8](repeating: 0, count: bits / 8 - 1)
        for number in [
            [], [1], [2], [3], [7], [0x70], [0x40] + zeros, [0x70] + zeros, Self.less(prime, by: 1), prime,
            [1] + zeros + [0x0f], [1] + prime, [UInt8](repeating: 0xff, count: bits / 8),
        ] as [[UInt8]] {
            Self.refused("gives the secret away") { _ = try group.element(Self.content(number)) }
        }
        for number in [[0x0f], [0x78] + zeros, Self.less(prime, by: 2), [0xf0]] as [[UInt8]] {
            #expect(try group.element(Self.content(number)) == number)
        }
        // No `mpint`: negative; zeros in front; too long.
        let right = [0x55] + [UInt8](repeating: 0x55, count: bits / 8 - 1)
        #expect(try group.element(right) == right)
        Self.refused("negative") { _ = try group.element([0x80] + right.dropFirst()) }
        Self.refused("zeros in front") { _ = try group.element([0] + right) }
        Self.refused("bytes") { _ = try group.element([UInt8](repeating: 0x55, count: 4000)) }
    }

    @Test(arguments: [KeyAgreementMethod.group14, .group16, .group18, .groupExchange])
    func hostileParts(_ method: KeyAgreementMethod) throws {
        var random = RandomSource()
        let group = method.kind == .groupExchange ? DiffieHellmanGroup(bits: 2048) : nil
        let own = try KeyAgreement(method, in: group, &random)
        let prime: [UInt8]
        switch method.kind {
        case .group(let bits): prime = DiffieHellmanGroup(bits: bits).prime
        case .curve, .hybrid, .groupExchange: prime = DiffieHellmanGroup(bits: 2048).prime
        }
        for part in [[], [1], Self.less(prime, by: 1), prime] as [[UInt8]] {
            Self.refused("gives the secret away") { _ = try own.secret(peerPart: Self.content(part)) }
            Self.refused("gives the secret away") {
                _ = try KeyAgreement.answer(method, in: group, peerPart: Self.content(part), &random)
            }
        }
    }

    /// Points that are none: on another curve, compressed, hybrid form, infinity, of a wrong length; coordinates that are
    /// no numbers of the field.
    @Test(arguments: [
        (KeyAgreementMethod.ecdh256, KeyCurve.p256), (.ecdh384, .p384), (.ecdh521, .p521), (.mlkem768p256, .p256),
    ])
    func hostilePoints(_ method: KeyAgreementMethod, _ curve: KeyCurve) throws {
        var random = RandomSource()
        let own = try KeyAgreement(method, &random)
        let right = try KeyAgreement.answer(method, peerPart: own.publicPart, &random).publicPart
        _ = try own.secret(peerPart: right)
        let lattice = right.dropLast(curve.partLength)
        let point = Array(right.suffix(curve.partLength))
        let half = (curve.partLength - 1) / 2
        func refused(_ words: String, _ point: [UInt8], at: SourceLocation = #_sourceLocation) {
            Self.refused(words, sourceLocation: at) { _ = try own.secret(peerPart: lattice + point) }
            let client = own.publicPart.dropLast(curve.partLength)
            Self.refused(words, sourceLocation: at) {
                _ = try KeyAgreement.answer(method, peerPart: client + point, &random)
            }
        }
        // The next y, or the one before, is no other root.
        refused("is none", point.dropLast() + [point[point.count - 1] ^ 1])
        refused("is none", [4] + [UInt8](repeating: 0, count: 2 * half))
        refused("is none", [4] + [UInt8](repeating: 0xff, count: 2 * half))
        for form in [0, 2, 3, 5, 6, 7] as [UInt8] { refused("is none", [form] + point.dropFirst()) }
        refused("bytes", [2 + point[point.count - 1] & 1] + point[1...half])
        refused("bytes", [0])
        refused("bytes", [])
        refused("bytes", Array(point.dropLast()))
        refused("bytes", point + [0])
    }

    // MARK: Groups of a server

    private func group(_ prime: [UInt8], _ generator: [UInt8], _ range: ClosedRange<Int> = DiffieHellmanGroup.bits)
        throws -> DiffieHellmanGroup
    {
        try prime.withUnsafeBytes { prime in
            try generator.withUnsafeBytes { generator in
                try DiffieHellmanGroup(prime: prime, generator: generator, within: range)
            }
        }
    }

    @Test func groups() throws {
        let right = DiffieHellmanGroup(bits: 2048)
        #expect(try group(right.prime, [2]) == right)
        #expect(try group(right.prime, Self.less(right.prime, by: 2)).length == 2048)
        // Lengths, to the bit.
        Self.refused("has 2047 bits, 2048 to 8192") { _ = try group([0x7f] + right.prime.dropFirst(), [2]) }
        Self.refused("has 8193 bits") { _ = try group([1] + DiffieHellmanGroup(bits: 8192).prime, [2]) }
        Self.refused("has 0 bits") { _ = try group([], [2]) }
        Self.refused("has 2048 bits, 3072 to") { _ = try group(right.prime, [2], 3072...8192) }
        // Even; generators of a group of one, two or no elements.
        Self.refused("is none") { _ = try group(Self.less(right.prime, by: 1), [2]) }
        for generator in [[], [1], Self.less(right.prime, by: 1), right.prime, [1] + right.prime] as [[UInt8]] {
            Self.refused("is none") { _ = try group(right.prime, generator) }
        }
    }

    /// A modulus that is a product, in which a power of the generator is 1: what would be sent is refused before.
    @Test func aGeneratorOfFewElements() throws {
        // 2^2048 - 1 is odd, and the powers of 2 are 2048 numbers with one bit each.
        let modulus = [UInt8](repeating: 0xff, count: 256)
        let made = try group(modulus, [2])
        var random = RandomSource()
        Self.refused("the group gives the secret away") { _ = try DiffieHellmanKey(made, &random) }
    }

    // MARK: What is asked for

    @Test func requests() throws {
        func request(_ keyLength: Int, _ version: String = "SSH-2.0-OpenSSH_9.2") -> [UInt32] {
            let made = GroupExchange.Request(keyLength: keyLength, peerVersion: Array(version.utf8))
            return [made.minimum, made.preferred, made.maximum]
        }
        #expect(request(16) == [2048, 3072, 8192])
        #expect(request(24) == [2048, 7680, 8192])
        #expect(request(32) == [2048, 8192, 8192] && request(64) == [2048, 8192, 8192])
        #expect(request(32, "SSH-2.0-Cisco-1.25") == [2048, 4096, 8192])
        #expect(request(16, "SSH-2.0-Cisco-1.25") == [2048, 3072, 8192])
    }

    @Test func aServersChoice() throws {
        func choice(_ minimum: UInt32, _ preferred: UInt32, _ maximum: UInt32) throws -> Int {
            try GroupExchange.Request(minimum: minimum, preferred: preferred, maximum: maximum).choose().length
        }
        #expect(try choice(2048, 3072, 8192) == 3072)
        #expect(try choice(1024, 1024, 8192) == 2048)
        #expect(try choice(2048, 7680, 8192) == 8192)
        #expect(try choice(2048, 7680, 8000) == 6144)
        #expect(try choice(2048, 2048, .max) == 2048)
        Self.refused("to 1024 bits") { _ = try choice(1024, 1024, 1024) }
        Self.refused("9000 to") { _ = try choice(9000, 9000, 10000) }
        for numbers in [[3072, 2048, 8192], [2048, 9000, 8192]] as [[UInt32]] {
            Self.refused("rather \(numbers[1])") { _ = try choice(numbers[0], numbers[1], numbers[2]) }
        }
    }
}
