internal import CLinux
internal import Glibc

/// A stream that a login thread uses: every call waits, at most until its deadline. Ends up as a bare descriptor on a
/// worker.
public struct BlockingSocket: ~Copyable {
    public let descriptor: Descriptor
    private var isReleased = false

    /// Takes the descriptor over.
    public init(adopting descriptor: Descriptor) { self.descriptor = descriptor }

    deinit { if !isReleased { _ = culvert_close(descriptor) } }

    /// Gives the descriptor away.
    public consuming func release() -> Descriptor {
        isReleased = true
        return descriptor
    }

    /// Connects to one address. Throws ETIMEDOUT at the deadline.
    public static func connect(to address: SocketAddress, from source: SocketAddress?, deadline: Tick)
        throws(IOError) -> BlockingSocket
    {
        var pending = false
        let made = address.connect(from: source, pending: &pending)
        guard made >= 0 else { throw IOError(Int32(-made), "connect") }
        let socket = BlockingSocket(adopting: Descriptor(made))
        if pending {
            try socket.wait(CULVERT_OUT, deadline)
            let error = culvert_socket_error(socket.descriptor)
            guard error == 0 else { throw IOError(-error, "connect") }
        }
        return socket
    }

    /// Bytes received, 0 at the end of the stream.
    public func receive(into buffer: UnsafeMutableRawBufferPointer, deadline: Tick) throws(IOError) -> Int {
        while true {
            let count = unsafe Int(culvert_receive(descriptor, buffer.baseAddress, buffer.count))
            if count >= 0 { return count }
            guard count == -Int(EAGAIN) else { throw IOError(Int32(-count), "receive") }
            try wait(CULVERT_IN, deadline)
        }
    }

    /// Sends everything.
    public func send(_ bytes: UnsafeRawBufferPointer, deadline: Tick) throws(IOError) {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe Int(culvert_send(descriptor, bytes.baseAddress! + sent, bytes.count - sent))
            if count >= 0 {
                sent += count
            } else if count == -Int(EAGAIN) {
                try wait(CULVERT_OUT, deadline)
            } else {
                throw IOError(Int32(-count), "send")
            }
        }
    }

    func wait(_ events: UInt32, _ deadline: Tick) throws(IOError) {
        while true {
            let left = (deadline - Tick.current()).nanoseconds
            guard left > 0 else { throw IOError(ETIMEDOUT, "wait") }
            let ready = culvert_wait(descriptor, events, left)
            if ready < 0 { throw IOError(-ready, "poll") }
            if ready > 0 { return }
        }
    }
}
