internal import CCrypto

/// The memory in which packets are made and wait to be sent: one linear block, filled from the front.
///
/// It has memory only while something is in it or is about to be: a connection that is idle, or whose socket takes
/// everything at once, holds none. The thread lends it, and is given it back when all is sent: so a thread's connections
/// take turns on the same warm memory. Spare memory stays with the thread (`spareBlocks`) and goes with it.
///
/// Full packets are as long on the wire as their slots' stride, so packets lie back to back and what waits is one range.
/// Room at the end is kept from payload, so that control packets fit while payload has to wait, and the very last of
/// it from everything but the last word.
///
/// Invariant: 0 ≤ `sent` ≤ `filled` ≤ `capacity`, and `filled` is 0 without memory. Whoever holds a range of it holds it
/// until the next mutating call.
@safe struct OutputBlock: ~Copyable {
    /// Payload of a full packet, bytes. Peers need not take more (RFC 4253 §6.1), and some do not.
    static let maximumPayload = 32 * 1024
    /// A slot for the longest packet of any cipher, bytes.
    static let maximumStride =
        PacketCipher.headroom + ChannelData.headerLength + maximumPayload + PacketCipher.maximumTailroom
    /// Kept from payload: at 36 to 116 bytes each, a hundred control packets or more fit before one has to be deferred.
    static let controlRoom = 8 * 1024
    /// Control packets that may stand before a full batch of payload without shortening it.
    static let slack = 4 * 1024
    /// Kept for the messages of key exchanges: two of them, the longest, though a peer that reads has at most one unread.
    static let exchangeRoom = 16 * 1024
    /// Kept for SSH_MSG_DISCONNECT.
    static let lastWordRoom = 192
    /// What is left unsent is moved to the front when it is at most this, one packet: it costs about a microsecond.
    static let smallRest = 33 * 1024

    static let capacity =
        PayloadSlots.maximumCount * maximumStride + slack + controlRoom + exchangeRoom + lastWordRoom

    private var base: UnsafeMutableRawPointer?
    private(set) var sent = 0
    private(set) var filled = 0

    deinit {
        if let base = unsafe base { unsafe culvert_block_give(base) }
    }

    var unsent: UnsafeRawBufferPointer {
        guard let base = unsafe base else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: base + sent, count: filled - sent)
    }

    /// Where the next packet begins. Whoever asks makes one there, or calls `giveBackIfEmpty`.
    var end: UnsafeMutableRawPointer {
        mutating get {
            if let base = unsafe base { return unsafe base + filled }
            guard let lent = unsafe culvert_block_take(Self.capacity) else {
                preconditionFailure("there is memory for what goes out")
            }
            unsafe base = lent
            return unsafe lent
        }
    }

    /// Nothing was made at `end`.
    mutating func giveBackIfEmpty() {
        guard filled == 0, let lent = unsafe base else { return }
        unsafe base = nil
        unsafe culvert_block_give(lent)
    }

    /// Bytes of memory that it is lent.
    var storedBytes: Int { unsafe base == nil ? 0 : Self.capacity }

    /// Blocks that this thread has and lends to nobody.
    static var spareBlocks: Int { Int(culvert_block_spares()) }
    /// At most so many, what is given back beyond that is freed: 4.3 MiB, if all of it was ever used.
    static var maximumSpareBlocks: Int { Int(CULVERT_BLOCK_SPARES) }

    /// Bytes for packets with payload.
    var payloadRoom: Int {
        max(0, Self.capacity - Self.lastWordRoom - Self.exchangeRoom - Self.controlRoom - filled)
    }

    /// Bytes for control packets.
    var messageRoom: Int { max(0, Self.capacity - Self.lastWordRoom - Self.exchangeRoom - filled) }

    /// Bytes for packets of a key exchange.
    var exchangeRoom: Int { max(0, Self.capacity - Self.lastWordRoom - filled) }

    /// Bytes for the last word.
    var finalRoom: Int { Self.capacity - filled }

    /// The next `count` bytes from `end` on hold sealed packets.
    mutating func append(_ count: Int) {
        precondition(count >= 0 && count <= finalRoom, "packets are made where there is room for them")
        filled += count
    }

    /// The first `count` unsent bytes are sent.
    mutating func didSend(_ count: Int) {
        precondition(count >= 0 && count <= filled - sent, "no more is sent than was there")
        sent += count
        if sent == filled {
            sent = 0
            filled = 0
            giveBackIfEmpty()
        } else if filled - sent <= Self.smallRest && sent >= Self.capacity / 2 {
            // Before half of the block is behind us there is room after it; a long rest is sent first, not moved.
            if let base = unsafe base { unsafe base.copyMemory(from: base + sent, byteCount: filled - sent) }
            filled -= sent
            sent = 0
        }
        invariants()
    }

    func invariants() {
        precondition(0 <= sent && sent <= filled && filled <= Self.capacity, "sent ≤ filled ≤ capacity")
        precondition(unsafe base != nil || filled == 0, "what waits lies in memory")
    }
}
