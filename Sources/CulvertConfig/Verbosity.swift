/// How much culvert says; ssh's levels and order (LogLevel in ssh_config(5)). Events are `info`; one line a flow, and
/// `TunnelConfiguration.notes`, are `verbose`, which `-v` passes.
public enum Verbosity: Int, Sendable, Comparable, CaseIterable {
    case quiet, fatal, error, info, verbose, debug1, debug2, debug3

    public static func < (left: Verbosity, right: Verbosity) -> Bool { left.rawValue < right.rawValue }

    /// LogLevel's value, case-insensitive.
    init?(name: String) {
        switch name.lowercased() {
        // The second is Debian's.
        case "quiet", "silent": self = .quiet
        case "fatal": self = .fatal
        case "error": self = .error
        case "info": self = .info
        case "verbose": self = .verbose
        case "debug", "debug1": self = .debug1
        case "debug2": self = .debug2
        case "debug3": self = .debug3
        default: return nil
        }
    }

    static let accepted = "QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3"
}

/// `-v` and `-q` in the order in which they were typed. As in ssh the last `-q` silences, and a flag outranks LogLevel;
/// a `-v` after `-q` begins again at `debug1`.
struct VerbosityFlags {
    private(set) var level: Verbosity?

    mutating func more() {
        switch level {
        case nil, .quiet, .fatal, .error, .info, .verbose: level = .debug1
        case .debug1: level = .debug2
        case .debug2, .debug3: level = .debug3
        }
    }

    mutating func quiet() { level = .quiet }
}
