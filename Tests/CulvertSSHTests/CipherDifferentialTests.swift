import Crypto
import Testing

@testable import CulvertSSH

/// Whole streams under one key by everybody who computes a cipher, what was altered on the way included: the same bytes,
/// the same verdicts, and the same left in memory. (Single packets against known answers: `CipherVectorTests`.)
@Suite struct CipherDifferentialTests {
    /// What happens to a packet on its way.
    private enum Fate: CaseIterable {
        case none, tag, text, lengthField
    }

    /// A key that an array can hold.
    private final class Held {
        let key: PacketKey
        init(_ key: consuming PacketKey) { self.key = key }
    }

    /// libipsec-mb where it is, libcrypto, and BoringSSL in swift-crypto. One that refuses a packet counts it all the same.
    @Test(arguments: [PacketCipher.aes256GCM, .aes128GCM], UInt64(1)...4)
    func librariesOfAESGCMAgree(_ cipher: PacketCipher, _ seed: UInt64) throws {
        var numbers = CipherNumbers(seed)
        let cases = CipherCase.providers.map { CipherCase(cipher: cipher, gcm: $0) }
        // The counter carries in the middle of the stream.
        var iv = numbers.bytes(12)
        iv.replaceSubrange(8..., with: [0xff, 0xff, 0xff, UInt8(200 + seed)])
        let key = SymmetricKey(data: cases[0].keyBytes())
        let sealers = try cases.map { Held(try $0.key(.sealing, iv: iv)) }
        let openers = try cases.map { Held(try $0.key(.opening, iv: iv)) }
        var counter = iv[4...].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        for number in 0..<150 {
            let length = 16 * Int.random(in: 1...(number % 10 == 0 ? 2048 : 40), using: &numbers)
            let clear = Script.u32(length) + numbers.bytes(length) + [UInt8](repeating: 0, count: 16)
            let nonce = iv[..<4] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * UInt64($0))) }
            let box = try AES.GCM.seal(
                clear[4..<4 + length], using: key, nonce: AES.GCM.Nonce(data: nonce), authenticating: clear[..<4])
            let sealed = Array(clear[..<4]) + Array(box.ciphertext) + Array(box.tag)
            for sealer in sealers {
                var packet = clear
                packet.withUnsafeMutableBytes { sealer.key.seal($0.baseAddress!, length: length, sequenceNumber: 0) }
                #expect(packet == sealed, "packet \(number)")
            }
            let fate = Fate.allCases.randomElement(using: &numbers) ?? .none
            var came = sealed
            switch fate {
            case .none: break
            case .tag: came[4 + length + Int.random(in: 0..<16, using: &numbers)] ^= 0x10
            case .text: came[4 + Int.random(in: 0..<length, using: &numbers)] ^= 1
            case .lengthField: came[0] ^= 0x80
            }
            for opener in openers {
                var packet = came
                let isRight = packet.withUnsafeMutableBytes {
                    opener.key.open($0.baseAddress!, length: length, sequenceNumber: 0)
                }
                #expect(isRight == (fate == .none), "packet \(number), \(fate)")
                let text = isRight ? Array(clear[4..<4 + length]) : [UInt8](repeating: 0, count: length)
                #expect(Array(packet[4..<4 + length]) == text, "packet \(number), \(fate)")
            }
            counter &+= 1
        }
    }

    /// Sequence numbers of every size, the last one there is, and the first after it: packets of the reference open, and
    /// altered ones do not, and are left as they came.
    @Test(arguments: [0, 1, 0xff, 0x100, 0x1234_5678, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe] as [UInt32])
    func chaChaAgreesWithTheReference(_ first: UInt32) throws {
        var numbers = CipherNumbers(UInt64(first))
        let test = CipherCase(cipher: .chaCha20Poly1305, gcm: .best)
        let sealer = try test.key(.sealing)
        let opener = try test.key(.opening)
        for step in 0..<4 as Range<UInt32> {
            let sequence = first &+ step
            // Text that ends in every place of a block of ChaCha and of Poly1305, and long ones.
            for length in [8, 16, 56, 64, 72, 120, 128, 136, 1024, 8 * Int.random(in: 130...400, using: &numbers)] {
                let clear = Script.u32(length) + numbers.bytes(length)
                let sealed = CipherReference.seal(key: test.keyBytes(), sequence: sequence, clear)
                var packet = clear + [UInt8](repeating: 0, count: 16)
                packet.withUnsafeMutableBytes {
                    sealer.seal($0.baseAddress!, length: length, sequenceNumber: sequence)
                }
                #expect(packet == sealed, "\(sequence), \(length)")
                let said = packet.withUnsafeBytes { opener.length(of: $0.baseAddress!, sequenceNumber: sequence) }
                #expect(said == length)
                for place in [0, 4, 4 + length / 2, 4 + length, 19 + length] {
                    var altered = sealed
                    altered[place] ^= 0x40
                    let came = altered
                    let isRight = altered.withUnsafeMutableBytes {
                        opener.open($0.baseAddress!, length: length, sequenceNumber: sequence)
                    }
                    #expect(!isRight && altered == came, "\(sequence), \(length), \(place)")
                }
                var opened = sealed
                let isRight = opened.withUnsafeMutableBytes {
                    opener.open($0.baseAddress!, length: length, sequenceNumber: sequence)
                }
                #expect(isRight && Array(opened[4..<4 + length]) == Array(clear[4...]), "\(sequence), \(length)")
                var another = sealed
                let isOther = another.withUnsafeMutableBytes {
                    opener.open($0.baseAddress!, length: length, sequenceNumber: sequence &+ 1)
                }
                #expect(!isOther)
            }
        }
    }
}
