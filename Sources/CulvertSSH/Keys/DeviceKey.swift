internal import Crypto

/// The public key of a hardware key (OpenSSH's PROTOCOL.u2f), by which a host's or an authority's signatures are judged. The
/// device signs what it was touched for: an application, flags and a counter beside a hash of the data.
struct DeviceKey {
    /// Their names are those of their signatures.
    static let types = [SignatureScheme.hardwareED25519, .hardwareECDSA256].map(\.rawValue)

    private let type: String
    private let application: [UInt8]
    private let scheme: SignatureScheme
    private let key: HostKey

    /// Throws for a blob that is no such key.
    init(blob: [UInt8]) throws(SSHError) {
        let (type, fields) = try blob.read("a hardware key") { reader throws(SSHError) in
            let type = try reader.name()
            guard Self.types.contains(type) else { throw .malformed("a hardware key", "its type is another") }
            var fields = [try reader.bytes(), try reader.bytes()]
            if type.contains("ecdsa") { fields.append(try reader.bytes()) }
            try reader.end()
            return (type, fields)
        }
        self.type = type
        scheme = type.contains("ecdsa") ? .ecdsa256 : .ed25519
        application = fields[fields.count - 1]
        guard !application.isEmpty else { throw .malformed("a hardware key", "it is for nothing") }
        var plain = WireBytes()
        plain.string(scheme.rawValue)
        for field in fields.dropLast() { plain.string(field) }
        key = try HostKey(blob: plain.take(), scheme: scheme)
    }

    /// Returns when `signature` is this key's over `data`. Whether somebody touched the device is not looked at, as OpenSSH has
    /// it of hosts and of authorities: nobody stands beside a server for each login.
    func verify(signature: [UInt8], over data: [UInt8]) throws(SSHError) {
        let (value, tail) = try signature.read("a hardware key's signature") { reader throws(SSHError) in
            guard try reader.name() == type else { throw .exchange("a signature is not of the hardware key's type") }
            let value = try reader.bytes()
            // Flags and counter.
            let tail = unsafe Array(try reader.raw(5))
            try reader.end()
            return (value, tail)
        }
        var plain = WireBytes()
        plain.string(scheme.rawValue)
        plain.string(value)
        try key.verify(
            signature: plain.take(), over: Array(SHA256.hash(data: application)) + tail + Array(SHA256.hash(data: data))
        )
    }
}
