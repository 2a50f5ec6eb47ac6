internal import CulvertIO

/// Everything a tunnel needs to know, as plain values.
public struct TunnelSettings: Sendable {
    public var server = ServerSettings()
    /// Jump hosts on the way to the server, in the order in which they are passed (ProxyJump).
    public var hops: [ServerSettings] = []
    /// ConnectionAttempts: tries of the first connection, a second apart.
    public var connectionAttempts = 1

    public var forwards: [LocalForward] = []
    public var reverse: [ReverseForward] = []
    public var links = 1
    /// How long a connection to a local port waits for a link before it is closed.
    public var hold = Duration.seconds(30)
    /// How long the end may take: flows that are whole reach their readers meanwhile.
    public var drain = Duration.seconds(5)
    /// A first attempt that fails is made again, instead of ending the tunnel; so is the opening of a local forward.
    public var persists = false
    public var exitsOnForwardFailure = false
    /// Each link has its server run `true`: sshd sends small packets at once only where a command has run.
    public var serverSendsAtOnce = false
    public var engine = EngineKind.native
    public var runtime = RuntimeSettings()

    public init() {}

    var destination: String { server.destination }
}

/// One SSH server: the destination, or a jump host on the way there.
public struct ServerSettings: Sendable {
    /// Where to, for messages ("user@server").
    public var destination = ""
    public var host = ""
    public var port: UInt16 = 22
    public var family = AddressFamily.any
    /// The address to connect from.
    public var source: String?
    /// What is run in place of a TCP connection; not behind a jump host.
    public var proxyCommand: ProxyCommand?
    /// ConnectTimeout; nil: about as long as the kernel's own patience.
    public var connectTimeout: Duration?
    /// TCPKeepAlive.
    public var keepsAlive = true
    /// ServerAliveInterval; nil: a silent link is never asked whether it lives.
    public var aliveInterval: Duration? = .seconds(15)
    /// ServerAliveCountMax.
    public var aliveCountMaximum = 3
    public var algorithms = AlgorithmSettings()

    public init() {}
}

/// A program whose standard input and output are the connection to a server (ProxyCommand).
public struct ProxyCommand: Sendable {
    /// The absolute path of the shell that runs it.
    public var shell: String
    /// Tokens are expanded already.
    public var text: String

    public init(shell: String, text: String) {
        self.shell = shell
        self.text = text
    }
}

/// What speaks SSH on the links.
public enum EngineKind: Sendable {
    /// culvert's own: modern algorithms only, sealed and opened in place.
    case native
    /// libssh2, for servers that speak only what it speaks.
    case libssh2
}

/// Which addresses may be used (`-4`, `-6`).
public enum AddressFamily: Sendable {
    case any, ipv4, ipv6

    var socketFamily: SocketAddress.Family {
        switch self {
        case .any: .any
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        }
    }
}

/// Algorithms to use, in ssh's syntax (`a,b`, `+a`, `-a`, `^a`); nil: the engine's own list.
public struct AlgorithmSettings: Sendable {
    public var keyExchange: String?
    public var ciphers: String?
    public var macs: String?
    public var hostKeys: String?
    public var publicKeys: String?
    /// RekeyLimit: keys are exchanged again after so many bytes; nil: the engine's own limit.
    public var rekeyBytes: UInt64?
    /// And after so long; nil: time does not matter.
    public var rekeyInterval: Duration?

    public init() {}
}

/// What the relay core runs on.
public struct RuntimeSettings: Sendable {
    public var driver = DriverChoice.auto
    /// At most this many workers; nil: as many as cores.
    public var threads: Int?
    /// The ceiling of payload held in memory for slow readers, in bytes.
    public var memory = 256 * 1024 * 1024

    public init() {}
}

/// What `culvert relay` needs to know.
public struct RelaySettings: Sendable {
    public var forwards: [LocalForward] = []
    /// How long the end may take: flows that are whole reach their readers meanwhile.
    public var drain = Duration.seconds(5)
    public var runtime = RuntimeSettings()

    public init() {}
}

extension Tick.Span {
    init(_ duration: Duration) {
        let parts = duration.components
        self.init(nanoseconds: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
}
