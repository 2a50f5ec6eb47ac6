internal import CLibSSH2
public import CulvertSSH

/// SSH as libssh2 1.10 speaks it, for servers that share nothing with the native engine: a value that is fed from
/// memory and drained to memory, and never holds a socket.
///
/// Invariants: the session is in non-blocking mode and its descriptor is no open descriptor, so libssh2 never waits;
/// every packet it makes is taken whole, so the only thing it waits for is more input (LIBSSH2_ERROR_EAGAIN), and each
/// operation that was left unfinished is re-entered with the same arguments until it ends. After the first error
/// libssh2 is not entered again but to free it.
///
/// What libssh2 cannot do: one open waits for the one before it (and gives up after 60 s); EOF always precedes CLOSE;
/// banners (RFC 4252 §5.4), the words of a refused open and who connected to a forwarded port are kept from the caller; an
/// open of a type that it does not know gets no answer, and how great a packet the peer takes shows only when one is sent.
@safe public struct LibSSH2Engine: ~Copyable, SSHEngine, @unchecked Sendable {
    // Unchecked: every pointer in it belongs to it alone; whoever has the value has all of it.

    /// Payload stops while more than this waits to be sent: sealing further ahead gains nothing and takes the order
    /// of sending out of the caller's hands.
    static let outputLimit = 1 << 20
    /// Flow control of each channel that we open, as OpenSSH has it; libssh2 gives forwarded channels the same.
    static let window: UInt32 = 2 << 20
    static let packetSize: UInt32 = 32 << 10
    /// One payload event carries up to this much: several packets of a channel in one copy.
    static let readLength = 256 << 10
    /// A channel is not read while this much payload is with the caller, not yet credited; then libssh2 stops
    /// granting window and the peer stops when it is used up.
    static let uncreditedLimit = 256 << 10
    /// Equal slots, back to back. libssh2 cuts its own packets (of 32 700 bytes) from the whole.
    static let slotLength = 32 << 10
    static let sendScratchLength = PayloadSlots.maximumCount * slotLength

    let session: OpaquePointer
    let wire: UnsafeMutablePointer<Wire>
    let settings: LibSSH2Settings
    /// The error after which nothing may be asked of libssh2.
    var failure: SSHError?

    var login = Login()

    // Channels (Channels.swift).
    var channels: [Channel] = []
    var freeNumbers: [UInt32] = []
    var opens: [PendingOpen] = []
    var refusals: [UInt32: PeerText] = [:]
    /// What the peer has said of channels by EOF, CLOSE and answers, and what it granted on channels that are gone, bytes:
    /// all of `channelProgress` that the channels themselves no longer show.
    var settledProgress: UInt64 = 0
    /// Channels whose EOF or CLOSE could not be sent yet.
    var controls: [UInt32] = []

    // Forwards (Forwards.swift).
    var forwards: [Forward] = []
    var forwardQueue: [Int] = []
    /// Answers to keepalives that libssh2 holds and would take for the answer to a later request.
    var strayAnswers = 0

    // Events (Events.swift).
    var events = EventQueue()
    /// `takenTotal` of the wire at the last turn: tells whether something came.
    var seen = -1
    var asked = false
    /// Counts turns: a channel with this mark has nothing to read until the next one.
    var turn: UInt32 = 1
    var cursor = 0
    let readScratch: UnsafeMutableRawPointer

    // Sending (Sending.swift).
    var sendScratch: UnsafeMutableRawPointer?
    var reserved = 0
    var unsent: Unsent?
    /// `sendable` was 0 for some channel because its window was used up, or for all because the output was full.
    var starvedChannels = 0
    var outputWasFull = false

    /// libssh2 counts its own initialisations without a lock: once, for the whole process.
    private static let initialised: Int32 = libssh2_init(0)

