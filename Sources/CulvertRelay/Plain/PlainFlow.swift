internal import CulvertIO

/// A connection that is relayed from socket to socket, without SSH. End 0 is the client's, end 1 the target's.
///
/// Invariant: what waits to be written to an end is in `kept` (a slot on loan) or in `spill`; the other end is read only
/// while both are empty. So a slow reader costs at most one slot or one read's worth of spill.
struct PlainFlow: ~Copyable, SlabElement {
    typealias ID = PlainFlowID

    struct End: BitwiseCopyable {
        enum Source: UInt8 { case sending, finished, failed }
        enum Sink: UInt8 { case open, shut, failed }

        /// nil until the target stands.
        var descriptor: Descriptor?
        /// Bytes that wait to be written to this end, at `keptOffset` of a slot on loan.
        var kept = LentSlot.none
        var keptOffset = 0
        var keptCount = 0
        var spill = Spill()
        var awaitsWritable = false
        /// What was read from it.
        var source = Source.sending
        /// What may be written to it.
        var sink = Sink.open
        /// Bytes read from it.
        var bytes: UInt64 = 0
        /// When its rest was last looked at: the same, and what the other end had not taken by then, bytes.
        var restSeen: UInt64 = 0
        var owedSeen = 0

        var owesNothing: Bool { keptCount == 0 && spill.isEmpty }
    }

    /// What becomes of one that is over.
    enum Ending: Hashable {
        /// Both directions have ended, and both ends have everything.
        case whole
        /// Both are reset at once.
        case cut
        /// The other end has failed and is read out: this one gets what it is owed, and then a reset.
        case resets(survivor: Int)
        /// The process ends: an end whose far side has finished gets everything that it is owed, another one is reset.
        case settled
    }

    var ends: InlineArray<2, End>
    let forward: DirectID
    let started: Tick
    let peer: SocketAddress
    /// One of its readers has been slow since then.
    var stalledSince = Tick(nanoseconds: 0)
    /// While its target is looked up or dialled.
    var dialling: Dialling?
    /// Set once: it is over.
    var ending: Ending?

    init(client: Descriptor, forward: DirectID, peer: SocketAddress, started: Tick) {
        ends = InlineArray(repeating: End())
        ends[0].descriptor = client
        self.forward = forward
        self.peer = peer
        self.started = started
    }

    var isOpen: Bool { ends[1].descriptor != nil }

    /// What becomes of that end.
    enum Fate { case finishes, resetsAfterRest, resets }

    func fate(of end: Int) -> Fate {
        switch ending {
        case .whole: .finishes
        case .resets(survivor: end): .resetsAfterRest
        case .settled where ends[1 - end].source == .finished && ends[end].sink != .failed: .finishes
        case .settled, .cut, .resets, nil: .resets
        }
    }

    /// Memory that it holds for slow readers, bytes.
    var held: Int { ends[0].spill.held + ends[1].spill.held }
    /// Payload that lies there, bytes.
    var owed: Int { ends[0].spill.count + ends[1].spill.count }
}
