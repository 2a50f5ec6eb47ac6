internal import Crypto
internal import CulvertSSH

/// A key revocation list (OpenSSH's PROTOCOL.krl), read for one key: nothing of it is kept, and every byte is checked, since
/// a list that cannot be read whole revokes nothing for sure.
///
/// Signatures in it (section 6) are passed over, as OpenSSH 9.4 and later do: a file here is trusted for its place.
struct KeyRevocationList {
    /// Why it is none: in words that follow the file's name.
    struct Malformed: Error, Equatable {
        let why: String
        init(_ why: String) { self.why = why }
    }

    private static let magic = Array("SSHKRL\n\0".utf8)
    private static let version: UInt32 = 1

    /// A file that begins so is a list of this form, whatever follows.
    static func isOne(_ contents: [UInt8]) -> Bool { contents.starts(with: magic) }

    private enum Section {
        static let certificates: UInt8 = 1
        static let explicitKey: UInt8 = 2
        static let sha1: UInt8 = 3
        static let signature: UInt8 = 4
        static let sha256: UInt8 = 5
        static let extended: UInt8 = 255
    }

    /// Whether the list revokes a key: itself, the key in it where it is a certificate, that certificate, or the authority that
    /// signed it.
    static func revokes(_ key: PublicKey, _ contents: [UInt8]) throws(Malformed) -> Bool {
        if try read(contents, RevocationSubject(key)) { return true }
        guard let authority = key.certificate.flatMap({ PublicKey(blob: $0.authority) }) else { return false }
        return try read(contents, RevocationSubject(authority))
    }

    /// From section to section; `subject` says what each has of the key.
    private static func read(_ contents: [UInt8], _ subject: RevocationSubject) throws(Malformed) -> Bool {
        do throws(SSHError) {
            return try contents.read("a key revocation list") { reader throws(SSHError) in
                guard unsafe try reader.raw(magic.count).elementsEqual(magic) else {
                    throw .malformed("a key revocation list", "it does not begin as one")
                }
                let version = try reader.uint32()
                guard version == Self.version else {
                    throw .malformed("a key revocation list", "its version is \(version)")
                }
                // Its number, date and flags; then a reserved field and a comment.
                for _ in 0..<3 { _ = try reader.uint64() }
                _ = unsafe try reader.string()
                _ = try reader.text()
                var isRevoked = false
                while reader.remaining > 0 {
                    let type = try reader.byte()
                    let section = try reader.bytes()
                    switch type {
                    case Section.certificates: isRevoked = try subject.isCertificate(in: section) || isRevoked
                    case Section.explicitKey: isRevoked = try section.has(subject.blob, length: nil) || isRevoked
                    case Section.sha1: isRevoked = try section.has(subject.sha1, length: 20) || isRevoked
                    case Section.sha256: isRevoked = try section.has(subject.sha256, length: 32) || isRevoked
                    case Section.extended: try section.readExtension()
                    case Section.signature: _ = unsafe try reader.string()
                    default: throw .malformed("a key revocation list", "it has a section of the unknown type \(type)")
                    }
                }
                return isRevoked
            }
        } catch {
            throw Malformed(error.description)
        }
    }
}

/// The key that a list is read for, in the forms in which one can be revoked.
private struct RevocationSubject {
    let key: PublicKey
    /// Of the key itself, also where it is a certificate.
    let blob: [UInt8]
    let sha1: [UInt8]
    let sha256: [UInt8]

    init(_ key: PublicKey) {
        self.key = key
        blob = key.plain.blob
        sha1 = Array(Insecure.SHA1.hash(data: blob))
        sha256 = Array(SHA256.hash(data: blob))
    }

    private enum Section {
        static let serials: UInt8 = 0x20
        static let range: UInt8 = 0x21
        static let bitmap: UInt8 = 0x22
        static let keyID: UInt8 = 0x23
        static let extended: UInt8 = 0x39
    }

    /// Section 2: certificates of one authority, or of all.
    func isCertificate(in section: [UInt8]) throws(SSHError) -> Bool {
        try section.read("a list's section of certificates") { reader throws(SSHError) in
            let authority = try reader.bytes()
            _ = unsafe try reader.string()
            if !authority.isEmpty, PublicKey(blob: authority) == nil {
                throw .malformed("a list's section of certificates", "its authority is no key")
            }
            let certificate = key.certificate.flatMap {
                authority.isEmpty || authority == $0.authority ? $0 : nil
            }
            var isRevoked = false
            while reader.remaining > 0 {
                let type = try reader.byte()
                let part = try reader.bytes()
                let found: Bool
                switch type {
                case Section.serials: found = try part.hasSerial(certificate?.serial)
                case Section.range: found = try part.rangeHasSerial(certificate?.serial)
                case Section.bitmap: found = try part.bitmapHasSerial(certificate?.serial)
                case Section.keyID: found = try part.hasText(certificate?.keyID)
                case Section.extended:
                    try part.readExtension()
                    found = false
                default:
                    throw .malformed("a list's section of certificates", "it has a part of the unknown type \(type)")
                }
                isRevoked = isRevoked || found
            }
            return isRevoked
        }
    }
}

