internal import Glibc

/// A small file that programs read while it changes: they see it whole, as it was or as it is.
public enum WholeFile {
    /// Replaces the file, by one beside it that takes its name; of a symbolic link what it leads to. What is no file (a
    /// terminal, a pipe) is written to.
    public static func replace(_ path: String, with text: String) throws(IOError) {
        let path = followed(path)
        guard isReplaceable(path) else {
            return try write(text, to: try opened(path, O_WRONLY | O_APPEND | O_NONBLOCK))
        }
        let draft = "\(path).\(getpid())"
        _ = unsafe unlink(draft)
        let descriptor = try opened(draft, O_WRONLY | O_CREAT | O_EXCL)
        do throws(IOError) {
            try write(text, to: descriptor)
            guard unsafe rename(draft, path) == 0 else { throw IOError(errno, "rename") }
        } catch {
            _ = unsafe unlink(draft)
            throw error
        }
    }

    /// Takes an old one away; what is no file stays.
    public static func remove(_ path: String) {
        let path = followed(path)
        if isReplaceable(path) { _ = unsafe unlink(path) }
    }

    /// Finds out whether it can be written, and takes an old one away.
    public static func probe(_ path: String) throws(IOError) {
        try replace(path, with: "")
        remove(path)
    }

    /// What a link leads to; the path itself where it is none, or leads to nothing.
    private static func followed(_ path: String) -> String {
        guard let found = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }

    private static func isReplaceable(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
    }

    private static func opened(_ path: String, _ flags: Int32) throws(IOError) -> Descriptor {
        let descriptor = unsafe open(path, flags | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw IOError(errno, "open") }
        return descriptor
    }

    /// Closes the descriptor.
    private static func write(_ text: String, to descriptor: Descriptor) throws(IOError) {
        defer { SocketOption.close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw IOError(count < 0 ? errno : EIO, "write") }
            rest = rest.dropFirst(count)
        }
    }
}
