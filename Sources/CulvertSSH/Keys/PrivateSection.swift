internal import CCrypto

/// The decrypted part of OpenSSH's key file (PROTOCOL.key): a number twice, the key, a comment, and 1, 2, 3, … up to a
/// whole block. The memory is the caller's.
@safe struct PrivateSection {
    private let bytes: UnsafeRawBufferPointer
    private let block: Int
    private let publicKey: UnsafeRawBufferPointer

    /// - Parameter publicKey: the blob that the file shows in the clear.
    init(_ bytes: UnsafeRawBufferPointer, block: Int, publicKey: UnsafeRawBufferPointer) {
        unsafe self.bytes = bytes
        self.block = block
        unsafe self.publicKey = publicKey
    }

    /// The key, which the caller owns. `orElse` is what it means when the two numbers differ.
    func key(orElse failure: PrivateKeyFailure) throws(PrivateKeyFailure) -> OpaquePointer {
        guard let start = unsafe bytes.baseAddress, unsafe bytes.count >= 8 else { throw Self.badLayout }
        guard unsafe bytes.prefix(4).elementsEqual(bytes[4..<8]) else { throw failure }
        var reader = unsafe WireReader(start: start + 8, count: bytes.count - 8, of: "a key")
        let fields: Fields
        do throws(SSHError) { fields = try Fields(&reader) } catch { throw Self.badLayout }
        if case .other(let type) = fields { throw .unsupported(Self.words(for: type)) }
        do throws(SSHError) {
            // The comment.
            _ = unsafe try reader.string()
            try checkPadding(&reader)
        } catch { throw Self.badLayout }
        // Before anything is computed: the public half is the one that the file shows.
        guard unsafe fields.publicKey.elementsEqual(publicKey) else {
            throw .malformed("its private and public half do not belong together")
        }
        return try unsafe fields.imported()
    }

    /// Of a hardware key: the fields from its type to what is reserved, as the file has them, and its flags. `orElse` as above.
    func hardwareKey(orElse failure: PrivateKeyFailure) throws(PrivateKeyFailure) -> (fields: Secret, flags: UInt8) {
        guard let start = unsafe bytes.baseAddress, unsafe bytes.count >= 8 else { throw Self.badLayout }
        guard unsafe bytes.prefix(4).elementsEqual(bytes[4..<8]) else { throw failure }
        var reader = unsafe WireReader(start: start + 8, count: bytes.count - 8, of: "a key")
        let shown: [UInt8]
        let flags: UInt8
        let length: Int
        do throws(SSHError) {
            let type = unsafe String(decoding: try reader.string().prefix(64), as: UTF8.self)
            guard DeviceKey.types.contains(type) else { throw .malformed("a key", "it is no hardware key") }
            let curve = type == SignatureScheme.hardwareECDSA256.rawValue ? unsafe try reader.string() : nil
            let point = unsafe try reader.string()
            let application = unsafe try reader.string()
            flags = try reader.byte()
            // The handle, and what is reserved.
            for _ in 0..<2 { _ = unsafe try reader.string() }
            length = unsafe bytes.count - 8 - reader.remaining
            // The comment.
            _ = unsafe try reader.string()
            try checkPadding(&reader)
            shown = unsafe [UInt8](wire: bytes.count + 64) { writer in
                writer.string(type)
                if let curve = unsafe curve { unsafe writer.string(curve) }
                unsafe writer.string(point)
                unsafe writer.string(application)
            }
        } catch { throw Self.badLayout }
        guard unsafe shown.elementsEqual(publicKey) else {
            throw .malformed("its private and public half do not belong together")
        }
        return (unsafe Secret(copying: UnsafeRawBufferPointer(start: start + 8, count: length)), flags)
    }

    private static var badLayout: PrivateKeyFailure {
        .malformed("its private part is not laid out as openssh-key-v1")
    }

    private func checkPadding(_ reader: inout WireReader) throws(SSHError) {
        let count = reader.remaining
        guard count < block else { throw .malformed("a key", "too much follows it") }
        for number in 0..<count {
            guard try reader.byte() == UInt8(number + 1) else { throw .malformed("a key", "its padding is wrong") }
        }
    }

    /// Why a key of this type cannot be used.
    private static func words(for name: String) -> String {
        name.hasPrefix("sk-")
            ? "a hardware key, which works through an agent only: `ssh-add FILE`"
            : "a key of type \(PeerText(name)), which is not known here"
    }

