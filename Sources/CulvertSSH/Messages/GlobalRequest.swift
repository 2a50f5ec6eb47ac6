/// SSH_MSG_GLOBAL_REQUEST (RFC 4254 §4): the requests of tunnels, and the rest as unknown.
struct GlobalRequest {
    enum Body {
        /// "tcpip-forward" (RFC 4254 §7.1) or its streamlocal kin (OpenSSH PROTOCOL §2.4).
        case listen(ForwardRequest)
        case cancel(ForwardRequest)
        /// What a server says all its host keys are (OpenSSH's PROTOCOL §2.5).
        case hostKeys([[UInt8]])
        /// Well formed, but no endpoint can be called so.
        case impossible
        case unknown
    }

    let wantsReply: Bool
    let body: Body

    init(_ reader: consuming WireReader) throws(SSHError) {
        let name = unsafe try reader.string()
        wantsReply = try reader.boolean()
        if unsafe ProtocolName.matches(name, ProtocolName.tcpipForward) {
            body = try Self.tcp(&reader).map { .listen($0) } ?? .impossible
        } else if unsafe ProtocolName.matches(name, ProtocolName.cancelTCPIPForward) {
            body = try Self.tcp(&reader).map { .cancel($0) } ?? .impossible
        } else if unsafe ProtocolName.matches(name, ProtocolName.streamLocalForward) {
            body = try Self.streamLocal(&reader).map { .listen($0) } ?? .impossible
        } else if unsafe ProtocolName.matches(name, ProtocolName.cancelStreamLocalForward) {
            body = try Self.streamLocal(&reader).map { .cancel($0) } ?? .impossible
        } else if unsafe ProtocolName.matches(name, ProtocolName.hostKeys) {
            body = HostKeyNews.read(&reader).map { .hostKeys($0) } ?? .impossible
        } else {
            body = .unknown
        }
    }

    private static func tcp(_ reader: inout WireReader) throws(SSHError) -> ForwardRequest? {
        let address = unsafe ChannelOpen.text(try reader.string())
        let port = UInt16(exactly: try reader.uint32())
        try reader.end()
        guard let address, let port else { return nil }
        return .tcp(address: address, port: port)
    }

    private static func streamLocal(_ reader: inout WireReader) throws(SSHError) -> ForwardRequest? {
        let path = unsafe ChannelOpen.text(try reader.string())
        try reader.end()
        return path.map { .streamLocal(path: $0) }
    }

    static func fits(_ request: ForwardRequest) -> Bool {
        switch request {
        case .tcp(let address, _): address.utf8.count <= ChannelOpen.maximumText
        case .streamLocal(let path): path.utf8.count <= ChannelOpen.maximumText
        }
    }

    static func writeListen(_ request: ForwardRequest, to writer: inout WireWriter) {
        switch request {
        case .tcp(let address, let port):
            begin(ProtocolName.tcpipForward, &writer)
            writer.string(address)
            writer.uint32(UInt32(port))
        case .streamLocal(let path):
            begin(ProtocolName.streamLocalForward, &writer)
            writer.string(path)
        }
    }

    /// `port` is the one that the peer listens on (RFC 4254 §7.1), also where 0 was asked for.
    static func writeCancel(_ request: ForwardRequest, port: UInt16, to writer: inout WireWriter) {
        switch request {
        case .tcp(let address, _):
            begin(ProtocolName.cancelTCPIPForward, &writer)
            writer.string(address)
            writer.uint32(UInt32(port))
        case .streamLocal(let path):
            begin(ProtocolName.cancelStreamLocalForward, &writer)
            writer.string(path)
        }
    }

    static func writeKeepalive(to writer: inout WireWriter) {
        begin(ProtocolName.keepalive, &writer)
    }

    /// Every request of ours wants a reply: one without an answer could not be told from one that was lost.
    private static func begin(_ name: StaticString, _ writer: inout WireWriter) {
        writer.byte(MessageNumber.globalRequest)
        writer.string(name)
        writer.boolean(true)
    }
}
