internal import CulvertSSH
internal import Glibc

/// Where a SOCKS client wants to go (CONNECT).
struct SocksRequest: Hashable, Sendable, CustomStringConvertible {
    /// A name, or an address without brackets.
    let host: String
    let port: UInt16

    /// Safe to show: the name is the client's.
    var description: String {
        let name = PeerText(host).description
        return name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)"
    }
}

/// What a SOCKS client is told of its request, by RFC 1928 §6's codes. SOCKS 4 has one word for all but the first.
enum SocksReply: UInt8, Sendable {
    case granted = 0
    case failure = 1
    case notAllowed = 2
    case networkUnreachable = 3
    case hostUnreachable = 4
    case connectionRefused = 5
    case commandNotSupported = 7
    case addressTypeNotSupported = 8

    /// Of a channel that was not opened: the reason code (RFC 4254 §5.1), and where that says only that the connection
    /// failed, the server's words, which most servers take from their system. Words that are not known tell nothing, and
    /// so does the reply.
    init(_ reason: OpenFailure, _ words: PeerText) {
        switch reason {
        case .administrativelyProhibited: self = .notAllowed
        case .unknownChannelType, .resourceShortage: self = .failure
        case .connectFailed: self = Self.read(words.description.lowercased())
        }
    }

    private static func read(_ words: String) -> SocksReply {
        func says(_ parts: String...) -> Bool { parts.contains { words.contains($0) } }
        if says("refused") { return .connectionRefused }
        if says("network is unreachable", "network unreachable") { return .networkUnreachable }
        if says(
            "no route to host", "host is unreachable", "host unreachable", "timed out", "timeout", "not known",
            "name resolution", "no address", "resolve", "no such host")
        {
            return .hostUnreachable
        }
        return .failure
    }

    /// Of a connection that could not be made from here.
    init(failedConnect number: Int32) {
        switch number {
        case ECONNREFUSED: self = .connectionRefused
        case ENETUNREACH: self = .networkUnreachable
        case EHOSTUNREACH, ETIMEDOUT: self = .hostUnreachable
        case EACCES, EPERM: self = .notAllowed
        default: self = .failure
        }
    }
}

/// What a client did that no SOCKS server can serve.
enum SocksFault: Hashable, Sendable, CustomStringConvertible {
    case notSocks(UInt8)
    case noMethod
    case command(UInt8)
    case addressType(UInt8)
    case name
    case malformed

    var description: String {
        switch self {
        case .notSocks(let byte):
            "it speaks no SOCKS (its first byte is \(byte)): give the program this port as a SOCKS proxy, not as HTTP's"
        case .noMethod: "it offers no way to log in that is known: let it use none, or a name and a password"
        case .command(let number):
            "it asks for SOCKS command \(number): only CONNECT (1) goes through a tunnel, not BIND and not UDP"
        case .addressType(let type): "it asks for an address of the unknown type \(type)"
        case .name: "the name that it asks for is none"
        case .malformed: "it breaks off from SOCKS in the middle"
        }
    }
}
