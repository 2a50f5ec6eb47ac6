internal import CulvertIO
internal import Glibc

/// How culvert-load ends.
enum ExitStatus: Int32, Sendable {
    case success = 0
    /// A payload was wrong, or a connection or a request failed.
    case trouble = 1
    /// EX_USAGE.
    case usage = 64
    /// EX_OSERR: threads, memory, ports or the io_uring asked for cannot be had.
    case system = 71
}

/// What stops culvert-load: one line for a person, with the cause and the mend.
struct Complaint: Error, CustomStringConvertible {
    let description: String
    let exit: ExitStatus

    init(_ description: String, exit: ExitStatus) {
        self.description = description
        self.exit = exit
    }
}

/// Lines for people and programs, each in one write, so that lines of several threads do not mix.
enum Output {
    static func say(_ line: String) { _ = write(line + "\n", to: STDOUT_FILENO) }
    static func sayError(_ line: String) { _ = write("culvert-load: \(line)\n", to: STDERR_FILENO) }

    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Replaces the line that the cursor stands on. What a terminal would break into a second line is left out: that
    /// could not be replaced.
    static func show(progress: String) {
        var size = winsize()
        let isKnown = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
        let shown = isKnown ? String(progress.prefix(Int(size.ws_col) - 1)) : progress
        _ = write("\r\u{1B}[K" + shown, to: STDERR_FILENO)
    }

    /// 0, or the number of the error. Where nobody listens any more the work goes on, and its status tells.
    static func write(_ text: String, to descriptor: Int32) -> Int32 {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + written, bytes.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            written += count
        }
        return 0
    }
}

/// A file that is written from its beginning on; what was in it is gone.
struct OutputFile {
    private let path: String
    private let descriptor: Int32

    /// Throws where it cannot be made.
    init(_ path: String) throws {
        self.path = path
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw complaint(errno) }
    }

    func write(_ text: String) throws {
        let number = Output.write(text, to: descriptor)
        guard number == 0 else { throw complaint(number) }
    }

    private func complaint(_ number: Int32) -> Complaint {
        Complaint("cannot write \(path): \(errorText(number))", exit: .system)
    }
}
