internal import CulvertIO

/// A connection that is relayed from socket to socket, without SSH. End 0 is the client's, end 1 the target's.
///
/// Invariant: what waits to be written to an end is in `kept` (a slot on loan) and then in `spill`, in this order; the
/// other end is read only while both are empty. So a slow reader costs at most one slot or one read's worth of spill.
struct PlainFlow: ~Copyable {
    struct End: BitwiseCopyable {
        var descriptor: Descriptor = -1
        /// Bytes that wait to be written to this end, at `keptOffset` of a slot on loan.
        var kept = LentSlot.none
        var keptOffset = 0
        var keptCount = 0
        var spill = Spill()
        /// The end of its stream was read.
        var hasEnded = false
        /// Its writing direction was shut, after everything for it was written.
        var isShut = false
        /// Bytes read from it.
        var bytes: UInt64 = 0

        var owesNothing: Bool { keptCount == 0 && spill.isEmpty }
    }

    var ends: InlineArray<2, End>
    let forward: Int
    let started: Tick
    let peer: SocketAddress
    /// Addresses of the target still to be tried, while it is dialled.
    var candidates: [SocketAddress] = []
    var isOpen = false

    init(client: Descriptor, forward: Int, peer: SocketAddress, started: Tick) {
        ends = InlineArray(repeating: End())
        ends[0].descriptor = client
        self.forward = forward
        self.peer = peer
        self.started = started
    }
}
