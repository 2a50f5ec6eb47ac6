/// Makes packets of messages, in place, in the order in which they go out.
struct PacketSealer: BitwiseCopyable {
    private(set) var cipher: PacketCipher
    /// Of the next packet; wraps (RFC 4253 §6.4).
    private(set) var sequenceNumber: UInt32 = 0

    init(cipher: PacketCipher) {
        self.cipher = cipher
    }

    func wireLength(messageLength: Int) -> Int {
        cipher.wireLength(messageLength: messageLength)
    }

    /// The message lies at `packet` + 5, and `wireLength` bytes from `packet` on are writable. Returns the wire length.
    mutating func seal(at packet: UnsafeMutableRawPointer, messageLength: Int) -> Int {
        let padding = cipher.paddingLength(messageLength: messageLength)
        let length = UInt32(truncatingIfNeeded: 1 + messageLength + padding)
        unsafe packet.storeBytes(of: length.bigEndian, as: UInt32.self)
        unsafe packet.storeBytes(of: UInt8(truncatingIfNeeded: padding), toByteOffset: 4, as: UInt8.self)
        let tail = unsafe packet + PacketCipher.headroom + messageLength
        switch cipher {
        case .none:
            // What stood here before must not leak to the peer; nothing is ciphered, so randomness hides nothing.
            unsafe tail.initializeMemory(as: UInt8.self, repeating: 0, count: padding)
        }
        sequenceNumber &+= 1
        return PacketCipher.headroom + messageLength + padding + cipher.tagLength
    }
}
