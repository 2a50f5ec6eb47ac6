/// Why a link ended or a login failed. The peer's fault is thrown; our own is a precondition.
public struct SSHError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// The peer broke the protocol (RFC 4253 §11.1, code 2).
        case protocolViolation
        /// A packet failed its integrity check (code 5): bytes were altered on the way.
        case integrity
        /// The key exchange failed or no algorithm is shared (code 3).
        case keyExchange
        /// The host key is changed, revoked, unknown or refused by the user (code 9).
        case hostKey
        /// Every authentication method was tried and refused (code 14).
        case authentication
        /// The peer sent SSH_MSG_DISCONNECT.
        case disconnected
        /// The user or a setting ended the attempt (code 13), or something local is wrong (a key file, the agent).
        case local
        /// The byte stream under the link ended or failed.
        case transport
        /// The engine cannot do what was asked (for example a Unix socket at the server with libssh2).
        case unsupported
    }

    public let kind: Kind
    /// One line for a person: the cause, and the mend where there is one. Peer's words in it are `PeerText`.
    public let description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
