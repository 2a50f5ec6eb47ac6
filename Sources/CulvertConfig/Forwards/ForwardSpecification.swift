/// One `-L` or `-R`: where connections come in, and where each is dialled to.
public struct ForwardSpecification: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// `-L`: listens here, is dialled from the server.
        case local
        /// `-R`: listens at the server, is dialled from here.
        case remote
    }

    public var kind: Kind
    public var listen: ListenEndpoint
    public var target: TargetEndpoint
    /// As it was typed, for messages.
    public var text: String

    public init(kind: Kind, listen: ListenEndpoint, target: TargetEndpoint, text: String) {
        self.kind = kind
        self.listen = listen
        self.target = target
        self.text = text
    }

    /// "-L" or "-R".
    public var flag: String { kind == .local ? "-L" : "-R" }
}

/// The incoming end of a forward.
public enum ListenEndpoint: Hashable, Sendable {
    /// Port 0, on `-R` only: the server chooses.
    case tcp(bind: BindAddress, port: UInt16)
    case unix(path: String)
}

/// The outgoing end of a forward.
public enum TargetEndpoint: Hashable, Sendable {
    /// A name or an address without brackets; port 1...65535.
    case tcp(host: String, port: UInt16)
    case unix(path: String)
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
