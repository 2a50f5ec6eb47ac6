internal import CulvertSSH
internal import Glibc

/// One file of the user, read whole or appended to.
struct LocalFile {
    enum Failure: Error, Equatable {
        case missing
        /// Of a file to be made.
        case noDirectory
        /// The key rule of ssh: ours, and open to others.
        case openToOthers(mode: UInt32)
        case notRegular
        case tooLarge
        case system(CInt)

        var why: String {
            switch self {
            case .missing: words(for: ENOENT)
            case .noDirectory: "its directory does not exist"
            case .openToOthers(let mode): "its permissions 0\(String(mode, radix: 8)) are too open"
            case .notRegular: "not a regular file"
            case .tooLarge: "larger than any such file can be"
            case .system(let code): words(for: code)
            }
        }
    }

    /// Lists of hosts are far smaller; it keeps a mistaken path from filling the memory.
    static let maximumSize = 64 << 20
    /// The same for a private key: a megabyte, as in OpenSSH, of memory that is locked.
    static let maximumSecretSize = 1 << 20

    let path: String

    /// The contents of a regular file; a device such as /dev/null that is at its end at once reads as empty. The
    /// caller wipes the bytes if they are secret.
    /// - Parameter secret: refuse a file of ours that others may read or write.
    func read(secret: Bool = false) throws(Failure) -> [UInt8] {
        let (descriptor, status) = try openForReading()
        defer { close(descriptor) }
        guard status.st_mode & S_IFMT == S_IFREG else { return [] }
        if secret, status.st_uid == getuid(), status.st_mode & 0o077 != 0 {
            throw .openToOthers(mode: status.st_mode & 0o7777)
        }
        guard status.st_size <= (secret ? Self.maximumSecretSize : Self.maximumSize) else { throw .tooLarge }
        return try Self.readAll(descriptor, expecting: Int(status.st_size))
    }

    /// Lends the contents in pieces, in order: no more of a large file is in memory.
    func readPieces(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        let (descriptor, status) = try openForReading()
        defer { close(descriptor) }
        guard status.st_mode & S_IFMT == S_IFREG else { return }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceLength, alignment: 64)
        defer { unsafe piece.deallocate() }
        while true {
            let count = unsafe Glibc.read(descriptor, piece.baseAddress, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return }
            try unsafe body(UnsafeRawBufferPointer(rebasing: piece[..<count]))
        }
    }

    private static let pieceLength = 256 * 1024

    /// A regular file, or /dev/null.
    private func openForReading() throws(Failure) -> (descriptor: CInt, status: stat) {
        // Not waiting: a FIFO that nobody writes to must not hold the login.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw errno == ENOENT || errno == ENOTDIR ? .missing : .system(errno) }
        var status = stat()
        var failure: Failure?
        if unsafe fstat(descriptor, &status) != 0 {
            failure = .system(errno)
        } else if status.st_mode & S_IFMT == S_IFDIR {
            failure = .system(EISDIR)
        } else if status.st_mode & S_IFMT != S_IFREG, path != "/dev/null" {
            failure = .notRegular
        }
        if let failure {
            close(descriptor)
            throw failure
        }
        return (descriptor, status)
    }

    /// A file that grows meanwhile is read up to the size it had: whole lines, since lines are appended whole.
    private static func readAll(_ descriptor: CInt, expecting size: Int) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        var filled = 0
        while filled < size {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress! + filled, size - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(size - filled)
        return bytes
    }

    /// Appends one line in one write, so that lines of other processes are never cut or lost. Makes the file (0600)
    /// when it is missing.
    func append(line: String) throws(Failure) {
        let descriptor = unsafe open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw errno == ENOENT ? .noDirectory : .system(errno) }
        defer { close(descriptor) }
        // An unfinished last line would swallow ours. Two writers that both see one write an empty line, no more.
        let text = Array((Self.endsWithinLine(descriptor) ? "\n" : "").utf8) + Array((line + "\n").utf8)
        let written = unsafe text.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        guard written >= 0 else { throw .system(errno) }
        // The disk is full: what is there is an unfinished line, which the next append ends first.
        guard written == text.count else { throw .system(ENOSPC) }
    }

    private static func endsWithinLine(_ descriptor: CInt) -> Bool {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else {
            return false
        }
        var last: UInt8 = 0
        return unsafe pread(descriptor, &last, 1, status.st_size - 1) == 1 && last != UInt8(ascii: "\n")
    }
}

extension [UInt8] {
    /// Overwrites bytes that were secret. The array must not be shared, or a copy would be wiped.
    mutating func wipe() {
        unsafe withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { unsafe explicit_bzero(start, buffer.count) }
        }
    }
}
