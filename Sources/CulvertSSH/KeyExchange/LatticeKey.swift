internal import CCrypto
internal import Crypto

/// A key encapsulation over lattices, of which a hybrid has one beside its curve: the client sends a public key, the server a
/// ciphertext for it.
enum Lattice: BitwiseCopyable {
    /// FIPS 203.
    case mlkem768
    /// Streamlined NTRU Prime (draft-josefsson-ntruprime-streamlined).
    case sntrup761

    /// Of a public key, bytes.
    var publicLength: Int {
        switch self {
        // FIPS 203 table 3.
        case .mlkem768: 1184
        case .sntrup761: Int(CULVERT_SNTRUP761_PUBLIC)
        }
    }

    /// Of a ciphertext, bytes.
    var ciphertextLength: Int {
        switch self {
        case .mlkem768: 1088
        case .sntrup761: Int(CULVERT_SNTRUP761_CIPHERTEXT)
        }
    }

    /// A server's part: a ciphertext for the client's key, and what it tells the client. What ML-KEM draws is always the
    /// system's. Both lengths are right already.
    func answer(_ publicKey: ArraySlice<UInt8>, _ random: inout RandomSource) throws(SSHError)
        -> (ciphertext: [UInt8], secret: Secret)
    {
        switch self {
        case .mlkem768:
            do {
                let result = try MLKEM768.PublicKey(rawRepresentation: publicKey).encapsulate()
                return (Array(result.encapsulated), result.sharedSecret.secret)
            } catch { throw .exchange("the peer's ML-KEM key is none") }
        case .sntrup761:
            return try SNTRUPKey.answer(Array(publicKey), &random)
        }
    }
}

/// A client's secret key of a lattice, for one exchange.
enum LatticeKey {
    case mlkem768(MLKEM768.PrivateKey)
    case sntrup761(SNTRUPKey)

    /// d ‖ z (FIPS 203 §7.1), bytes.
    private static let seedLength = 64

    init(_ lattice: Lattice, _ random: inout RandomSource) throws(SSHError) {
        switch lattice {
        case .mlkem768:
            do {
                // With the system's randomness the library makes it itself: no copy passes through here.
                self = .mlkem768(
                    try random.isReproducible
                        ? MLKEM768.PrivateKey(seedRepresentation: random.bytes(Self.seedLength), publicKey: nil)
                        : MLKEM768.PrivateKey())
            } catch { throw .exchange("no ML-KEM key could be made") }
        case .sntrup761: self = .sntrup761(try SNTRUPKey(&random))
        }
    }

    var lattice: Lattice {
        switch self {
        case .mlkem768: .mlkem768
        case .sntrup761: .sntrup761
        }
    }

    var publicPart: [UInt8] {
        switch self {
        case .mlkem768(let key): Array(key.publicKey.rawRepresentation)
        case .sntrup761(let key): key.publicPart
        }
    }

    /// What a ciphertext of the right length tells. One that is none tells something else than the server has, and nobody
    /// can see that here (implicit rejection): the server's signature is what fails then.
    func secret(ciphertext: ArraySlice<UInt8>) throws(SSHError) -> Secret {
        switch self {
        case .mlkem768(let key):
            do { return try key.decapsulate(ciphertext).secret } catch {
                throw .exchange("the peer's ML-KEM part is none")
            }
        case .sntrup761(let key): return try key.secret(ciphertext: Array(ciphertext))
        }
    }
}

/// A client's key of Streamlined NTRU Prime 761.
struct SNTRUPKey {
    let publicPart: [UInt8]
    private let key: Secret

    /// Few random bytes give none.
    init(_ random: inout RandomSource) throws(SSHError) {
        while true {
            let draws = unsafe Secret(capacity: Int(CULVERT_SNTRUP761_KEY_RANDOM)) { memory in
                unsafe random.fill(memory)
                return memory.count
            }
            if let made = try SNTRUPKey(draws: draws) {
                self = made
                return
            }
        }
    }

    /// Of these random bytes; nil: they give none.
    init?(draws: Secret) throws(SSHError) {
        precondition(draws.count == Int(CULVERT_SNTRUP761_KEY_RANDOM), "a key is made of so many random bytes")
        var part = [UInt8](repeating: 0, count: Lattice.sntrup761.publicLength)
        var result: Int32 = 0
        key = unsafe Secret(capacity: Int(CULVERT_SNTRUP761_SECRET)) { memory in
            result = unsafe draws.withBytes { draws in
                unsafe culvert_sntrup761_key(
                    draws.baseAddress!.assumingMemoryBound(to: UInt8.self), &part,
                    memory.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
            return memory.count
        }
        publicPart = part
        guard result >= 0 else { throw .noMemory }
        guard result == 1 else { return nil }
    }

    func secret(ciphertext: [UInt8]) throws(SSHError) -> Secret {
        precondition(ciphertext.count == Lattice.sntrup761.ciphertextLength, "the length was looked at")
        return try unsafe Secret(capacity: Int(CULVERT_SNTRUP761_SHARED)) { memory throws(SSHError) in
            let result = unsafe key.withBytes { key in
                unsafe culvert_sntrup761_decapsulate(
                    key.baseAddress!.assumingMemoryBound(to: UInt8.self), ciphertext,
                    memory.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
            guard result == 1 else { throw .noMemory }
            return memory.count
        }
    }

    static func answer(_ publicKey: [UInt8], _ random: inout RandomSource) throws(SSHError)
        -> (ciphertext: [UInt8], secret: Secret)
    {
        let draws = unsafe Secret(capacity: Int(CULVERT_SNTRUP761_CIPHERTEXT_RANDOM)) { memory in
            unsafe random.fill(memory)
            return memory.count
        }
        return try answer(publicKey, draws: draws)
    }

    /// Of these random bytes.
    static func answer(_ publicKey: [UInt8], draws: Secret) throws(SSHError) -> (ciphertext: [UInt8], secret: Secret) {
        precondition(publicKey.count == Lattice.sntrup761.publicLength, "the length was looked at")
        precondition(draws.count == Int(CULVERT_SNTRUP761_CIPHERTEXT_RANDOM), "it is made of so many random bytes")
        var ciphertext = [UInt8](repeating: 0, count: Lattice.sntrup761.ciphertextLength)
        let secret = try unsafe Secret(capacity: Int(CULVERT_SNTRUP761_SHARED)) { memory throws(SSHError) in
            let result = unsafe draws.withBytes { draws in
                unsafe culvert_sntrup761_encapsulate(
                    draws.baseAddress!.assumingMemoryBound(to: UInt8.self), publicKey, &ciphertext,
                    memory.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
            guard result == 1 else { throw .noMemory }
            return memory.count
        }
        return (ciphertext, secret)
    }
}

extension SSHError {
    fileprivate static var noMemory: SSHError { SSHError(.local, "there is no memory for a key exchange") }
}

extension SymmetricKey {
    /// The library wipes its own.
    fileprivate var secret: Secret { unsafe withUnsafeBytes { unsafe Secret(copying: $0) } }
}
