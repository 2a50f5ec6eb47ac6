internal import Glibc

/// A lock on the directory of a file that culvert writes, against other culverts and other threads of this one: the file
/// itself is replaced, so that a lock on it would be one on the old one. No file is made for it.
struct DirectoryLock {
    /// Where the file system has no such locks nothing is locked, and `isHeld` is true: what comes is as safe as with ssh.
    let isHeld: Bool
    private let descriptor: CInt

    /// Seconds: whoever holds it writes one small file.
    private static let patience = 3

    init(of path: String) {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./"
        descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            isHeld = true
            return
        }
        let deadline = Deadline(seconds: Self.patience)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            guard !deadline.isOver else {
                isHeld = false
                return
            }
            usleep(20_000)
        }
        isHeld = true
    }

    func release() {
        if descriptor >= 0 { close(descriptor) }
    }
}
