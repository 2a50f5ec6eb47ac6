internal import CCrypto

/// A name as known_hosts hides it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): `|1|salt|code`, HMAC-SHA1 of the name under the
/// salt, both in base64. A file may have millions, so nothing is allocated here.
public enum HashedName {
    private static let opening = Array("|1|".utf8)
    /// Of salt and code, bytes; and of their text, with the padding.
    private static let length = 20
    private static let textLength = 28

    /// Whether a line that begins so hides one of these names. nil: it is not in the form that ssh-keygen writes, and must be
    /// looked at otherwise.
    public static func isOne(of names: [[UInt8]], _ line: UnsafeRawBufferPointer) -> Bool? {
        let codeStart = opening.count + textLength + 1
        guard line.count > codeStart + textLength, unsafe line.starts(with: opening),
            unsafe line[codeStart - 1] == UInt8(ascii: "|"),
            unsafe [UInt8(ascii: " "), UInt8(ascii: "\t")].contains(line[codeStart + textLength])
        else { return nil }
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * length) { room -> Bool? in
            let base = room.baseAddress!
            let (salt, code, found) = unsafe (base, base + length, base + 2 * length)
            guard unsafe decode(line, from: opening.count, to: salt), unsafe decode(line, from: codeStart, to: code)
            else {
                return nil
            }
            for name in names {
                unsafe name.withUnsafeBufferPointer {
                    unsafe culvert_hmac_sha1(salt, $0.baseAddress, $0.count, found)
                }
                if (0..<length).allSatisfy({ unsafe found[$0] == code[$0] }) { return true }
            }
            return false
        }
    }

    private static func decode(
        _ line: UnsafeRawBufferPointer, from start: Int, to bytes: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        var decoder = Base64.Decoder()
        var count = 0
        for place in start..<(start + textLength) {
            switch unsafe decoder.take(line[place]) {
            case .nothing: break
            case .refused: return false
            case .byte(let byte):
                guard count < length else { return false }
                unsafe bytes[count] = byte
                count += 1
            }
        }
        return count == length && decoder.isWhole
    }
}
