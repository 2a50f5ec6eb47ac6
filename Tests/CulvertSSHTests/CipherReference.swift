/// chacha20-poly1305@openssh.com once more, written from RFC 8439 and the draft alone, slow and with nothing shared:
/// what the fast one is compared with.
enum CipherReference {
    // MARK: ChaCha20 (RFC 8439 §2.3)

    /// One block of key stream; `tail` are the words 12 to 15 of the state.
    static func chaChaBlock(key: [UInt8], tail: [UInt32]) -> [UInt8] {
        let begin = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574] + words(key) + tail
        precondition(begin.count == 16)
        var x = begin
        func quarter(_ a: Int, _ b: Int, _ c: Int, _ d: Int) {
            for (sum, other, turned, bits) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                x[sum] &+= x[other]
                x[turned] ^= x[sum]
                x[turned] = x[turned] << UInt32(bits) | x[turned] >> UInt32(32 - bits)
            }
        }
        for _ in 0..<10 {
            for column in 0..<4 { quarter(column, 4 + column, 8 + column, 12 + column) }
            for row in 0..<4 { quarter(row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4) }
        }
        return zip(x, begin).flatMap { bytes($0 &+ $1) }
    }

    private static func words(_ bytes: [UInt8]) -> [UInt32] {
        stride(from: 0, to: bytes.count, by: 4).map { at in
            (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
    }

    private static func bytes(_ word: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
    }

    /// The text XOR the key stream from a block on, with the nonce of a sequence number: 64 bits of counter and 64 of
    /// nonce, as in the first ChaCha.
    static func chaCha(key: [UInt8], sequence: UInt32, block: Int, _ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for (index, at) in stride(from: 0, to: text.count, by: 64).enumerated() {
            let counter = UInt64(block + index)
            let stream = chaChaBlock(
                key: key,
                tail: [UInt32(truncatingIfNeeded: counter), UInt32(counter >> 32), 0, sequence.byteSwapped])
            result += zip(text[at...].prefix(64), stream).map { $0 ^ $1 }
        }
        return result
    }

    // MARK: Poly1305 (RFC 8439 §2.5), with numbers as little-endian bytes in Int

    static func poly1305(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var r = key[..<16].map(Int.init)
        for index in [3, 7, 11, 15] { r[index] &= 15 }
        for index in [4, 8, 12] { r[index] &= 252 }
        var sum = [Int](repeating: 0, count: 17)
        for at in stride(from: 0, to: message.count, by: 16) {
            let chunk = message[at...].prefix(16).map(Int.init) + [1]
            for (index, byte) in chunk.enumerated() { sum[index] += byte }
            sum = reduced(multiplied(sum, r))
        }
        // At most 2^130 - 1 is left, so p = 2^130 - 5 goes into it once at most.
        let more = carried(sum.enumerated().map { $0 == 0 ? $1 + 5 : $1 })
        if more[16] >= 4 { sum = Array(more[..<16]) + [more[16] & 3] }
        let tag = carried(zip(sum, key[16...].map(Int.init)).map { $0 + $1 } + [0])
        return tag[..<16].map { UInt8($0) }
    }

    private static func multiplied(_ a: [Int], _ b: [Int]) -> [Int] {
        var product = [Int](repeating: 0, count: a.count + b.count)
        for (i, x) in a.enumerated() {
            for (j, y) in b.enumerated() { product[i + j] += x * y }
        }
        return product
    }

    private static func carried(_ number: [Int]) -> [Int] {
        var carry = 0
        var result = number.map { digit in
            let sum = digit + carry
            carry = sum >> 8
            return sum & 255
        }
        while carry > 0 {
            result.append(carry & 255)
            carry >>= 8
        }
        return result
    }

    /// Below 2^130, equal modulo 2^130 - 5.
    private static func reduced(_ number: [Int]) -> [Int] {
        var left = carried(number)
        while left.count > 17 || left[16] > 3 {
            // What stands above bit 130 counts five times below it.
            let high = Array(left[16...])
            var low = Array(left[..<16]) + [left[16] & 3]
            low += [Int](repeating: 0, count: max(0, high.count - low.count))
            for index in high.indices {
                let above = index + 1 < high.count ? high[index + 1] : 0
                low[index] += 5 * (high[index] >> 2 | (above & 3) << 6)
            }
            left = carried(low)
            while left.count > 17 && left.last == 0 { left.removeLast() }
        }
        return left
    }

    // MARK: The packet

    /// `clear`: length field, padding length, message, padding. The first half of the key is for them, the second for
    /// the length.
    static func seal(key: [UInt8], sequence: UInt32, _ clear: [UInt8]) -> [UInt8] {
        let (forText, forLength) = (Array(key[..<32]), Array(key[32...]))
        let ciphered =
            chaCha(key: forLength, sequence: sequence, block: 0, Array(clear[..<4]))
            + chaCha(key: forText, sequence: sequence, block: 1, Array(clear[4...]))
        let polyKey = chaCha(key: forText, sequence: sequence, block: 0, [UInt8](repeating: 0, count: 32))
        return ciphered + poly1305(key: polyKey, ciphered)
    }
}
