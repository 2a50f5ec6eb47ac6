internal import CLinux
internal import Glibc

/// A Unix socket that others reach this process by: only processes of the same user, and root's. Its file is there from
/// the beginning to the end, and only ever this one's is removed.
public final class ControlListener: Sendable {
    public let descriptor: Descriptor
    private let address: SocketAddress
    private let device: UInt64
    private let inode: UInt64
    /// Anybody who reaches it is served.
    private let isOpen: Bool

    /// Mode 0600. Throws EADDRINUSE where anything has that name, alive or not.
    public init(at address: SocketAddress) throws(IOError) {
        descriptor = try address.listen(backlog: 64, modeMask: 0o177)
        isOpen = false
        self.address = address
        var (device, inode): (UInt64, UInt64) = (0, 0)
        let found = unsafe withUnsafePointer(to: address.storage) { unsafe culvert_socket_file($0, &device, &inode) }
        (self.device, self.inode) = (device, inode)
        if found < 0 {
            _ = culvert_close(descriptor)
            throw IOError(-found, "lstat")
        }
    }

    /// At a TCP port, for whoever reaches it.
    public init(openAt address: SocketAddress) throws(IOError) {
        precondition(!address.isUnix, "a socket with a file is its owner's")
        descriptor = try address.listen(backlog: 64)
        self.address = address
        (device, inode, isOpen) = (0, 0, true)
    }

    deinit { _ = culvert_close(descriptor) }

    public enum Accepted: Sendable {
        case stream(ControlStream)
        case nothing
        /// The process or the machine is short of something: it would be readable again at once.
        case notNow
    }

    /// The next connection. Those of other users are closed.
    public func accept() -> Accepted {
        while true {
            var peer = culvert_address()
            let made = unsafe culvert_accept(descriptor, &peer)
            if made == -ECONNABORTED { continue }
            if made == -EAGAIN { return .nothing }
            guard made >= 0 else { return .notNow }
            if isOpen { return .stream(ControlStream(adopting: made)) }
            let user = culvert_peer_user(made)
            if user == 0 || user == culvert_own_user() { return .stream(ControlStream(adopting: made)) }
            _ = culvert_close(made)
        }
    }

    /// Others find it no more. Any thread may call it, any number of times.
    public func remove() {
        guard !isOpen else { return }
        _ = unsafe withUnsafePointer(to: address.storage) { unsafe culvert_remove_socket($0, device, inode) }
    }
}

/// One connection of such a socket, or of one at another process. No call waits.
public final class ControlStream: Sendable {
    public enum Received: Sendable {
        /// Descriptors are owned by whoever takes them.
        case bytes([UInt8], descriptors: [Descriptor])
        case nothing
        case ended
    }

    /// That one byte may bring.
    private static let mostDescriptors = 3

    public let descriptor: Descriptor

    /// Takes the descriptor over.
    public init(adopting descriptor: Descriptor) { self.descriptor = descriptor }

    deinit { _ = culvert_close(descriptor) }

    /// At most `most` bytes, and the descriptors that came with the last of them.
    public func receive(most: Int) -> Received {
        var bytes = [UInt8](repeating: 0, count: most)
        var attached = [Descriptor](repeating: -1, count: Self.mostDescriptors)
        var attachedCount = Int32(attached.count)
        let count = unsafe culvert_line_receive(descriptor, &bytes, most, &attached, &attachedCount)
        if count == -Int64(EAGAIN) { return .nothing }
        let descriptors = Array(attached.prefix(Int(attachedCount)))
        guard count > 0 else {
            descriptors.forEach(SocketOption.close)
            return .ended
        }
        return .bytes(Array(bytes.prefix(Int(count))), descriptors: descriptors)
    }

    /// How many bytes went; nil: the other end has gone.
    public func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        let sent = unsafe bytes.withUnsafeBytes { unsafe culvert_send(descriptor, $0.baseAddress, $0.count) }
        if sent == -Int64(EAGAIN) { return 0 }
        return sent < 0 ? nil : Int(sent)
    }

    /// How many bytes came there, 0 at the end of the stream; nil: none yet. Throws where it has broken.
    public func receive(into room: UnsafeMutableRawBufferPointer) throws(IOError) -> Int? {
        let count = unsafe culvert_receive(descriptor, room.baseAddress, room.count)
        if count == -Int64(EAGAIN) { return nil }
        guard count >= 0 else { throw IOError(Int32(-count), "receive") }
        return Int(count)
    }

    /// How many of these bytes went. Throws where the other end has gone.
    public func send(_ bytes: UnsafeRawBufferPointer) throws(IOError) -> Int {
        let sent = unsafe culvert_send(descriptor, bytes.baseAddress, bytes.count)
        if sent == -Int64(EAGAIN) { return 0 }
        guard sent >= 0 else { throw IOError(Int32(-sent), "send") }
        return Int(sent)
    }

    /// Nothing more is sent: the other end reads what it has, then the end.
    public func finish() { _ = culvert_shutdown(descriptor, Int32(SHUT_WR)) }
}

// MARK: At another process

extension ControlStream {
    /// Connects to another process's socket. nil: too many wait there already. Throws EPERM where neither this user nor
    /// root listens there.
    public static func connect(to address: SocketAddress) throws(IOError) -> ControlStream? {
        var pending = false
        let made = address.connect(from: nil, pending: &pending)
        if made == -Int(EAGAIN) { return nil }
        guard made >= 0 else { throw IOError(Int32(-made), "connect") }
        let stream = ControlStream(adopting: Descriptor(made))
        let user = culvert_peer_user(stream.descriptor)
        guard user == 0 || user == culvert_own_user() else { throw IOError(EPERM, "connect") }
        return stream
    }

    /// Why nobody should talk to whatever listens at a path, for a person: it, or its directory, is another user's. nil: it
    /// is this user's, or root's. Throws where nothing is there.
    public static func flaw(at path: String) throws(IOError) -> String? {
        var found = stat()
        guard unsafe stat(path, &found) == 0 else { throw IOError(errno, "stat") }
        guard found.st_mode & S_IFMT == S_IFSOCK else { return "it is no socket" }
        guard isOwn(found) else { return "it is another user's" }
        let directory = path.lastIndex(of: "/").map { path[..<$0].isEmpty ? "/" : String(path[..<$0]) } ?? "."
        guard unsafe stat(directory, &found) == 0 else { throw IOError(errno, "stat") }
        guard isOwn(found) else { return "its directory is another user's" }
        // In a directory like /tmp nobody can put another file in the place of ours.
        let isOpen = found.st_mode & (S_IWGRP | S_IWOTH) != 0 && found.st_mode & S_ISVTX == 0
        return isOpen ? "others may write in its directory" : nil
    }

    private static func isOwn(_ file: stat) -> Bool {
        file.st_uid == 0 || Int64(file.st_uid) == culvert_own_user()
    }
}
