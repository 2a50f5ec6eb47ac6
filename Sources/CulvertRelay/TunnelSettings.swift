public import CulvertIO

/// Everything a tunnel needs to know, as plain values.
public struct TunnelSettings: Sendable {
    /// Where to, for messages ("user@server").
    public var destination = ""
    public var host = ""
    public var port: UInt16 = 22
    public var family = SocketAddress.Family.any
    /// The address to connect from.
    public var source: String?
    /// ConnectTimeout; ssh leaves it to the kernel, which gives up after about two minutes.
    public var connectTimeout = Tick.Span.seconds(120)
    /// ConnectionAttempts: tries of the first connection, a second apart.
    public var connectionAttempts = 1
    /// TCPKeepAlive.
    public var keepsAlive = true

    public var forwards: [LocalForward] = []
    public var reverse: [ReverseForward] = []
    public var links = 1
    /// At most this many workers; nil: as many as cores.
    public var threads: Int?
    public var driver = DriverChoice.auto
    /// The ceiling of payload held in memory for slow readers, in bytes.
    public var memory = 256 * 1024 * 1024
    public var limits = RelayLimits()
    public var alive = KeepAlive()
    /// A first attempt that fails is made again, instead of ending the process.
    public var persists = false
    public var exitsOnForwardFailure = false

    public init() {}
}

/// What `culvert relay` needs to know.
public struct RelaySettings: Sendable {
    public var forwards: [LocalForward] = []
    public var threads: Int?
    public var driver = DriverChoice.auto
    public var memory = 256 * 1024 * 1024
    public var limits = RelayLimits()

    public init() {}
}
