/// What speaks SSH on a link that has logged in (`SSHLogin`): bytes in, events and bytes out. It holds no socket, no clock and no thread; who drives
/// it (the relay, a test) owns those. A value: moved to one worker, it stays there.
///
/// One turn of the driver, when bytes have come:
/// ```
/// engine.receive(bytes)                       // lends the bytes, contiguous and writable: packets open in place
/// while let event = try engine.nextEvent() { … }   // a payload is valid until the next call of nextEvent
/// ring.release(engine.takeConsumed())         // what is left is part of a packet; show it again, longer, next time
/// ```
/// then pull payload (`reserve`, read into the slots, `commit`) and send `output` until it is empty.
///
/// No call waits. Control messages (credit, EOF, CLOSE, answers) appear in `output` in the order in which they were
/// made, sealed, and never overtake data that was committed before.
public protocol SSHEngine: ~Copyable, SendableMetatype {
    /// Payload stays valid until `takeConsumed`, not only until the next event: it was opened where it was received.
    /// Then several payloads of one channel can leave in one send.
    static var opensInPlace: Bool { get }

    /// `.probeAnswered` is told. False: the engine cannot tell an answer from other input.
    static var tellsAnswers: Bool { get }

    // MARK: Bytes

    /// Lends what has been received and not yet consumed. The range stays valid, and unchanged by the caller, until
    /// `takeConsumed`. An engine may write in it (opening in place).
    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer)

    /// The next thing that happened, or nil when more bytes are needed. After a throw the link is dead: `output` may
    /// hold a last SSH_MSG_DISCONNECT, nothing else may be called.
    mutating func nextEvent() throws(SSHError) -> EngineEvent?

    /// How many of the lent bytes are used up; ends the loan.
    mutating func takeConsumed() -> Int

    /// Sealed bytes that wait to be sent, contiguous, in order. Valid until the next mutating call.
    var output: UnsafeRawBufferPointer { mutating get }

    /// The first `count` bytes of `output` are with the kernel.
    mutating func outputSent(_ count: Int)

    // MARK: Keys

    /// One line for a person: engine and negotiated algorithms.
    var summary: String { mutating get }

    /// How often the keys were exchanged again; nil for an engine that does not tell.
    var keyRenewals: UInt64? { get }

    // MARK: Channels

    /// Asks for a channel; answered by `.opened` or `.openRefused`.
    mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber

    /// What the peer asked for, after `.openRequested`. Answer with `accept` or `refuse`, at any later time.
    mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest
    mutating func accept(_ channel: ChannelNumber)
    /// `words` reach the peer escaped and cut as `PeerText` has it: many clients print them.
    mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String)

    /// The peer's words after `.openRefused`, once.
    mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText

    /// A channel that the peer asked for and the engine refused by itself, because it belongs to no forward that was asked
    /// for; of several the last one. Once.
    mutating func takeUnaskedOpen() -> ChannelOpenRequest?

    /// Bytes of payload that could be sealed and sent on this channel now: 0 while its window is used up, while keys
    /// are exchanged, while the output has no room, after `finish` or `close`.
    mutating func sendable(_ channel: ChannelNumber) -> Int

    /// Slots for at most `maximum` bytes of payload, to be filled in order; the sum of their lengths is at most
    /// `sendable`. Empty when nothing may be sent. Must be followed by `commit` before any other call.
    mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots

    /// The first `count` bytes of the reserved slots are filled: frame and seal them where they lie. 0 gives them back.
    mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError)

    /// The socket took `count` bytes of this channel's payload: they may be granted to the peer again.
    mutating func credit(_ channel: ChannelNumber, count: Int)

    /// SSH_MSG_CHANNEL_EOF (RFC 4254 §5.3): this end sends no more payload.
    mutating func finish(_ channel: ChannelNumber)

    /// SSH_MSG_CHANNEL_CLOSE (RFC 4254 §5.3). No event names this channel afterwards; the engine reuses the number
    /// when the peer's CLOSE has come too.
    mutating func close(_ channel: ChannelNumber)

    /// Channels whose number is not free yet: asked for, open, or closed by one side only. A link with none may end and
    /// cuts nothing off.
    var channelCount: Int { get }

    /// Of them, those that this end has ended in order, by EOF, and that the peer has not closed: it may still be
    /// handing on what it was sent. It looks at every channel, so it is for once in a while.
    var unconfirmedCount: Int { get }

    /// Grows with what the peer says of channels that are in use, and so shows that it still works on them:
    /// SSH_MSG_CHANNEL_WINDOW_ADJUST that grants something, EOF, CLOSE and answers to CHANNEL_OPEN, whether they cause an
    /// event or not, also on channels that this end has closed; of payload only what no event tells, because it comes
    /// for a channel that this end has closed. Only its growing between two looks says something, not by how much.
    /// Nothing that a peer could repeat for ever without being granted anything counts.
    var channelProgress: UInt64 { get }

    // MARK: Requests of the connection

    /// Asks the peer to listen; answered by `.forwardAnswered`.
    mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber
    mutating func cancelForward(_ forward: ForwardNumber)

    /// What the peer asked for, after `.forwardRequested`, until it is answered: with `acceptForward` or `refuseForward`,
    /// at any later time and in any order. The answers leave in the order of the requests (RFC 4254 §4), so one that is
    /// not given holds back those behind it. A client's engine is never asked.
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest

    /// `port` is the one listened on: it is said where the peer left it to us (RFC 4254 §7.1), else it is of no matter.
    mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16)
    mutating func refuseForward(_ request: PeerForwardNumber)

    /// Sends something that the peer must answer (keepalive@openssh.com). Any byte received shows that it lives.
    mutating func probe()

    /// Has the peer run `true` once, and takes no notice of what comes of it but `.commandRefused`. sshd turns Nagle's
    /// algorithm off on a connection that has run a command, and on no other. An engine that cannot takes no notice.
    mutating func runTrue()

    /// What the server says all its host keys are (hostkeys-00@openssh.com), after `.hostKeysOffered`: blobs of which nothing
    /// is known, a bounded number. Once.
    mutating func takeOfferedHostKeys() -> [[UInt8]]

    /// Asks the server to prove that these keys are its own (hostkeys-prove-00@openssh.com). They are of one offer; while
    /// one request waits for its answer a second has no effect.
    mutating func requestHostKeyProof(of keys: [[UInt8]])

    /// What came, after `.hostKeyProofAnswered`. nil: the server refused, or sent another number of signatures. Once.
    mutating func takeHostKeyProof() -> HostKeyProof?

    /// The last word: SSH_MSG_DISCONNECT with reason 11, by application (RFC 4253 §11.1).
    mutating func disconnect()

    /// Exchanges keys again (RFC 4253 §9). An engine that keeps its own limits only takes no notice.
    mutating func beginKeyExchange()

    /// The number of the key exchange that is under way, nil when none is: from our SSH_MSG_KEXINIT or the peer's until
    /// both have sent SSH_MSG_NEWKEYS. A later one has another number. How long one may take is its owner's to watch. An
    /// engine that does not tell says nil.
    var keyExchange: Int? { get }

    /// Key exchanges that the peer began, after the first one. How many it may begin is its owner's to say. An engine that
    /// does not tell says 0.
    var keyExchangesOfPeer: UInt64 { get }

    /// Bytes that the engine holds in memory for channels whose reader is slow; 0 for an engine that holds none.
    mutating func heldBytes() -> Int

    /// No window grows beyond `bytes`, however much it is used; those that are larger stay as they are. An engine with
    /// fixed windows takes no notice.
    mutating func allowWindows(upTo bytes: Int)
}

