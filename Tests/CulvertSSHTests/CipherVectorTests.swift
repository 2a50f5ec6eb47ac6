import CCrypto
import Crypto
import Foundation
import Testing

@testable import CulvertSSH

/// Each cipher against known answers, and against others that compute the same.
@Suite struct CipherVectorTests {
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// AES-GCM by the C functions, with additional data of any length.
    private final class GCM {
        private let handle: OpaquePointer

        init?(_ provider: PacketKey.GCMProvider, seals: Bool, key: [UInt8], iv: [UInt8]) {
            let number = provider == .ipsecMB ? CULVERT_GCM_IPSEC_MB : CULVERT_GCM_LIBCRYPTO
            guard let handle = culvert_gcm_new(Int32(number), seals ? 1 : 0, key, key.count, iv) else { return nil }
            self.handle = handle
        }

        deinit { culvert_gcm_free(handle) }

        func seal(_ text: [UInt8], aad: [UInt8]) -> (text: [UInt8], tag: [UInt8]) {
            var (text, tag) = (text, [UInt8](repeating: 0, count: 16))
            #expect(culvert_gcm_seal(handle, aad, aad.count, &text, text.count, &tag) == 0)
            return (text, tag)
        }

        func open(_ text: [UInt8], tag: [UInt8], aad: [UInt8]) -> (text: [UInt8], isRight: Bool) {
            var text = text
            let result = culvert_gcm_open(handle, aad, aad.count, &text, text.count, tag)
            return (text, result == 0)
        }
    }

    // MARK: AES-GCM

    struct Vector: Sendable {
        let key, iv, aad, clear, ciphered, tag: String
    }

    /// "The Galois/Counter Mode of Operation" (McGrew, Viega; submitted to NIST), appendix B: the test cases with 128
    /// and 256 bits of key and 96 of IV.
    static let vectors: [Vector] = {
        let (zero, key) = (String(repeating: "0", count: 32), "feffe9928665731c6d6a8f9467308308")
        let (zeroIV, iv) = (String(repeating: "0", count: 24), "cafebabefacedbaddecaf888")
        let long =
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
        let long128 =
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            + "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
        let long256 =
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        let aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
        func short(_ text: String) -> String { String(text.prefix(120)) }
        return [
            Vector(key: zero, iv: zeroIV, aad: "", clear: "", ciphered: "", tag: "58e2fccefa7e3061367f1d57a4e7455a"),
            Vector(
                key: zero, iv: zeroIV, aad: "", clear: zero, ciphered: "0388dace60b6a392f328c2b971b2fe78",
                tag: "ab6e47d42cec13bdf53a67b21257bddf"),
            Vector(
                key: key, iv: iv, aad: "", clear: long, ciphered: long128, tag: "4d5c2af327cd64a62cf35abd2ba6fab4"),
            Vector(
                key: key, iv: iv, aad: aad, clear: short(long), ciphered: short(long128),
                tag: "5bc94fbc3221a5db94fae95ae7121a47"),
            Vector(
                key: zero + zero, iv: zeroIV, aad: "", clear: "", ciphered: "",
                tag: "530f8afbc74536b9a963b4f1c4cb738b"),
            Vector(
                key: zero + zero, iv: zeroIV, aad: "", clear: zero, ciphered: "cea7403d4d606b6e074ec5d3baf39d18",
                tag: "d0d1c8a799996bf0265b98b5d48ab919"),
            Vector(
                key: key + key, iv: iv, aad: "", clear: long, ciphered: long256,
                tag: "b094dac5d93471bdec1a502270e3cc6c"),
            Vector(
                key: key + key, iv: iv, aad: aad, clear: short(long), ciphered: short(long256),
                tag: "76fc6ece0f4e1768cddf8853bb2d551b"),
        ]
    }()

    @Test(arguments: CipherCase.providers, vectors)
    func aesGCMGivesTheKnownAnswers(_ provider: PacketKey.GCMProvider, _ vector: Vector) throws {
        let (key, iv) = (Self.bytes(vector.key), Self.bytes(vector.iv))
        let sealer = try #require(GCM(provider, seals: true, key: key, iv: iv))
        let sealed = sealer.seal(Self.bytes(vector.clear), aad: Self.bytes(vector.aad))
        #expect(sealed.text == Self.bytes(vector.ciphered) && sealed.tag == Self.bytes(vector.tag))
        let opener = try #require(GCM(provider, seals: false, key: key, iv: iv))
        let opened = opener.open(sealed.text, tag: sealed.tag, aad: Self.bytes(vector.aad))
        #expect(opened.isRight && opened.text == Self.bytes(vector.clear))
    }

