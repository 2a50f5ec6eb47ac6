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

    // Input: lent from `receive` to `takeConsumed`.
    private(set) var lent: UnsafeMutableRawPointer?
    private(set) var lentCount = 0
    private(set) var taken = 0
    /// All bytes ever taken: tells whether something came since the last look.
    private(set) var takenTotal = 0
    /// libssh2 asked for more than there was: everything lent has been decoded.
    var exhausted = true
    /// The stream is over for libssh2: it is being freed.
    var severed = false

    // Output: `start[head ..< tail]` waits to be sent.
    private var start: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0
    private(set) var overflowed = false

    // What callbacks found out.
    var disconnectCode: UInt32?
    var disconnectText = PeerText("")
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
        let count = min(length, lentCount - taken)
        guard count > 0, let lent = unsafe lent else {
            exhausted = true
            return nil
        }
        unsafe buffer.copyMemory(from: lent + taken, byteCount: count)
        if greeting != nil, greeting!.count < Self.greetingLimit {
            unsafe greeting!.append(contentsOf: UnsafeRawBufferPointer(start: lent + taken, count: count))
        }
        taken += count
        takenTotal &+= count
        return count
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
            overflowed = true
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
private func wire(_ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> UnsafeMutablePointer<Wire>? {
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
    if unsafe wire.pointee.severed { return -Int(ECONNRESET) }
    return unsafe wire.pointee.take(buffer, length) ?? -Int(EAGAIN)
}

let sendCallback: WireSend = { _, bytes, length, _, abstract in
    guard let wire = unsafe wire(abstract), let bytes = unsafe bytes else { return -Int(EBADF) }
    if unsafe wire.pointee.severed { return length }
    return unsafe wire.pointee.append(bytes, length) ? length : -Int(ENOBUFS)
}

let disconnectCallback: WireDisconnect = { _, code, text, length, _, _, abstract in
    guard let wire = unsafe wire(abstract) else { return }
    unsafe wire.pointee.disconnectCode = UInt32(bitPattern: code)
    guard let text = unsafe text, length > 0 else { return }
    unsafe wire.pointee.disconnectText = PeerText(UnsafeRawBufferPointer(start: text, count: Int(length)))
}
