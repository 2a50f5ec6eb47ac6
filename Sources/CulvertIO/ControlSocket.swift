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

    private static let mostDescriptors = 3

    /// How many bytes went; nil: the other end has gone.
    public func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        let sent = unsafe bytes.withUnsafeBytes { unsafe culvert_send(descriptor, $0.baseAddress, $0.count) }
        if sent == -Int64(EAGAIN) { return 0 }
        return sent < 0 ? nil : Int(sent)
    }
}
