internal import Crypto

/// Lengths of what ML-KEM-768 has, bytes.
private enum Lattice {
    /// FIPS 203 table 3.
    static let encapsulationKey = 1184
    static let ciphertext = 1088
    /// d ‖ z (FIPS 203 §7.1).
    static let seed = 64
}

/// One end's side of one key exchange: its secrets, until the other's part is there. Then they go and are wiped, all but
/// those of ML-KEM: what is left of these tells nothing without those of the curve.
struct KeyAgreement {
    private enum Secrets {
        case curve(CurveKey)
        case hybrid(CurveKey, MLKEM768.PrivateKey)
        case group(DiffieHellmanKey)
    }

    private let method: KeyAgreementMethod
    private let secrets: Secrets
    /// What goes to the other end: Q_C, C_INIT, e, or of a server without ML-KEM Q_S or f.
    let publicPart: [UInt8]

    /// A client's. `group`: of a group exchange, what the server gave.
    init(_ method: KeyAgreementMethod, in group: DiffieHellmanGroup? = nil, _ random: inout RandomSource)
        throws(SSHError)
    {
        self.method = method
        switch method.kind {
        case .curve(let curve):
            let key = random.curveKey(curve)
            secrets = .curve(key)
            publicPart = key.publicPart
        case .hybrid(let curve):
            let key = random.curveKey(curve)
            let kem: MLKEM768.PrivateKey
            do { kem = try random.latticeKey() } catch { throw .exchange("no ML-KEM key could be made") }
            secrets = .hybrid(key, kem)
            publicPart = Array(kem.publicKey.rawRepresentation) + key.publicPart
        case .group(let bits):
            let key = try DiffieHellmanKey(DiffieHellmanGroup(bits: bits), &random)
            secrets = .group(key)
            publicPart = key.publicPart
        case .groupExchange:
            guard let group else { preconditionFailure("a group exchange begins with a group") }
            let key = try DiffieHellmanKey(group, &random)
            secrets = .group(key)
            publicPart = key.publicPart
        }
    }

    /// The shared secret from the peer's part (Q_S, S_REPLY or f), encoded as it is hashed: a `string` for a hybrid
    /// (RFC 10042 §2.4), an `mpint` for the others (RFC 4253 §8, RFC 5656 §4, RFC 8731 §3.1).
    func secret(peerPart: [UInt8]) throws(SSHError) -> Secret {
        switch secrets {
        case .curve(let key): return Agreed.encoded(curve: try key.secret(peerPart: peerPart[...]))
        case .group(let key): return try key.secret(peerPart: peerPart)
        case .hybrid(let key, let kem):
            guard peerPart.count == Lattice.ciphertext + key.curve.partLength else {
                throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
            }
            let lattice: SymmetricKey
            do { lattice = try kem.decapsulate(peerPart[..<Lattice.ciphertext]) } catch {
                throw .exchange("the peer's ML-KEM part is none")
            }
            return Agreed.encoded(
                lattice: lattice, curve: try key.secret(peerPart: peerPart[Lattice.ciphertext...]))
        }
    }

    /// The server's side: its own part and the secret. What ML-KEM draws to encapsulate is always the system's.
    static func answer(
        _ method: KeyAgreementMethod, in group: DiffieHellmanGroup? = nil, peerPart: [UInt8],
        _ random: inout RandomSource
    ) throws(SSHError) -> (publicPart: [UInt8], secret: Secret) {
        switch method.kind {
        case .curve, .group, .groupExchange:
            let own = try KeyAgreement(method, in: group, &random)
            return (own.publicPart, try own.secret(peerPart: peerPart))
        case .hybrid(let curve):
            let own = random.curveKey(curve)
            guard peerPart.count == Lattice.encapsulationKey + curve.partLength else {
                throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
            }
            let result: KEM.EncapsulationResult
            do {
                let key = try MLKEM768.PublicKey(rawRepresentation: peerPart[..<Lattice.encapsulationKey])
                result = try key.encapsulate()
            } catch { throw .exchange("the peer's ML-KEM key is none") }
            let secret = Agreed.encoded(
                lattice: result.sharedSecret,
                curve: try own.secret(peerPart: peerPart[Lattice.encapsulationKey...]))
            return (Array(result.encapsulated) + own.publicPart, secret)
        }
    }
}

/// The secret of both ends. The library wipes what it holds of one.
private enum Agreed {
    static func encoded(curve: SharedSecret) -> Secret {
        unsafe curve.withUnsafeBytes { unsafe MPInt.encoded($0) }
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

extension RandomSource {
    /// With the system's randomness the library makes it itself: no copy passes through here.
    fileprivate mutating func latticeKey() throws -> MLKEM768.PrivateKey {
        guard isReproducible else { return try MLKEM768.PrivateKey() }
        return try MLKEM768.PrivateKey(seedRepresentation: bytes(Lattice.seed), publicKey: nil)
    }
}
