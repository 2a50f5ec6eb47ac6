import Testing

@testable import culvert_load

@Suite struct PatternTests {
    private func bytes(_ pattern: Pattern, _ count: Int, at offset: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        bytes.withUnsafeMutableBytes { if count > 0 { pattern.fill($0.baseAddress!, count: count, at: offset) } }
        return bytes
    }

    private func difference(_ pattern: Pattern, _ bytes: [UInt8], at offset: UInt64) -> Int? {
        bytes.withUnsafeBytes { pattern.firstDifference($0.baseAddress!, count: bytes.count, at: offset) }
    }

    private let pattern = Pattern(seed: 7, connection: 3, direction: .up)

    @Test("from any offset the stream is the same", arguments: [0, 1, 5, 8, 4093, 8_589_934_595] as [UInt64])
    func offsets(_ offset: UInt64) {
        for count in [1, 2, 7, 8, 9, 15, 64, 1000, 5000] {
            let made = bytes(pattern, count, at: offset)
            #expect(made == (0..<UInt64(count)).map { pattern.byte(at: offset + $0) })
            #expect(difference(pattern, made, at: offset) == nil)
        }
    }

    @Test("one changed byte is found where it stands", arguments: [0, 3] as [UInt64])
    func place(_ offset: UInt64) {
        let right = bytes(pattern, 10_000, at: offset)
        for index in [0, 1, 4, 5, 7, 8, 4095, 4096, 4100, 9_998, 9_999] {
            var wrong = right
            wrong[index] ^= 0x10
            #expect(difference(pattern, wrong, at: offset) == index)
        }
    }

    @Test("4 KiB that are lost, doubled or swapped are found at their first byte")
    func displaced() {
        let right = bytes(pattern, 40_000, at: 0)
        for fault in StreamFault.allCases {
            let wrong = fault.applied(to: right, at: 20_001)
            #expect(difference(pattern, Array(wrong.prefix(39_000)), at: 0) == fault.firstWrong(20_001), "\(fault)")
        }
    }

    @Test("connections, directions and seeds have streams of their own")
    func distinct() {
        var seen: Set<[UInt8]> = []
        for seed in 0..<20 as Range<UInt64> {
            for connection in 0..<20 as Range<UInt32> {
                for direction in [Pattern.Direction.up, .down] {
                    let one = Pattern(seed: seed, connection: connection, direction: direction)
                    #expect(seen.insert(bytes(one, 16, at: 0)).inserted)
                }
            }
        }
    }
}

@Suite struct WireTests {
    private let sizes = ExchangeSizes(
        requests: SizeDistribution(shape: .pareto, low: 100, maximum: 1 << 30, spread: 1200),
        answers: SizeDistribution(
            shape: .lognormal, low: 5, maximum: 4096, spread: 300, bulkShare: 10, bulkSize: 1 << 20),
        answersEach: 7)

    @Test("a hello is read as it was written")
    func hello() throws {
        for role in [Hello.Role.exchange, .single, .vnc, .database] {
            let hello = Hello(role: role, connection: 77, seed: .max - 5, sizes: sizes)
            #expect(hello.bytes.count == Hello.length)
            #expect(Hello(hello.bytes) == hello)
        }
        let hello = Hello(role: .both, connection: .max, seed: 0)
        #expect(Hello(hello.bytes) == hello)
    }

    @Test("what is no hello is not taken for one")
    func notHello() {
        let right = Hello(role: .exchange, connection: 1, seed: 1, sizes: sizes).bytes
        // The magic, the role, the shapes, sizes with nonsense in their uppermost bits, and what must be 0.
        for index in Array(0..<12) + [27, 31, 35, 39, 43, 47, 51, 55, 59, 60, 63] {
            var wrong = right
            wrong[index] ^= 0x40
            if index == 27 { wrong[index] ^= 0x80 }
            #expect(Hello(wrong) == nil, "byte \(index)")
        }
        func hello(_ role: Hello.Role, _ change: (inout ExchangeSizes) -> Void) -> Hello? {
            var sizes = sizes
            change(&sizes)
            return Hello(Hello(role: role, connection: 1, seed: 1, sizes: sizes).bytes)
        }
        #expect(hello(.exchange) { _ in } != nil)
        #expect(hello(.exchange) { $0.requests.low = 0 } == nil)
        #expect(hello(.exchange) { $0.requests.maximum = 99 } == nil)
        #expect(hello(.exchange) { $0.requests.spread = 0 } == nil)
        #expect(hello(.exchange) { $0.answers.bulkShare = 0 } == nil)
        #expect(hello(.exchange) { $0.answers.bulkShare = 1_000_001 } == nil)
        #expect(hello(.exchange) { $0.answers.bulkSize = 0 } == nil)
        #expect(hello(.vnc) { $0.answersEach = 0 } == nil)
        #expect(hello(.vnc) { $0.answersEach = 1001 } == nil)
        #expect(hello(.up) { _ in } == nil, "a stream has no sizes")
        #expect(Hello(Hello(role: .exchange, connection: 1, seed: 1).bytes) == nil)
        #expect(Hello([]) == nil)
    }

    @Test("a verdict stands where it belongs, and only whole")
    func verdict() {
        let down = Pattern(seed: 1, connection: 2, direction: .down)
        let verdict = Verdict(.differs, offset: 123_456)
        let bytes = verdict.bytes(down, sent: 999)
        #expect(Verdict(bytes) == verdict)
        #expect(Verdict.mayBegin(bytes[...], down, received: 999))
        #expect(Verdict.mayBegin(bytes[..<3], down, received: 999))
        #expect(!Verdict.mayBegin(bytes[...], down, received: 998), "a byte of payload is missing before it")
        #expect(!Verdict.mayBegin((bytes + [0])[...], down, received: 999), "something follows it")
        for index in 8..<32 {
            var wrong = bytes
            wrong[index] ^= 1
            #expect(Verdict(wrong) == nil, "byte \(index)")
        }
    }
}
