/// What becomes of the process around its tunnels.
public struct ProcessOptions: Hashable, Sendable {
    /// When a process leaves its terminal and whoever started it.
    public enum Background: Hashable, Sendable {
        /// Once its forwards stand (`-f`), so that questions can be asked before.
        case standing
        /// Before anything else (autossh's `-f`).
        case atOnce
    }

    /// nil: never.
    public var background: Background?
    /// The file that has the process's number for as long as it runs (`--pid-file`).
    public var pidFile: String?
    /// What gave it, for what is said of it.
    public var pidFileOption = "--pid-file"
    /// It ends after so long, as if told to; nil: never.
    public var lifetime: Duration?

    /// It may be asked how it is, at its control socket (not with `--no-control`).
    public var hasControl: Bool
    /// Where metrics are served (`--metrics`); nil: nowhere.
    public var metrics: MetricsPlace?

    public init(
        background: Background? = nil, pidFile: String? = nil, lifetime: Duration? = nil, hasControl: Bool = true,
        metrics: MetricsPlace? = nil
    ) {
        self.background = background
        self.pidFile = pidFile
        self.lifetime = lifetime
        self.hasControl = hasControl
        self.metrics = metrics
    }
}

/// Where metrics are served.
public enum MetricsPlace: Hashable, Sendable, CustomStringConvertible {
    /// An address without brackets.
    case tcp(address: String, port: UInt16)
    case unix(path: String)

    /// A port alone is loopback's.
    public static let usualAddress = "127.0.0.1"

    public var description: String {
        switch self {
        case .tcp(let address, let port): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path): path
        }
    }
}
