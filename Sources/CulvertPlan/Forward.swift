/// Where a connection goes.
public enum Target: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address without brackets; port 1...65535.
    case tcp(host: String, port: UInt16)
    case unix(path: String)
    /// What each client asks for, in SOCKS: of a dynamic forward.
    case requested

    /// Whoever dials it must look a name up.
    public var hasName: Bool {
        guard case .tcp(let host, _) = self, !host.contains(":") else { return false }
        return !host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        case .requested: "what SOCKS clients ask for"
        }
    }
}

/// A direct forward (`-L`, `-D`, `-W`), or one of `culvert relay`: its connections come in here.
public struct LocalForward: Hashable, Sendable {
    public enum Listen: Hashable, Sendable {
        /// 127.0.0.1 and ::1. Port 0 here and below: the kernel chooses one, the same for every address.
        case loopback(port: UInt16)
        /// 0.0.0.0 and ::.
        case everywhere(port: UInt16)
        case address(String, port: UInt16)
        /// `modeMask`: the umask for the socket (StreamLocalBindMask). `unlinksFirst`: a socket in the way is removed.
        case unix(path: String, modeMask: UInt32, unlinksFirst: Bool)
        /// Nowhere: standard input and output are its one connection (`-W`), and the process ends with it.
        case standardStreams
        /// Nowhere: whoever has a connection hands it over (`ssh -W` at a master of ours).
        case handedOver
    }

    public var listen: Listen
    public var target: Target
    /// As it was typed, for messages: "-L 5432:db:5432".
    public var text: String

    public init(listen: Listen, target: Target, text: String) {
        self.listen = listen
        self.target = target
        self.text = text
    }

    public var isStandardStreams: Bool { listen == .standardStreams }

    /// The kernel chooses the port.
    public var choosesPort: Bool {
        switch listen {
        case .loopback(let port), .everywhere(let port), .address(_, let port): port == 0
        case .unix, .standardStreams, .handedOver: false
        }
    }
}

/// A reverse forward (`-R`): listened on by the server, dialled from here.
public struct ReverseForward: Hashable, Sendable {
    public enum Listen: Hashable, Sendable {
        /// RFC 4254 §7.1: "" every address, "localhost" loopback, or an address. Port 0: the server chooses.
        case tcp(address: String, port: UInt16)
        case unix(path: String)
    }

    public var listen: Listen
    public var target: Target
    /// As it was typed, for messages.
    public var text: String
    /// Where clients at the server may go when they choose the target; nil: anywhere (PermitRemoteOpen).
    public var permitted: [PermittedTarget]?

    public init(listen: Listen, target: Target, text: String, permitted: [PermittedTarget]? = nil) {
        self.listen = listen
        self.target = target
        self.text = text
        self.permitted = permitted
    }
}

/// One target of PermitRemoteOpen. Names are compared as they are written: nothing is looked up for it
/// (ssh_config(5)).
public struct PermittedTarget: Hashable, Sendable {
    /// nil: every host.
    public var host: String?
    /// nil: every port.
    public var port: UInt16?

    public init(host: String?, port: UInt16?) {
        self.host = host
        self.port = port
    }

    public func covers(host: String, port: UInt16) -> Bool {
        (self.host == nil || self.host == host) && (self.port == nil || self.port == port)
    }
}
