/// Which end of the connection this is. It decides what may be opened and asked for, nothing else.
public enum ConnectionRole: Sendable, BitwiseCopyable {
    /// Opens `direct-…` channels, asks for forwards, is opened `forwarded-…` channels.
    case client
    case server

    var other: ConnectionRole {
        switch self {
        case .client: .server
        case .server: .client
        }
    }
}

/// What a connection promises its peer.
public struct ConnectionSettings: Sendable, BitwiseCopyable {
    /// The window of a new channel, bytes.
    public var initialWindow: UInt32 = 256 * 1024
    /// A window grows up to this, bytes. 15 MiB: OpenSSH from 8.9 on holds at most 16 MiB for a channel, and its
    /// throughput collapses above it.
    public var maximumWindow: UInt32 = 15 * 1024 * 1024
    /// The payload of one packet that the peer may send, bytes, 256 to 32 KiB: no peer sends more to gain by it.
    public var maximumPacket: UInt32 = 32 * 1024
    /// Channels at a time, those being opened included. Each takes some hundred bytes; the peer's further ones are
    /// refused with "resource shortage".
    public var maximumChannels = 32 * 1024

    public init() {}
}
