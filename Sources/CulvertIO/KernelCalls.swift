internal import CLinux

/// The immediate calls, for every driver over the real kernel.
extension IODriver where Self: ~Copyable {
    public mutating func send(_ descriptor: Descriptor, _ start: UnsafeRawPointer, count: Int) -> Int {
        unsafe Int(culvert_send(descriptor, start, count))
    }

    public mutating func send(_ descriptor: Descriptor, _ ranges: borrowing RangeList) -> Int {
        ranges.send(on: descriptor)
    }

    public mutating func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int {
        unsafe Int(culvert_receive_slots(descriptor, first, stride, slotLength, lastLength, Int32(count)))
    }

    public mutating func accept(_ listener: Descriptor, peer: inout SocketAddress) -> Int {
        unsafe Int(culvert_accept(listener, &peer.storage))
    }

    public mutating func connect(
        to address: SocketAddress, from source: SocketAddress?, pending: inout Bool
    ) -> Int {
        address.connect(from: source, pending: &pending)
    }

    public mutating func connectionError(_ descriptor: Descriptor) -> Int { Int(culvert_socket_error(descriptor)) }

    public mutating func shutdownWriting(_ descriptor: Descriptor) { _ = culvert_shutdown(descriptor, 1) }

    public mutating func resetOnClose(_ descriptor: Descriptor) { _ = culvert_set_linger_reset(descriptor) }

    public mutating func finishOnClose(_ descriptor: Descriptor) { _ = culvert_set_linger_default(descriptor) }

    public mutating func unacknowledged(_ descriptor: Descriptor) -> Int {
        max(0, Int(culvert_unacknowledged(descriptor)))
    }

    public mutating func isReset(_ descriptor: Descriptor) -> Bool { culvert_is_reset(descriptor) == 1 }

    public mutating func peerHasGone(_ descriptor: Descriptor) -> Bool { culvert_peer_has_gone(descriptor) == 1 }
}
