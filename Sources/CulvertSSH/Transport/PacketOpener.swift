/// One opened packet: its message, at its place in the lent bytes. Never empty.
@safe struct OpenedPacket: BitwiseCopyable {
    let message: UnsafeRawPointer
    let count: Int
    let sequenceNumber: UInt32

    /// The message number (RFC 4250 §4.1).
    var number: UInt8 { unsafe message.load(as: UInt8.self) }

    /// What follows the message number.
    func reader(_ name: StaticString) -> WireReader {
        unsafe WireReader(start: message + 1, count: count - 1, of: name)
    }
}

/// Takes packets out of bytes, opening them in place, in the order in which they came.
struct PacketOpener: BitwiseCopyable {
    /// RFC 4253 §6.1: packets of 35000 bytes must be taken. Longer ones nobody needs to send us, since the greatest
    /// packet that we offer for a channel, with its headers, is less.
    static let maximumPacketLength = 35000

    private(set) var cipher: PacketCipher
    /// Of the next packet; wraps (RFC 4253 §6.4).
    private(set) var sequenceNumber: UInt32 = 0

    init(cipher: PacketCipher) {
        self.cipher = cipher
    }

    /// The packet at the start of `bytes` and the bytes that it takes, nil while it is not there in full. Its length
    /// is judged as soon as it is known, before the rest is waited for: a false one must not make us wait.
    mutating func open(
        _ bytes: UnsafeMutableRawPointer, available: Int
    ) throws(SSHError) -> (packet: OpenedPacket, wireLength: Int)? {
        guard available >= 4 else { return nil }
        let length = Int(UInt32(bigEndian: unsafe bytes.loadUnaligned(as: UInt32.self)))
        try check(length: length)
        let wireLength = 4 + length + cipher.tagLength
        guard available >= wireLength else { return nil }
        switch cipher {
        case .none: break
        }
        let padding = Int(unsafe bytes.load(fromByteOffset: 4, as: UInt8.self))
        // A message has at least its number.
        guard padding >= PacketCipher.minimumPadding, padding <= length - 2 else {
            throw .violation("a packet of \(length) bytes has \(padding) bytes of padding")
        }
        let packet = unsafe OpenedPacket(
            message: UnsafeRawPointer(bytes + PacketCipher.headroom), count: length - 1 - padding,
            sequenceNumber: sequenceNumber)
        sequenceNumber &+= 1
        return (packet, wireLength)
    }

    private func check(length: Int) throws(SSHError) {
        let padded = cipher.lengthIsPadded ? length + 4 : length
        // RFC 4253 §6: at least 16 bytes, or one block, whichever is more.
        guard length >= 12, length <= Self.maximumPacketLength, padded.isMultiple(of: cipher.blockLength) else {
            throw .violation("a packet claims a length of \(length) bytes")
        }
    }
}
