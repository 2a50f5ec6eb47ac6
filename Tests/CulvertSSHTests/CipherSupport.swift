import CCrypto
import Crypto
import Testing

@testable import CulvertSSH

/// A cipher with the library that computes it: what every test of packets is repeated for.
struct CipherCase: Sendable, CustomTestStringConvertible {
    let cipher: PacketCipher
    let gcm: PacketKey.GCMProvider

    var testDescription: String { isGCM ? "\(cipher.name), \(gcm)" : cipher.words }

    var isGCM: Bool { cipher == .aes256GCM || cipher == .aes128GCM }
    /// The tag is checked before anything is deciphered: what was altered is left as it came.
    var verifiesFirst: Bool { cipher == .chaCha20Poly1305 || cipher.mac?.coversCiphertext ?? false }

    /// libipsec-mb too wherever it is; `CipherVectorTests.theFastLibraryIsUsedWhereItIsInstalled` sees to that.
    static let providers: [PacketKey.GCMProvider] =
        PacketKey.GCMProvider.found == .ipsecMB ? [.ipsecMB, .libcrypto] : [.libcrypto]

    static let all: [CipherCase] =
        [PacketCipher.aes256GCM, .aes128GCM].flatMap { cipher in
            providers.map { CipherCase(cipher: cipher, gcm: $0) }
        } + [CipherCase(cipher: .chaCha20Poly1305, gcm: .best)] + counter

    /// Each key length and each MAC: they do not know of each other.
    static let counter: [CipherCase] = [
        (.aes128, .sha256OverCiphertext), (.aes256, .sha512OverCiphertext), (.aes192, .sha256), (.aes256, .sha512),
    ].map { (key: PacketCipher.CounterKey, mac: PacketMAC) in CipherCase(cipher: .aesCTR(key, mac), gcm: .best) }

    /// The same for every run.
    func keyBytes(_ salt: UInt8 = 0) -> [UInt8] { (0..<cipher.keyLength).map { UInt8($0) &* 7 &+ 3 &+ salt } }
    func macKeyBytes(_ salt: UInt8 = 0) -> [UInt8] {
        (0..<cipher.macKeyLength).map { UInt8($0) &* 13 &+ 5 &+ salt }
    }
    var ivBytes: [UInt8] { (0..<cipher.ivLength).map { UInt8($0) &* 11 &+ 1 } }

    func key(_ direction: PacketKey.Direction, salt: UInt8 = 0, iv: [UInt8]? = nil) throws -> PacketKey {
        let bytes = keyBytes(salt)
        let macKey = macKeyBytes(salt)
        let iv = iv ?? ivBytes
        return try PacketKey(cipher, key: bytes.span, iv: iv.span, macKey: macKey.span, direction, gcm: gcm)
    }

    func sealer(salt: UInt8 = 0, iv: [UInt8]? = nil) throws -> PacketSealer {
        var sealer = PacketSealer()
        sealer.setKey(try key(.sealing, salt: salt, iv: iv), resetsSequence: true)
        return sealer
    }

    func opener(salt: UInt8 = 0, iv: [UInt8]? = nil) throws -> PacketOpener {
        var opener = PacketOpener()
        opener.setKey(try key(.opening, salt: salt, iv: iv), resetsSequence: true)
        return opener
    }
}

extension PacketSealer {
    /// A packet of its own. The bytes around the place that it was told to write in stay as they were.
    mutating func packet(_ message: [UInt8]) -> [UInt8] {
        let room = wireLength(messageLength: message.count)
        var memory = [UInt8](repeating: 0xc5, count: room + 128)
        let wire = memory.withUnsafeMutableBytes { buffer in
            buffer[69..<69 + message.count].copyBytes(from: message)
            return seal(at: buffer.baseAddress! + 64, messageLength: message.count)
        }
        #expect(wire == room)
        #expect(memory[..<64].allSatisfy { $0 == 0xc5 } && memory[(64 + room)...].allSatisfy { $0 == 0xc5 })
        return Array(memory[64..<64 + wire])
    }
}

extension PacketOpener {
    /// Opens the first packet of `bytes`, in memory that is exactly as long.
    mutating func message(_ bytes: [UInt8]) throws(SSHError) -> (message: [UInt8], wireLength: Int)? {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(4, bytes.count), alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: bytes)
        guard let opened = try open(memory.baseAddress!, available: bytes.count) else { return nil }
        return (
            Array(UnsafeRawBufferPointer(start: opened.packet.message, count: opened.packet.count)), opened.wireLength
        )
    }
}

/// The same numbers in every run.
struct CipherNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}
