internal import CLinux
internal import Glibc

/// Standard input and output as the two ends of one flow, with descriptors of their own that never wait.
///
/// /dev/null has their old places, so whatever else is started reads and writes nothing there, and the end of this flow is
/// the end of the stream.
public struct StandardStreams: Sendable {
    /// Read from.
    public let input: Descriptor
    /// Written to; the same as `input` when both are one socket.
    public let output: Descriptor

    /// Takes both over. Called once, before any thread exists.
    public static func take() throws(IOError) -> StandardStreams {
        let isOneSocket = try isOneSocket()
        let input = try own(STDIN_FILENO, O_RDONLY, "standard input")
        let output = isOneSocket ? input : try own(STDOUT_FILENO, O_WRONLY, "standard output")
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw IOError(errno, "open of /dev/null") }
        for place in [STDIN_FILENO, STDOUT_FILENO] {
            guard dup2(null, place) >= 0 else { throw IOError(errno, "dup2") }
        }
        _ = culvert_close(null)
        return StandardStreams(input: input, output: output)
    }

    private static func status(_ descriptor: Descriptor) throws(IOError) -> stat {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw IOError(errno, "a standard stream") }
        return status
    }

    private static func isOneSocket() throws(IOError) -> Bool {
        let (input, output) = (try status(STDIN_FILENO), try status(STDOUT_FILENO))
        return input.st_mode & S_IFMT == S_IFSOCK && input.st_dev == output.st_dev && input.st_ino == output.st_ino
    }

    /// Sockets need no flag: every call on them says that it does not wait. A pipe or a terminal is opened anew, because
    /// the flag would hold for all who share the old one, a shell too. Where that is forbidden (somebody else's pipe), the
    /// flag is set all the same.
    private static func own(_ place: Descriptor, _ mode: Int32, _ name: StaticString) throws(IOError) -> Descriptor {
        let kind = try status(place).st_mode & S_IFMT
        if kind == S_IFIFO || isatty(place) == 1 {
            let opened = unsafe open("/proc/self/fd/\(place)", mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            if opened > STDERR_FILENO { return opened }
            if opened >= 0 { _ = culvert_close(opened) }
        }
        let copy = fcntl(place, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
        guard copy >= 0 else { throw IOError(errno, name) }
        if kind != S_IFSOCK { _ = culvert_set_nonblocking(copy, 1) }
        return copy
    }
}