    init(settings: LibSSH2Settings) throws(SSHError) {
        guard Self.initialised == 0 else { throw SSHError(.local, "libssh2 cannot be initialised") }
        self.settings = settings
        unsafe wire = UnsafeMutablePointer<Wire>.allocate(capacity: 1)
        unsafe wire.initialize(to: Wire())
        unsafe readScratch = UnsafeMutableRawPointer.allocate(byteCount: Self.readLength, alignment: 4096)
        guard
            let session = unsafe libssh2_session_init_ex(
                allocateCallback, freeCallback, reallocateCallback, wire)
        else {
            preconditionFailure("no memory for a session of libssh2")
        }
        unsafe self.session = session
        unsafe wire.pointee.session = session
        unsafe libssh2_session_set_blocking(session, 0)
        _ = unsafe libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_RECV, unsafeBitCast(receiveCallback, to: UnsafeMutableRawPointer.self))
        _ = unsafe libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_SEND, unsafeBitCast(sendCallback, to: UnsafeMutableRawPointer.self))
        _ = unsafe libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_DISCONNECT, unsafeBitCast(disconnectCallback, to: UnsafeMutableRawPointer.self))
        _ = unsafe libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_MACERROR, unsafeBitCast(wrongMACCallback, to: UnsafeMutableRawPointer.self))
        // The issue of a clear line in the server's log: which client, which engine.
        _ = unsafe libssh2_session_banner_set(session, "SSH-2.0-culvert_libssh2_0.1")
    }

    deinit {
        unsafe wire.pointee.severed = true
        // With the stream over nothing waits; each call frees at least one channel or ends.
        for _ in 0...(channels.count + forwards.count + 8) {
            if unsafe libssh2_session_free(session) != LIBSSH2_ERROR_EAGAIN { break }
        }
        for open in opens { open.freeMessage() }
        unsafe wire.pointee.memory.freeFormerHostKey()
        unsafe wire.pointee.freeMemory()
        unsafe wire.deinitialize(count: 1)
        unsafe wire.deallocate()
        unsafe readScratch.deallocate()
        unsafe sendScratch?.deallocate()
    }

    // MARK: Bytes

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe wire.pointee.lend(bytes)
    }

    public mutating func takeConsumed() -> Int { unsafe wire.pointee.endLoan() }

    public var output: UnsafeRawBufferPointer {
        mutating get { unsafe wire.pointee.output }
    }

    public mutating func outputSent(_ count: Int) { unsafe wire.pointee.sent(count) }

    // MARK: The link as a whole

    public var summary: String {
        mutating get {
            let version = unsafe libssh2_version(0).map { unsafe String(cString: $0) } ?? ""
            var parts = ["libssh2 \(version)"]
            for method in [LIBSSH2_METHOD_KEX, LIBSSH2_METHOD_HOSTKEY, LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_MAC_CS] {
                if let name = unsafe libssh2_session_methods(session, method) {
                    unsafe parts.append(String(cString: name))
                }
            }
            return parts.joined(separator: ", ")
        }
    }

    /// Asks for a channel of a type that no server has: it must refuse (RFC 4254 §5.1), and libssh2 forgets the answer.
    /// The answer to its own keepalive it would keep, and take for that of a later request; that one is used only while
    /// an open is under way, and after it no forward can be asked for on this link.
    public mutating func probe() {
        guard failure == nil, login.isDone else { return }
        if !forwardQueue.isEmpty { return }  // The peer owes an answer to that one already.
        // A probe that is under way already will do; one that made input flow (`drain`) as well.
        if let first = opens.first, first.channel == nil { return }
        if opens.isEmpty {
            opens.append(PendingOpen.probe())
            pumpOrKeepError()
        } else {
            unsafe libssh2_keepalive_config(session, 1, 1)
            strayAnswers += 1
            if unsafe libssh2_keepalive_send(session, nil) != 0 { keep(error(LIBSSH2_ERROR_SOCKET_SEND)) }
        }
    }

    public mutating func disconnect() {
        guard failure == nil else { return }
        say(code: 11, "disconnected by user")
        keep(SSHError(.local, "the link was ended by this side"))
    }

    /// SSH_MSG_DISCONNECT; whether it could be made does not matter any more.
    func say(code: Int32, _ words: String) {
        _ = unsafe libssh2_session_disconnect_ex(session, code, words, "")
    }

    public var keyExchange: Int? { unsafe wire.pointee.memory.exchange }

    public mutating func heldBytes() -> Int {
        guard failure == nil else { return 0 }
        var held = 0
        for channel in channels where channel.isUnread {
            guard let handle = unsafe channel.handle else { continue }
            var available: UInt = 0
            _ = unsafe libssh2_channel_window_read_ex(handle, &available, nil)
            held += Int(available)
        }
        return held
    }

    // MARK: Errors

    /// Remembers an error that came where nothing can be thrown: `nextEvent` throws it.
    mutating func keep(_ error: SSHError) {
        if failure == nil { failure = error }
    }

    mutating func end(_ error: SSHError) -> SSHError {
        keep(error)
        return error
    }

    /// What a result of libssh2 that is neither success nor EAGAIN means for the link.
    func error(_ code: Int32) -> SSHError {
        if let fault = unsafe wire.pointee.fault { return Self.error(fault) }
        if let reason = unsafe wire.pointee.disconnectCode {
            return unsafe .disconnected(by: "server", reason: reason, saying: wire.pointee.disconnectText)
        }
        switch code {
        case LIBSSH2_ERROR_INVALID_MAC:
            return Self.error(.wrongMAC)
        case LIBSSH2_ERROR_DECRYPT, LIBSSH2_ERROR_OUT_OF_BOUNDARY:
            return login.isEncrypted
                ? SSHError(
                    .integrity,
                    "a packet of impossible length: bytes were altered on the way, or libssh2 takes none so long")
                : SSHError(.protocolViolation, "the server sent a packet of impossible length")
        case LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_SOCKET_RECV:
            return SSHError(.transport, "the connection to the server was lost")
        case LIBSSH2_ERROR_KEX_FAILURE, LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
            return SSHError(.keyExchange, "the key exchange failed: \(libraryWords())")
        case LIBSSH2_ERROR_TIMEOUT:
            return SSHError(.transport, "the server did not answer in time")
        case LIBSSH2_ERROR_ALLOC:
            return SSHError(.local, "out of memory: \(libraryWords())")
        default:
            return SSHError(.protocolViolation, "libssh2 error \(code): \(libraryWords())")
        }
    }

    private static func error(_ fault: Wire.Fault) -> SSHError {
        switch fault {
        case .tooMuchBeforeTrust:
            SSHError(
                .protocolViolation,
                "the server said more than \(Wire.allowanceBeforeTrust >> 10) KiB before it showed its host key")
        case .tooMuchInLogin:
            SSHError(
                .protocolViolation, "the server said more than \(Wire.allowanceOfLogin >> 10) KiB during the login")
        case .tooMuchHeld:
            SSHError(
                .protocolViolation,
                "the server sent what nobody asked for: libssh2 holds \(SessionMemory.ceiling >> 20) MiB of it")
        case .tooMuchUnread: SSHError(.protocolViolation, "the server keeps asking and reads no answer")
        case .wrongMAC: SSHError(.integrity, "a packet failed its integrity check: bytes were altered on the way")
        case .otherHostKey: SSHError(.hostKey, "the server showed another host key in a later key exchange")
        }
    }

    /// libssh2's own words for its last error.
    func libraryWords() -> PeerText {
        var text: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        _ = unsafe libssh2_session_last_error(session, &text, &length, 0)
        guard let text = unsafe text, length > 0 else { return PeerText("") }
        return unsafe PeerText(UnsafeRawBufferPointer(start: text, count: Int(length)))
    }
}