extension SSHEngine where Self: ~Copyable {
    public static var opensInPlace: Bool { false }
    public static var tellsAnswers: Bool { false }
    public var keyRenewals: UInt64? { nil }
    public mutating func allowWindows(upTo bytes: Int) {}
    public mutating func runTrue() {}
    public mutating func takeUnaskedOpen() -> ChannelOpenRequest? { nil }
    public mutating func beginKeyExchange() {}
    public mutating func takeOfferedHostKeys() -> [[UInt8]] { [] }
    public mutating func requestHostKeyProof(of keys: [[UInt8]]) {}
    public mutating func takeHostKeyProof() -> HostKeyProof? { nil }
    public var keyExchange: Int? { nil }
    public var keyExchangesOfPeer: UInt64 { 0 }

    public func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest { Self.isAskedForNoForward() }
    public mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16) { Self.isAskedForNoForward() }
    public mutating func refuseForward(_ request: PeerForwardNumber) { Self.isAskedForNoForward() }

    private static func isAskedForNoForward() -> Never {
        preconditionFailure("only an engine that tells of a peer's request is asked about it")
    }
}

/// What happened on a link. Small and trivial: texts are fetched by a call of their own.
public enum EngineEvent: BitwiseCopyable, Sendable {
    /// Payload of SSH_MSG_CHANNEL_DATA, opened, at its place in the lent bytes or in the engine. Valid until the next
    /// call of `nextEvent`.
    case payload(ChannelNumber, Payload)
    /// SSH_MSG_CHANNEL_OPEN_CONFIRMATION for a channel of ours.
    case opened(ChannelNumber)
    /// SSH_MSG_CHANNEL_OPEN_FAILURE for a channel of ours; the number is free again.
    case openRefused(ChannelNumber, OpenFailure)
    /// SSH_MSG_CHANNEL_OPEN from the peer.
    case openRequested(ChannelNumber)
    /// A channel whose `sendable` was 0 may have room again.
    case sendable(ChannelNumber)
    /// Every channel may have room again: a key exchange is over.
    case allSendable
    /// SSH_MSG_CHANNEL_EOF: the peer sends no more payload on it.
    case ended(ChannelNumber)
    /// SSH_MSG_CHANNEL_CLOSE from the peer. `afterEnd`: it had sent EOF before. Either way the
    /// stream is over; answer with `close` once what was received has been delivered.
    case closed(ChannelNumber, afterEnd: Bool)
    /// The peer did not keep to the channel's window, by more than is forgiven. What came last for it is lost, and the
    /// engine has closed it as `close` does: no event names it any more.
    case violated(ChannelNumber)
    /// The answer to a `requestForward`; `port` is the one the peer listens on.
    case forwardAnswered(ForwardNumber, accepted: Bool, port: UInt16)
    /// The peer asks us to listen, or to stop: a server's engine alone tells it, a client's refuses by itself.
    case forwardRequested(PeerForwardNumber)
    /// The peer does not run what `runTrue` asked for.
    case commandRefused
    /// The peer has answered a question of `probe`.
    case probeAnswered
    /// The server says what all its host keys are: to be taken.
    case hostKeysOffered
    /// The server has answered, or refused, what `requestHostKeyProof` asked for.
    case hostKeyProofAnswered
}

