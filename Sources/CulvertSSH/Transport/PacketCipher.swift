/// How the packets of one direction are protected, and so how they are laid out (RFC 4253 §6).
///
/// ```
/// +0  uint32  packet_length      headroom: 4 + 1 bytes
/// +4  byte    padding_length
/// +5  message                    in place
///     padding, 4…                tailroom: padding and tag
///     tag, `tagLength` bytes
/// ```
/// A cipher that seals in place is one more case: its block, its tag, whether the length field is ciphered with the
/// rest, and one branch each in `PacketSealer.seal` and `PacketOpener.next`.
enum PacketCipher: BitwiseCopyable {
    /// The "none" cipher with the "none" MAC (RFC 4253 §6.3): before the first key exchange, and in tests.
    case none

    /// Packets are padded to a multiple of this; 8 is the least (RFC 4253 §6).
    var blockLength: Int {
        switch self {
        case .none: 8
        }
    }

    var tagLength: Int {
        switch self {
        case .none: 0
        }
    }

    /// Whether `packet_length` counts toward the multiple. Not where it is authenticated in the clear (RFC 5647 §7.3).
    var lengthIsPadded: Bool {
        switch self {
        case .none: true
        }
    }

    /// Bytes before the message.
    static let headroom = 5
    /// The longest padding of a packet of ours, for a block of 16, and the longest tag of any cipher or MAC to come.
    static let maximumTailroom = 19 + 64
    /// Least padding (RFC 4253 §6).
    static let minimumPadding = 4

    func paddingLength(messageLength: Int) -> Int {
        let covered = (lengthIsPadded ? 4 : 0) + 1 + messageLength
        let padding = blockLength - covered % blockLength
        return padding < Self.minimumPadding ? padding + blockLength : padding
    }

    /// Bytes on the wire of a packet with this message.
    func wireLength(messageLength: Int) -> Int {
        Self.headroom + messageLength + paddingLength(messageLength: messageLength) + tagLength
    }
}
