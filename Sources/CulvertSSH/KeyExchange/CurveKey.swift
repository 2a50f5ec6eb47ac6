internal import Crypto

/// An elliptic curve of a key exchange.
enum KeyCurve: BitwiseCopyable {
    /// RFC 7748.
    case x25519
    /// nistp256, nistp384 and nistp521 (RFC 5656 §10.1).
    case p256, p384, p521

    /// Of a public part, bytes: a u-coordinate (RFC 8731 §3), or a point in plain form (SEC1 §2.3.3).
    var partLength: Int {
        switch self {
        case .x25519: 32
        case .p256: 1 + 2 * 32
        case .p384: 1 + 2 * 48
        case .p521: 1 + 2 * 66
        }
    }

    fileprivate var words: String {
        switch self {
        case .x25519: "X25519 key"
        case .p256: "point of nistp256"
        case .p384: "point of nistp384"
        case .p521: "point of nistp521"
        }
    }
}

/// One end's secret number on a curve, for one exchange. The library wipes it, and the secrets that it gives.
enum CurveKey {
    case x25519(Curve25519.KeyAgreement.PrivateKey)
    case p256(P256.KeyAgreement.PrivateKey)
    case p384(P384.KeyAgreement.PrivateKey)
    case p521(P521.KeyAgreement.PrivateKey)

    var curve: KeyCurve {
        switch self {
        case .x25519: .x25519
        case .p256: .p256
        case .p384: .p384
        case .p521: .p521
        }
    }

    /// As it goes over the wire.
    var publicPart: [UInt8] {
        switch self {
        case .x25519(let key): Array(key.publicKey.rawRepresentation)
        case .p256(let key): Array(key.publicKey.x963Representation)
        case .p384(let key): Array(key.publicKey.x963Representation)
        case .p521(let key): Array(key.publicKey.x963Representation)
        }
    }

    /// What both ends know: a u-coordinate, or the x-coordinate of a point, at its full length.
    ///
    /// The library refuses a point that is not on its curve; infinity has no plain form, and no point but infinity of these
    /// curves, whose order is prime, leads to it. A secret of zeros, which an X25519 key of small order gives (RFC 8731 §3),
    /// is refused too.
    func secret(peerPart: ArraySlice<UInt8>) throws(SSHError) -> SharedSecret {
        guard peerPart.count == curve.partLength else {
            throw .exchange("the peer's \(curve.words) has \(peerPart.count) bytes")
        }
        let part = Array(peerPart)
        let secret: SharedSecret
        do {
            switch self {
            case .x25519(let key):
                secret = try key.sharedSecretFromKeyAgreement(with: .init(rawRepresentation: part))
            case .p256(let key):
                try Self.checkPlain(part)
                secret = try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: part))
            case .p384(let key):
                try Self.checkPlain(part)
                secret = try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: part))
            case .p521(let key):
                try Self.checkPlain(part)
                secret = try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: part))
            }
        } catch { throw .exchange("the peer's \(curve.words) is none") }
        guard unsafe secret.withUnsafeBytes({ unsafe $0.contains { $0 != 0 } }) else {
            throw .exchange("the peer's \(curve.words) gives no secret")
        }
        return secret
    }

    /// RFC 5656 §4 lets points be compressed; nobody does, and OpenSSH takes none.
    private static func checkPlain(_ point: [UInt8]) throws(SSHError) {
        guard point.first == 4 else { throw .exchange("the point is not in plain form") }
    }
}

/// With the system's randomness the library makes a key itself: no copy passes through here.
extension RandomSource {
    mutating func curveKey(_ curve: KeyCurve) -> CurveKey {
        guard isReproducible else {
            switch curve {
            case .x25519: return .x25519(.init())
            case .p256: return .p256(.init())
            case .p384: return .p384(.init())
            case .p521: return .p521(.init())
            }
        }
        // Not every number is below the order of its curve: one in 2^32 is not, at worst.
        while true {
            if let key = CurveKey(curve, number: number(curve)) { return key }
        }
    }

    private mutating func number(_ curve: KeyCurve) -> [UInt8] {
        switch curve {
        case .x25519: return bytes(32)
        case .p256: return bytes(32)
        case .p384: return bytes(48)
        case .p521:
            var number = bytes(66)
            number[0] &= 1
            return number
        }
    }
}

extension CurveKey {
    /// A key that is no secret, for tests; nil: the number is none of the curve's.
    init?(_ curve: KeyCurve, number: [UInt8]) {
        do {
            switch curve {
            case .x25519: self = .x25519(try .init(rawRepresentation: number))
            case .p256: self = .p256(try .init(rawRepresentation: number))
            case .p384: self = .p384(try .init(rawRepresentation: number))
            case .p521: self = .p521(try .init(rawRepresentation: number))
            }
        } catch { return nil }
    }
}
