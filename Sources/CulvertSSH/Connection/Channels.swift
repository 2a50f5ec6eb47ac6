/// The number that this end gave a channel (RFC 4254 §5.1). Dense from 0: it indexes tables.
public struct ChannelNumber: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt32
    public init(_ value: UInt32) { self.value = value }
    public var index: Int { Int(value) }
}

/// What a channel is opened for: the type and the type-specific part of SSH_MSG_CHANNEL_OPEN.
public enum ChannelOpenRequest: Hashable, Sendable {
    /// "direct-tcpip" (RFC 4254 §7.2): the receiver dials `host:port`.
    case directTCPIP(host: String, port: UInt16, originator: String, originatorPort: UInt16)
    /// "forwarded-tcpip" (RFC 4254 §7.2): somebody connected to `address:port`, which this receiver had asked for.
    case forwardedTCPIP(address: String, port: UInt16, originator: String, originatorPort: UInt16)
    /// "direct-streamlocal@openssh.com" (OpenSSH PROTOCOL §2.4): the receiver dials the Unix socket.
    case directStreamLocal(path: String)
    /// "forwarded-streamlocal@openssh.com" (OpenSSH PROTOCOL §2.4).
    case forwardedStreamLocal(path: String)
}

/// Why a channel was not opened: the reason code of SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254 §5.1).
public enum OpenFailure: UInt32, Sendable, BitwiseCopyable {
    case administrativelyProhibited = 1
    case connectFailed = 2
    case unknownChannelType = 3
    case resourceShortage = 4
}

/// An incoming endpoint that we ask the peer to listen on: "tcpip-forward" (RFC 4254 §7.1), or
/// "streamlocal-forward@openssh.com" (OpenSSH PROTOCOL §2.4).
public enum ForwardRequest: Hashable, Sendable {
    /// `address` as RFC 4254 §7.1 has it: "" every address, "localhost" loopback, or a name. Port 0: the peer chooses.
    case tcp(address: String, port: UInt16)
    case streamLocal(path: String)

    /// The peer is to choose the port.
    public var leavesPortToPeer: Bool {
        if case .tcp(_, 0) = self { true } else { false }
    }
}

/// Names one request of the peer to listen, or to stop, from its coming to our answer.
public struct PeerForwardNumber: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt32
    public init(_ value: UInt32) { self.value = value }
}

/// Names one `ForwardRequest` from the asking to its answer and its cancelling.
public struct ForwardNumber: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt32
    public init(_ value: UInt32) { self.value = value }
}
