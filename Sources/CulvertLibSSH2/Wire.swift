internal import CLibSSH2
internal import CulvertSSH
internal import Glibc

/// What stands where libssh2 expects a socket: the bytes lent by the driver on one side, the sealed bytes that wait
/// to be sent on the other, and what the callbacks have to tell the engine.
///
/// Invariant: it lies at one address for the life of the session, because libssh2 hands that address to every
/// callback; only the engine that owns it, and the callbacks that run inside a call of that engine, touch it.
@safe struct Wire {
    /// The peer may make us answer (global requests, window adjusts) while it reads nothing. Beyond this much unsent
    /// output the link is ended; payload stops long before, at `LibSSH2Engine.outputLimit`.
    static let outputCeiling = 16 << 20
    /// Version line and SSH_MSG_KEXINIT of any server fit; they are kept until the keys are exchanged, so that a
    /// failed negotiation can name what the server offered.
    static let greetingLimit = 64 << 10
    /// What a server may say before its host key is judged, and then until the user is known, bytes: libssh2 keeps most
    /// of what it did not ask for. A version line, the lines before it and a key exchange are some 10 KiB; then come
    /// banners and challenges.
    static let allowanceBeforeTrust = 256 << 10
    static let allowanceOfLogin = 1 << 20

    /// What ends the link whatever libssh2 makes of it.
    enum Fault {
        case tooMuchBeforeTrust, tooMuchInLogin, tooMuchHeld
        /// The peer asks for answers and reads none.
        case tooMuchUnread
        case wrongMAC
        /// A later key exchange showed another host key than the one that was judged.
        case otherHostKey
    }

    /// The session that this is the wire of, once it is made.
    var session: OpaquePointer?
    var memory = SessionMemory()
    /// The first one.
    private(set) var fault: Fault?
    /// The host key that was judged; empty until then.
    private var judgedHostKey: [UInt8] = []
    private var isLogin = true

    // Input: lent from `receive` to `takeConsumed`.
    private(set) var lent: UnsafeMutableRawPointer?
    private(set) var lentCount = 0
    private(set) var taken = 0
    /// All bytes ever taken: tells whether something came since the last look.
    private(set) var takenTotal = 0
    /// Everything lent has been decoded: libssh2 asked for more than there was, or was never given more than it needed.
    var exhausted = true
    /// libssh2 gets this much at once, bytes.
    var bite = Int.max
    /// Shorter than any packet, and the block of every cipher divides it: so a packet ends where a bite does or within it,
    /// and libssh2 never has a second one in its own buffer.
    static let smallBite = 16
    /// It has had more than that at once since it last asked for more than there was.
    private var mayHoldPackets = false
    /// The stream is over for libssh2: it is being freed.
    var severed = false

    // Output: `start[head ..< tail]` waits to be sent.
    private var start: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0

    // What callbacks found out.
    var disconnectCode: UInt32?
    var disconnectText = PeerLines("")
    var greeting: [UInt8]? = []
    /// The agent's part of the key that is being tried, and what came of it.
    var signer: Signer?
    /// Asks the authority; set for the length of one keyboard-interactive call.
    var answer: ((Challenge) throws(SSHError) -> [Secret]?)?
    /// What the authority threw inside a callback: to be thrown on when the call into libssh2 is back.
    var thrown: SSHError?
    var gaveUp = false

    mutating func lend(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe lent = bytes.baseAddress
        lentCount = bytes.count
        taken = 0
        if unsafe !bytes.isEmpty { exhausted = false }
    }

    mutating func endLoan() -> Int {
        let count = taken
        unsafe lent = nil
        lentCount = 0
        taken = 0
        return count
    }

    /// Copies what is lent; nil when there is nothing more.
    mutating func take(_ buffer: UnsafeMutableRawPointer, _ length: Int) -> Int? {
        let count = min(length, lentCount - taken, bite)
        guard count > 0, let lent = unsafe lent else {
            exhausted = true
            mayHoldPackets = false
            return nil
        }
        if count > Self.smallBite { mayHoldPackets = true }
        unsafe buffer.copyMemory(from: lent + taken, byteCount: count)
        if greeting != nil, greeting!.count < Self.greetingLimit {
            unsafe greeting!.append(contentsOf: UnsafeRawBufferPointer(start: lent + taken, count: count))
        }
        taken += count
        takenTotal &+= count
        return count
    }

    /// Whether there is nothing more for libssh2 to decode, though it has not asked for more.
    mutating func isDecoded() -> Bool {
        if taken == lentCount, !mayHoldPackets { exhausted = true }
        return exhausted
    }

    // MARK: Faults

    mutating func found(_ fault: Fault) {
        if self.fault == nil { self.fault = fault }
    }

    /// The host key that libssh2 has now.
    var hostKey: UnsafeRawBufferPointer {
        var length = 0
        guard let session = unsafe session, let key = unsafe libssh2_session_hostkey(session, &length, nil) else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeRawBufferPointer(start: key, count: length)
    }

    mutating func trustHostKey() { unsafe judgedHostKey = [UInt8](hostKey) }