extension WireReader {
    /// Text without a NUL in it, as the fields that OpenSSH reads as C strings; one at its end is its own.
    fileprivate mutating func text() throws(SSHError) -> [UInt8] {
        var bytes = try bytes()
        if bytes.last == 0 { bytes.removeLast() }
        guard !bytes.contains(0) else { throw .malformed("a key revocation list", "a text has a NUL in it") }
        return bytes
    }
}

/// The parts of a list, each of which may be empty where that is possible at all.
extension [UInt8] {
    private func parts(_ body: (inout WireReader) throws(SSHError) -> Void) throws(SSHError) {
        guard !isEmpty else { return }
        try read("a part of a key revocation list") { reader throws(SSHError) in
            while reader.remaining > 0 { try body(&reader) }
        }
    }

    /// A run of strings, of one length where that is given.
    fileprivate func has(_ wanted: [UInt8], length: Int?) throws(SSHError) -> Bool {
        var isFound = false
        try parts { reader throws(SSHError) in
            let one = unsafe try reader.string()
            if let length, one.count != length {
                throw .malformed("a key revocation list", "a hash in it has \(one.count) bytes")
            }
            isFound = unsafe isFound || one.elementsEqual(wanted)
        }
        return isFound
    }

    fileprivate func hasText(_ wanted: [UInt8]?) throws(SSHError) -> Bool {
        var isFound = false
        try parts { reader throws(SSHError) in isFound = try reader.text() == wanted || isFound }
        return isFound
    }

    /// 0 is no number of a certificate's: authorities that number none give it.
    private static var noSerial: SSHError { .malformed("a key revocation list", "it revokes the serial number 0") }

    fileprivate func hasSerial(_ serial: UInt64?) throws(SSHError) -> Bool {
        var isFound = false
        try parts { reader throws(SSHError) in
            let one = try reader.uint64()
            if one == 0 { throw Self.noSerial }
            isFound = isFound || one == serial
        }
        return isFound
    }

    fileprivate func rangeHasSerial(_ serial: UInt64?) throws(SSHError) -> Bool {
        try read("a range of serial numbers") { reader throws(SSHError) in
            let low = try reader.uint64()
            let high = try reader.uint64()
            try reader.end()
            if low == 0 { throw Self.noSerial }
            guard low <= high else { throw .malformed("a range of serial numbers", "its end is before its beginning") }
            return serial.map { low...high ~= $0 } ?? false
        }
    }

    /// The longest number that OpenSSH reads, bytes.
    private static var longestBitmap: Int { 16_384 / 8 }

    /// Bit N of a number stands for the serial number `offset` + N.
    fileprivate func bitmapHasSerial(_ serial: UInt64?) throws(SSHError) -> Bool {
        try read("a bitmap of serial numbers") { reader throws(SSHError) in
            let offset = try reader.uint64()
            var number = try reader.bytes()[...]
            try reader.end()
            guard number.first.map({ $0 < 0x80 }) ?? true else {
                throw .malformed("a bitmap of serial numbers", "it is negative")
            }
            number = number.drop { $0 == 0 }
            guard number.count <= Self.longestBitmap else {
                throw .malformed("a bitmap of serial numbers", "it has \(number.count) bytes")
            }
            guard let first = number.first, let last = number.last else { return false }
            let bits = UInt64(number.count * 8 - first.leadingZeroBitCount)
            guard !offset.addingReportingOverflow(bits - 1).overflow else {
                throw .malformed("a bitmap of serial numbers", "it goes beyond the last number")
            }
            if offset == 0, last & 1 == 1 { throw Self.noSerial }
            guard let serial, serial >= offset, serial - offset < bits else { return false }
            let place = Int(serial - offset)
            return number[number.endIndex - 1 - place / 8] >> (place % 8) & 1 == 1
        }
    }

    /// Of none of which anything is known here (section 5).
    fileprivate func readExtension() throws(SSHError) {
        try read("an extension of a key revocation list") { reader throws(SSHError) in
            let name = try reader.text()
            let isCritical = try reader.byte() != 0
            _ = unsafe try reader.string()
            try reader.end()
            if isCritical {
                throw .malformed(
                    "a key revocation list", "it has the critical extension \(PeerText(name)), which is unknown here")
            }
        }
    }
}
