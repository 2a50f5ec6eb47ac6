/// SSH_MSG_EXT_INFO (RFC 8308 §2.3): what the peer can do beyond the RFCs. Unknown extensions are passed over.
struct ExtensionInfo: Equatable {
    /// More than these nobody has; who sends more wants to keep us busy.
    static let maximumCount = 1024

    static let serverSignatureAlgorithms: StaticString = "server-sig-algs"
    static let ping: StaticString = "ping@openssh.com"
    static let hostBound: StaticString = "publickey-hostbound@openssh.com"

    /// RFC 8308 §3.1: with which algorithms the server takes signatures of users.
    var signatureAlgorithms: [String]?
    /// It answers SSH2_MSG_PING (OpenSSH's PROTOCOL §1.8).
    var answersPing = false
    /// It takes logins that name its host key (OpenSSH's PROTOCOL §3.1).
    var takesHostBound = false

    init() {}

    init(_ reader: consuming WireReader) throws(SSHError) {
        let count = try reader.uint32()
        guard count <= Self.maximumCount else {
            throw .malformed("SSH_MSG_EXT_INFO", "it claims \(count) extensions")
        }
        for _ in 0..<count {
            let name = unsafe try reader.string()
            let value = unsafe try reader.string()
            if unsafe ProtocolName.matches(name, Self.serverSignatureAlgorithms) {
                signatureAlgorithms = unsafe value.split(separator: UInt8(ascii: ",")).map {
                    unsafe String(decoding: $0, as: UTF8.self)
                }
            } else if unsafe ProtocolName.matches(name, Self.ping) {
                answersPing = unsafe value.elementsEqual([UInt8(ascii: "0")])
            } else if unsafe ProtocolName.matches(name, Self.hostBound) {
                takesHostBound = unsafe value.elementsEqual([UInt8(ascii: "0")])
            }
        }
        try reader.end()
    }

    /// The message, number included.
    var bytes: [UInt8] {
        var message = WireBytes()
        message.byte(MessageNumber.extInfo)
        message.uint32((signatureAlgorithms == nil ? 0 : 1) + (answersPing ? 1 : 0) + (takesHostBound ? 1 : 0))
        if let signatureAlgorithms {
            message.string("\(Self.serverSignatureAlgorithms)")
            message.string(signatureAlgorithms.joined(separator: ","))
        }
        if answersPing {
            message.string("\(Self.ping)")
            message.string("0")
        }
        if takesHostBound {
            message.string("\(Self.hostBound)")
            message.string("0")
        }
        return message.bytes
    }
}
