internal import Glibc

/// A directory for sockets that only this user's processes, and root's, may put there.
public enum OwnDirectory {
    /// Makes it, for nobody else, where it is not there; its parent is. Throws EPERM where somebody else may write to it:
    /// whoever may could put a socket of theirs in ours' place.
    public static func prepare(_ path: String) throws(IOError) {
        if unsafe mkdir(path, 0o700) < 0, errno != EEXIST { throw IOError(errno, "mkdir") }
        try check(path)
    }

    /// Throws where somebody else may write to it, or have made it.
    private static func check(_ path: String) throws(IOError) {
        var found = stat()
        guard unsafe lstat(path, &found) == 0 else { throw IOError(errno, "lstat") }
        guard found.st_mode & S_IFMT == S_IFDIR else { throw IOError(ENOTDIR, "opening") }
        guard found.st_uid == geteuid(), found.st_mode & 0o022 == 0 else {
            throw IOError(EPERM, "trusting that directory, where others may write,")
        }
    }

    /// Whether a process of that number runs, ours or not.
    public static func isRunning(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno == EPERM }

    /// Removes the socket of that name, if it is one. In another user's directory nothing is removed: its path may lead
    /// anywhere.
    public static func removeSocket(_ name: String, in directory: String) throws(IOError) {
        try check(directory)
        let path = "\(directory)/\(name)"
        var found = stat()
        guard unsafe lstat(path, &found) == 0, found.st_mode & S_IFMT == S_IFSOCK else { return }
        if unsafe unlink(path) < 0, errno != ENOENT { throw IOError(errno, "unlink") }
    }
}
