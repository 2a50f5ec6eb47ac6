internal import CLibSSH2
internal import CulvertSSH
internal import Glibc

/// The memory of one session of libssh2's: every block that it takes or gives back passes here.
///
/// What is given back is wiped first, so keys and passwords lie in memory no longer than libssh2 needs them; full packets
/// are not, since wiping them would cost a few percent. What it holds is counted. Two things are seen that libssh2 does
/// not tell: its host key, before it is freed, and whether keys are being exchanged, because libssh2 keeps its own
/// SSH_MSG_KEXINIT just as long.
@safe struct SessionMemory {
    /// libssh2 keeps what it has no use for (answers to nothing, unknown messages), and a packet of one byte costs it
    /// some 100: beyond this the link is ended. Less than what a child process of this engine may have. Bytes.
    static let ceiling = 256 << 20
    var limit = Self.ceiling

    /// No key, key file or answer is longer, bytes.
    private static let longestSecret = 16 << 10

    /// What libssh2 holds, bytes.
    private(set) var held = 0

    /// Our SSH_MSG_KEXINIT behind its cookie, as it was sent first: later ones are the same. Empty: not sent yet.
    private var ownKexInit: [UInt8] = []
    /// The last block that is as long as one, and not looked at yet.
    private var candidate: UnsafeMutableRawPointer?
    /// The one that was sent, until both sides have sent SSH_MSG_NEWKEYS; of every exchange but the first.
    private var kexInit: UnsafeMutableRawPointer?
    private var exchanges = 0

    /// A host key that libssh2 gave back, and may give back once more: libssh2 1.10 keeps pointing to it when the server's
    /// next one is malformed. So its block is not used again before the next one comes.
    private var formerHostKey: UnsafeMutableRawPointer?

    /// message number, cookie (RFC 4253 §7.1).
    private static let cookieEnd = 17

    /// The number of the key exchange that is under way, nil when none is; the first one is not counted.
    var exchange: Int? { unsafe kexInit == nil ? nil : exchanges }

    mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        guard let block = unsafe malloc(max(1, count)) else { return nil }
        unsafe held += malloc_usable_size(block)
        if count == ownKexInit.count + Self.cookieEnd, !ownKexInit.isEmpty { unsafe candidate = block }
        return unsafe block
    }

    /// `hostKey`: the one that libssh2 points to.
    mutating func free(_ block: UnsafeMutableRawPointer, hostKey: UnsafeRawPointer?) {
        if unsafe block == candidate { unsafe candidate = nil }
        if unsafe block == kexInit { unsafe kexInit = nil }
        if unsafe block == formerHostKey {
            unsafe formerHostKey = nil
            return unsafe release(block)
        }
        guard unsafe UnsafeRawPointer(block) == hostKey else { return unsafe release(block) }
        freeFormerHostKey()
        unsafe formerHostKey = block
    }

    mutating func reallocate(_ block: UnsafeMutableRawPointer?, _ count: Int, hostKey: UnsafeRawPointer?)
        -> UnsafeMutableRawPointer?
    {
        guard let block = unsafe block else { return unsafe allocate(count) }
        guard let larger = unsafe allocate(count) else { return nil }
        unsafe larger.copyMemory(from: block, byteCount: min(count, malloc_usable_size(block)))
        unsafe free(block, hostKey: hostKey)
        return unsafe larger
    }

    /// At the end of the session.
    mutating func freeFormerHostKey() {
        guard let block = unsafe formerHostKey else { return }
        unsafe formerHostKey = nil
        unsafe release(block)
    }

    private mutating func release(_ block: UnsafeMutableRawPointer) {
        let length = unsafe malloc_usable_size(block)
        held -= length
        if length <= Self.longestSecret { unsafe explicit_bzero(block, length) }
        unsafe Glibc.free(block)
    }

    /// libssh2 sends this packet: is it our SSH_MSG_KEXINIT?
    mutating func sends(_ packet: UnsafeRawBufferPointer) {
        guard !ownKexInit.isEmpty else { return unsafe learnKexInit(packet) }
        guard let block = unsafe candidate else { return }
        unsafe candidate = nil
        let bytes = unsafe UnsafeRawBufferPointer(start: block, count: Self.cookieEnd + ownKexInit.count)
        guard unsafe bytes[0] == MessageByte.kexInit, unsafe bytes[Self.cookieEnd...].elementsEqual(ownKexInit) else {
            return
        }
        unsafe kexInit = block
        exchanges += 1
    }

    /// The first one is sent in the clear: packet_length, padding_length, payload, padding (RFC 4253 §6).
    private mutating func learnKexInit(_ packet: UnsafeRawBufferPointer) {
        guard packet.count > 5 + Self.cookieEnd, unsafe packet[5] == MessageByte.kexInit else { return }
        let end = unsafe packet.count - Int(packet[4])
        guard end > 5 + Self.cookieEnd else { return }
        unsafe ownKexInit = [UInt8](packet[(5 + Self.cookieEnd)..<end])
    }
}

/// Message numbers that are looked for in the clear (RFC 4250 §4.1.2).
enum MessageByte {
    static let kexInit: UInt8 = 20
}

typealias AllocateCallback =
    @convention(c) (Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> UnsafeMutableRawPointer?
typealias ReallocateCallback =
    @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?)
    -> UnsafeMutableRawPointer?
typealias FreeCallback =
    @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> Void

let allocateCallback: AllocateCallback = { count, abstract in
    unsafe wire(abstract)?.pointee.memory.allocate(count)
}

let reallocateCallback: ReallocateCallback = { block, count, abstract in
    guard let wire = unsafe wire(abstract) else { return nil }
    let hostKey = unsafe wire.pointee.hostKey.baseAddress
    return unsafe wire.pointee.memory.reallocate(block, count, hostKey: hostKey)
}

let freeCallback: FreeCallback = { block, abstract in
    guard let wire = unsafe wire(abstract), let block = unsafe block else { return }
    let hostKey = unsafe wire.pointee.hostKey.baseAddress
    unsafe wire.pointee.memory.free(block, hostKey: hostKey)
}
