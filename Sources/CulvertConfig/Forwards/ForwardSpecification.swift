public import CulvertPlan

/// One `-L`, `-R`, `-D` or `-W`: where connections come in, and where each is dialled to.
public struct ForwardSpecification: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// `-L`: listens here, is dialled from the server.
        case local
        /// `-R`: listens at the server, is dialled from here.
        case remote
        /// `-D`: listens here, is dialled from the server, as each client asks in SOCKS.
        case dynamic
        /// `-W`: standard input and output, dialled from the server.
        case streams
    }

    public var kind: Kind
    public var listen: ListenEndpoint
    public var target: Target
    /// As it was typed, for messages.
    public var text: String

    public init(kind: Kind, listen: ListenEndpoint, target: Target, text: String) {
        self.kind = kind
        self.listen = listen
        self.target = target
        self.text = text
    }

    /// "-L".
    public var flag: String { kind.flag }
    /// "-L 5432:db:5432".
    var typed: String { "\(flag) \(text)" }
}

extension ForwardSpecification.Kind {
    public var flag: String {
        switch self {
        case .local: "-L"
        case .remote: "-R"
        case .dynamic: "-D"
        case .streams: "-W"
        }
    }

    /// What is to be given.
    var form: String {
        switch self {
        case .local: "give [bind_address:]port:host:hostport"
        case .remote: "give [bind_address:]port:host:hostport, or [bind_address:]port for SOCKS"
        case .dynamic: "give [bind_address:]port"
        case .streams: "give host:port"
        }
    }
}

/// The incoming end of a forward.
public enum ListenEndpoint: Hashable, Sendable {
    /// Port 0: whoever listens chooses.
    case tcp(bind: BindAddress, port: UInt16)
    case unix(path: String)
    /// Of `-W`.
    case standardStreams
}

/// What was typed as the bind address of a forward.
public enum BindAddress: Hashable, Sendable {
    /// Nothing: loopback, unless GatewayPorts or `-g` says otherwise.
    case `default`
    /// Empty or `*`.
    case everywhere
    /// `localhost`.
    case loopback
    /// A name or an address, without brackets.
    case address(String)

    /// The address to bind in "tcpip-forward" (RFC 4254 §7.1), as OpenSSH sends it. `GatewayPorts` of the client does
    /// not count for `-R`: the server's does.
    public var remoteBindAddress: String {
        switch self {
        case .default, .loopback: "localhost"
        case .everywhere: ""
        case .address(let address): address
        }
    }

    /// What a `-L` binds. An address that was typed outranks `gatewayPorts`.
    public func localBinding(gatewayPorts: Bool) -> LocalBinding {
        switch self {
        case .default: gatewayPorts ? .everywhere : .loopback
        case .everywhere: .everywhere
        case .loopback: .loopback
        case .address(let address): .address(address)
        }
    }
}

/// The addresses that a listener of ours takes.
public enum LocalBinding: Hashable, Sendable {
    /// 127.0.0.1 and ::1.
    case loopback
    /// 0.0.0.0 and ::.
    case everywhere
    case address(String)
}

/// What was typed becomes what is meant.
extension ForwardSpecification {
    /// Of every kind but `-R`.
    public func localForward(_ options: ForwardingOptions) -> LocalForward {
        let listen: LocalForward.Listen
        switch self.listen {
        case .unix(let path):
            listen = .unix(
                path: path, modeMask: UInt32(options.streamLocalBindMask), unlinksFirst: options.streamLocalBindUnlink)
        case .standardStreams: listen = .standardStreams
        case .tcp(let bind, let port):
            switch bind.localBinding(gatewayPorts: options.gatewayPorts) {
            case .loopback: listen = .loopback(port: port)
            case .everywhere: listen = .everywhere(port: port)
            case .address(let host): listen = .address(host, port: port)
            }
        }
        return LocalForward(listen: listen, target: target, text: typed)
    }

    /// Of `-R`.
    public func reverseForward(_ options: ForwardingOptions) -> ReverseForward {
        let listen: ReverseForward.Listen
        switch self.listen {
        case .tcp(let bind, let port): listen = .tcp(address: bind.remoteBindAddress, port: port)
        case .unix(let path): listen = .unix(path: path)
        case .standardStreams: preconditionFailure("the server listens on no standard streams")
        }
        return ReverseForward(listen: listen, target: target, text: typed, permitted: options.permitRemoteOpen)
    }
}

extension TunnelPlan {
    /// Adds the forwards, in their order.
    mutating func add(_ specifications: [ForwardSpecification], _ options: ForwardingOptions) {
        for each in specifications {
            switch each.kind {
            case .local, .dynamic, .streams: forwards.append(each.localForward(options))
            case .remote: reverse.append(each.reverseForward(options))
            }
        }
    }
}
