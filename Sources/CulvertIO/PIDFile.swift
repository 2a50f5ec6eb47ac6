internal import CLinux
internal import Glibc

/// A file that has this process's number and a line break for as long as the process runs. While it does, the file is locked
/// (flock(2)): a second process that is to have the same one leaves it as it is.
public struct PIDFile {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        fileprivate init(_ description: String) { self.description = description }
        fileprivate init(number: Int32) { description = errorText(number) }
    }

    private let path: String
    private let file: Descriptor

    /// Writes it in place, so that one in a directory of somebody else's can be had; through no symbolic link.
    public init(_ path: String) throws(Failure) {
        // One that is taken away by the end of the process before, between the two steps, is made anew.
        for _ in 0..<3 {
            let made = try PIDFile(opening: path)
            var status = stat()
            if unsafe fstat(made.file, &status) == 0, status.st_nlink > 0 {
                self = made
                return
            }
            _ = culvert_close(made.file)
        }
        throw Failure("somebody takes it away all the time")
    }

    private init(opening path: String) throws(Failure) {
        self.path = path
        // Without waiting for whoever reads from it, where it is a pipe.
        let file = unsafe open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw errno == ELOOP ? Failure("it is a symbolic link") : Failure(number: errno) }
        self.file = file
        do throws(Failure) { try write() } catch {
            _ = culvert_close(file)
            throw error
        }
    }

    private func write() throws(Failure) {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw Failure(number: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure("it is no file") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw Failure(number: errno) }
            throw Failure("another culvert that runs has it: \(content.filter(\.isNumber))")
        }
        guard ftruncate(file, 0) == 0 else { throw Failure(number: errno) }
        let text = Array("\(getpid())\n".utf8)
        let count = unsafe text.withUnsafeBytes { unsafe culvert_write(file, $0.baseAddress, $0.count) }
        guard count == text.count else { throw Failure(number: count < 0 ? Int32(-count) : ENOSPC) }
    }

    private var content: String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe culvert_read(file, $0.baseAddress, $0.count) }
        return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
    }

    /// At the process's end.
    public func remove() {
        _ = unsafe unlink(path)
        _ = culvert_close(file)
    }
}
