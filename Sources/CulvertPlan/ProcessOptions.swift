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

    public init(background: Background? = nil, pidFile: String? = nil, lifetime: Duration? = nil) {
        self.background = background
        self.pidFile = pidFile
        self.lifetime = lifetime
    }
}
