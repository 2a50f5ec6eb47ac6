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
@safe struct PacketOpener: ~Copyable {
    /// OpenSSH's limit, and so what every peer has found to be taken, bytes: RFC 4253 §6.1 asks for 35000, and some peers
    /// send longer payload, banners and SSH_MSG_IGNORE than that.
    static let maximumPacketLength = 256 * 1024
    /// Before there are keys nobody has a reason for so much, and anybody can ask for it.
    static let maximumClearLength = 64 * 1024

    /// The longest packet that is taken now.
    private var limit: Int
    private var key = PacketKey()
    /// Of the next packet; wraps (RFC 4253 §6.4).
    private(set) var sequenceNumber: UInt32 = 0
    /// Under the key in use.
    private(set) var use = KeyUse()
    /// The next packet's length, judged; 0 until enough of it is there to know. It is deciphered once, however the rest drips.
    private var length = 0

    /// Begins with the "none" cipher, at sequence number 0.
    init(limit: Int = maximumClearLength) {
        self.limit = limit
    }

    var cipher: PacketCipher { key.cipher }

    /// What comes after the peer's SSH_MSG_NEWKEYS is under `key`: to be called before the next packet is opened. Under
    /// strict key exchange the sequence number begins again at 0. The old key is overwritten.
    mutating func setKey(_ key: consuming PacketKey, resetsSequence: Bool) {
        precondition(length == 0, "keys change between two packets")
        self.key = key
        limit = Self.maximumPacketLength
        use = KeyUse()
        if resetsSequence { sequenceNumber = 0 }
    }

    /// The packet at the start of `bytes` and the bytes that it takes, nil while it is not there in full. Its length
    /// is judged as soon as it is known, before the rest is waited for: a false one must not make us wait. After nil
    /// the same bytes are shown again, with more behind them; after a throw nothing may be called.
    mutating func open(
        _ bytes: UnsafeMutableRawPointer, available: Int
    ) throws(SSHError) -> (packet: OpenedPacket, wireLength: Int)? {
        if length == 0 {
            guard available >= key.layout.lengthPrefix else { return nil }
            let claimed = unsafe key.length(of: bytes, sequenceNumber: sequenceNumber)
            try check(length: claimed)
            length = claimed
        }
        let wireLength = 4 + length + key.layout.tagLength
        guard available >= wireLength else { return nil }
        guard !use.isSpent || key.cipher == .none else { throw .violation("it sends on without renewing the keys") }
        guard unsafe key.open(bytes, length: length, sequenceNumber: sequenceNumber) else {
            throw altered
        }
        let padding = Int(unsafe bytes.load(fromByteOffset: 4, as: UInt8.self))
        // A message has at least its number.
        guard padding >= PacketCipher.minimumPadding, padding <= length - 2 else {
            throw .violation("a packet of \(length) bytes has \(padding) bytes of padding")
        }
        let packet = unsafe OpenedPacket(
            message: UnsafeRawPointer(bytes + PacketCipher.headroom), count: length - 1 - padding,
            sequenceNumber: sequenceNumber)
        length = 0
        sequenceNumber &+= 1
        use.count(wireLength)
        return (packet, wireLength)
    }

    private var altered: SSHError {
        SSHError(.integrity, "packet \(sequenceNumber) was altered on the way, or its keys are not ours")
    }

    /// A false length that was ciphered with the rest is told as any alteration is, and at once, as OpenSSH does with
    /// every cipher but CBC. There an attacker could put any block of the stream in the length's place and learn from the
    /// bytes that were waited for what it holds (CVE-2008-5161); in counter mode it can only be this packet's length, which
    /// whoever counts the bytes of the stream sees anyway.
    private func check(length: Int) throws(SSHError) {
        guard key.layout.takes(length: length, limit: limit) else {
            throw key.cipher.hidesLength ? altered : .violation("a packet claims a length of \(length) bytes")
        }
    }
}
