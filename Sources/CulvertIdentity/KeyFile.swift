internal import CulvertSSH

/// What a key file is, told from its contents alone, before any passphrase: which format, encrypted or not, and the
/// public key where the format shows it.
struct KeyFile: Hashable, Sendable {
    enum Format: Hashable, Sendable {
        case openSSH(cipher: String)
        case pem(encrypted: Bool)
        /// A `.pub` line: its private key is in the agent or nowhere.
        case publicOnly
        /// What belongs to a hardware key, which an agent asks to sign, or a helper.
        case hardware(cipher: String)
    }

    let format: Format
    /// nil: a PEM file does not show it.
    let publicKey: PublicKey?

    var isEncrypted: Bool {
        switch format {
        case .openSSH(let cipher), .hardware(let cipher): cipher != "none"
        case .pem(let encrypted): encrypted
        case .publicOnly: false
        }
    }

    /// Why a file cannot be used, in words that follow its name.
    struct Unusable: Error, Hashable { let why: String }

    init(_ contents: [UInt8]) throws(Unusable) {
        var lines = contents.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }[...]
        guard let first = lines.firstIndex(where: { $0.starts(with: "-----BEGIN ".utf8) }) else {
            if contents.starts(with: "PuTTY-User-Key-File-".utf8) {
                throw Unusable(why: "in PuTTY's format; `puttygen FILE -O private-openssh-new -o NEW` converts it")
            }
            guard let key = Self.publicLine(contents) else { throw Unusable(why: "not a private key") }
            format = .publicOnly
            publicKey = key
            return
        }
        lines = lines[(lines.firstIndex { $0.starts(with: "-----BEGIN ".utf8) && Self.isPrivate($0) } ?? first)...]
        let title = Self.title(lines[lines.startIndex])
        let body = lines.dropFirst()
        guard let end = body.firstIndex(where: { $0.starts(with: "-----END ".utf8) }) else {
            throw Unusable(why: "cut short: it has no END line")
        }
        switch title {
        case "OPENSSH PRIVATE KEY-----":
            (format, publicKey) = try Self.readOpenSSH(body[..<end])
        case "RSA PRIVATE KEY-----", "EC PRIVATE KEY-----", "DSA PRIVATE KEY-----":
            // RFC 1421 §4.6.1.1
            let encrypted = body[..<end].contains {
                $0.starts(with: "Proc-Type:".utf8) && String(decoding: $0, as: UTF8.self).hasSuffix("ENCRYPTED")
            }
            (format, publicKey) = (.pem(encrypted: encrypted), nil)
        case "PRIVATE KEY-----":
            (format, publicKey) = (.pem(encrypted: false), nil)
        case "ENCRYPTED PRIVATE KEY-----":
            (format, publicKey) = (.pem(encrypted: true), nil)
        default:
            throw Unusable(why: "not a private key but a \(PeerText(title.replacingDashes()))")
        }
    }

    /// Of a BEGIN line, with the dashes behind it.
    private static func title(_ line: ArraySlice<UInt8>) -> String {
        String(decoding: line.dropFirst(11), as: UTF8.self)
    }

    /// Other things may stand in front, as in what libcrypto reads: the parameters of an EC key, a certificate.
    private static func isPrivate(_ line: ArraySlice<UInt8>) -> Bool { title(line).hasSuffix("PRIVATE KEY-----") }

    /// The first line that is a public key, as in `id_ed25519.pub`.
    static func publicLine(_ contents: [UInt8]) -> PublicKey? {
        for line in contents.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            let words = line.words()
            guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
            return PublicKey(words: words)
        }
        return nil
    }

    /// OpenSSH's PROTOCOL.key: magic, cipher, kdf, options, number of keys (always 1), public key, private section.
    private static func readOpenSSH(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(Unusable) -> (Format, PublicKey) {
        var text: [UInt8] = []
        text.reserveCapacity(lines.reduce(0) { $0 + $1.count })
        for line in lines { text.append(contentsOf: line) }
        defer { text.wipe() }
        guard var decoded = Base64.decode(text) else { throw Unusable(why: "damaged: its base64 does not decode") }
        defer { decoded.wipe() }
        return try readOpenSSHHeader(decoded)
    }

    private static func readOpenSSHHeader(_ decoded: [UInt8]) throws(Unusable) -> (Format, PublicKey) {
        let header = try? decoded.read("a key file") { reader throws(SSHError) in
            let magic = unsafe try reader.raw(15)
            guard unsafe magic.elementsEqual("openssh-key-v1\0".utf8) else {
                throw .malformed("a key file", "its magic is")
            }
            let cipher = try reader.name()
            _ = try reader.name()
            _ = unsafe try reader.string()
            guard try reader.uint32() == 1 else { throw .malformed("a key file", "it has not one key") }
            let blob = try reader.bytes()
            let length = Int(try reader.uint32())
            guard length > 0, length <= reader.remaining else { throw .malformed("a key file", "it is cut short") }
            return (cipher: cipher, blob: blob)
        }
        guard let header, let key = PublicKey(blob: header.blob) else {
            throw Unusable(why: "damaged: not as openssh-key-v1 lays it out")
        }
        return (key.isHardware ? .hardware(cipher: header.cipher) : .openSSH(cipher: header.cipher), key)
    }
}

extension String {
    fileprivate func replacingDashes() -> String {
        String(trimmingSuffix { $0 == "-" })
    }

    private func trimmingSuffix(while matches: (Character) -> Bool) -> Substring {
        var rest = self[...]
        while let last = rest.last, matches(last) { rest.removeLast() }
        return rest
    }
}
