internal import Crypto

/// One end's side of one key exchange: its secrets, until the other's part is there. Then they go and are wiped, all but
/// those of ML-KEM: what is left of these tells nothing without those of the curve.
struct KeyAgreement {
    private enum Secrets {
        case curve(CurveKey)
        case hybrid(LatticeKey, CurveKey)
        case group(DiffieHellmanKey)
    }

    private let method: KeyAgreementMethod
    private let secrets: Secrets
    /// What goes to the other end: Q_C, C_INIT, e, or of a server without a lattice Q_S or f.
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
        case .hybrid(let lattice, let curve):
            let key = random.curveKey(curve)
            let latticeKey = try LatticeKey(lattice, &random)
            secrets = .hybrid(latticeKey, key)
            publicPart = latticeKey.publicPart + key.publicPart
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
    /// (RFC 9941 §3, RFC 10042 §2.4), an `mpint` for the others (RFC 4253 §8, RFC 5656 §4, RFC 8731 §3.1).
    func secret(peerPart: [UInt8]) throws(SSHError) -> Secret {
        switch secrets {
        case .curve(let key): return Agreed.encoded(curve: try key.secret(peerPart: peerPart[...]))
        case .group(let key): return try key.secret(peerPart: peerPart)
        case .hybrid(let latticeKey, let key):
            let length = latticeKey.lattice.ciphertextLength
            guard peerPart.count == length + key.curve.partLength else {
                throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
            }
            return Agreed.encoded(
                lattice: try latticeKey.secret(ciphertext: peerPart[..<length]),
                curve: try key.secret(peerPart: peerPart[length...]), method.digest)
        }
    }

    /// The server's side: its own part and the secret.
    static func answer(
        _ method: KeyAgreementMethod, in group: DiffieHellmanGroup? = nil, peerPart: [UInt8],
        _ random: inout RandomSource
    ) throws(SSHError) -> (publicPart: [UInt8], secret: Secret) {
        switch method.kind {
        case .curve, .group, .groupExchange:
            let own = try KeyAgreement(method, in: group, &random)
            return (own.publicPart, try own.secret(peerPart: peerPart))
        case .hybrid(let lattice, let curve):
            let own = random.curveKey(curve)
            let length = lattice.publicLength
            guard peerPart.count == length + curve.partLength else {
                throw .exchange("the peer's part of \(method.rawValue) has \(peerPart.count) bytes")
            }
            let (ciphertext, agreed) = try lattice.answer(peerPart[..<length], &random)
            let secret = Agreed.encoded(
                lattice: agreed, curve: try own.secret(peerPart: peerPart[length...]), method.digest)
            return (ciphertext + own.publicPart, secret)
        }
    }
}

/// The secret of both ends. The library wipes what it holds of one.
private enum Agreed {
    static func encoded(curve: SharedSecret) -> Secret {
        unsafe curve.withUnsafeBytes { unsafe MPInt.encoded($0) }
    }

    static func encoded(lattice: Secret, curve: SharedSecret, _ digest: ExchangeDigest) -> Secret {
        unsafe Secret(capacity: 4 + digest.length) { memory in
            let start = memory.baseAddress!
            unsafe start.storeBytes(of: UInt32(digest.length).bigEndian, as: UInt32.self)
            unsafe lattice.withBytes { lattice in
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
