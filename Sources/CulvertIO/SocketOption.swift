internal import CLinux
internal import Glibc

/// Settings and figures of a socket; each is a hint, so a refusal is passed over.
public enum SocketOption {
    public static func setNoDelay(_ descriptor: Descriptor) { _ = culvert_set_nodelay(descriptor) }
    public static func setKeepAlive(_ descriptor: Descriptor) { _ = culvert_set_keepalive(descriptor, 1) }
    /// The socket is writable only while fewer than `bytes` wait unsent in the kernel.
    public static func setNotSentLowWater(_ descriptor: Descriptor, bytes: Int) {
        _ = culvert_set_not_sent_low_water(descriptor, Int32(clamping: bytes))
    }
    /// A SYN that nothing answers is repeated so often, at least once; then the connection has failed (TCP_SYNCNT).
    static func setRepeats(_ descriptor: Descriptor, count: Int) {
        _ = culvert_set_syn_count(descriptor, Int32(clamping: count))
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
    /// Since the peer's kernel acknowledged anything; nil when it is no TCP socket.
    public static func sinceAcknowledged(_ descriptor: Descriptor) -> Tick.Span? {
        let milliseconds = culvert_acknowledged_milliseconds_ago(descriptor)
        return milliseconds < 0 ? nil : .milliseconds(Int(milliseconds))
    }
    /// Every connection of this listener, and a socket itself, is reset when it is closed, or when the process dies.
    public static func resetOnClose(_ descriptor: Descriptor) { _ = culvert_set_linger_reset(descriptor) }
    /// Two ends of a stream inside this process.
    public static func pair() throws(IOError) -> (Descriptor, Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutablePointer(to: &ends) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_socketpair($0) }
        }
        guard result == 0 else { throw IOError(-result, "socketpair") }
        return ends
    }
    /// Another name of the same socket, closed by whoever has it; nil where there is none to be had.
    public static func duplicate(_ descriptor: Descriptor) -> Descriptor? {
        let made = culvert_duplicate(descriptor)
        return made < 0 ? nil : made
    }
    /// Ends both directions, for every thread that waits on the socket.
    public static func cut(_ descriptor: Descriptor) { _ = culvert_shutdown(descriptor, Int32(SHUT_RDWR)) }
    /// Closes a descriptor that no driver knows.
    public static func close(_ descriptor: Descriptor) { _ = culvert_close(descriptor) }
}
