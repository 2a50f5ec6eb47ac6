/// Makes packets of messages, in place, in the order in which they go out.
@safe struct PacketSealer: ~Copyable {
    private var key = PacketKey()
    /// Of the next packet; wraps (RFC 4253 §6.4).
    private(set) var sequenceNumber: UInt32 = 0
    /// Under the key in use.
    private(set) var use = KeyUse()
    private var padding: PaddingBytes

    /// Begins with the "none" cipher, at sequence number 0.
    init(_ random: inout RandomSource) {
        padding = PaddingBytes(&random)
    }

    /// The same, with the system's randomness.
    init() {
        var random = RandomSource()
        self.init(&random)
    }

    var cipher: PacketCipher { key.cipher }

    /// What comes after our SSH_MSG_NEWKEYS goes out under `key`. Under strict key exchange the sequence number begins
    /// again at 0. The old key is overwritten.
    mutating func setKey(_ key: consuming PacketKey, resetsSequence: Bool) {
        self.key = key
        use = KeyUse()
        if resetsSequence { sequenceNumber = 0 }
    }

    /// Something was sent: there is time for what sealing needs.
    mutating func prepare() { padding.refill() }

    func wireLength(messageLength: Int) -> Int {
        key.layout.wireLength(messageLength: messageLength)
    }

    /// The same of a message whose length says something about what it carries.
    func concealedWireLength(messageLength: Int) -> Int {
        key.layout.concealedWireLength(messageLength: messageLength)
    }

    /// The message lies at `packet` + 5, and `wireLength` bytes from `packet` on are writable. Returns the wire length.
    @inline(__always)
    mutating func seal(at packet: UnsafeMutableRawPointer, messageLength: Int) -> Int {
        let count = key.layout.paddingLength(messageLength: messageLength)
        let tail = unsafe packet + PacketCipher.headroom + messageLength
        switch key.cipher {
        case .none:
            // What stood here before must not leak to the peer; nothing is ciphered, so randomness hides nothing.
            unsafe tail.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305, .aesCTR:
            // At most 19 bytes, at least 4, and there is room for 16 more, the tag: three stores cover them all.
            let bytes = unsafe padding.take(count)
            unsafe tail.storeBytes(of: bytes.loadUnaligned(as: UInt64.self), as: UInt64.self)
            unsafe tail.storeBytes(
                of: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self), toByteOffset: 8, as: UInt64.self)
            unsafe tail.storeBytes(
                of: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self), toByteOffset: count - 4, as: UInt32.self)
        }
        return unsafe seal(padded: packet, length: 1 + messageLength + count, padding: count)
    }

    /// The same, in `concealedWireLength` bytes.
    mutating func sealConcealed(at packet: UnsafeMutableRawPointer, messageLength: Int) -> Int {
        let count = key.layout.concealingPaddingLength(messageLength: messageLength)
        unsafe (packet + PacketCipher.headroom + messageLength).copyMemory(from: padding.take(count), byteCount: count)
        return unsafe seal(padded: packet, length: 1 + messageLength + count, padding: count)
    }

    @inline(__always)
    private mutating func seal(padded packet: UnsafeMutableRawPointer, length: Int, padding: Int) -> Int {
        let wireLength = 4 + length + key.layout.tagLength
        unsafe packet.storeBytes(of: UInt32(truncatingIfNeeded: length).bigEndian, as: UInt32.self)
        unsafe packet.storeBytes(of: UInt8(truncatingIfNeeded: padding), toByteOffset: 4, as: UInt8.self)
        precondition(!use.isSpent || key.cipher == .none, "keys are exchanged before a nonce comes twice")
        unsafe key.seal(packet, length: length, sequenceNumber: sequenceNumber)
        sequenceNumber &+= 1
        use.count(wireLength)
        return wireLength
    }
}
