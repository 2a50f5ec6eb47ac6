/// Everything that goes out: messages become packets here, in one order.
///
/// Control messages are written with `message`, then given to `send` (our own doing) or `reply` (the peer's).
/// Payload is reserved and committed. While a control message waits, payload has no room, so nothing overtakes it.
@safe struct PacketOutput: ~Copyable {
    /// What may pass.
    private enum Gate: BitwiseCopyable {
        case open
        /// Keys are exchanged: messages of the connection wait (RFC 4253 §7.1).
        case held
        /// The last word is said.
        case shut
    }

    /// A payload that is being filled.
    private struct Reservation: BitwiseCopyable {
        var count = 0
        var slotLength = 0
        var stride = 0
    }

    /// The longest message that is made here: CHANNEL_OPEN with two texts of `ChannelOpen.maximumText`.
    static let maximumMessage = 4 * 1024
    /// Answers that may wait for a peer that does not read, bytes. 64 KiB are some 7000 answers; a peer that asks on
    /// without reading any is cut off, not queued for.
    static let maximumDeferredReplies = 64 * 1024

    private var block = OutputBlock()
    private var sealer: PacketSealer
    private var deferred = DeferredMessages()
    /// Messages of a key exchange that wait for room: they go before what is `deferred`, and while that is held.
    private var exchange = DeferredMessages()
    /// In use from the SSH_MSG_NEWKEYS on that is being sent.
    private var nextKey: PacketKey?
    private var resetsSequence = false
    private var gate = Gate.open
    private var reservation = Reservation()
    private let scratch: UnsafeMutableRawPointer

    /// Begins with the "none" cipher.
    init(_ random: inout RandomSource) {
        sealer = PacketSealer(&random)
        unsafe scratch = UnsafeMutableRawPointer.allocate(byteCount: Self.maximumMessage, alignment: 8)
    }

    /// Begins held, until the first keys are exchanged.
    static func held(_ random: inout RandomSource) -> PacketOutput {
        var output = PacketOutput(&random)
        output.hold()
        return output
    }

    /// Begins open, with the system's randomness.
    init() {
        var random = RandomSource()
        self.init(&random)
    }

    deinit {
        unsafe scratch.deallocate()
    }

    // MARK: Sent

    var unsent: UnsafeRawBufferPointer { unsafe block.unsent }
    var deferredBytes: Int { deferred.byteCount }
    /// Bytes of memory that it has for itself.
    var storedBytes: Int {
        block.storedBytes + Self.maximumMessage + PaddingBytes.count + deferred.storedBytes + exchange.storedBytes
    }

    mutating func didSend(_ count: Int) {
        precondition(reservation.count == 0, "what was reserved is committed before anything else is called")
        block.didSend(count)
        sealer.prepare()
        flushExchange()
        flush()
    }

    // MARK: Keys

