/// What has been received and lent to the engine, and how far it has been opened.
///
/// Invariant: 0 ≤ `position` ≤ `count`; without a loan both are 0.
@safe struct PacketInput: ~Copyable {
    private var start: UnsafeMutableRawPointer?
    private var count = 0
    private var position = 0
    private var opener: PacketOpener

    /// `limit`: the longest packet that is taken while there are no keys, bytes.
    init(limit: Int = PacketOpener.maximumClearLength) {
        unsafe start = nil
        opener = PacketOpener(limit: limit)
    }

    /// As `PacketOpener.setKey`, between two packets.
    mutating func setKey(_ key: consuming PacketKey, resetsSequence: Bool) {
        opener.setKey(key, resetsSequence: resetsSequence)
    }

    /// Under the key in use.
    var use: KeyUse { opener.use }

    mutating func lend(_ bytes: UnsafeMutableRawBufferPointer) {
        precondition(unsafe start == nil, "a loan ends with takeConsumed before the next one begins")
        unsafe start = bytes.baseAddress
        count = bytes.count
        position = 0
    }

    /// The next packet, nil when it is not there in full.
    mutating func next() throws(SSHError) -> OpenedPacket? {
        guard let start = unsafe start else { return nil }
        guard let opened = unsafe try opener.open(start + position, available: count - position) else { return nil }
        position += opened.wireLength
        return opened.packet
    }

    /// What is lent and not consumed: where it is no packet yet (RFC 4253 §4.2).
    var rest: UnsafeRawBufferPointer {
        guard let start = unsafe start else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: start + position, count: count - position)
    }

    /// The next `length` bytes are no packet.
    mutating func skip(_ length: Int) {
        precondition(length >= 0 && length <= count - position, "no more is consumed than was lent")
        position += length
    }

    mutating func takeConsumed() -> Int {
        let consumed = position
        unsafe start = nil
        count = 0
        position = 0
        return consumed
    }
}