/// A range of opened payload. The memory belongs to whoever gave it and is valid as long as they say.
@safe public struct Payload: BitwiseCopyable, @unchecked Sendable {
    public let start: UnsafeRawPointer
    public let count: Int

    public init(start: UnsafeRawPointer, count: Int) {
        unsafe self.start = start
        self.count = count
    }
}

/// Room for payload to be read into: equal slots at a fixed stride, so that full packets lie back to back on the
/// wire. Slot `i` begins at `first + i × stride` and takes `slotLength` bytes, the last one `lastLength`.
@safe public struct PayloadSlots: BitwiseCopyable, @unchecked Sendable {
    /// A vectored read fills at most this many: beyond it batches gain only 3 % and the second-level cache is full.
    public static let maximumCount = 16

    public let first: UnsafeMutableRawPointer?
    public let stride: Int
    public let slotLength: Int
    public let lastLength: Int
    public let count: Int

    public init(first: UnsafeMutableRawPointer?, stride: Int, slotLength: Int, lastLength: Int, count: Int) {
        unsafe self.first = first
        self.stride = stride
        self.slotLength = slotLength
        self.lastLength = lastLength
        self.count = count
    }

    public static var none: PayloadSlots {
        unsafe PayloadSlots(first: nil, stride: 0, slotLength: 0, lastLength: 0, count: 0)
    }

    public var totalLength: Int { count == 0 ? 0 : (count - 1) * slotLength + lastLength }
}
