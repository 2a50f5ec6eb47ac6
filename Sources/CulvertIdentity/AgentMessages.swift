internal import CulvertSSH

/// A key that the agent holds. The comment is the agent's word: not safe to show as it is.
struct AgentKey: Hashable, Sendable {
    let key: PublicKey
    let comment: [UInt8]

    /// For messages.
    var described: String { "agent key \(PeerText(comment)) (\(key.described))" }
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
        var writer = WireBytes()
        writer.byte(signRequest)
        writer.string(key.blob)
        writer.string(data)
        writer.uint32(flags)
        return writer.bytes
    }

    /// OpenSSH's PROTOCOL.agent §1: tells the agent which connection the coming signatures are for.
    static func bind(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8], forwarding: Bool) -> [UInt8] {
        var writer = WireBytes()
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
        try? payload.read("the agent's list of keys") { reader throws(SSHError) in
            guard try reader.byte() == identitiesAnswer else {
                throw .malformed("the agent's list of keys", "it is none")
            }
            // Each key takes 8 bytes at least, so a false count ends the loop and reserves nothing.
            var keys: [AgentKey] = []
            for _ in 0..<(try reader.uint32()) {
                let blob = try reader.bytes()
                let comment = try reader.bytes()
                if let key = PublicKey(blob: blob) { keys.append(AgentKey(key: key, comment: comment)) }
            }
            try reader.end()
            return keys
        }
    }

    /// The signature blob, once it is known to be one of the wanted algorithm (RFC 4253 §6.6, RFC 8332 §3).
    enum Signature: Hashable {
        case blob([UInt8])
        case otherAlgorithm(String)
        case malformed
    }

    static func signature(_ payload: [UInt8], algorithm: String) -> Signature {
        let blob = try? payload.read("the agent's signature") { reader throws(SSHError) in
            guard try reader.byte() == signResponse else { throw .malformed("the agent's signature", "it is none") }
            let blob = try reader.bytes()
            try reader.end()
            return blob
        }
        let name = try? blob?.read("the agent's signature") { reader throws(SSHError) in
            let name = try reader.name()
            guard unsafe !(try reader.string().isEmpty) else {
                throw .malformed("the agent's signature", "it is empty")
            }
            return name
        }
        guard let blob, let name else { return .malformed }
        return name == algorithm ? .blob(blob) : .otherAlgorithm(name)
    }
}
