internal import CCrypto

/// Why a key file gives no key. Words that follow the file's name.
enum PrivateKeyFailure: Error, Hashable, CustomStringConvertible {
    /// The file may be whole: asking again can mend it.
    case wrongPassphrase
    case needsPassphrase
    /// The file is damaged or no key at all.
    case malformed(String)
    /// A whole file of a kind that is not for us.
    case unsupported(String)

    var description: String {
        switch self {
        case .wrongPassphrase: Credential.wrongPassphrase
        case .needsPassphrase: "encrypted, and no passphrase was given"
        case .malformed(let why): "damaged: \(why)"
        case .unsupported(let why): why
        }
    }
}

/// A private key that can sign: Ed25519 (RFC 8709), ECDSA over the NIST curves (RFC 5656), RSA with SHA-2 (RFC 8332).
///
/// Invariant: its public half belongs to it. libcrypto holds it, and wipes it when the last reference goes.
@safe final class PrivateKey: @unchecked Sendable {
    // Unchecked: libcrypto never changes a key once it is made, so any thread may sign with it.
    private let key: OpaquePointer
    private let kind: culvert_key_kind
    /// The blob of RFC 4253 §6.6.
    let publicKey: [UInt8]
    /// The name in the blob.
    let type: String

    /// Bytes. An RSA key of 16384 bits takes 13 KiB of text, and people put words around it.
    static let maximumFileLength = 64 * 1024
    /// RSA, bits: less can be broken (OpenSSH takes 1024 and more), more is not taken by OpenSSH.
    static let rsaBits = 2048...16384

    /// Reads a key file: OpenSSH's format, or PEM with PKCS#1, SEC1 or PKCS#8 in it.
    convenience init(_ contents: Secret, passphrase: Secret?) throws(PrivateKeyFailure) {
        guard contents.count <= Self.maximumFileLength else {
            throw .malformed("\(contents.count) bytes are no key")
        }
        let key = try unsafe contents.withBytes { text throws(PrivateKeyFailure) in
            if let body = unsafe try OpenSSHKeyFile.body(of: text) {
                return unsafe try OpenSSHKeyFile.read(body, passphrase: passphrase)
            }
            return unsafe try Self.readPEM(text, passphrase: passphrase)
        }
        unsafe try self.init(taking: key)
    }

    /// Takes the key over, also when it throws.
    private init(taking key: OpaquePointer) throws(PrivateKeyFailure) {
        do throws(PrivateKeyFailure) {
            kind = unsafe culvert_key_get_kind(key)
            type = try unsafe Self.name(kind, bits: Int(culvert_key_get_bits(key)))
            publicKey = unsafe Self.publicBlob(key, kind: kind, type: type)
        } catch {
            unsafe culvert_key_free(key)
            throw error
        }
        unsafe self.key = key
    }

    deinit {
        unsafe culvert_key_free(key)
    }

    private static func name(_ kind: culvert_key_kind, bits: Int) throws(PrivateKeyFailure) -> String {
        switch kind {
        case CULVERT_KEY_ED25519: return "ssh-ed25519"
        case CULVERT_KEY_P256: return "ecdsa-sha2-nistp256"
        case CULVERT_KEY_P384: return "ecdsa-sha2-nistp384"
        case CULVERT_KEY_P521: return "ecdsa-sha2-nistp521"
        case CULVERT_KEY_RSA:
            guard rsaBits.contains(bits) else {
                throw .unsupported(
                    "an RSA key of \(bits) bits; \(rsaBits.lowerBound) to \(rsaBits.upperBound) are taken")
            }
            return "ssh-rsa"
        default: preconditionFailure("a key is of a kind that was asked for")
        }
    }

    private static func readPEM(_ text: UnsafeRawBufferPointer, passphrase: Secret?) throws(PrivateKeyFailure)
        -> OpaquePointer
    {
        var key: OpaquePointer?
        let status =
            if let passphrase {
                unsafe passphrase.withBytes { phrase in
                    unsafe culvert_key_from_pem(
                        text.baseAddress, text.count, phrase.baseAddress, phrase.count, &key)
                }
            } else {
                unsafe culvert_key_from_pem(text.baseAddress, text.count, nil, 0, &key)
            }
        return try unsafe checked(status, key)
    }

