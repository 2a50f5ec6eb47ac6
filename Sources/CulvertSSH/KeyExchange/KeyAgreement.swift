internal import Crypto

/// A key exchange method by its name on the wire, best first. Both hash with SHA-256.
enum KeyAgreementMethod: String, CaseIterable {
    /// RFC 10042: ML-KEM-768 and X25519, against whoever records today and has a quantum computer tomorrow.
    case mlkem768x25519 = "mlkem768x25519-sha256"
    /// RFC 8731.
    case curve25519 = "curve25519-sha256"
    /// The name of the same before it was a standard.
    case curve25519libssh = "curve25519-sha256@libssh.org"

    var isHybrid: Bool {
        switch self {
        case .mlkem768x25519: true
        case .curve25519, .curve25519libssh: false
        }
    }
}

/// Lengths of the public parts, bytes (RFC 8731 §3, FIPS 203 table 3), and of a seed.
private enum Length {
    static let x25519 = 32
    static let encapsulationKey = 1184
    static let ciphertext = 1088
    /// d ‖ z (FIPS 203 §7.1).
    static let latticeSeed = 64
}

/// The client's side of one key exchange: its secrets, until the server's answer is there. Then they go, and the library
/// wipes them, all but those of ML-KEM: what is left of these tells nothing without those of the curve.
struct KeyAgreement {
    private let method: KeyAgreementMethod
    private let curve: Curve25519.KeyAgreement.PrivateKey
    private let kem: MLKEM768.PrivateKey?
    /// What SSH_MSG_KEX_ECDH_INIT carries: Q_C or C_INIT.
    let publicPart: [UInt8]

    init(_ method: KeyAgreementMethod, _ random: inout RandomSource) throws(SSHError) {
        self.method = method
        curve = random.curveKey()
        if method.isHybrid {
            let key: MLKEM768.PrivateKey
            do { key = try random.latticeKey() } catch { throw .exchange("no ML-KEM key could be made") }
            kem = key
            publicPart = Array(key.publicKey.rawRepresentation) + Array(curve.publicKey.rawRepresentation)
        } else {
            kem = nil
            publicPart = Array(curve.publicKey.rawRepresentation)
        }
    }

    /// The shared secret from the server's part (Q_S or S_REPLY), encoded as it is hashed: a `string` for the hybrid
    /// (RFC 10042 §2.4), an `mpint` for the curve alone (RFC 8731 §3.1).
    func secret(peerPart: [UInt8]) throws(SSHError) -> Secret {
        guard let kem else {
            return Agreed.encoded(curve: try Agreed.curve(curve, peerPart[...]))
        }
        guard peerPart.count == Length.ciphertext + Length.x25519 else {
            throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
        }
        let lattice: SymmetricKey
        do { lattice = try kem.decapsulate(peerPart[..<Length.ciphertext]) } catch {
            throw .exchange("the peer's ML-KEM part is none")
        }
        return Agreed.encoded(
            lattice: lattice, curve: try Agreed.curve(curve, peerPart[Length.ciphertext...]))
    }

    /// The server's side: its own part and the secret. What ML-KEM draws to encapsulate is always the system's.
    static func answer(
        _ method: KeyAgreementMethod, peerPart: [UInt8], _ random: inout RandomSource
    ) throws(SSHError) -> (publicPart: [UInt8], secret: Secret) {
        let curve = random.curveKey()
        let own = Array(curve.publicKey.rawRepresentation)
        guard method.isHybrid else {
            return (own, Agreed.encoded(curve: try Agreed.curve(curve, peerPart[...])))
        }
        guard peerPart.count == Length.encapsulationKey + Length.x25519 else {
            throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
        }
        let result: KEM.EncapsulationResult
        do {
            let key = try MLKEM768.PublicKey(rawRepresentation: peerPart[..<Length.encapsulationKey])
            result = try key.encapsulate()
        } catch { throw .exchange("the peer's ML-KEM key is none") }
        let secret = Agreed.encoded(
            lattice: result.sharedSecret,
            curve: try Agreed.curve(curve, peerPart[Length.encapsulationKey...]))
        return (Array(result.encapsulated) + own, secret)
    }
}

/// The secret of both ends. The library wipes what it holds of one.
private enum Agreed {
    /// Refuses a secret of zeros, which a point of small order gives (RFC 8731 §3): the library throws on it.
    static func curve(
        _ own: Curve25519.KeyAgreement.PrivateKey, _ peerPart: ArraySlice<UInt8>
    ) throws(SSHError) -> SharedSecret {
        guard peerPart.count == Length.x25519 else {
            throw .exchange("the peer's X25519 key has \(peerPart.count) bytes")
        }
        do {
            let peer = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: peerPart)
            let secret = try own.sharedSecretFromKeyAgreement(with: peer)
            if unsafe secret.withUnsafeBytes({ unsafe $0.contains { $0 != 0 } }) { return secret }
        } catch {}
        throw .exchange("the peer's X25519 key gives no secret")
    }

    static func encoded(curve: SharedSecret) -> Secret {
        unsafe curve.withUnsafeBytes { curve in
            let capacity = unsafe 4 + MPInt.length(curve)
            return unsafe Secret(capacity: capacity) { memory in
                var writer = unsafe WireWriter(start: memory.baseAddress!, capacity: capacity)
                unsafe writer.mpint(curve)
                return writer.count
            }
        }
    }

    static func encoded(lattice: SymmetricKey, curve: SharedSecret) -> Secret {
        let digest = ExchangeDigest.sha256
        return unsafe Secret(capacity: 4 + digest.length) { memory in
            let start = memory.baseAddress!
            unsafe start.storeBytes(of: UInt32(digest.length).bigEndian, as: UInt32.self)
            unsafe lattice.withUnsafeBytes { lattice in
                unsafe curve.withUnsafeBytes { unsafe digest.hash([lattice, $0], to: start + 4) }
            }
            return 4 + digest.length
        }
    }
}

extension SSHError {
    /// The key exchange failed; ends the link with code 3.
    static func exchange(_ what: String) -> SSHError {
        SSHError(.keyExchange, "the key exchange failed: \(what)")
    }
}

/// Secrets of a key exchange. With the system's randomness the library makes them itself: no copy passes through here.
extension RandomSource {
    fileprivate mutating func curveKey() -> Curve25519.KeyAgreement.PrivateKey {
        guard isReproducible else { return Curve25519.KeyAgreement.PrivateKey() }
        guard let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes(Length.x25519)) else {
            preconditionFailure("any 32 bytes are an X25519 key (RFC 7748 §5)")
        }
        return key
    }

    fileprivate mutating func latticeKey() throws -> MLKEM768.PrivateKey {
        guard isReproducible else { return try MLKEM768.PrivateKey() }
        return try MLKEM768.PrivateKey(seedRepresentation: bytes(Length.latticeSeed), publicKey: nil)
    }
}
