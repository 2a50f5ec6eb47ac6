/// A key that can sign, wherever it is: in memory, or with somebody who is asked.
@safe struct Signer {
    /// The blob of RFC 4253 §6.6, or a certificate's.
    let publicKey: [UInt8]
    /// The name in the blob, for example `ssh-rsa`.
    let keyType: String
    private let holder: Holder

    @safe private enum Holder {
        case memory(PrivateKey)
        case other((_ data: UnsafeRawBufferPointer) throws(SSHError) -> [UInt8])
    }

    /// - Precondition: the certificate is of this key.
    init(_ key: PrivateKey, _ certificate: Certificate? = nil) {
        precondition(
            certificate.map { $0.plainKey == key.publicKey } ?? true, "a certificate is shown with its own key")
        publicKey = certificate?.blob ?? key.publicKey
        keyType = certificate?.type ?? key.type
        holder = .memory(key)
    }

    /// nil: `publicKey` does not begin with a name.
    init?(publicKey: [UInt8], sign: @escaping (_ data: UnsafeRawBufferPointer) throws(SSHError) -> [UInt8]) {
        guard let type = Self.name(publicKey) else { return nil }
        self.publicKey = publicKey
        keyType = type
        unsafe holder = .other(sign)
    }

    /// The signature blob (RFC 4253 §6.6). Throws `.local` when there is none, or one of another algorithm: an agent that
    /// signs with SHA-1 has not understood the question (RFC 8332 §3).
    func sign(_ data: UnsafeRawBufferPointer, _ algorithm: String) throws(SSHError) -> [UInt8] {
        let wanted = SignatureAlgorithm.signatureName(algorithm)
        switch holder {
        case .memory(let key): return try unsafe key.sign(data, algorithm: wanted)
        case .other(let sign):
            let blob = try unsafe sign(data)
            guard let name = Self.name(blob) else { throw SSHError(.local, "what came is no signature") }
            guard name == wanted else {
                throw SSHError(.local, "signed with \(PeerText(name)) instead of \(wanted)")
            }
            return blob
        }
    }

    /// The name at the start of a key or signature (RFC 4251 §6: printable ASCII, at most 64 characters).
    private static func name(_ blob: [UInt8]) -> String? {
        unsafe blob.withUnsafeBytes { bytes -> String? in
            guard let start = bytes.baseAddress else { return nil }
            var reader = unsafe WireReader(start: start, count: bytes.count, of: "a key")
            guard let name = try? unsafe reader.string(), (1...64).contains(name.count),
                unsafe name.allSatisfy({ $0 > 32 && $0 < 127 })
            else { return nil }
            return unsafe String(decoding: name, as: UTF8.self)
        }
    }
}
