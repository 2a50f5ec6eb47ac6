/// What we let the peer send on one channel (RFC 4254 §5.2), and when we tell it so.
///
/// A byte is counted off when it comes, and may be granted again when `credit` says that a socket took it, so the peer
/// never sends more than the window ahead of the slowest reader. The window doubles while a reader that keeps up uses
/// it, up to a cap: there is no clock here, so use is what is measured.
///
/// A peer may go beyond its window by a little, as at OpenSSH: some count badly. What is too much is a `debt`, and nothing
/// is granted while more lies here unread than the window allows. Then all that was read is granted, the debt included, so
/// that a peer whose count went below zero and one whose count stopped there both go on.
///
/// Invariant: `peerView` + `held` + `drained` = `size` + `extra` + `debt`, and `peerView` is 0 while there is a debt.
struct ReceiveWindow: BitwiseCopyable {
    /// Credit below this is not worth a packet, bytes.
    static let minimumAdjust: UInt32 = 64 * 1024
    /// The window doubles each time that this many windows have been taken by the reader. Two: a window of 256 KiB
    /// comes to 15 MiB within some 40 MiB, or 12 round trips where the round trip is what limits.
    static let windowsPerGrowth: UInt64 = 2
    /// How far a peer may go beyond its window, bytes: a tenth of it, as at OpenSSH, or the tenth of OpenSSH's window of
    /// 2 MiB where that is more.
    static let minimumGrace: UInt32 = 200 * 1024
    /// Debts of one channel that widen what is expected of it, bytes: one window of OpenSSH's greatest. Who goes beyond
    /// its window more often than that, and never waits for it, is held to it.
    static let maximumExtra: UInt32 = 16 * 1024 * 1024

    /// What the peer may have outstanding, bytes.
    private(set) var size: UInt32
    /// What the peer may still send, as far as it has been told.
    private(set) var peerView: UInt32
    /// Received, not yet credited.
    private(set) var held: UInt32 = 0
    /// Credited, not yet told to the peer.
    private(set) var drained: UInt32 = 0
    /// Received beyond the window, and not granted since.
    private(set) var debt: UInt32 = 0
    /// Debts that were granted: a peer that did not count them may have so much more outstanding than the window.
    private(set) var extra: UInt32 = 0
    /// Credited since the window last grew.
    private var used: UInt64 = 0

    init(size: UInt32) {
        self.size = size
        peerView = size
    }

    enum Receipt: BitwiseCopyable {
        case taken
        /// It is far more than the peer was let, and is not counted.
        case tooMuch
    }

    /// `count` bytes came.
    mutating func receive(_ count: Int) -> Receipt {
        guard count <= Int(peerView) else { return receiveBeyond(count) }
        peerView -= UInt32(truncatingIfNeeded: count)
        held += UInt32(truncatingIfNeeded: count)
        return .taken
    }

    private mutating func receiveBeyond(_ count: Int) -> Receipt {
        let after = Int(debt) + count - Int(peerView)
        guard after <= Int(max(Self.minimumGrace, size / 10)) else { return .tooMuch }
        debt = UInt32(after)
        peerView = 0
        held += UInt32(truncatingIfNeeded: count)
        return .taken
    }

    /// A socket took `count` bytes of what was received.
    mutating func credit(_ count: Int) {
        precondition(count >= 0 && count <= Int(held), "no more is credited than was received")
        held -= UInt32(truncatingIfNeeded: count)
        drained += UInt32(truncatingIfNeeded: count)
        used += UInt64(truncatingIfNeeded: count)
    }

    /// Whether the peer is to be told now: an eighth of the window is worth a packet, and a peer that cannot send a
    /// full `packet` waits for us. One that counts its debts waits sooner than we know: with a whole window read it does.
    func owesAdjust(packet: UInt32) -> Bool {
        guard drained > 0, drained >= debt else { return false }
        return drained >= min(size, max(Self.minimumAdjust, size / 8)) || peerView < packet
    }

    /// What SSH_MSG_CHANNEL_WINDOW_ADJUST grants, when it is owed; counted as told. `cap`: the window grows to it at most;
    /// below its size it stays as it is.
    mutating func takeAdjust(cap: UInt32) -> UInt32 {
        precondition(drained >= debt, "a debt is worked off before anything is granted")
        let grown = growth(cap: cap)
        if grown > 0 { used = 0 }
        let count = drained + grown
        let followed = min(debt, Self.maximumExtra - extra)
        size += grown
        extra += followed
        peerView += count - (debt - followed)
        debt = 0
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
            UInt64(peerView) + UInt64(held) + UInt64(drained) == UInt64(size) + UInt64(extra) + UInt64(debt),
            "every byte of the window is somewhere")
        precondition(debt == 0 || peerView == 0, "a debt begins where the window ends")
        precondition(extra <= Self.maximumExtra, "no more debts are followed than that")
    }
}
