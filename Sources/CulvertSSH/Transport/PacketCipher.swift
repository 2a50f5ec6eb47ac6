internal import CCrypto

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
/// rest, and one branch each in `PacketKey`'s functions.
///
/// A full packet, 32 KiB of payload, has 32804 bytes with each of the AEAD ciphers here.
enum PacketCipher: BitwiseCopyable, Hashable {
    /// The "none" cipher with the "none" MAC (RFC 4253 §6.3): before the first key exchange, and in tests.
    case none
    /// aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647, with the names of OpenSSH's PROTOCOL §1.6).
    case aes128GCM
    case aes256GCM
    /// chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305).
    case chaCha20Poly1305

    /// Packets are padded to a multiple of this; 8 is the least (RFC 4253 §6).
    var blockLength: Int {
        switch self {
        case .none, .chaCha20Poly1305: 8
        case .aes128GCM, .aes256GCM: 16
        }
    }

    var tagLength: Int {
        switch self {
        case .none: 0
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: 16
        }
    }

    /// Whether `packet_length` counts toward the multiple. Not where it is authenticated in the clear (RFC 5647 §7.3)
    /// or ciphered with a key of its own.
    var lengthIsPadded: Bool {
        switch self {
        case .none: true
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: false
        }
    }

    /// Bytes of key and of initial IV to be derived for each direction (RFC 4253 §7.2).
    var keyLength: Int {
        switch self {
        case .none: 0
        case .aes128GCM: 16
        case .aes256GCM: 32
        case .chaCha20Poly1305: 64
        }
    }

    var ivLength: Int {
        switch self {
        case .none, .chaCha20Poly1305: 0
        case .aes128GCM, .aes256GCM: 12
        }
    }

    /// Bytes before the message.
    static let headroom = 5
    /// The longest padding of a packet of ours, for a block of 16, and the longest tag of any cipher or MAC to come.
    static let maximumTailroom = 19 + 64
    /// Least padding (RFC 4253 §6).
    static let minimumPadding = 4
    /// Least length of a packet of ours without its tag (RFC 4253 §6).
    static let minimumSent = 16

    /// The least `packet_length` that is taken. RFC 4253 §6 wants 12 bytes; OpenSSH's packets of one byte of message
    /// (SSH_MSG_USERAUTH_SUCCESS) have 8 with a cipher that does not count the length.
    var minimumLength: Int { lengthIsPadded ? Self.minimumSent - 4 : blockLength }

    func paddingLength(messageLength: Int) -> Int {
        let covered = (lengthIsPadded ? 4 : 0) + 1 + messageLength
        let padding = blockLength - covered % blockLength
        let isShort = padding < Self.minimumPadding || 5 + messageLength + padding < Self.minimumSent
        return isShort ? padding + blockLength : padding
    }

    /// What a message whose length says something is padded to a multiple of, bytes: as OpenSSH pads passwords.
    static let concealedMultiple = 64

    /// The padding of such a message: at least the least, and the next multiple after it, as OpenSSH has it.
    func concealingPaddingLength(messageLength: Int) -> Int {
        let least = paddingLength(messageLength: messageLength)
        let covered = (lengthIsPadded ? 4 : 0) + 1 + messageLength + least
        return least + Self.concealedMultiple - covered % Self.concealedMultiple
    }

    func concealedWireLength(messageLength: Int) -> Int {
        Self.headroom + messageLength + concealingPaddingLength(messageLength: messageLength) + tagLength
    }

    /// Bytes on the wire of a packet with this message.
    func wireLength(messageLength: Int) -> Int {
        Self.headroom + messageLength + paddingLength(messageLength: messageLength) + tagLength
    }

    // MARK: Negotiation

    /// Its name in SSH_MSG_KEXINIT.
    var name: String {
        switch self {
        case .none: "none"
        case .aes128GCM: "aes128-gcm@openssh.com"
        case .aes256GCM: "aes256-gcm@openssh.com"
        case .chaCha20Poly1305: "chacha20-poly1305@openssh.com"
        }
    }

    /// Those that protect, the one to be preferred first: AES-GCM costs a quarter of ChaCha20 with AES instructions,
    /// and is slow and leaks by its timing without.
    static func preference(aesInstructions: Bool = hasAESInstructions) -> [PacketCipher] {
        aesInstructions
            ? [.aes256GCM, .aes128GCM, .chaCha20Poly1305] : [.chaCha20Poly1305, .aes256GCM, .aes128GCM]
    }

    /// Whether this processor has AES instructions.
    static var hasAESInstructions: Bool { culvert_crypto_has_aes_instructions() != 0 }
}
