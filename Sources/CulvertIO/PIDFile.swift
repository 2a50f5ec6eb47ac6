internal import CLinux
internal import Glibc

/// A file that has this process's number and a line break for as long as the process runs.
public struct PIDFile {
    private let path: String

    /// Writes it in place, so that one in a directory of somebody else's can be had; through no symbolic link.
    public init(_ path: String) throws(IOError) {
        self.path = path
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw IOError(errno, "open") }
        defer { _ = culvert_close(file) }
        let text = Array(Self.text.utf8)
        let count = unsafe text.withUnsafeBytes { unsafe culvert_write(file, $0.baseAddress, $0.count) }
        guard count == text.count else { throw IOError(count < 0 ? Int32(-count) : ENOSPC, "write") }
    }

    /// Unless another process has made it its own since.
    public func remove() {
        let file = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { _ = culvert_close(file) }
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe culvert_read(file, $0.baseAddress, $0.count) }
        guard count > 0, String(decoding: bytes.prefix(Int(count)), as: UTF8.self) == Self.text else { return }
        _ = unsafe unlink(path)
    }

    private static var text: String { "\(getpid())\n" }
}
