internal import Crypto
internal import CulvertPlan
internal import CulvertSSH

/// The host field of a known_hosts line (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): a comma list of patterns, or one name
/// hashed with HMAC-SHA1.
enum HostList: Hashable, Sendable {
    case patterns([UInt8])
    case hashed(salt: [UInt8], code: [UInt8])

    /// nil: hashed, but not as `|1|salt|code`, both base64 of 20 bytes or more.
    init?(_ field: ArraySlice<UInt8>) {
        guard field.first == UInt8(ascii: "|") else {
            self = .patterns(Array(field))
            return
        }
        let parts = field.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard parts.count == 4, parts[1].elementsEqual("1".utf8), let salt = Base64.decode(parts[2]), !salt.isEmpty,
            let code = Base64.decode(parts[3]), code.count == Insecure.SHA1.byteCount
        else { return nil }
        self = .hashed(salt: salt, code: code)
    }

    /// The name to write, hashed so that the file does not tell where its owner goes.
    static func hashing(_ name: String, salt: [UInt8]) -> HostList {
        .hashed(salt: salt, code: code(of: name, salt: salt))
    }

    /// Whether the line is about `name` (lower case, `[host]:port` unless the port is 22). A pattern with `!` that
    /// matches takes the whole line out, wherever it stands in the list.
    func matches(_ name: String) -> Bool {
        switch self {
        case .hashed(let salt, let code):
            return Self.code(of: name, salt: salt) == code
        case .patterns(let list):
            let name = Array(name.utf8)
            var found = false
            for pattern in list.split(separator: UInt8(ascii: ",")) {
                if pattern.first == UInt8(ascii: "!") {
                    if Self.matches(name, pattern: pattern.dropFirst()) { return false }
                } else if !found {
                    found = Self.matches(name, pattern: pattern)
                }
            }
            return found
        }
    }

    /// As it stands in the file.
    var text: String {
        switch self {
        case .patterns(let list): String(decoding: list, as: UTF8.self)
        case .hashed(let salt, let code): "|1|\(Base64.encode(salt))|\(Base64.encode(code))"
        }
    }

    private static func code(of name: String, salt: [UInt8]) -> [UInt8] {
        Array(HMAC<Insecure.SHA1>.authenticationCode(for: Array(name.utf8), using: SymmetricKey(data: salt)))
    }

    /// Letters without case.
    static func matches(_ name: [UInt8], pattern: some Collection<UInt8>) -> Bool {
        Wildcard.matches(name.map(lowercased), pattern: pattern.map(lowercased))
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte + 32 : byte
    }
}