    /// The fields of a key, where they lie.
    @safe private enum Fields {
        case ed25519(point: UnsafeRawBufferPointer, seedAndPoint: UnsafeRawBufferPointer)
        case ecdsa(Curve, point: UnsafeRawBufferPointer, scalar: UnsafeRawBufferPointer)
        case rsa(RSA)
        case other(type: String)

        /// `mpint`s, as magnitudes.
        @safe struct RSA {
            let n, e, d, inverseQ, p, q: UnsafeRawBufferPointer
        }

        struct Curve {
            let name: String
            let kind: culvert_key_kind
        }

        init(_ reader: inout WireReader) throws(SSHError) {
            let type = unsafe String(decoding: try reader.string().prefix(64), as: UTF8.self)
            switch type {
            case "ssh-ed25519":
                self = unsafe .ed25519(point: try reader.string(), seedAndPoint: try reader.string())
            case "ecdsa-sha2-nistp256": self = try Self.ecdsa(Curve(name: "nistp256", kind: CULVERT_KEY_P256), &reader)
            case "ecdsa-sha2-nistp384": self = try Self.ecdsa(Curve(name: "nistp384", kind: CULVERT_KEY_P384), &reader)
            case "ecdsa-sha2-nistp521": self = try Self.ecdsa(Curve(name: "nistp521", kind: CULVERT_KEY_P521), &reader)
            case "ssh-rsa":
                let n = unsafe try reader.mpint(of: "a key")
                let e = unsafe try reader.mpint(of: "a key")
                let d = unsafe try reader.mpint(of: "a key")
                let inverseQ = unsafe try reader.mpint(of: "a key")
                let p = unsafe try reader.mpint(of: "a key")
                let q = unsafe try reader.mpint(of: "a key")
                self = unsafe .rsa(RSA(n: n, e: e, d: d, inverseQ: inverseQ, p: p, q: q))
            default: self = .other(type: type)
            }
        }

        private static func ecdsa(_ curve: Curve, _ reader: inout WireReader) throws(SSHError) -> Fields {
            guard unsafe try reader.string().elementsEqual(curve.name.utf8) else {
                throw .malformed("a key", "its curve is another")
            }
            return unsafe .ecdsa(curve, point: try reader.string(), scalar: try reader.mpint(of: "a key"))
        }

        var type: String {
            switch self {
            case .ed25519: "ssh-ed25519"
            case .ecdsa(let curve, _, _): "ecdsa-sha2-" + curve.name
            case .rsa: "ssh-rsa"
            case .other(let type): type
            }
        }

        /// The blob of RFC 4253 §6.6.
        var publicKey: [UInt8] {
            [UInt8](wire: PrivateKey.maximumFileLength + 256) { writer in
                writer.string(type)
                switch self {
                case .ed25519(let point, _): unsafe writer.string(point)
                case .ecdsa(let curve, let point, _):
                    writer.string(curve.name)
                    unsafe writer.string(point)
                case .rsa(let numbers):
                    unsafe writer.mpint(numbers.e)
                    unsafe writer.mpint(numbers.n)
                case .other: break
                }
            }
        }

        func imported() throws(PrivateKeyFailure) -> OpaquePointer {
            var key: OpaquePointer?
            let status: culvert_key_status
            switch self {
            case .ed25519(let point, let both):
                guard point.count == 32, both.count == 64, unsafe both.suffix(32).elementsEqual(point) else {
                    throw .malformed("its private and public half do not belong together")
                }
                status = unsafe culvert_key_from_ed25519(both.baseAddress, point.baseAddress, &key)
            case .ecdsa(let curve, let point, let scalar):
                status = unsafe culvert_key_from_ec(
                    curve.kind, point.baseAddress, point.count, scalar.baseAddress, scalar.count, &key)
            case .rsa(let numbers):
                status = unsafe culvert_key_from_rsa(
                    number(numbers.n), number(numbers.e), number(numbers.d), number(numbers.inverseQ),
                    number(numbers.p), number(numbers.q), &key)
            case .other: preconditionFailure("a key of an unknown type is refused before")
            }
            return try unsafe PrivateKey.checked(status, key)
        }

        private func number(_ magnitude: UnsafeRawBufferPointer) -> culvert_number {
            unsafe culvert_number(bytes: magnitude.baseAddress, length: magnitude.count)
        }
    }
}
