internal import CulvertSSH

/// Where a connection goes.
public enum Target: Sendable, Hashable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    case unix(path: String)
    /// What each client asks for, in SOCKS: of a dynamic forward.
    case requested

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        case .requested: "what SOCKS clients ask for"
        }
    }
}

/// A direct forward (`-L`, `-D`, `-W`), or one of `culvert relay`: its connections come in here.
public struct LocalForward: Sendable {
    public enum Listen: Sendable, Hashable {
        /// 127.0.0.1 and ::1.
        case loopback(port: UInt16)
        /// 0.0.0.0 and ::.
        case everywhere(port: UInt16)
        case address(String, port: UInt16)
        /// `modeMask`: the umask for the socket (StreamLocalBindMask). `unlinksFirst`: a socket in the way is removed.
        case unix(path: String, modeMask: UInt32, unlinksFirst: Bool)
        /// Nowhere: standard input and output are its one connection (`-W`), and the process ends with it.
        case standardStreams
    }

    public let listen: Listen
    public let target: Target
    /// As the user typed it.
    public let text: String

    public init(listen: Listen, target: Target, text: String) {
        self.listen = listen
        self.target = target
        self.text = text
    }

    var isStandardStreams: Bool { listen == .standardStreams }
}

/// A reverse forward (`-R`): listened on by the server, dialled from here.
public struct ReverseForward: Sendable {
    public enum Listen: Sendable, Hashable {
        /// RFC 4254 §7.1: "" every address, "localhost" loopback, or an address. Port 0: the server chooses.
        case tcp(address: String, port: UInt16)
        case unix(path: String)
    }
    public let listen: Listen
    public let target: Target
    public let text: String
    /// Where clients at the server may go when they choose the target; nil: anywhere (PermitRemoteOpen).
    public let permitted: [RemoteOpenPermission]?

    public init(listen: Listen, target: Target, text: String, permitted: [RemoteOpenPermission]? = nil) {
        self.listen = listen
        self.target = target
        self.text = text
        self.permitted = permitted
    }

    var request: ForwardRequest {
        switch listen {
        case .tcp(let address, let port): .tcp(address: address, port: port)
        case .unix(let path): .streamLocal(path: path)
        }
    }

    /// Asked for at the server's own loopback, or at a path, which no other host reaches.
    var isLoopback: Bool {
        switch listen {
        case .tcp(let address, _): ["localhost", "127.0.0.1", "::1"].contains(address)
        case .unix: true
        }
    }

    var listenDescription: String {
        switch listen {
        case .tcp(let address, let port): "\(address.isEmpty ? "*" : address):\(port)"
        case .unix(let path): path
        }
    }

    func permits(_ request: SocksRequest) -> Bool { permitted?.contains { $0.covers(request) } ?? true }
}

/// One target of PermitRemoteOpen. Names are compared as they are written: nothing is looked up for it
/// (ssh_config(5)).
public struct RemoteOpenPermission: Sendable, Hashable {
    /// nil: every host.
    public let host: String?
    /// nil: every port.
    public let port: UInt16?

    public init(host: String?, port: UInt16?) {
        self.host = host
        self.port = port
    }

    func covers(_ request: SocksRequest) -> Bool {
        (host == nil || host == request.host) && (port == nil || port == request.port)
    }
}
