/// SSH_MSG_KEX_ECDH_INIT (RFC 5656 §7.1): the client's part. SSH_MSG_KEXDH_INIT (RFC 4253 §8) and
/// SSH_MSG_KEX_DH_GEX_INIT (RFC 4419 §3) are the same with e, as an `mpint` has it behind its length.
struct KeyExchangeClientPart {
    let part: [UInt8]

    init(_ reader: consuming WireReader) throws(SSHError) {
        part = unsafe Array(try reader.string())
        try reader.end()
    }

    /// `number`: the method's.
    static func bytes(_ part: [UInt8], number: UInt8) -> [UInt8] {
        var message = WireBytes()
        message.byte(number)
        message.string(part)
        return message.bytes
    }
}

/// SSH_MSG_KEX_ECDH_REPLY (RFC 5656 §7.1): the server's host key, its part, and its signature over the exchange.
/// SSH_MSG_KEXDH_REPLY and SSH_MSG_KEX_DH_GEX_REPLY are the same with f.
struct KeyExchangeServerPart {
    let hostKey: [UInt8]
    let part: [UInt8]
    let signature: [UInt8]

    init(_ reader: consuming WireReader) throws(SSHError) {
        hostKey = unsafe Array(try reader.string())
        part = unsafe Array(try reader.string())
        signature = unsafe Array(try reader.string())
        try reader.end()
    }

    init(hostKey: [UInt8], part: [UInt8], signature: [UInt8]) {
        self.hostKey = hostKey
        self.part = part
        self.signature = signature
    }

    /// `number`: the method's.
    func bytes(number: UInt8) -> [UInt8] {
        var message = WireBytes()
        message.byte(number)
        message.string(hostKey)
        message.string(part)
        message.string(signature)
        return message.bytes
    }
}

/// SSH_MSG_SERVICE_REQUEST and SSH_MSG_SERVICE_ACCEPT (RFC 4253 §10).
enum ServiceMessage {
    static let userAuth = "ssh-userauth"

    static func bytes(_ number: UInt8, _ name: String) -> [UInt8] {
        var message = WireBytes()
        message.byte(number)
        message.string(name)
        return message.bytes
    }

    /// The name must be this one.
    static func check(_ reader: consuming WireReader, _ name: String) throws(SSHError) {
        let given = unsafe try reader.string()
        guard unsafe given.elementsEqual(name.utf8) else {
            throw unsafe .violation("the service \(PeerText(given)) was not asked for")
        }
        try reader.end()
    }
}
