/// The reason code of SSH_MSG_DISCONNECT (RFC 4253 §11.1), those that we send.
enum DisconnectReason: UInt32 {
    case protocolError = 2
    case keyExchangeFailed = 3
    case macError = 5
    case hostKeyNotVerifiable = 9
    case byApplication = 11
    case cancelledByUser = 13
    case noMoreAuthMethods = 14

    /// What the peer is told about an error; nil where nothing can be told, because it has left or the bytes have ended.
    init?(_ kind: SSHError.Kind) {
        switch kind {
        case .protocolViolation: self = .protocolError
        case .integrity: self = .macError
        case .keyExchange: self = .keyExchangeFailed
        case .hostKey: self = .hostKeyNotVerifiable
        case .authentication: self = .noMoreAuthMethods
        case .local: self = .cancelledByUser
        case .unsupported: self = .byApplication
        case .disconnected, .transport: return nil
        }
    }

    /// Said to the peer with the code. Our own errors quote texts that are not the peer's to read, so it gets no more.
    var words: StaticString {
        switch self {
        case .protocolError: "protocol error"
        case .keyExchangeFailed: "key exchange failed"
        case .macError: "packet failed its integrity check"
        case .hostKeyNotVerifiable: "host key not verifiable"
        case .byApplication: "closed"
        case .cancelledByUser: "cancelled"
        case .noMoreAuthMethods: "no more authentication methods"
        }
    }
}

/// SSH_MSG_DISCONNECT (RFC 4253 §11.1).
enum DisconnectMessage {
    static func write(_ reason: DisconnectReason, to writer: inout WireWriter) {
        writer.byte(MessageNumber.disconnect)
        writer.uint32(reason.rawValue)
        writer.string(reason.words)
        writer.string("" as StaticString)
    }

    /// Never fails: whatever the peer's last word looks like, it was its last word. `peer`: who says it.
    static func error(_ reader: consuming WireReader, from peer: ConnectionRole) -> SSHError {
        let name = peer == .server ? "server" : "client"
        guard let code = try? reader.uint32() else {
            return SSHError(.disconnected, "the \(name) disconnected without a reason")
        }
        let words = unsafe (try? reader.string()).map { unsafe PeerLines($0) }
        return .disconnected(by: name, reason: code, saying: words ?? PeerLines(""))
    }
}

extension SSHError {
    /// SSH_MSG_DISCONNECT from the peer: `peer` is what it is to us. Its words are shown as its own, in one line, so there
    /// are not many of them.
    public static func disconnected(by peer: String, reason: UInt32, saying words: PeerLines) -> SSHError {
        let lines = words.lines.map(\.description).filter { !$0.isEmpty }
        let shown = lines.prefix(3).joined(separator: " / ") + (lines.count > 3 ? " / …" : "")
        let quoted = lines.isEmpty ? "" : "; the \(peer) says: \(shown)"
        return SSHError(.disconnected, "the \(peer) disconnected (reason \(reason))\(quoted)")
    }
}

/// SSH_MSG_UNIMPLEMENTED (RFC 4253 §11.4).
enum UnimplementedMessage {
    static func write(sequenceNumber: UInt32, to writer: inout WireWriter) {
        writer.byte(MessageNumber.unimplemented)
        writer.uint32(sequenceNumber)
    }
}
