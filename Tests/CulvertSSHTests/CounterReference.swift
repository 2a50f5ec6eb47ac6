import Crypto

@testable import CulvertSSH

/// AES in counter mode once more, written from FIPS 197 and SP 800-38A alone, slow and with nothing shared, and swift-crypto's
/// HMAC, which is BoringSSL's: packets of both forms, to compare the fast ones with.
final class CounterReference {
    private let cipher: PacketCipher
    private let roundKeys: [[UInt8]]
    /// Of the next block.
    private var counter: [UInt8]
    private let macKey: SymmetricKey

    init(_ cipher: PacketCipher, key: [UInt8], iv: [UInt8], macKey: [UInt8]) {
        self.cipher = cipher
        roundKeys = Self.expanded(key)
        counter = iv
        self.macKey = SymmetricKey(data: macKey)
    }

    // MARK: AES (FIPS 197)

    /// §5.1.1: the inverse in GF(2^8) by powers of 3 and of its inverse, then the affine map.
    static let substitutions: [UInt8] = {
        var table = [UInt8](repeating: 0x63, count: 256)
        var (power, inverse) = (1 as UInt8, 1 as UInt8)
        repeat {
            power ^= doubled(power)
            for shift in [1, 2, 4] { inverse ^= inverse << shift }
            if inverse & 0x80 != 0 { inverse ^= 0x09 }
            var mapped = inverse
            for turn in 1...4 { mapped ^= inverse << turn | inverse >> (8 - turn) }
            table[Int(power)] = mapped ^ 0x63
        } while power != 1
        return table
    }()

    private static func doubled(_ byte: UInt8) -> UInt8 { byte << 1 ^ (byte & 0x80 == 0 ? 0 : 0x1b) }

    /// §5.2, as round keys of 16 bytes.
    private static func expanded(_ key: [UInt8]) -> [[UInt8]] {
        let count = key.count / 4
        var words = (0..<count).map { Array(key[4 * $0..<4 * $0 + 4]) }
        var round = 1 as UInt8
        for index in count..<4 * (count + 7) {
            var word = words[index - 1]
            if index % count == 0 {
                word = (word[1...] + word[..<1]).map { substitutions[Int($0)] }
                word[0] ^= round
                round = doubled(round)
            } else if count > 6 && index % count == 4 {
                word = word.map { substitutions[Int($0)] }
            }
            words.append(zip(words[index - count], word).map { $0 ^ $1 })
        }
        return stride(from: 0, to: words.count, by: 4).map { Array(words[$0..<$0 + 4].joined()) }
    }

    private func block(_ text: [UInt8]) -> [UInt8] {
        var state = zip(text, roundKeys[0]).map { $0 ^ $1 }
        for (round, key) in roundKeys.enumerated().dropFirst() {
            // Substituted, and row r turned left by r: the state stands in columns.
            state = (0..<16).map { Self.substitutions[Int(state[($0 + 4 * ($0 % 4)) % 16])] }
            if round < roundKeys.count - 1 {
                state = (0..<16).map { place in
                    let column = place / 4 * 4
                    let (a, b) = (state[place], state[column + (place + 1) % 4])
                    let rest = state[column + (place + 2) % 4] ^ state[column + (place + 3) % 4]
                    return Self.doubled(a) ^ Self.doubled(b) ^ b ^ rest
                }
            }
            state = zip(state, key).map { $0 ^ $1 }
        }
        return state
    }

    /// The text, of whole blocks, XOR the key stream from where it stands; the counter is one number of 128 bits.
    func ciphered(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for at in stride(from: 0, to: text.count, by: 16) {
            result += zip(text[at..<at + 16], block(counter)).map { $0 ^ $1 }
            for place in (0..<16).reversed() {
                counter[place] &+= 1
                if counter[place] != 0 { break }
            }
        }
        return result
    }

    // MARK: The packet

    func tag(_ sequence: UInt32, _ bytes: [UInt8]) -> [UInt8] {
        let text = Script.u32(Int(sequence)) + bytes
        return switch cipher.mac {
        case .sha256, .sha256OverCiphertext: Array(HMAC<SHA256>.authenticationCode(for: text, using: macKey))
        case .sha512, .sha512OverCiphertext: Array(HMAC<SHA512>.authenticationCode(for: text, using: macKey))
        case nil: []
        }
    }

    /// `clear`: length field, padding length, message, padding. OpenSSH's PROTOCOL §1.5; RFC 4253 §6.4.
    func seal(_ sequence: UInt32, _ clear: [UInt8]) -> [UInt8] {
        switch cipher.mac {
        case .sha256OverCiphertext, .sha512OverCiphertext:
            let packet = clear[..<4] + ciphered(Array(clear[4...]))
            return packet + tag(sequence, Array(packet))
        case .sha256, .sha512, nil:
            return ciphered(clear) + tag(sequence, clear)
        }
    }
}
