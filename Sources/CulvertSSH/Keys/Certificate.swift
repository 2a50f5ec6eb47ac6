/// A certificate of a public key (OpenSSH's PROTOCOL.certkeys): an authority's word for whom a key stands, until when, and
/// what it may be used for. Parsed here; whether it is believed is said by `flaw(asHost:…)` and `flaw(asUserAt:)`.
///
/// Two certificates are the same when their blobs are.
public struct Certificate: Sendable {
    public enum Role: Hashable, Sendable { case user, host }

    /// A critical option or an extension.
    public struct Option: Hashable, Sendable {
        /// What the authority wrote: not safe to show as it is.
        public let name: [UInt8]
        public let data: [UInt8]
    }

    /// As OpenSSH has it: an authority that names more means no list.
    static let mostPrincipals = 256

    public let blob: [UInt8]
    /// The name in the blob, for example `ssh-ed25519-cert-v01@openssh.com`.
    public let type: String
    /// The blob of the key that is certified, by itself (RFC 4253 §6.6), its numbers in their shortest form: as it stands in
    /// known_hosts.
    public let plainKey: [UInt8]
    public let serial: UInt64
    public let role: Role
    /// What the authority calls it. Not safe to show as it is; nor are the principals.
    public let keyID: [UInt8]
    /// For whom it stands: names of users, or of hosts.
    public let principals: [[UInt8]]
    public let validity: CertificateValidity
    public let criticalOptions: [Option]
    public let extensions: [Option]
    /// The blob of the authority's key: never a certificate.
    public let authority: [UInt8]
    /// The name in that blob.
    public let authorityType: String
    /// A blob of RFC 4253 §6.6 over everything before it.
    let signature: [UInt8]
    let signedCount: Int

    /// Throws `.protocolViolation` for what is no certificate. The authority's signature is not looked at.
    public init(blob: [UInt8]) throws(SSHError) {
        self = try blob.read("a certificate") { reader throws(SSHError) in try Certificate(blob, &reader) }
    }

    private init(_ blob: [UInt8], _ reader: inout WireReader) throws(SSHError) {
        self.blob = blob
        type = try reader.name()
        guard let plainType = CertificateType.plainName(ofKey: type) else {
            throw .malformed("a certificate", "its type is that of none")
        }
        // The nonce: the authority's protection, not ours.
        _ = unsafe try reader.string()
        plainKey = try CertificateType.readPlainKey(plainType, &reader)
        serial = try reader.uint64()
        switch try reader.uint32() {
        case 1: role = .user
        case 2: role = .host
        default: throw .malformed("a certificate", "it is neither a user's nor a host's")
        }
        keyID = try Self.text(&reader)
        principals = try Self.principals(try reader.bytes())
        validity = CertificateValidity(from: try reader.uint64(), before: try reader.uint64())
        criticalOptions = try Self.options(try reader.bytes())
        extensions = try Self.options(try reader.bytes())
        // Reserved.
        _ = unsafe try reader.string()
        authority = try reader.bytes()
        signedCount = blob.count - reader.remaining
        signature = try reader.bytes()
        try reader.end()
        authorityType = try authority.read("a certificate's authority") { reader throws(SSHError) in
            let type = try reader.name()
            guard CertificateType.plainTypes.contains(type) else {
                throw .malformed("a certificate", "its authority has no plain key")
            }
            _ = try CertificateType.readPlainKey(type, &reader)
            try reader.end()
            return type
        }
    }

    /// A text, which other programs end at its first NUL: so it has none.
    private static func text(_ reader: inout WireReader) throws(SSHError) -> [UInt8] {
        let bytes = try reader.bytes()
        guard !bytes.contains(0) else { throw .malformed("a certificate", "a text in it has a NUL") }
        return bytes
    }

    /// Strings, one behind the other.
    private static func principals(_ list: [UInt8]) throws(SSHError) -> [[UInt8]] {
        if list.isEmpty { return [] }
        return try list.read("a certificate's list of principals") { reader throws(SSHError) in
            var names: [[UInt8]] = []
            while reader.remaining > 0 {
                guard names.count < mostPrincipals else {
                    throw .malformed("a certificate", "it has more than \(mostPrincipals) principals")
                }
                names.append(try text(&reader))
            }
            return names
        }
    }

    /// Pairs of strings, one behind the other.
    private static func options(_ list: [UInt8]) throws(SSHError) -> [Option] {
        if list.isEmpty { return [] }
        return try list.read("a certificate's options") { reader throws(SSHError) in
            var options: [Option] = []
            while reader.remaining > 0 { options.append(Option(name: try reader.bytes(), data: try reader.bytes())) }
            return options
        }
    }
}

extension Certificate: Hashable {
    public static func == (one: Certificate, other: Certificate) -> Bool { one.blob == other.blob }
    public func hash(into hasher: inout Hasher) { hasher.combine(blob) }
}

/// Types of keys that have certificates, and what they are made of.
enum CertificateType {
    static let suffix = "-cert-v01@openssh.com"

    /// Those of the keys inside.
    static let plainTypes = [
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
    ]

    /// The type of the key inside a certificate of this type; nil: not a certificate's.
    static func plainName(ofKey type: String) -> String? {
        guard type.hasSuffix(suffix) else { return nil }
        let name = SignatureAlgorithm.signatureName(type)
        return plainTypes.contains(name) ? name : nil
    }

    static func name(ofPlain type: String) -> String {
        (type.hasSuffix("@openssh.com") ? String(type.dropLast("@openssh.com".utf8.count)) : type) + suffix
    }

    /// The fields of a key of this type, behind its name, as a blob of their own.
    static func readPlainKey(_ type: String, _ reader: inout WireReader) throws(SSHError) -> [UInt8] {
        var key = WireBytes()
        key.string(type)
        if type == "ssh-rsa" {
            for _ in 0..<2 { key.string(try number(&reader)) }
        } else {
            for _ in 0..<fieldCount(type) {
                let field = unsafe try reader.string()
                guard unsafe !field.isEmpty else { throw .malformed("a certificate", "a part of a key is empty") }
                unsafe key.string(field)
            }
        }
        return key.take()
    }

    /// Point or key; the curve before it and the application behind it, where there are such.
    private static func fieldCount(_ type: String) -> Int {
        (type.hasPrefix("sk-") ? 2 : 1) + (type.contains("ecdsa") ? 1 : 0)
    }

    /// An `mpint`, in its shortest form: some authorities leave zeros in front.
    private static func number(_ reader: inout WireReader) throws(SSHError) -> [UInt8] {
        let bytes = unsafe try reader.string()
        guard let first = unsafe bytes.first, first < 0x80, unsafe bytes.contains(where: { $0 != 0 }) else {
            throw .malformed("a certificate", "a number of its key is not above zero")
        }
        return unsafe MPInt.content(bytes)
    }
}
