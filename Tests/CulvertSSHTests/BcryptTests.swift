import Testing

@testable import CulvertSSH

/// bcrypt_pbkdf and what it is made of. That it derives what ssh-keygen derives is shown by the key files that open.
@Suite struct BcryptTests {
    /// A number below 16 with a binary fraction, in 32-bit digits, most significant first; only what π needs.
    private struct Fixed {
        var digits: [UInt32]
        /// Digits before this one are zero.
        var first = 0

        init(_ value: UInt32, digits count: Int) {
            digits = [UInt32](repeating: 0, count: count)
            digits[0] = value
        }

        mutating func divide(by divisor: UInt32) {
            var rest: UInt64 = 0
            for index in first..<digits.count {
                let part = rest << 32 | UInt64(digits[index])
                digits[index] = UInt32(part / UInt64(divisor))
                rest = part % UInt64(divisor)
            }
            while first < digits.count, digits[first] == 0 { first += 1 }
        }

        mutating func add(_ other: Fixed, negative: Bool) {
            var carry: Int64 = 0
            for index in (0..<digits.count).reversed() where index >= other.first || carry != 0 {
                let term = index >= other.first ? Int64(other.digits[index]) : 0
                let sum = Int64(digits[index]) + (negative ? -term : term) + carry
                digits[index] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
        }

        /// Adds `factor` × arctan(1 / `inverse`), or takes it away (Gregory's series).
        mutating func addArctangent(_ factor: UInt32, inverse: UInt32, negative: Bool) {
            var power = Fixed(factor, digits: digits.count)
            power.divide(by: inverse)
            var odd: UInt32 = 1
            var isNegative = negative
            while power.first < digits.count {
                var term = power
                term.divide(by: odd)
                add(term, negative: isNegative)
                power.divide(by: inverse * inverse)
                odd += 2
                isNegative.toggle()
            }
        }
    }

    /// Machin's formula: π = 16 arctan(1/5) − 4 arctan(1/239).
    @Test func theTableIsPi() {
        var pi = Fixed(0, digits: 1 + PiDigits.count + 3)
        pi.addArctangent(16, inverse: 5, negative: false)
        pi.addArctangent(4, inverse: 239, negative: true)
        #expect(pi.digits[0] == 3)
        #expect(PiDigits.words.count == PiDigits.count)
        #expect(Array(pi.digits[1...PiDigits.count]) == PiDigits.words)
    }

    private func derive(_ phrase: String, _ salt: [UInt8], rounds: Int, length: Int) -> [UInt8] {
        Array(phrase.utf8).withUnsafeBytes { phrase in
            salt.withUnsafeBytes { salt in
                BcryptPBKDF.derive(passphrase: phrase, salt: salt, rounds: rounds, length: length)
                    .withBytes { Array($0) }
            }
        }
    }

    /// Each of the three inputs changes the key, and all of it.
    @Test func everyInputMatters() {
        let key = derive("phrase", [1, 2, 3, 4], rounds: 1, length: 48)
        #expect(key == derive("phrase", [1, 2, 3, 4], rounds: 1, length: 48))
        for other in [
            derive("phrasf", [1, 2, 3, 4], rounds: 1, length: 48),
            derive("phrase", [1, 2, 3, 5], rounds: 1, length: 48),
            derive("phrase", [1, 2, 3, 4], rounds: 2, length: 48),
        ] {
            #expect(zip(key, other).count { $0 == $1 } < 6)
        }
    }

    /// The blocks are interleaved: byte i of block b is byte i × blocks + b of the key.
    @Test func theBlocksAreInterleaved() {
        let one = derive("phrase", [9], rounds: 2, length: 32)
        let two = derive("phrase", [9], rounds: 2, length: 64)
        let odd = derive("phrase", [9], rounds: 2, length: 63)
        #expect(stride(from: 0, to: 64, by: 2).map { two[$0] } == one)
        #expect(odd == Array(two.prefix(63)))
    }

    @Test(arguments: [1, 2, 3, 7, 20])
    func filesOfEveryNumberOfRoundsOpen(_ rounds: Int) throws {
        let bench = try KeyBench()
        try bench.makeKey(.ed25519, passphrase: "fünf Wörter", options: ["-a", "\(rounds)"])
        #expect(try bench.key(passphrase: "fünf Wörter").publicKey == bench.publicKey())
    }
}
