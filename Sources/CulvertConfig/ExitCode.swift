/// What culvert's exit status says. 255 is ssh's; the rest are sysexits.h's numbers, so that they mean the same
/// elsewhere.
public enum ExitCode: Int32, Sendable, CaseIterable {
    /// Ended as asked: Ctrl-C, SIGTERM, `--help`, `--version`.
    case success = 0
    /// EX_USAGE: the command line is wrong, or a configuration file. ssh has 255 for it, as for everything; here whoever
    /// starts culvert again and again can tell what no new attempt mends.
    case usage = 64
    /// EX_SOFTWARE: a fault of culvert's own. It ends at once, with one line; CULVERT_BACKTRACE=1 in the environment leaves
    /// faults to the Swift runtime, which shows where it was.
    case internalFault = 70
    /// EX_OSERR: the system refuses what culvert cannot do without (threads, memory, io_uring asked for by `--io`).
    case system = 71
    /// EX_CANTCREAT: the file of `-E`, `--pid-file` or `--port-file` cannot be written.
    case logFile = 73
    /// As ssh: no connection, host key refused, login refused, or forwards failed with `ExitOnForwardFailure` or none
    /// standing.
    case connection = 255

    /// For `--help`.
    var meaning: String {
        switch self {
        case .success: "ended as asked (Ctrl-C, SIGTERM, the time of a sleep behind the host)"
        case .usage: "the command line is wrong, or a configuration file (ssh has 255 for it)"
        case .internalFault:
            "a fault of culvert's own: please report it (CULVERT_BACKTRACE=1 shows more)"
        case .system: "the system refused threads, memory, or the io_uring asked for with --io"
        case .logFile: "the file of -E, --pid-file or --port-file cannot be written"
        case .connection: "no connection, host key or login refused, or no forward stands (as ssh)"
        }
    }
}