    /// The header at build, the library now, a processor for it: then nothing else may be chosen in silence.
    @Test func theFastLibraryIsUsedWhereItIsInstalled() {
        let isInstalled =
            FileManager.default.fileExists(atPath: "/usr/include/intel-ipsec-mb.h")
            && dlopen("libIPSec_MB.so.1", RTLD_NOW) != nil && CipherAlgorithm.hasAESInstructions
        #expect((PacketKey.GCMProvider.found == .ipsecMB) == isInstalled)
    }

    @Test(arguments: CipherAlgorithm.allCases, PacketMAC.allCases)
    func everyCipherIsOffered(_ algorithm: CipherAlgorithm, _ mac: PacketMAC) throws {
        var asked = false
        let cipher = try algorithm.protection { () throws(SSHError) in
            asked = true
            return mac
        }
        #expect(PacketKey.offers(cipher) && cipher.name == algorithm.rawValue)
        #expect(asked == algorithm.needsMAC && cipher.mac == (asked ? mac : nil))
    }

    @Test func gcmIsPreferredWithInstructionsForIt() {
        let counter: [CipherAlgorithm] = [.aes128CTR, .aes192CTR, .aes256CTR]
        #expect(
            CipherAlgorithm.preference(aesInstructions: true) == [.aes256GCM, .aes128GCM, .chaCha20Poly1305] + counter)
        #expect(
            CipherAlgorithm.preference(aesInstructions: false) == [.chaCha20Poly1305, .aes256GCM, .aes128GCM] + counter)
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let flags = info.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") } ?? ""
        #expect(CipherAlgorithm.hasAESInstructions == flags.split(separator: " ").contains("aes"))
    }

    /// What one seals the other two open, and all give the same bytes: libipsec-mb, libcrypto, and BoringSSL in
    /// swift-crypto, which has its own code for all of it.
    @Test(arguments: [16, 32]) func theLibrariesAgree(_ keyLength: Int) throws {
        var numbers = CipherNumbers(UInt64(keyLength))
        let (key, iv) = (numbers.bytes(keyLength), numbers.bytes(12))
        let providers = CipherCase.providers
        let sealers = try providers.map { try #require(GCM($0, seals: true, key: key, iv: iv)) }
        let openers = try providers.map { try #require(GCM($0, seals: false, key: key, iv: iv)) }
        var counter = iv[4...].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let lengths = Array(0...300) + (0..<200).map { _ in Int.random(in: 0...35000, using: &numbers) } + [35000]
        let pool = numbers.bytes(70000)
        for length in lengths {
            let at = Int.random(in: 0...35000, using: &numbers)
            let (clear, aad) = (Array(pool[at..<at + length]), Script.u32(length))
            let nonce = iv[..<4] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * UInt64($0))) }
            let box = try AES.GCM.seal(
                clear, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: nonce), authenticating: aad)
            for (sealer, opener) in zip(sealers, openers) {
                let sealed = sealer.seal(clear, aad: aad)
                #expect(sealed.text == Array(box.ciphertext) && sealed.tag == Array(box.tag), "length \(length)")
                let opened = opener.open(Array(box.ciphertext), tag: Array(box.tag), aad: aad)
                #expect(opened.isRight && opened.text == clear, "length \(length)")
            }
            counter &+= 1
        }
    }

    /// RFC 5647 §7.1: the low 64 bits of the nonce count up, past all ones to zero; the other 32 stay.
    @Test(arguments: CipherCase.providers) func theInvocationCounterWraps(_ provider: PacketKey.GCMProvider) throws {
        let key = [UInt8](repeating: 5, count: 32)
        let fixed: [UInt8] = [0xff, 0xff, 0xff, 0xff]
        for (first, nonces) in [
            ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], [UInt64.max - 1, UInt64.max, 0, 1]),
            ([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001]),
        ] as [([UInt8], [UInt64])] {
            let sealer = try #require(GCM(provider, seals: true, key: key, iv: fixed + first))
            let opener = try #require(GCM(provider, seals: false, key: key, iv: fixed + first))
            for nonce in nonces {
                let bytes = fixed + (0..<8).map { UInt8(truncatingIfNeeded: nonce >> (56 - 8 * UInt64($0))) }
                let box = try AES.GCM.seal(
                    [1, 2, 3], using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: bytes), authenticating: [9])
                let sealed = sealer.seal([1, 2, 3], aad: [9])
                #expect(sealed.text == Array(box.ciphertext) && sealed.tag == Array(box.tag))
                #expect(opener.open(sealed.text, tag: sealed.tag, aad: [9]).isRight)
            }
        }
    }

    /// Any bit of text, tag or additional data: refused, and of the text nothing is left.
    @Test(arguments: CipherCase.providers) func anAlteredTextIsRefusedAndWiped(
        _ provider: PacketKey.GCMProvider
    ) throws {
        let (key, iv) = ([UInt8](repeating: 5, count: 32), [UInt8](repeating: 6, count: 12))
        let clear = [UInt8](repeating: 0x77, count: 48)
        let aad = Script.u32(48)
        let sealed = try #require(GCM(provider, seals: true, key: key, iv: iv)).seal(clear, aad: aad)
        let whole = aad + sealed.text + sealed.tag
        for bit in 0..<8 * whole.count {
            var altered = whole
            altered[bit / 8] ^= 1 << (bit % 8)
            let opener = try #require(GCM(provider, seals: false, key: key, iv: iv))
            let opened = opener.open(
                Array(altered[4..<52]), tag: Array(altered[52...]), aad: Array(altered[..<4]))
            #expect(!opened.isRight && opened.text == [UInt8](repeating: 0, count: 48), "bit \(bit)")
        }
    }

    // MARK: chacha20-poly1305@openssh.com

    /// The reference itself: RFC 8439 §2.3.2 and §2.5.2, and appendix A.3, vectors 7 to 11, where sums come near to p.
    @Test func theReferenceGivesTheKnownAnswers() {
        let block = CipherReference.chaChaBlock(
            key: (0..<32).map { UInt8($0) }, tail: [1, 0x0900_0000, 0x4a00_0000, 0])
        #expect(
            block
                == Self.bytes(
                    "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
                        + "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"))
        let tag = CipherReference.poly1305(
            key: Self.bytes("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
            Array("Cryptographic Forum Research Group".utf8))
        #expect(tag == Self.bytes("a8061dc1305136c6c22b8baf0c0127a9"))
        for vector in Self.poly1305Vectors {
            let tag = CipherReference.poly1305(key: Self.bytes(vector.key), Self.bytes(vector.text))
            #expect(tag == Self.bytes(vector.tag))
        }
    }

    struct PolyVector {
        let key, text, tag: String
    }

    /// r and s, text, tag.
    static let poly1305Vectors: [PolyVector] = {
        let (zeros, ones) = (String(repeating: "00", count: 15), String(repeating: "ff", count: 15))
        let (zero, one, two) = ("00" + zeros, "01" + zeros, "02" + zeros)
        let manyFE = String(repeating: "fe", count: 15)
        let many01 = String(repeating: "01", count: 16)
        let long9: String = ["ff", ones, "f0", ones, "11", zeros].joined()
        let long10: String = ["ff", ones, "fb", manyFE, many01].joined()
        return [
            PolyVector(key: two + zero, text: "ff" + ones, tag: "03" + zeros),
            PolyVector(key: two + "ff" + ones, text: two, tag: "03" + zeros),
            PolyVector(key: one + zero, text: long9, tag: "05" + zeros),
            PolyVector(key: one + zero, text: long10, tag: zero),
            PolyVector(key: two + zero, text: "fd" + ones, tag: "fa" + ones),
        ]
    }()

    @Test func chaChaPacketsAreThoseOfTheReference() throws {
        let test = CipherCase(cipher: .chaCha20Poly1305, gcm: .best)
        var sealer = try test.sealer()
        var opener = try test.opener()
        var numbers = CipherNumbers(8439)
        let lengths = Array(1...200) + (0..<10).map { _ in Int.random(in: 200...34000, using: &numbers) } + [32777]
        for (sequence, length) in lengths.enumerated() {
            let message = numbers.bytes(length)
            let packet = sealer.packet(message)
            let padding = packet.count - 16 - 5 - length
            #expect((4...19).contains(padding) && (packet.count - 20).isMultiple(of: 8))
            // The padding is read from the packet: which bytes it has is the sealer's affair.
            let clear = CipherReference.chaCha(
                key: Array(test.keyBytes()[..<32]), sequence: UInt32(sequence), block: 1,
                Array(packet[4...].dropLast(16)))
            #expect(Int(clear[0]) == padding && Array(clear[1...length]) == message)
            let whole = Script.u32(1 + length + padding) + clear
            #expect(packet == CipherReference.seal(key: test.keyBytes(), sequence: UInt32(sequence), whole))
            #expect(try opener.message(packet)?.message == message)
        }
    }
}
