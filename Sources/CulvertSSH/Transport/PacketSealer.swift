/// Makes packets of messages, in place, in the order in which they go out.
@safe struct PacketSealer: ~Copyable {
    private var key = PacketKey()
    /// Of the next packet; wraps (RFC 4253 §6.4).
    private(set) var sequenceNumber: UInt32 = 0
    /// Under the key in use.
    private(set) var use = KeyUse()
    /// Padding, the same for every packet: under an authenticated cipher it tells nobody anything.
    private let padding: (UInt64, UInt64, UInt32)

    /// Begins with the "none" cipher, at sequence number 0.
    init(_ random: inout RandomSource) {
        padding = (random.next(), random.next(), UInt32(truncatingIfNeeded: random.next()))
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

    func wireLength(messageLength: Int) -> Int {
        key.cipher.wireLength(messageLength: messageLength)
    }

    /// The message lies at `packet` + 5, and `wireLength` bytes from `packet` on are writable. Returns the wire length.
    mutating func seal(at packet: UnsafeMutableRawPointer, messageLength: Int) -> Int {
        let cipher = key.cipher
        let padding = cipher.paddingLength(messageLength: messageLength)
        let length = 1 + messageLength + padding
        let wireLength = 4 + length + cipher.tagLength
        unsafe packet.storeBytes(of: UInt32(truncatingIfNeeded: length).bigEndian, as: UInt32.self)
        unsafe packet.storeBytes(of: UInt8(truncatingIfNeeded: padding), toByteOffset: 4, as: UInt8.self)
        unsafe pad(packet + PacketCipher.headroom + messageLength, count: padding)
        precondition(!use.isSpent, "keys are exchanged before a nonce comes twice")
        unsafe key.seal(packet, length: length, sequenceNumber: sequenceNumber)
        sequenceNumber &+= 1
        use.count(wireLength)
        return wireLength
    }

    private func pad(_ tail: UnsafeMutableRawPointer, count: Int) {
        switch key.cipher {
        case .none:
            // What stood here before must not leak to the peer; nothing is ciphered, so randomness hides nothing.
            unsafe tail.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305:
            // At most 19 bytes, at least 4, and there is room for 16 more, the tag: three stores cover them all.
            unsafe tail.storeBytes(of: padding.0, as: UInt64.self)
            unsafe tail.storeBytes(of: padding.1, toByteOffset: 8, as: UInt64.self)
            unsafe tail.storeBytes(of: padding.2, toByteOffset: count - 4, as: UInt32.self)
        }
    }
}
