/// The lengths of packets under one cipher (RFC 4253 §6), worked out once a key: what each packet is measured by.
///
/// Invariant: `blockLength` is a power of two.
struct PacketLayout: BitwiseCopyable {
    let blockLength: Int
    let tagLength: Int
    /// Bytes of the length field that count toward the multiple: 4, or none.
    private let counted: Int
    /// Bytes of a packet that must be there before its length can be known.
    let lengthPrefix: Int
    /// The least `packet_length` that is taken. RFC 4253 §6 wants 12 bytes; OpenSSH's packets of one byte of message
    /// (SSH_MSG_USERAUTH_SUCCESS) have 8 with a cipher that does not count the length.
    private let minimumLength: Int

    init(_ cipher: PacketCipher) {
        blockLength = cipher.blockLength
        tagLength = cipher.tagLength
        counted = cipher.lengthIsPadded ? 4 : 0
        lengthPrefix = cipher.hidesLength ? cipher.blockLength : 4
        minimumLength = cipher.lengthIsPadded ? PacketCipher.minimumSent - 4 : cipher.blockLength
    }

    /// Whether a packet may claim this length, where `limit` is the longest.
    func takes(length: Int, limit: Int) -> Bool {
        length >= minimumLength && length <= limit && (counted + length) & (blockLength - 1) == 0
    }

    func paddingLength(messageLength: Int) -> Int {
        let padding = blockLength - (counted + 1 + messageLength) & (blockLength - 1)
        let isShort =
            padding < PacketCipher.minimumPadding || 5 + messageLength + padding < PacketCipher.minimumSent
        return isShort ? padding + blockLength : padding
    }

    /// What a message whose length says something is padded to a multiple of, bytes: as OpenSSH pads passwords.
    static let concealedMultiple = 64

    /// The padding of such a message: at least the least, and the next multiple after it, as OpenSSH has it.
    func concealingPaddingLength(messageLength: Int) -> Int {
        let least = paddingLength(messageLength: messageLength)
        let covered = counted + 1 + messageLength + least
        return least + Self.concealedMultiple - covered % Self.concealedMultiple
    }

    func concealedWireLength(messageLength: Int) -> Int {
        PacketCipher.headroom + messageLength + concealingPaddingLength(messageLength: messageLength) + tagLength
    }

    /// Bytes on the wire of a packet with this message.
    func wireLength(messageLength: Int) -> Int {
        PacketCipher.headroom + messageLength + paddingLength(messageLength: messageLength) + tagLength
    }
}