    private var hasJudgedHostKey: Bool {
        let now = unsafe hostKey
        guard let start = now.baseAddress, now.count == judgedHostKey.count else { return false }
        return unsafe judgedHostKey.withUnsafeBytes { unsafe memcmp(start, $0.baseAddress!, $0.count) == 0 }
    }

    mutating func loginIsOver() { isLogin = false }

    /// False: libssh2 gets nothing more, because what it holds, or has heard, is too much already.
    mutating func mayTake() -> Bool {
        if memory.held > memory.limit { found(.tooMuchHeld) }
        if isLogin {
            if judgedHostKey.isEmpty {
                if takenTotal > Self.allowanceBeforeTrust { found(.tooMuchBeforeTrust) }
            } else if takenTotal > Self.allowanceBeforeTrust + Self.allowanceOfLogin {
                found(.tooMuchInLogin)
            }
        }
        return fault == nil
    }

    /// False: the packet must not leave. libssh2 shows its host key anew in each exchange, and SSH_MSG_NEWKEYS comes after
    /// it: so no packet is ever sealed for another host than the one that was judged.
    mutating func maySend(_ packet: UnsafeRawBufferPointer) -> Bool {
        if !judgedHostKey.isEmpty, !hasJudgedHostKey { found(.otherHostKey) }
        unsafe memory.sends(packet)
        return fault == nil
    }

    var waiting: Int { tail - head }

    var output: UnsafeRawBufferPointer {
        guard let start = unsafe start, tail > head else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: start + head, count: tail - head)
    }

    mutating func sent(_ count: Int) {
        precondition(count >= 0 && count <= waiting, "more output reported as sent than was waiting")
        head += count
        if head == tail {
            head = 0
            tail = 0
        }
    }

    /// Takes the whole packet, always: libssh2 1.10 breaks when a key re-exchange begins on a half-written one.
    mutating func append(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        guard waiting + count <= Self.outputCeiling else {
            found(.tooMuchUnread)
            return false
        }
        if tail + count > capacity { makeRoom(count) }
        if let start = unsafe start { unsafe (start + tail).copyMemory(from: bytes, byteCount: count) }
        tail += count
        return true
    }

    private mutating func makeRoom(_ count: Int) {
        let used = waiting
        if used + count <= capacity / 2, let start = unsafe start {
            // Moving at most half of the buffer, after at least the other half was sent: amortised, one copy a byte.
            unsafe memmove(start, start + head, used)
        } else {
            var larger = max(capacity, 128 << 10)
            while larger < (used + count) * 2 { larger *= 2 }
            let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 4096)
            if let old = unsafe start {
                unsafe memory.copyMemory(from: old + head, byteCount: used)
                unsafe old.deallocate()
            }
            unsafe start = memory
            capacity = larger
        }
        head = 0
        tail = used
    }

    mutating func freeMemory() {
        unsafe start?.deallocate()
        unsafe start = nil
        capacity = 0
        head = 0
        tail = 0
    }
}

/// Where libssh2 finds the wire: every callback gets the address of the session's "abstract" pointer.
func wire(_ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> UnsafeMutablePointer<Wire>? {
    unsafe abstract?.pointee?.assumingMemoryBound(to: Wire.self)
}

typealias WireReceive =
    @convention(c) (
        Int32, UnsafeMutableRawPointer?, Int, Int32, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int
typealias WireSend =
    @convention(c) (
        Int32, UnsafeRawPointer?, Int, Int32, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int
typealias WireDisconnect =
    @convention(c) (
        OpaquePointer?, Int32, UnsafePointer<CChar>?, Int32, UnsafePointer<CChar>?, Int32,
        UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Void

let receiveCallback: WireReceive = { _, buffer, length, _, abstract in
    guard let wire = unsafe wire(abstract), let buffer = unsafe buffer else { return -Int(EBADF) }
    // Any error but EAGAIN makes libssh2 stop waiting and free what it holds.
    if unsafe wire.pointee.severed || !wire.pointee.mayTake() { return -Int(ECONNRESET) }
    return unsafe wire.pointee.take(buffer, length) ?? -Int(EAGAIN)
}

let sendCallback: WireSend = { _, bytes, length, _, abstract in
    guard let wire = unsafe wire(abstract), let bytes = unsafe bytes else { return -Int(EBADF) }
    if unsafe wire.pointee.severed { return length }
    guard unsafe wire.pointee.maySend(UnsafeRawBufferPointer(start: bytes, count: length)) else { return -Int(EPERM) }
    return unsafe wire.pointee.append(bytes, length) ? length : -Int(ENOBUFS)
}

let disconnectCallback: WireDisconnect = { _, code, text, length, _, _, abstract in
    guard let wire = unsafe wire(abstract) else { return }
    unsafe wire.pointee.disconnectCode = UInt32(bitPattern: code)
    guard let text = unsafe text, length > 0 else { return }
    unsafe wire.pointee.disconnectText = PeerLines(UnsafeRawBufferPointer(start: text, count: Int(length)))
}

typealias WireMACError =
    @convention(c) (
        OpaquePointer?, UnsafePointer<CChar>?, Int32, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32

/// In a login and in a key exchange libssh2 gives its callers other errors for a wrong MAC.
let wrongMACCallback: WireMACError = { _, _, _, abstract in
    unsafe wire(abstract)?.pointee.found(.wrongMAC)
    return -1
}
