internal import Crypto
internal import Glibc

/// The hash of a key exchange method, by which keys are derived too (RFC 4253 §7.2).
enum ExchangeDigest: BitwiseCopyable {
    case sha256
    case sha512

    func hash(_ parts: [UInt8]...) -> [UInt8] {
        switch self {
        case .sha256:
            var hash = SHA256()
            for part in parts { hash.update(data: part) }
            return Array(hash.finalize())
        case .sha512:
            var hash = SHA512()
            for part in parts { hash.update(data: part) }
            return Array(hash.finalize())
        }
    }
}

/// The exchange hash H (RFC 4253 §8, RFC 5656 §4): what the host key signs, and the first one the session identifier.
struct ExchangeHash {
    var clientVersion: [UInt8]
    var serverVersion: [UInt8]
    /// The payloads of the two KEXINITs, message number included.
    var clientInit: [UInt8]
    var serverInit: [UInt8]
    var hostKey: [UInt8]
    var clientPart: [UInt8]
    var serverPart: [UInt8]
    /// With its length, as `KeyAgreement` encodes it.
    var secret: [UInt8]

    func value(_ digest: ExchangeDigest) -> [UInt8] {
        var bytes = WireBytes()
        for field in [clientVersion, serverVersion, clientInit, serverInit, hostKey, clientPart, serverPart] {
            bytes.string(field)
        }
        bytes.raw(secret)
        return digest.hash(bytes.bytes)
    }
}

/// The keys that follow from a secret (RFC 4253 §7.2).
struct KeyDerivation {
    var digest: ExchangeDigest
    /// With its length, as `KeyAgreement` encodes it.
    var secret: [UInt8]
    var exchangeHash: [UInt8]
    var sessionIdentifier: [UInt8]

    /// `count` bytes for the letter "A" to "F". Longer ones than the digest come in further rounds.
    func key(_ letter: Unicode.Scalar, count: Int) -> [UInt8] {
        precondition(letter.isASCII, "the letters are A to F")
        var key = digest.hash(secret, exchangeHash, [UInt8(truncatingIfNeeded: letter.value)], sessionIdentifier)
        while key.count < count { key += digest.hash(secret, exchangeHash, key) }
        return Array(key.prefix(count))
    }

    /// The key of one direction: the IV has letter A toward the server and B toward the client, the key C and D.
    func packetKey(
        _ cipher: PacketCipher, towardServer: Bool, _ direction: PacketKey.Direction
    ) throws(SSHError) -> PacketKey {
        var key = self.key(towardServer ? "C" : "D", count: cipher.keyLength)
        var iv = self.key(towardServer ? "A" : "B", count: cipher.ivLength)
        defer {
            key.wipe()
            iv.wipe()
        }
        return try PacketKey(cipher, key: key.span, iv: iv.span, direction)
    }
}

extension [UInt8] {
    /// Overwrites a secret that is of no more use.
    mutating func wipe() {
        unsafe withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { unsafe explicit_bzero(start, buffer.count) }
        }
    }
}
