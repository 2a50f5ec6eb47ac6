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

    /// Connects to whichever address answers first. A new attempt is begun every so often while none has: at the next
    /// address after 250 ms (RFC 8305 §5), at the first one again after a second. So a path that comes back is used
    /// within a second of it, not at the next doubling of an old attempt's timer.
    public static func connect(toAnyOf addresses: [SocketAddress], from source: SocketAddress?, deadline: Tick)
        throws(IOError) -> BlockingSocket
    {
        var attempts: [Descriptor] = []
        defer { for attempt in attempts { _ = culvert_close(attempt) } }
        var begun = 0
        var failure = IOError(ETIMEDOUT, "connect")
        var failures = 0
        var nextBegin = Tick.current()
        while true {
            let now = Tick.current()
            guard now < deadline else { throw failure }
            if now >= nextBegin {
                var pending = false
                let made = addresses[begun % addresses.count].connect(from: source, pending: &pending)
                begun += 1
                nextBegin = now + (begun < addresses.count ? .milliseconds(250) : .seconds(1))
                if made >= 0, !pending { return BlockingSocket(adopting: Descriptor(made)) }
                if made >= 0 {
                    attempts.append(Descriptor(made))
                } else {
                    failure = IOError(Int32(-made), "connect")
                    failures += 1
                }
                // The eldest goes when there are many; its successors knock at the same door.
                if attempts.count > 8 { _ = culvert_close(attempts.removeFirst()) }
            }
            for descriptor in Wait.forWritable(attempts, until: min(deadline, nextBegin)) {
                attempts.removeAll { $0 == descriptor }
                let error = culvert_socket_error(descriptor)
                if error == 0 { return BlockingSocket(adopting: descriptor) }
                _ = culvert_close(descriptor)
                failure = IOError(-error, "connect")
                failures += 1
                nextBegin = now
            }
            // Every address has said no: that is an answer.
            if attempts.isEmpty, begun >= addresses.count, failures >= begun { throw failure }
        }
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

    private func wait(_ events: UInt32, _ deadline: Tick) throws(IOError) {
        while true {
            let left = (deadline - Tick.current()).nanoseconds
            guard left > 0 else { throw IOError(ETIMEDOUT, "wait") }
            let ready = culvert_wait(descriptor, events, left)
            if ready < 0 { throw IOError(-ready, "poll") }
            if ready > 0 { return }
        }
    }
}

/// Settings and figures of a socket; each is a hint, so a refusal is passed over.
public enum SocketOption {
    public static func setNoDelay(_ descriptor: Descriptor) { _ = culvert_set_nodelay(descriptor) }
    public static func setKeepAlive(_ descriptor: Descriptor) { _ = culvert_set_keepalive(descriptor, 1) }
    /// The socket is writable only while fewer than `bytes` wait unsent in the kernel.
    public static func setNotSentLowWater(_ descriptor: Descriptor, bytes: Int) {
        _ = culvert_set_not_sent_low_water(descriptor, Int32(clamping: bytes))
    }
    /// What was received is acknowledged now, not along with what is sent next.
    public static func acknowledge(_ descriptor: Descriptor) { _ = culvert_acknowledge(descriptor) }
    /// Smoothed round trip time; nil when it is no TCP socket.
    public static func roundTrip(_ descriptor: Descriptor) -> Tick.Span? { roundTrip(descriptor, least: false) }
    /// The shortest round trip time seen in the last minutes: the path's own, without what waits in queues.
    public static func leastRoundTrip(_ descriptor: Descriptor) -> Tick.Span? { roundTrip(descriptor, least: true) }
    private static func roundTrip(_ descriptor: Descriptor, least: Bool) -> Tick.Span? {
        let microseconds = culvert_round_trip_microseconds(descriptor, least ? 1 : 0)
        return microseconds < 0 ? nil : Tick.Span(nanoseconds: Int64(microseconds) * 1000)
    }
    /// The connection was reset or has failed, whether or not anybody reads it. One that has merely ended is not.
    public static func isReset(_ descriptor: Descriptor) -> Bool { culvert_is_reset(descriptor) == 1 }
    /// Two ends of a stream inside this process.
    public static func pair() throws(IOError) -> (Descriptor, Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutablePointer(to: &ends) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_socketpair($0) }
        }
        guard result == 0 else { throw IOError(-result, "socketpair") }
        return ends
    }
    /// Closes a descriptor that no driver knows.
    public static func close(_ descriptor: Descriptor) { _ = culvert_close(descriptor) }
}
