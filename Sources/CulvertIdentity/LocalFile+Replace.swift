internal import Glibc

extension LocalFile {
    /// The contents of a file made anew as a whole: whoever reads it sees the old or the new ones. As ssh does, the new file
    /// is the user's alone (0600), takes a symbolic link's place, and the old one stays beside it with `.old` behind its name.
    ///
    /// `change` is shown the contents and returns the new ones, nil for none; it is called again where the file has changed
    /// meanwhile. Returns whether there were any. The caller holds the directory's lock.
    func replace<Failed: Error>(
        _ change: ([UInt8]) throws(Failed) -> [UInt8]?
    ) throws -> Bool {
        for _ in 0..<Self.replacements {
            let before = try Stamp(path)
            guard let contents = try change(try read()) else { return false }
            let temporary = try write(contents)
            do {
                // A line that ssh has added meanwhile is not lost.
                guard try Stamp(path) == before else {
                    unsafe unlink(temporary)
                    continue
                }
                let old = path + ".old"
                guard unsafe unlink(old) == 0 || errno == ENOENT, unsafe link(path, old) == 0,
                    unsafe rename(temporary, path) == 0
                else { throw Failure.system(errno) }
                return true
            } catch {
                unsafe unlink(temporary)
                throw error
            }
        }
        throw Failure.system(EAGAIN)
    }

    private static let replacements = 5

    /// What is seen of a file from outside.
    private struct Stamp: Equatable {
        let inode: UInt
        let size: Int
        let seconds: Int
        let nanoseconds: Int

        init(_ path: String) throws(Failure) {
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { throw errno == ENOENT ? .missing : .system(errno) }
            guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
            inode = status.st_ino
            size = status.st_size
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    /// A new file beside this one; its path.
    private func write(_ contents: [UInt8]) throws(Failure) -> String {
        // Nobody's name by chance, and nobody's link is followed.
        let temporary = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(errno) }
        defer { close(descriptor) }
        var written = 0
        while written < contents.count {
            let count = unsafe contents.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = count < 0 ? errno : ENOSPC
                unsafe unlink(temporary)
                throw .system(code)
            }
            written += count
        }
        guard fsync(descriptor) == 0 else {
            let code = errno
            unsafe unlink(temporary)
            throw .system(code)
        }
        return temporary
    }
}
