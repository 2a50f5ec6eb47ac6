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
/// A full packet, 32 KiB of payload, has 32804 bytes with each of the AEAD ciphers here, and 32864 with the longest MAC.
enum PacketCipher: BitwiseCopyable, Hashable {
    /// The "none" cipher with the "none" MAC (RFC 4253 §6.3): before the first key exchange, and in tests.
    case none
    /// aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647, with the names of OpenSSH's PROTOCOL §1.6).
    case aes128GCM
    case aes256GCM
    /// chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305).
    case chaCha20Poly1305
    /// AES in counter mode (RFC 4344 §4): the counter runs on from packet to packet.
    case aesCTR(CounterKey, PacketMAC)

    enum CounterKey: BitwiseCopyable, CaseIterable {
        case aes128, aes192, aes256

        /// Bytes.
        var length: Int {
            switch self {
            case .aes128: 16
            case .aes192: 24
            case .aes256: 32
            }
        }
    }

    /// Packets are padded to a multiple of this; 8 is the least (RFC 4253 §6).
    var blockLength: Int {
        switch self {
        case .none, .chaCha20Poly1305: 8
        case .aes128GCM, .aes256GCM, .aesCTR: 16
        }
    }

    var tagLength: Int {
        switch self {
        case .none: 0
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: 16
        case .aesCTR(_, let mac): mac.length
        }
    }

    /// Whether `packet_length` counts toward the multiple. Not where it is authenticated in the clear (RFC 5647 §7.3)
    /// or ciphered with a key of its own.
    var lengthIsPadded: Bool {
        switch self {
        case .none: true
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: false
        case .aesCTR(_, let mac): !mac.coversCiphertext
        }
    }

    /// Whether `packet_length` is ciphered with the rest of its block and checked with the rest of the packet.
    var hidesLength: Bool {
        switch self {
        case .none, .aes128GCM, .aes256GCM, .chaCha20Poly1305: false
        case .aesCTR(_, let mac): !mac.coversCiphertext
        }
    }

    /// Bytes of key and of initial IV to be derived for each direction (RFC 4253 §7.2).
    var keyLength: Int {
        switch self {
        case .none: 0
        case .aes128GCM: 16
        case .aes256GCM: 32
        case .chaCha20Poly1305: 64
        case .aesCTR(let key, _): key.length
        }
    }

    var ivLength: Int {
        switch self {
        case .none, .chaCha20Poly1305: 0
        case .aes128GCM, .aes256GCM: 12
        case .aesCTR: 16
        }
    }

    /// Bytes of the MAC's key: as many as its digest has (RFC 6668 §2).
    var macKeyLength: Int {
        switch self {
        case .none, .aes128GCM, .aes256GCM, .chaCha20Poly1305: 0
        case .aesCTR(_, let mac): mac.length
        }
    }

    /// Bytes before the message.
    static let headroom = 5
    /// The longest padding of a packet of ours, for a block of 16, and the longest tag of any cipher or MAC.
    static let maximumTailroom = 19 + 64
    /// Least padding (RFC 4253 §6).
    static let minimumPadding = 4
    /// Least length of a packet of ours without its tag (RFC 4253 §6).
    static let minimumSent = 16

    // MARK: Negotiation

    /// The cipher's name in SSH_MSG_KEXINIT.
    var name: String {
        switch self {
        case .none: "none"
        case .aes128GCM: CipherAlgorithm.aes128GCM.rawValue
        case .aes256GCM: CipherAlgorithm.aes256GCM.rawValue
        case .chaCha20Poly1305: CipherAlgorithm.chaCha20Poly1305.rawValue
        case .aesCTR(.aes128, _): CipherAlgorithm.aes128CTR.rawValue
        case .aesCTR(.aes192, _): CipherAlgorithm.aes192CTR.rawValue
        case .aesCTR(.aes256, _): CipherAlgorithm.aes256CTR.rawValue
        }
    }

    /// The MAC beside it; nil where the cipher authenticates by itself, or nothing does.
    var mac: PacketMAC? {
        switch self {
        case .none, .aes128GCM, .aes256GCM, .chaCha20Poly1305: nil
        case .aesCTR(_, let mac): mac
        }
    }

    /// Both, for a person.
    var words: String { mac.map { "\(name) with \($0.rawValue)" } ?? name }

    /// Whether packets can be taken out of the stream unseen unless both ends keep to strict key exchange
    /// (CVE-2023-48795). AES-GCM counts packets by itself.
    var needsStrictExchange: Bool {
        switch self {
        case .chaCha20Poly1305: true
        case .none, .aes128GCM, .aes256GCM: false
        case .aesCTR(_, let mac): mac.needsStrictExchange
        }
    }
}