    /// Bytes that are no packet: the version line, before anything else (RFC 4253 §4.2).
    mutating func sendVersion(_ line: [UInt8]) {
        precondition(unsafe sealer.sequenceNumber == 0 && block.unsent.isEmpty, "the version line comes first")
        let place = unsafe block.end
        unsafe line.withUnsafeBytes { unsafe place.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        block.append(line.count)
    }

    /// A message of the transport itself: it passes while those of the connection are held. At most a handful an
    /// exchange.
    mutating func sendExchange(_ message: [UInt8]) {
        precondition(reservation.count == 0, "what was reserved is committed before anything else is called")
        switch gate {
        case .open, .held: break
        case .shut: return
        }
        unsafe message.withUnsafeBytes { unsafe exchange.append($0) }
        flushExchange()
    }

    /// SSH_MSG_NEWKEYS. What follows goes out under `key`, and what was held goes out. Throws when the one before has not
    /// even been made: the peer would have to know what it cannot have read.
    mutating func sendNewKeys(_ key: consuming PacketKey, resetsSequence: Bool) throws(SSHError) {
        guard nextKey == nil else { throw .violation("it exchanges keys on and on without reading the answers") }
        nextKey = consume key
        self.resetsSequence = resetsSequence
        sendExchange([MessageNumber.newKeys])
    }

    /// As `PacketSealer.setKey`: right after SSH_MSG_NEWKEYS, which the new key does not cover.
    mutating func setKey(_ key: consuming PacketKey, resetsSequence: Bool) {
        precondition(reservation.count == 0, "what was reserved is committed before anything else is called")
        sealer.setKey(key, resetsSequence: resetsSequence)
    }

    /// Whether messages of the connection wait for the end of a key exchange.
    var isHeld: Bool {
        switch gate {
        case .held: true
        case .open, .shut: false
        }
    }

    private mutating func flushExchange() {
        while !exchange.isEmpty {
            let length = exchange.firstLength
            guard sealer.wireLength(messageLength: length) <= block.exchangeRoom else { return }
            let place = unsafe block.end + PacketCipher.headroom
            unsafe exchange.removeFirst(to: place)
            let isNewKeys = unsafe place.load(as: UInt8.self) == MessageNumber.newKeys
            block.append(unsafe sealer.seal(at: block.end, messageLength: length))
            if isNewKeys {
                guard let key = nextKey.take() else { preconditionFailure("SSH_MSG_NEWKEYS brings a key") }
                setKey(key, resetsSequence: resetsSequence)
                // Where the next exchange has begun already, its SSH_MSG_KEXINIT stands here.
                if exchange.isEmpty { resume() }
            }
        }
    }

    /// Under the key in use.
    var use: KeyUse { sealer.use }

    // MARK: Control messages

    /// A message to be written, valid until the next one is asked for.
    func message() -> WireWriter {
        unsafe WireWriter(start: scratch, capacity: Self.maximumMessage)
    }

    /// True when a message would go out at once.
    var passesMessages: Bool {
        switch gate {
        case .open: deferred.isEmpty && block.messageRoom >= sealer.wireLength(messageLength: Self.maximumMessage)
        case .held, .shut: false
        }
    }

    /// A message of our own doing: as many as we have channels and requests, so it may always wait.
    mutating func send(_ message: WireWriter) { unsafe send(message.bytes) }

    /// The same, where it was made elsewhere; at most a packet long.
    mutating func send(_ message: UnsafeRawBufferPointer) {
        precondition(reservation.count == 0, "what was reserved is committed before anything else is called")
        switch gate {
        case .open:
            let number = unsafe message.first ?? 0
            if deferred.isEmpty && fits(number, message.count) {
                let place = unsafe block.end + PacketCipher.headroom
                unsafe place.copyMemory(from: message.baseAddress!, byteCount: message.count)
                seal(number, message.count)
            } else {
                unsafe deferred.append(message)
            }
        case .held: unsafe deferred.append(message)
        case .shut: break
        }
    }

    /// The same, one that no `WireWriter` made.
    mutating func send(_ message: [UInt8]) {
        unsafe message.withUnsafeBytes { unsafe send($0) }
    }

    /// An answer that the peer's message calls for: bounded, since the peer decides how many there are.
    mutating func reply(_ message: WireWriter) throws(SSHError) {
        guard deferred.byteCount + message.count <= Self.maximumDeferredReplies else {
            throw .violation("it asks on without reading the answers")
        }
        send(message)
    }

    /// The peer's message calls for an answer that is made later: bounded in the same way.
    func expectReply() throws(SSHError) {
        guard deferred.byteCount <= Self.maximumDeferredReplies else {
            throw .violation("it asks on without reading the answers")
        }
    }

    /// SSH_MSG_DISCONNECT, for which there is always room. Nothing passes after it, and what waited is dropped.
    mutating func sendLastWord(_ reason: DisconnectReason) {
        reservation = Reservation()
        switch gate {
        case .shut: return
        case .open, .held: break
        }
        var word = message()
        DisconnectMessage.write(reason, to: &word)
        deferred.removeAll()
        exchange.removeAll()
        precondition(
            sealer.wireLength(messageLength: word.count) <= block.finalRoom, "the last word's room is kept for it")
        let place = unsafe block.end + PacketCipher.headroom
        unsafe place.copyMemory(from: word.start, byteCount: word.count)
        block.append(unsafe sealer.seal(at: block.end, messageLength: word.count))
        gate = .shut
    }

    /// Keys are exchanged from here on: messages of the connection wait and no payload is taken.
    mutating func hold() {
        switch gate {
        case .open: gate = .held
        case .held, .shut: break
        }
    }

    /// The new keys are in use: what waited goes out, in order.
    mutating func resume() {
        switch gate {
        case .held: gate = .open
        case .open, .shut: break
        }
        flush()
    }

    private func fits(_ number: UInt8, _ messageLength: Int) -> Bool {
        let length =
            MessageNumber.isConcealed(number)
            ? sealer.concealedWireLength(messageLength: messageLength)
            : sealer.wireLength(messageLength: messageLength)
        return length <= block.messageRoom
    }

    /// The message that was put in the next packet's place.
    private mutating func seal(_ number: UInt8, _ messageLength: Int) {
        let packet = unsafe block.end
        let length =
            MessageNumber.isConcealed(number)
            ? unsafe sealer.sealConcealed(at: packet, messageLength: messageLength)
            : unsafe sealer.seal(at: packet, messageLength: messageLength)
        block.append(length)
    }

    private mutating func flush() {
        switch gate {
        case .open: break
        case .held, .shut: return
        }
        while !deferred.isEmpty {
            let length = deferred.firstLength
            let number = deferred.firstNumber
            guard fits(number, length) else { return }
            unsafe deferred.removeFirst(to: block.end + PacketCipher.headroom)
            seal(number, length)
        }
    }

    // MARK: Payload

    /// Bytes of payload that fit now, in full packets of `slotLength` bytes.
    @inline(__always) func payloadRoom(slotLength: Int) -> Int {
        payloadRoom(slotLength: slotLength, stride: stride(slotLength))
    }

    // Always inlined: what is borrowed would be copied to the stack at each call.

    @inline(__always) private func stride(_ slotLength: Int) -> Int {
        sealer.wireLength(messageLength: ChannelData.headerLength + slotLength)
    }

    @inline(__always) private func payloadRoom(slotLength: Int, stride: Int) -> Int {
        switch gate {
        case .open: min(PayloadSlots.maximumCount, block.payloadRoom / stride) * slotLength
        case .held, .shut: 0
        }
    }

    /// Slots for at most `maximum` bytes, as many as there is room for: `none` without any.
    mutating func reserve(maximum: Int, slotLength: Int) -> PayloadSlots {
        precondition(reservation.count == 0, "what was reserved is committed before anything else is called")
        let stride = stride(slotLength)
        let count = min(maximum, payloadRoom(slotLength: slotLength, stride: stride))
        guard count > 0 else { return .none }
        reservation = Reservation(count: count, slotLength: slotLength, stride: stride)
        let slots = (count + slotLength - 1) / slotLength
        return unsafe PayloadSlots(
            first: block.end + PacketCipher.headroom + ChannelData.headerLength, stride: stride,
            slotLength: slotLength, lastLength: count - (slots - 1) * slotLength, count: slots)
    }

    /// Frames and seals the first `count` reserved bytes where they lie and ends the reservation.
    mutating func commit(recipient: UInt32, count: Int) {
        precondition(count >= 0 && count <= reservation.count, "no more is committed than was reserved")
        let slotLength = reservation.slotLength
        let stride = reservation.stride
        reservation.count = 0
        var left = count
        while left > 0 {
            let length = min(left, slotLength)
            let packet = unsafe block.end
            unsafe ChannelData.writeHeader(recipient: recipient, count: length, at: packet + PacketCipher.headroom)
            let wire = unsafe sealer.seal(at: packet, messageLength: ChannelData.headerLength + length)
            left -= length
            precondition(left == 0 || wire == stride, "a full packet is as long as its slot's stride")
            block.append(wire)
        }
        if count == 0 { block.giveBackIfEmpty() }
    }

    func invariants() {
        block.invariants()
        precondition(reservation.count <= block.payloadRoom, "what is reserved has room")
        // So nothing overtakes a message that waits: payload's room ends before that of the longest message does.
        precondition(
            deferred.isEmpty || payloadRoom(slotLength: Int(SendWindow.minimumPacket)) == 0,
            "payload has no room while a message waits")
    }
}
