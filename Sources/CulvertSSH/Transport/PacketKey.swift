internal import CCrypto

/// The key of one direction: what ciphers and authenticates packets in place, one call of C a packet.
///
/// Invariant: it is used in one direction only, and overwritten and freed once, when it is replaced or its owner ends.
@safe struct PacketKey: ~Copyable {
    /// Who computes AES-GCM.
    enum GCMProvider: BitwiseCopyable {
        /// libipsec-mb where it works, else libcrypto.
        case best
        case libcrypto
        case ipsecMB

        fileprivate var number: Int32 {
            switch self {
            case .best: Int32(CULVERT_GCM_BEST)
            case .libcrypto: Int32(CULVERT_GCM_LIBCRYPTO)
            case .ipsecMB: Int32(CULVERT_GCM_IPSEC_MB)
            }
        }

        /// What `best` is on this machine.
        static var found: GCMProvider { culvert_gcm_has_ipsec_mb() != 0 ? .ipsecMB : .libcrypto }
    }

    enum Direction: BitwiseCopyable {
        case sealing, opening
    }

    let cipher: PacketCipher
    let layout: PacketLayout
    /// Nil with the "none" cipher only.
    private let handle: OpaquePointer?

    /// No key: the "none" cipher.
    init() {
        cipher = .none
        layout = PacketLayout(.none)
        unsafe handle = nil
    }

    /// `key`, `iv` and `macKey` have the lengths that the cipher names, and stay the caller's to overwrite. Throws where the
    /// machine's libcrypto does not have the cipher.
    init(
        _ cipher: PacketCipher, key: Span<UInt8>, iv: Span<UInt8>, macKey: Span<UInt8>, _ direction: Direction,
        gcm: GCMProvider = .best
    ) throws(SSHError) {
        precondition(
            key.count == cipher.keyLength && iv.count == cipher.ivLength && macKey.count == cipher.macKeyLength,
            "keys and IV are derived in the lengths that the cipher names")
        self.cipher = cipher
        layout = PacketLayout(cipher)
        unsafe handle = key.withUnsafeBufferPointer { key in
            unsafe iv.withUnsafeBufferPointer { iv in
                switch cipher {
                case .none: nil
                case .aes128GCM, .aes256GCM:
                    unsafe culvert_gcm_new(
                        gcm.number, direction == .sealing ? 1 : 0, key.baseAddress, key.count, iv.baseAddress)
                case .chaCha20Poly1305: unsafe culvert_chachapoly_new(key.baseAddress)
                case .aesCTR(_, let mac):
                    unsafe macKey.withUnsafeBufferPointer { macKey in
                        unsafe culvert_ctr_new(
                            key.baseAddress, key.count, iv.baseAddress, Int32(8 * mac.length), macKey.baseAddress,
                            mac.coversCiphertext ? 1 : 0)
                    }
                }
            }
        }
        guard unsafe handle != nil || cipher == .none else {
            throw SSHError(.local, "libcrypto on this machine does not offer \(cipher.name), or has no memory for it")
        }
    }

    deinit {
        switch cipher {
        case .none: break
        case .aes128GCM, .aes256GCM: unsafe culvert_gcm_free(handle)
        case .chaCha20Poly1305: unsafe culvert_chachapoly_free(handle)
        case .aesCTR: unsafe culvert_ctr_free(handle)
        }
    }

    /// Whether this machine's libcrypto has the cipher.
    static func offers(_ cipher: PacketCipher) -> Bool {
        let key = [UInt8](repeating: 0, count: cipher.keyLength)
        let iv = [UInt8](repeating: 0, count: cipher.ivLength)
        let macKey = [UInt8](repeating: 0, count: cipher.macKeyLength)
        return (try? PacketKey(cipher, key: key.span, iv: iv.span, macKey: macKey.span, .sealing)) != nil
    }

    /// Ciphers the packet in place: its length field, `length` bytes after it, and room for the tag.
    func seal(_ packet: UnsafeMutableRawPointer, length: Int, sequenceNumber: UInt32) {
        let text = unsafe packet.assumingMemoryBound(to: UInt8.self)
        let result =
            switch cipher {
            case .none: 0 as Int32
            case .aes128GCM, .aes256GCM: unsafe culvert_gcm_seal(handle, text, 4, text + 4, length, text + 4 + length)
            case .chaCha20Poly1305: unsafe culvert_chachapoly_seal(handle, sequenceNumber, text, length)
            case .aesCTR: unsafe culvert_ctr_seal(handle, sequenceNumber, text, length)
            }
        precondition(result == 0, "libcrypto ciphers with a key that it has taken")
    }

    /// The length of the packet that is opened next, of which `lengthPrefix` bytes are there; they stay as they are. It is
    /// not authenticated yet.
    func length(of packet: UnsafeRawPointer, sequenceNumber: UInt32) -> Int {
        var length: UInt32 = 0
        switch cipher {
        case .none, .aes128GCM, .aes256GCM: length = unsafe UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        case .chaCha20Poly1305:
            let bytes = unsafe packet.assumingMemoryBound(to: UInt8.self)
            let result = unsafe culvert_chachapoly_length(handle, sequenceNumber, bytes, &length)
            precondition(result == 0, "libcrypto deciphers with a key that it has taken")
        case .aesCTR:
            let bytes = unsafe packet.assumingMemoryBound(to: UInt8.self)
            let result = unsafe culvert_ctr_length(handle, bytes, &length)
            precondition(result == 0, "libcrypto deciphers with a key that it has taken")
        }
        return Int(length)
    }

    /// Deciphers the packet in place: its length field, `length` bytes after it, and the tag. False: the tag is not
    /// that of this packet, and nothing of it can be read.
    func open(_ packet: UnsafeMutableRawPointer, length: Int, sequenceNumber: UInt32) -> Bool {
        let text = unsafe packet.assumingMemoryBound(to: UInt8.self)
        switch cipher {
        case .none: return true
        case .aes128GCM, .aes256GCM:
            return unsafe culvert_gcm_open(handle, text, 4, text + 4, length, text + 4 + length) == 0
        case .chaCha20Poly1305:
            return unsafe culvert_chachapoly_open(handle, sequenceNumber, text, length) == 0
        case .aesCTR: return unsafe culvert_ctr_open(handle, sequenceNumber, text, length) == 0
        }
    }
}

/// How much one key has protected: what limits of re-exchange are about (RFC 4253 §9, RFC 4344 §3).
struct KeyUse: BitwiseCopyable {
    private(set) var packets: UInt64
    /// On the wire, tags included.
    private(set) var bytes: UInt64

    init(packets: UInt64 = 0, bytes: UInt64 = 0) {
        self.packets = packets
        self.bytes = bytes
    }

    /// The sequence number has 32 bits: one packet more under the same key, and a nonce would come twice.
    var isSpent: Bool { packets >= 1 << 32 }

    mutating func count(_ wireLength: Int) {
        packets &+= 1
        bytes &+= UInt64(truncatingIfNeeded: wireLength)
    }
}
