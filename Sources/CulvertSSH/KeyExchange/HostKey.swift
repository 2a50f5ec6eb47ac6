internal import CCrypto
internal import Crypto

/// A server's public key out of its blob (RFC 4253 §6.6), or out of its certificate, by which its signatures are judged.
/// What a certificate says of the key is not looked at here.
///
/// Faults of the blob and false signatures throw `.keyExchange`: the exchange ends with code 3.
struct HostKey {
    /// RSA keys outside of these are refused, bits: weaker ones can be factored, longer ones are there to keep us busy.
    static let rsaBits = 2048...16384

    private enum Numbers {
        case ed25519(Curve25519.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        /// Magnitudes, most significant byte first, without leading zeros.
        case rsa(exponent: [UInt8], modulus: [UInt8])
        indirect case hardware(DeviceKey)
    }

    private let scheme: SignatureScheme
    private let numbers: Numbers

    /// `scheme`: the negotiated algorithm, for which the key must be.
    init(blob: [UInt8], scheme: SignatureScheme) throws(SSHError) {
        self.scheme = scheme
        do throws(SSHError) {
            numbers = try blob.read("the host key") { reader throws(SSHError) in
                try Self.numbers(&reader, scheme, blob)
            }
        } catch {
            throw error.kind == .keyExchange ? error : .exchange(error.description)
        }
    }

    init(blob: [UInt8], algorithm: HostKeyAlgorithm) throws(SSHError) {
        guard algorithm.isCertified else {
            try self.init(blob: blob, scheme: algorithm.scheme)
            return
        }
        let certificate: Certificate
        do throws(SSHError) { certificate = try Certificate(blob: blob) } catch {
            throw .exchange("the host key is not the certificate that was agreed on: \(error)")
        }
        // Of another type is the key inside then, which is said.
        try self.init(blob: certificate.plainKey, scheme: algorithm.scheme)
    }

    /// `blob`: what is read.
    private static func numbers(
        _ reader: inout WireReader, _ scheme: SignatureScheme, _ blob: [UInt8]
    ) throws(SSHError) -> Numbers {
        let type = unsafe try reader.string()
        guard unsafe type.elementsEqual(scheme.keyType.utf8) else {
            throw unsafe .exchange("the host key is a \(PeerText(type)), \(scheme.rawValue) was agreed on")
        }
        switch scheme {
        case .ed25519:
            let bytes = unsafe Array(try reader.string())
            try reader.end()
            do { return .ed25519(try Curve25519.Signing.PublicKey(rawRepresentation: bytes)) } catch {
                throw .exchange("the Ed25519 host key has \(bytes.count) bytes")
            }
        case .ecdsa256, .ecdsa384, .ecdsa521:
            // The curve is named a second time, without what stands before it in the type's name.
            let curve = unsafe try reader.string()
            guard unsafe curve.elementsEqual(scheme.rawValue.utf8.dropFirst("ecdsa-sha2-".utf8.count)) else {
                throw unsafe .exchange("the \(scheme.rawValue) host key names the curve \(PeerText(curve))")
            }
            let point = unsafe Array(try reader.string())
            try reader.end()
            // Uncompressed only (RFC 5656 §3.1); the library refuses points that are not on the curve.
            guard point.first == 4 else { throw .exchange("the host key's point is not in plain form") }
            do {
                switch scheme {
                case .ecdsa256: return .p256(try P256.Signing.PublicKey(x963Representation: point))
                case .ecdsa384: return .p384(try P384.Signing.PublicKey(x963Representation: point))
                case .ecdsa521: return .p521(try P521.Signing.PublicKey(x963Representation: point))
                case .ed25519, .rsa256, .rsa512, .hardwareED25519, .hardwareECDSA256:
                    preconditionFailure("these have no curve of this kind")
                }
            } catch {
                throw .exchange("the host key's point is not on its curve")
            }
        case .hardwareED25519, .hardwareECDSA256: return .hardware(try DeviceKey(blob: blob))
        case .rsa256, .rsa512:
            let exponent = try magnitude(&reader)
            let modulus = try magnitude(&reader)
            try reader.end()
            let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
            guard rsaBits.contains(bits) else {
                throw .exchange(
                    "the RSA host key has \(bits) bits, \(rsaBits.lowerBound) to \(rsaBits.upperBound) are taken")
            }
            // At most 64 bits, odd and more than 1, as libcrypto itself wants it for long keys.
            guard exponent.count <= 8, let last = exponent.last, last & 1 == 1, exponent != [1],
                modulus.last.map({ $0 & 1 == 1 }) == true
            else { throw .exchange("the RSA host key's numbers are no key") }
            return .rsa(exponent: exponent, modulus: modulus)
        }
    }

