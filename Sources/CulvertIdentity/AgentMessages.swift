/// A key that the agent holds. The comment is the agent's word: not safe to show as it is.
struct AgentKey: Hashable, Sendable {
    let key: PublicKey
    let comment: [UInt8]
}

/// Requests and answers of the agent protocol (RFC 9987 §3), as payloads without their length.
enum AgentMessages {
    static let failure: UInt8 = 5
    static let success: UInt8 = 6
    static let requestIdentities: UInt8 = 11
    static let identitiesAnswer: UInt8 = 12
    static let signRequest: UInt8 = 13
    static let signResponse: UInt8 = 14
    static let extensionRequest: UInt8 = 27

    /// The limit of OpenSSH's agent and client: a longer frame is a mistake or an attack.
    static let maximumLength = 256 * 1024

    /// Signature flags (RFC 9987 §3.6.1).
    static let rsaSHA256: UInt32 = 2
    static let rsaSHA512: UInt32 = 4

    static func sign(_ key: PublicKey, data: [UInt8], flags: UInt32) -> [UInt8] {
        var writer = WireWriter()
        writer.byte(signRequest)
        writer.string(key.blob)
        writer.string(data)
        writer.uint32(flags)
        return writer.bytes
    }

    /// OpenSSH's PROTOCOL.agent §1: tells the agent which connection the coming signatures are for.
    static func bind(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8], forwarding: Bool) -> [UInt8] {
        var writer = WireWriter()
        writer.byte(extensionRequest)
        writer.string("session-bind@openssh.com".utf8)
        writer.string(hostKey)
        writer.string(sessionID)
        writer.string(signature)
        writer.byte(forwarding ? 1 : 0)
        return writer.bytes
    }

    /// nil: not an answer to `requestIdentities`. Keys of a form not known here are left out.
    static func identities(_ payload: [UInt8]) -> [AgentKey]? {
        var reader = WireReader(payload)
        guard reader.byte() == identitiesAnswer, let count = reader.uint32() else { return nil }
        // Each key takes 8 bytes at least, so a false count ends the loop and reserves nothing.
        var keys: [AgentKey] = []
        for _ in 0..<count {
            guard let blob = reader.string(), let comment = reader.string() else { return nil }
            if let key = PublicKey(blob: blob) { keys.append(AgentKey(key: key, comment: comment)) }
        }
        return reader.remaining == 0 ? keys : nil
    }

    /// The signature blob, once it is known to be one of the wanted algorithm (RFC 4253 §6.6, RFC 8332 §3).
    enum Signature: Hashable {
        case blob([UInt8])
        case otherAlgorithm(String)
        case malformed
    }

    static func signature(_ payload: [UInt8], algorithm: String) -> Signature {
        var reader = WireReader(payload)
        guard reader.byte() == signResponse, let blob = reader.string(), reader.remaining == 0 else {
            return .malformed
        }
        var fields = WireReader(blob)
        guard let name = fields.name(), let value = fields.string(), !value.isEmpty else { return .malformed }
        return name == algorithm ? .blob(blob) : .otherAlgorithm(name)
    }

    /// The algorithm that the data to be signed names (RFC 4252 §7): session id, 50, user, service, method, TRUE,
    /// algorithm, key. nil: this is not a login's data, and nothing else is ever signed here.
    static func algorithm(inLoginData data: [UInt8], key: PublicKey) -> String? {
        var reader = WireReader(data)
        guard reader.string() != nil, reader.byte() == 50, reader.string() != nil, reader.string() != nil,
            reader.name() == "publickey", reader.byte() == 1, let algorithm = reader.name(),
            reader.string() == key.blob, reader.remaining == 0
        else { return nil }
        return algorithm
    }
}
