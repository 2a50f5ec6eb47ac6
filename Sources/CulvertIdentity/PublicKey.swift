internal import Crypto
internal import CulvertSSH

/// A public key as RFC 4253 §6.6 frames it, or a certificate of one. Two are the same when their blobs are.
struct PublicKey: Hashable, Sendable {
    let blob: [UInt8]
    /// The name in the blob, for example `ssh-ed25519`.
    let type: String

    let certificate: Certificate?

    /// nil: not a key. For the types known here every field must be there and nothing may follow; of other types only the
    /// name is read.
    init?(blob: [UInt8]) {
        let name = try? blob.read("a public key") { reader throws(SSHError) in
            let name = try reader.name()
            if let fields = Self.fieldCounts[name] {
                for _ in 0..<fields {
                    guard unsafe !(try reader.string().isEmpty) else {
                        throw .malformed("a public key", "a field is empty")
                    }
                }
                try reader.end()
            }
            return name
        }
        guard let type = name else { return nil }
        let isCertificate = type.hasSuffix(Self.certificateSuffix)
        certificate = isCertificate ? try? Certificate(blob: blob) : nil
        if isCertificate, certificate == nil { return nil }
        self.blob = blob
        self.type = type
    }

    static func == (one: PublicKey, other: PublicKey) -> Bool { one.blob == other.blob }
    func hash(into hasher: inout Hasher) { hasher.combine(blob) }

    /// The key by itself, where this is a certificate.
    var plain: PublicKey { certificate.flatMap { PublicKey(blob: $0.plainKey) } ?? self }

    /// A line as in `id_ed25519.pub` and in known_hosts: type, base64, comment, parted by spaces or tabs. nil: the type
    /// that is declared is not the one in the blob, or it is not a key at all.
    init?(words: [ArraySlice<UInt8>]) {
        guard words.count >= 2, let blob = Base64.decode(words[1]) else { return nil }
        self.init(blob: blob)
        guard Array(type.utf8) == Array(words[0]) else { return nil }
    }

    private static let fieldCounts = [
        "ssh-ed25519": 1, "ssh-rsa": 2, "ssh-dss": 4, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2,
        "ecdsa-sha2-nistp521": 2, "sk-ssh-ed25519@openssh.com": 2, "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    ]

    /// As `ssh-keygen -l` prints it: SHA-256 of the blob, of a certificate's key, base64 without padding.
    var fingerprint: String {
        "SHA256:" + Base64.encode(SHA256.hash(data: certificate?.plainKey ?? blob), padded: false)
    }

    /// The word for people: `ED25519`, `RSA`, `ECDSA`, …
    var family: String {
        let base =
            switch plainType {
            case "ssh-ed25519": "ED25519"
            case "ssh-rsa": "RSA"
            case "ssh-dss": "DSA"
            case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521": "ECDSA"
            case "sk-ssh-ed25519@openssh.com": "ED25519-SK"
            case "sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK"
            default: type
            }
        return isCertificate ? base + "-CERT" : base
    }

    var isCertificate: Bool { certificate != nil }
    /// Whose private part is in a device (OpenSSH's PROTOCOL.u2f).
    var isHardware: Bool { type.hasPrefix("sk-") }
    private static let certificateSuffix = "-cert-v01@openssh.com"

    /// The type of the key inside a certificate (PROTOCOL.certkeys); of a plain key its own.
    var plainType: String { SignatureAlgorithm.signatureName(type) }

    /// Host key algorithms that prove possession of a key of this type, best first (RFC 8332 §3 for RSA).
    static func algorithms(ofType type: String) -> [String] {
        type == "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type]
    }

    /// Of an RSA key, or a certificate of one, the length of its modulus; nil: it is another.
    var rsaBits: Int? {
        guard plainType == "ssh-rsa" else { return nil }
        return try? plain.blob.read("an RSA key") { reader throws(SSHError) in
            _ = unsafe try reader.string()
            _ = unsafe try reader.string()
            let modulus = unsafe try reader.string().drop { $0 == 0 }
            return unsafe modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
        }
    }

    /// `ED25519 SHA256:…`
    var described: String { "\(family) \(fingerprint)" }
}

extension Collection where Element == UInt8 {
    /// Cut at spaces and tabs alone: what Unicode calls white space is none in OpenSSH's files.
    func words() -> [SubSequence] {
        split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }
}
