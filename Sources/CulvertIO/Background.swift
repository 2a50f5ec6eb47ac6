internal import CLinux
internal import Glibc

/// A process that goes to the background once it is ready, as `ssh -f` does: the parent waits in the foreground, where
/// questions can be answered, and ends with the child's word.
public struct Background: ~Copyable {
    private let pipe: Descriptor

    /// Forks. Returns in the child; the parent stays inside, until the child is ready (exit status 0) or has ended
    /// (the child's status). Called before any thread exists.
    public static func fork() throws(IOError) -> Background {
        var ends: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutablePointer(to: &ends) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_pipe($0) }
        }
        guard made == 0 else { throw IOError(-made, "pipe") }
        let parent = getpid()
        let child = culvert_fork()
        guard child >= 0 else { throw IOError(-child, "fork") }
        guard child > 0 else {
            _ = culvert_close(ends.0)
            // Whoever ends the parent while it waits ends the whole; from `ready` on there is nobody to wait.
            guard culvert_end_with_parent(parent) == 0 else { _exit(128 + SIGTERM) }
            return Background(pipe: ends.1)
        }
        _ = culvert_close(ends.1)
        var byte: UInt8 = 0
        if unsafe culvert_read(ends.0, &byte, 1) == 1 { _exit(0) }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        // WIFEXITED and WEXITSTATUS, or 128 and the signal as shells have it.
        _exit(status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
    }

    /// Leaves the terminal and tells the parent. Standard error stays only where it is a file: whoever reads it from a
    /// pipe waits for its end.
    public consuming func ready() {
        _ = culvert_end_with_parent(0)
        _ = setsid()
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        if null >= 0 {
            for descriptor: Int32 in 0...2 where descriptor < 2 || !Self.isFile(descriptor) {
                _ = dup2(null, descriptor)
            }
            _ = culvert_close(null)
        }
        var byte: UInt8 = 1
        _ = unsafe culvert_write(pipe, &byte, 1)
        _ = culvert_close(pipe)
    }

    private static func isFile(_ descriptor: Descriptor) -> Bool {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
