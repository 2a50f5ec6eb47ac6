/// What we let the peer send on one channel (RFC 4254 §5.2), and when we tell it so.
///
/// A byte is counted off when it comes, and may be granted again when `credit` says that a socket took it, so the peer
/// never sends more than the window ahead of the slowest reader. The window doubles while a reader that keeps up uses
/// it, up to a cap: there is no clock here, so use is what is measured.
///
/// Invariant: `peerView` + `held` + `drained` = `size`.
struct ReceiveWindow: BitwiseCopyable {
    /// Credit below this is not worth a packet, bytes.
    static let minimumAdjust: UInt32 = 64 * 1024
    /// The window doubles each time that this many windows have been taken by the reader. Two: a window of 256 KiB
    /// comes to 15 MiB within some 40 MiB, or 12 round trips where the round trip is what limits.
    static let windowsPerGrowth: UInt64 = 2

    /// What the peer may have outstanding, bytes.
    private(set) var size: UInt32
    /// What the peer may still send, as far as it has been told.
    private(set) var peerView: UInt32
    /// Received, not yet credited.
    private(set) var held: UInt32 = 0
    /// Credited, not yet told to the peer.
    private(set) var drained: UInt32 = 0
    /// Credited since the window last grew.
    private var used: UInt64 = 0

    init(size: UInt32) {
        self.size = size
        peerView = size
    }

    /// `count` bytes came. More than the window is the peer's fault: it was told how much it may send.
    mutating func receive(_ count: Int) throws(SSHError) {
        guard count <= Int(peerView) else {
            throw .violation("it sent \(count) bytes into a window of \(peerView)")
        }
        peerView -= UInt32(truncatingIfNeeded: count)
        held += UInt32(truncatingIfNeeded: count)
    }

    /// A socket took `count` bytes of what was received.
    mutating func credit(_ count: Int) {
        precondition(count >= 0 && count <= Int(held), "no more is credited than was received")
        held -= UInt32(truncatingIfNeeded: count)
        drained += UInt32(truncatingIfNeeded: count)
        used += UInt64(truncatingIfNeeded: count)
    }

    /// Whether the peer is to be told now: an eighth of the window is worth a packet, and a peer that cannot send a
    /// full `packet` waits for us.
    func owesAdjust(packet: UInt32) -> Bool {
        drained > 0 && (drained >= max(Self.minimumAdjust, size / 8) || peerView < packet)
    }

    /// What SSH_MSG_CHANNEL_WINDOW_ADJUST grants; counted as told. `cap`: the window grows to it at most;
    /// below its size it stays as it is.
    mutating func takeAdjust(cap: UInt32) -> UInt32 {
        let grown = growth(cap: cap)
        if grown > 0 { used = 0 }
        let count = drained + grown
        size += grown
        peerView += count
        drained = 0
        return count
    }

    /// A reader that leaves more than a quarter of the window lying would only have more of it lying.
    private func growth(cap: UInt32) -> UInt32 {
        guard size < cap, used >= UInt64(size) * Self.windowsPerGrowth, held <= size / 4 else { return 0 }
        return min(size, cap - size)
    }

    func invariants() {
        precondition(
            UInt64(peerView) + UInt64(held) + UInt64(drained) == UInt64(size), "every byte of the window is somewhere")
    }
}
