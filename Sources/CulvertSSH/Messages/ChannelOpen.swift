/// SSH_MSG_CHANNEL_OPEN (RFC 4254 §5.1), with the type-specific part of the types that a tunnel knows.
struct ChannelOpen {
    /// What the peer asks for.
    enum Body {
        case request(ChannelOpenRequest)
        /// "session" (RFC 4254 §6.1): known, never granted.
        case session
        /// Nothing that we know.
        case unknownType
        /// Known, but no endpoint can be called so: a port above 65535, a name with a NUL or longer than
        /// `ChannelOpen.maximumText`.
        case impossible
    }

    /// Longest host name, address or path, bytes: DNS allows 255 and a Unix socket path 107, so this refuses nothing
    /// that works, and it bounds what a peer can make us keep for one channel.
    static let maximumText = 1024

    let sender: UInt32
    let window: UInt32
    let maximumPacket: UInt32
    let body: Body

    init(_ reader: consuming WireReader) throws(SSHError) {
        let type = unsafe try reader.string()
        sender = try reader.uint32()
        window = try reader.uint32()
        maximumPacket = try reader.uint32()
        if unsafe ProtocolName.matches(type, ProtocolName.directTCPIP) {
            body = try Self.tcpip(&reader) { .directTCPIP(host: $0, port: $1, originator: $2, originatorPort: $3) }
        } else if unsafe ProtocolName.matches(type, ProtocolName.forwardedTCPIP) {
            body = try Self.tcpip(&reader) {
                .forwardedTCPIP(address: $0, port: $1, originator: $2, originatorPort: $3)
            }
        } else if unsafe ProtocolName.matches(type, ProtocolName.directStreamLocal) {
            body = try Self.streamLocal(&reader, reservedCount: 2) { .directStreamLocal(path: $0) }
        } else if unsafe ProtocolName.matches(type, ProtocolName.forwardedStreamLocal) {
            body = try Self.streamLocal(&reader, reservedCount: 1) { .forwardedStreamLocal(path: $0) }
        } else if unsafe ProtocolName.matches(type, ProtocolName.session) {
            body = .session
        } else {
            body = .unknownType
        }
    }

    /// RFC 4254 §7.2, both types: where to, port, who came, port.
    private static func tcpip(
        _ reader: inout WireReader, _ make: (String, UInt16, String, UInt16) -> ChannelOpenRequest
    ) throws(SSHError) -> Body {
        let host = unsafe text(try reader.string())
        let port = UInt16(exactly: try reader.uint32())
        let originator = unsafe text(try reader.string())
        let originatorPort = UInt16(exactly: try reader.uint32())
        try reader.end()
        guard let host, let port, let originator, let originatorPort else { return .impossible }
        return .request(make(host, port, originator, originatorPort))
    }

    /// OpenSSH PROTOCOL §2.4: the path; then "reserved" string, and for the direct type a reserved uint32.
    private static func streamLocal(
        _ reader: inout WireReader, reservedCount: Int, _ make: (String) -> ChannelOpenRequest
    ) throws(SSHError) -> Body {
        let path = unsafe text(try reader.string())
        _ = unsafe try reader.string()
        if reservedCount == 2 { _ = try reader.uint32() }
        try reader.end()
        guard let path else { return .impossible }
        return .request(make(path))
    }

    /// nil: too long, not UTF-8 or with a NUL, so no name that can be dialled.
    static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard bytes.count <= maximumText, unsafe !bytes.contains(0) else { return nil }
        return unsafe String(validating: bytes, as: UTF8.self)
    }

    /// Whether the texts of a request are short enough to be sent.
    static func fits(_ request: ChannelOpenRequest) -> Bool {
        switch request {
        case .directTCPIP(let first, _, let second, _), .forwardedTCPIP(let first, _, let second, _):
            first.utf8.count <= maximumText && second.utf8.count <= maximumText
        case .directStreamLocal(let path), .forwardedStreamLocal(let path):
            path.utf8.count <= maximumText
        }
    }

    /// RFC 4254 §6.1.
    static func writeSession(sender: UInt32, window: UInt32, maximumPacket: UInt32, to writer: inout WireWriter) {
        begin(ProtocolName.session, sender, window, maximumPacket, &writer)
    }

    private static func begin(
        _ type: StaticString, _ sender: UInt32, _ window: UInt32, _ maximumPacket: UInt32, _ writer: inout WireWriter
    ) {
        writer.byte(MessageNumber.channelOpen)
        writer.string(type)
        writer.uint32(sender)
        writer.uint32(window)
        writer.uint32(maximumPacket)
    }

    static func write(
        _ request: ChannelOpenRequest, sender: UInt32, window: UInt32, maximumPacket: UInt32,
        to writer: inout WireWriter
    ) {
        func begin(_ type: StaticString, _ writer: inout WireWriter) {
            Self.begin(type, sender, window, maximumPacket, &writer)
        }
        switch request {
        case .directTCPIP(let host, let port, let originator, let originatorPort):
            begin(ProtocolName.directTCPIP, &writer)
            writeTCPIP(host, port, originator, originatorPort, &writer)
        case .forwardedTCPIP(let address, let port, let originator, let originatorPort):
            begin(ProtocolName.forwardedTCPIP, &writer)
            writeTCPIP(address, port, originator, originatorPort, &writer)
        case .directStreamLocal(let path):
            begin(ProtocolName.directStreamLocal, &writer)
            writer.string(path)
            writer.string("" as StaticString)
            writer.uint32(0)
        case .forwardedStreamLocal(let path):
            begin(ProtocolName.forwardedStreamLocal, &writer)
            writer.string(path)
            writer.string("" as StaticString)
        }
    }

    private static func writeTCPIP(
        _ host: String, _ port: UInt16, _ originator: String, _ originatorPort: UInt16, _ writer: inout WireWriter
    ) {
        writer.string(host)
        writer.uint32(UInt32(port))
        writer.string(originator)
        writer.uint32(UInt32(originatorPort))
    }
}