    /// An `mpint` that is not negative, without leading zeros.
    private static func magnitude(_ reader: inout WireReader) throws(SSHError) -> [UInt8] {
        let bytes = unsafe try reader.string()
        if unsafe bytes.first.map({ $0 >= 0x80 }) == true { throw .exchange("a number of the host key is negative") }
        return unsafe Array(bytes.drop { $0 == 0 })
    }

    /// Returns when `signature` (a blob of RFC 4253 §6.6) is this key's, by the negotiated algorithm, over `data`.
    func verify(signature: [UInt8], over data: [UInt8]) throws(SSHError) {
        let isRight: Bool
        do throws(SSHError) {
            if case .hardware(let key) = numbers {
                try key.verify(signature: signature, over: data)
                return
            }
            isRight = try signature.read("the host key's signature") { reader throws(SSHError) in
                let name = unsafe try reader.string()
                guard unsafe name.elementsEqual(scheme.rawValue.utf8) else {
                    throw unsafe .exchange("the server signed with \(PeerText(name)), \(scheme.rawValue) was agreed on")
                }
                let value = unsafe Array(try reader.string())
                try reader.end()
                return try judge(value, data)
            }
        } catch {
            throw error.kind == .keyExchange ? error : .exchange(error.description)
        }
        guard isRight else { throw .exchange("the server's signature is not its host key's") }
    }

    private func judge(_ signature: [UInt8], _ data: [UInt8]) throws(SSHError) -> Bool {
        switch numbers {
        case .ed25519(let key): return key.isValidSignature(signature, for: data)
        case .p256(let key):
            guard let raw = try Self.raw(signature, 32),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        case .p384(let key):
            guard let raw = try Self.raw(signature, 48),
                let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        case .p521(let key):
            guard let raw = try Self.raw(signature, 66),
                let signature = try? P521.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        case .rsa(let exponent, let modulus):
            // Some signers leave leading zeros out; the number counts.
            guard signature.count <= modulus.count else { return false }
            let padded = [UInt8](repeating: 0, count: modulus.count - signature.count) + signature
            let result = unsafe culvert_rsa_verify(
                scheme == .rsa512 ? 512 : 256, modulus, modulus.count, exponent, exponent.count, data, data.count,
                padded, padded.count)
            guard result >= 0 else { throw SSHError(.local, "libcrypto on this machine does not take the host key") }
            return result == 1
        case .hardware: preconditionFailure("its signatures have parts of their own")
        }
    }

    /// The two numbers of an ECDSA signature (RFC 5656 §3.1.2) at their full length, one after the other.
    private static func raw(_ signature: [UInt8], _ length: Int) throws(SSHError) -> [UInt8]? {
        try signature.read("the host key's signature") { reader throws(SSHError) in
            var raw: [UInt8] = []
            for _ in 0..<2 {
                let number = try magnitude(&reader)
                guard number.count <= length else { return nil }
                raw += [UInt8](repeating: 0, count: length - number.count) + number
            }
            try reader.end()
            return raw
        }
    }
}
