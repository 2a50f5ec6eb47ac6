internal import CCrypto

/// The hash of a key exchange method, by which keys are derived too (RFC 4253 §7.2).
enum ExchangeDigest: BitwiseCopyable {
    case sha256
    case sha384
    case sha512

    /// Bytes.
    var length: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The digest of the parts, one behind the other, written to `place` and left nowhere else.
    func hash(_ parts: [UnsafeRawBufferPointer], to place: UnsafeMutableRawPointer) {
        let parts = unsafe parts.map { unsafe culvert_part(bytes: $0.baseAddress, length: $0.count) }
        let written = unsafe culvert_sha2(
            Int32(length * 8), parts, parts.count, place.assumingMemoryBound(to: UInt8.self))
        precondition(written == length, "every libcrypto has SHA-2")
    }
}

/// The exchange hash H (RFC 4253 §8, RFC 4419 §3, RFC 5656 §4): what the host key signs, and the first one the session identifier.
struct ExchangeHash {
    var clientVersion: [UInt8]
    var serverVersion: [UInt8]
    /// The payloads of the two KEXINITs, message number included.
    var clientInit: [UInt8]
    var serverInit: [UInt8]
    var hostKey: [UInt8]
    /// `GroupExchange.fields`; empty for other methods.
    var groupFields: [UInt8] = []
    /// Without their lengths: a point, C_INIT or S_REPLY, or what an `mpint` has behind its length.
    var clientPart: [UInt8]
    var serverPart: [UInt8]
    /// With its length, as `KeyAgreement` encodes it.
    var secret: Secret

    func value(_ digest: ExchangeDigest) -> [UInt8] {
        var bytes = WireBytes()
        for field in [clientVersion, serverVersion, clientInit, serverInit, hostKey] { bytes.string(field) }
        bytes.raw(groupFields)
        for field in [clientPart, serverPart] { bytes.string(field) }
        return unsafe [UInt8](unsafeUninitializedCapacity: digest.length) { value, count in
            unsafe bytes.bytes.withUnsafeBytes { fields in
                unsafe secret.withBytes { unsafe digest.hash([fields, $0], to: value.baseAddress!) }
            }
            count = digest.length
        }
    }
}

/// The keys that follow from a secret (RFC 4253 §7.2). Neither it nor they ever stand in memory that is not wiped.
struct KeyDerivation {
    var digest: ExchangeDigest
    /// With its length, as `KeyAgreement` encodes it.
    var secret: Secret
    var exchangeHash: [UInt8]
    var sessionIdentifier: [UInt8]

    /// `count` bytes for the letter "A" to "F". Longer ones than the digest come in further rounds.
    func key(_ letter: Unicode.Scalar, count: Int) -> Secret {
        precondition(letter.isASCII, "the letters are A to F")
        let rounds = max(1, (count + digest.length - 1) / digest.length)
        return unsafe Secret(capacity: rounds * digest.length) { memory in
            unsafe secret.withBytes { secret in
                unsafe exchangeHash.withUnsafeBytes { exchangeHash in
                    let start = memory.baseAddress!
                    let first = [UInt8(truncatingIfNeeded: letter.value)] + sessionIdentifier
                    unsafe first.withUnsafeBytes { unsafe digest.hash([secret, exchangeHash, $0], to: start) }
                    for round in 1..<rounds {
                        let made = round * digest.length
                        let before = unsafe UnsafeRawBufferPointer(start: start, count: made)
                        unsafe digest.hash([secret, exchangeHash, before], to: start + made)
                    }
                }
            }
            return count
        }
    }

    /// The key of one direction: the IV has letter A toward the server and B toward the client, the key C and D, the MAC's
    /// key E and F.
    func packetKey(
        _ cipher: PacketCipher, towardServer: Bool, _ direction: PacketKey.Direction
    ) throws(SSHError) -> PacketKey {
        let key = self.key(towardServer ? "C" : "D", count: cipher.keyLength)
        let iv = self.key(towardServer ? "A" : "B", count: cipher.ivLength)
        let macKey = self.key(towardServer ? "E" : "F", count: cipher.macKeyLength)
        return try unsafe key.withBytes { key throws(SSHError) in
            try unsafe iv.withBytes { iv throws(SSHError) in
                try unsafe macKey.withBytes { macKey throws(SSHError) in
                    try unsafe PacketKey(
                        cipher, key: key.assumingMemoryBound(to: UInt8.self).span,
                        iv: iv.assumingMemoryBound(to: UInt8.self).span,
                        macKey: macKey.assumingMemoryBound(to: UInt8.self).span, direction)
                }
            }
        }
    }
}
