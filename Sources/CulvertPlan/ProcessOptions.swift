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
    /// It ends after so long, as if told to; nil: never.
    public var lifetime: Duration?

    /// It may be asked how it is, at its control socket (not with `--no-control`).
    public var hasControl: Bool

    public init(
        background: Background? = nil, pidFile: String? = nil, lifetime: Duration? = nil, hasControl: Bool = true
    ) {
        self.background = background
        self.pidFile = pidFile
        self.lifetime = lifetime
        self.hasControl = hasControl
    }
}