    /// The key, or what the shim had against it.
    static func checked(_ status: culvert_key_status, _ key: OpaquePointer?) throws(PrivateKeyFailure) -> OpaquePointer
    {
        switch status {
        case CULVERT_KEY_OK:
            guard let key = unsafe key else { preconditionFailure("a key comes with the word that it is there") }
            return unsafe key
        case CULVERT_KEY_NEEDS_PASSPHRASE: throw .needsPassphrase
        case CULVERT_KEY_WRONG_PASSPHRASE: throw .wrongPassphrase
        case CULVERT_KEY_UNSUPPORTED:
            throw .unsupported("a kind of key, or a cipher around it, that is not known here")
        case CULVERT_KEY_TOO_COSTLY: throw .unsupported("its passphrase takes too much work to check")
        case CULVERT_KEY_MISMATCH: throw .malformed("its private and public half do not belong together")
        default: throw .malformed("it is no private key that can be read")
        }
    }

    // MARK: The public half

    private static func publicBlob(_ key: OpaquePointer, kind: culvert_key_kind, type: String) -> [UInt8] {
        func part(_ read: (OpaquePointer?, UnsafeMutableRawPointer?, Int) -> Int) -> [UInt8] {
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: MPInt.maximumLength) { memory, count in
                count = unsafe read(key, memory.baseAddress, memory.count)
            }
            precondition(!bytes.isEmpty, "a key has a public half")
            return bytes
        }
        let first = unsafe part(culvert_key_public)
        return [UInt8](wire: 1024 + 2 * MPInt.maximumLength) { writer in
            writer.string(type)
            unsafe first.withUnsafeBytes { bytes in
                if kind == CULVERT_KEY_RSA {
                    unsafe part(culvert_key_exponent).withUnsafeBytes { unsafe writer.mpint($0) }
                    unsafe writer.mpint(bytes)
                } else {
                    // RFC 5656 §3.1 names the curve once more.
                    if kind != CULVERT_KEY_ED25519 { writer.string(String(type.dropFirst(11))) }
                    unsafe writer.string(bytes)
                }
            }
        }
    }

    // MARK: Signing

    /// The signature blob (RFC 4253 §6.6; RFC 5656 §3.1.2, RFC 8332 §3, RFC 8709 §6).
    /// - Precondition: `algorithm` is one of `SignatureAlgorithm.names(keyType: type)`, or `ssh-rsa` with an RSA key: with
    ///   SHA-1, for servers that know nothing else (RFC 4253 §6.6).
    func sign(_ data: UnsafeRawBufferPointer, algorithm: String) throws(SSHError) -> [UInt8] {
        let digest: CInt =
            switch (kind, algorithm) {
            case (CULVERT_KEY_RSA, "ssh-rsa"): 160
            case (CULVERT_KEY_RSA, "rsa-sha2-256"): 256
            case (CULVERT_KEY_RSA, "rsa-sha2-512"): 512
            case (CULVERT_KEY_ED25519, type): 0
            case (CULVERT_KEY_P256, type): 256
            case (CULVERT_KEY_P384, type): 384
            case (CULVERT_KEY_P521, type): 512
            default: preconditionFailure("a key signs with an algorithm of its own")
            }
        let signature = unsafe [UInt8](unsafeUninitializedCapacity: MPInt.maximumLength) { memory, count in
            count = unsafe culvert_key_sign(
                key, digest, data.baseAddress, data.count, memory.baseAddress, memory.count)
        }
        guard !signature.isEmpty else { throw SSHError(.local, "the key could not sign") }
        return [UInt8](wire: 64 + 2 * MPInt.maximumLength) { writer in
            writer.string(algorithm)
            unsafe signature.withUnsafeBytes { bytes in
                if kind == CULVERT_KEY_ED25519 || kind == CULVERT_KEY_RSA {
                    unsafe writer.string(bytes)
                } else {
                    let r = unsafe UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2))
                    let s = unsafe UnsafeRawBufferPointer(rebasing: bytes.suffix(bytes.count / 2))
                    unsafe writer.uint32(UInt32(8 + MPInt.length(r) + MPInt.length(s)))
                    unsafe writer.mpint(r)
                    unsafe writer.mpint(s)
                }
            }
        }
    }
}

extension [UInt8] {
    /// What `write` writes, at most `capacity` bytes.
    init(wire capacity: Int, _ write: (inout WireWriter) -> Void) {
        unsafe self.init(unsafeUninitializedCapacity: capacity) { memory, count in
            // An array of a capacity above zero has memory.
            var writer = unsafe WireWriter(start: UnsafeMutableRawPointer(memory.baseAddress!), capacity: capacity)
            write(&writer)
            count = writer.count
        }
    }
}
