/// The messages that a client sends (RFC 4252 §5, §7, §8; RFC 4256 §3.1, §3.4). Some carry a password, so all of them are
/// made in the memory of a `Secret`.
///
/// nil wherever a message is longer than a packet's payload may be.
enum UserAuthRequest {
    /// RFC 4253 §6.1: what every peer takes, bytes.
    static let maximumLength = 32 * 1024
    /// What is asked for after the login (RFC 4252 §5).
    static let service: StaticString = "ssh-connection"

    static func none(user: String) -> Secret? {
        message(user, "none", extra: 0) { _ in }
    }

    static func password(_ password: Secret, user: String) -> Secret? {
        message(user, "password", extra: 5 + password.count) { writer in
            writer.boolean(false)
            unsafe password.withBytes { unsafe writer.string($0) }
        }
    }

    static func keyboardInteractive(user: String) -> Secret? {
        message(user, "keyboard-interactive", extra: 8) { writer in
            writer.string("" as StaticString)
            writer.string("" as StaticString)
        }
    }

    /// Asks whether a signature of this key would be taken.
    static func probe(user: String, algorithm: String, key: [UInt8]) -> Secret? {
        message(user, "publickey", extra: 9 + algorithm.utf8.count + key.count) { writer in
            writer.boolean(false)
            writer.string(algorithm)
            unsafe key.withUnsafeBytes { unsafe writer.string($0) }
        }
    }

    /// What a signature is made over: the session id, then the request up to the signature (RFC 4252 §7). `hostKey`: the
    /// server's, where it takes requests that name it (OpenSSH's PROTOCOL §3.1).
    static func signedData(
        sessionID: [UInt8], user: String, algorithm: String, key: [UInt8], hostKey: [UInt8]? = nil
    ) -> Secret? {
        let extra = 9 + algorithm.utf8.count + key.count + (hostKey.map { 4 + $0.count } ?? 0)
        return message(user, method(hostKey), after: sessionID, extra: extra) { writer in
            writeKey(algorithm, key, hostKey, &writer)
        }
    }

    /// The request that logs in with a key. `signature` is a blob of RFC 4253 §6.6.
    static func publicKey(
        user: String, algorithm: String, key: [UInt8], hostKey: [UInt8]? = nil, signature: [UInt8]
    ) -> Secret? {
        let extra = 13 + algorithm.utf8.count + key.count + (hostKey.map { 4 + $0.count } ?? 0) + signature.count
        return message(user, method(hostKey), extra: extra) { writer in
            writeKey(algorithm, key, hostKey, &writer)
            unsafe signature.withUnsafeBytes { unsafe writer.string($0) }
        }
    }

    private static func method(_ hostKey: [UInt8]?) -> StaticString {
        hostKey == nil ? "publickey" : LoginData.hostBound
    }

    private static func writeKey(
        _ algorithm: String, _ key: [UInt8], _ hostKey: [UInt8]?, _ writer: inout WireWriter
    ) {
        writer.boolean(true)
        writer.string(algorithm)
        unsafe key.withUnsafeBytes { unsafe writer.string($0) }
        if let hostKey { unsafe hostKey.withUnsafeBytes { unsafe writer.string($0) } }
    }

    /// SSH_MSG_USERAUTH_INFO_RESPONSE.
    static func infoResponse(_ answers: [Secret]) -> Secret? {
        made(answers.reduce(5) { $0 + 4 + $1.count }) { writer in
            writer.byte(UserAuthNumber.infoResponse)
            writer.uint32(UInt32(answers.count))
            for answer in answers { unsafe answer.withBytes { unsafe writer.string($0) } }
        }
    }

    private static func message(
        _ user: String, _ method: StaticString, after sessionID: [UInt8]? = nil, extra: Int,
        _ fields: (inout WireWriter) -> Void
    ) -> Secret? {
        let lead = sessionID.map { 4 + $0.count } ?? 0
        return made(lead + 13 + user.utf8.count + service.utf8CodeUnitCount + method.utf8CodeUnitCount + extra) {
            writer in
            if let sessionID { unsafe sessionID.withUnsafeBytes { unsafe writer.string($0) } }
            writer.byte(UserAuthNumber.request)
            writer.string(user)
            writer.string(service)
            writer.string(method)
            fields(&writer)
        }
    }

    private static func made(_ length: Int, _ write: (inout WireWriter) -> Void) -> Secret? {
        guard length <= maximumLength else { return nil }
        return unsafe Secret(capacity: length) { memory in
            // A mapping always has a base.
            var writer = unsafe WireWriter(start: memory.baseAddress!, capacity: length)
            write(&writer)
            precondition(writer.count == length, "the length of a message is known before it is written")
            return length
        }
    }
}
