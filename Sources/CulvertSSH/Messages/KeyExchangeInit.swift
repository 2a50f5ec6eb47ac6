/// SSH_MSG_KEXINIT (RFC 4253 §7.1).
struct KeyExchangeInit: Equatable {
    static let cookieLength = 16

    var keyExchange: [String] = []
    var hostKey: [String] = []
    var ciphersClientToServer: [String] = []
    var ciphersServerToClient: [String] = []
    var macsClientToServer: [String] = []
    var macsServerToClient: [String] = []
    var compressionClientToServer = ["none"]
    var compressionServerToClient = ["none"]
    var firstPacketFollows = false

    init() {}

    /// `reader`: behind the message number. Lists may be empty; the longest packet bounds them all.
    init(_ reader: consuming WireReader) throws(SSHError) {
        for _ in 0..<Self.cookieLength { _ = try reader.byte() }
        keyExchange = try Self.names(&reader)
        hostKey = try Self.names(&reader)
        ciphersClientToServer = try Self.names(&reader)
        ciphersServerToClient = try Self.names(&reader)
        macsClientToServer = try Self.names(&reader)
        macsServerToClient = try Self.names(&reader)
        compressionClientToServer = try Self.names(&reader)
        compressionServerToClient = try Self.names(&reader)
        // Languages are of no use to a program.
        _ = unsafe try reader.string()
        _ = unsafe try reader.string()
        firstPacketFollows = try reader.boolean()
        _ = try reader.uint32()
        try reader.end()
    }

    /// A name-list (RFC 4251 §5); "" is the empty list.
    private static func names(_ reader: inout WireReader) throws(SSHError) -> [String] {
        let bytes = unsafe try reader.string()
        return unsafe bytes.split(separator: UInt8(ascii: ",")).map { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// The message, number included.
    func bytes(cookie: [UInt8]) -> [UInt8] {
        precondition(cookie.count == Self.cookieLength, "a cookie has 16 bytes")
        var message = WireBytes()
        message.byte(MessageNumber.keyExchangeInit)
        message.raw(cookie)
        for list in [
            keyExchange, hostKey, ciphersClientToServer, ciphersServerToClient, macsClientToServer,
            macsServerToClient, compressionClientToServer, compressionServerToClient, [], [],
        ] {
            message.string(list.joined(separator: ","))
        }
        message.byte(firstPacketFollows ? 1 : 0)
        message.uint32(0)
        return message.bytes
    }
}
