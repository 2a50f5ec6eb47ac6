internal import Glibc

/// Messages that wait, unsealed, in the order in which they were made: for room, or for the end of a key exchange.
/// They are control messages, never payload: that is pulled only when it can be sealed.
///
/// One may hold a password. So whatever has gone is overwritten at once, wherever it stood.
///
/// Invariant: 0 ≤ `head` ≤ `end` ≤ capacity; of what has gone nothing stands anywhere in it.
@safe struct DeferredMessages: ~Copyable {
    private var memory = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var head = 0
    private var end = 0

    /// Less is not worth a second allocation, bytes.
    private static let minimumCapacity = 256

    init() {}

    deinit {
        unsafe Self.free(memory)
    }

    private static func free(_ memory: UnsafeMutableRawBufferPointer) {
        guard let start = memory.baseAddress else { return }
        unsafe explicit_bzero(start, memory.count)
        unsafe memory.deallocate()
    }

    var isEmpty: Bool { head == end }
    /// Bytes of memory in use.
    var storedBytes: Int { unsafe memory.count }
    /// Bytes that wait, lengths included.
    var byteCount: Int { end - head }

    mutating func append(_ message: UnsafeRawBufferPointer) {
        makeRoom(4 + message.count)
        unsafe memory.storeBytes(of: UInt32(message.count), toByteOffset: end, as: UInt32.self)
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[(end + 4)...]).copyMemory(from: message)
        end += 4 + message.count
    }

    /// What waits moves to the front; to other memory where that is too small, or was for much more than this.
    private mutating func makeRoom(_ count: Int) {
        guard unsafe memory.count - end < count else { return }
        let waiting = unsafe UnsafeRawBufferPointer(rebasing: memory[head..<end])
        let capacity = max(Self.minimumCapacity, 2 * (waiting.count + count))
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
        unsafe larger.copyMemory(from: waiting)
        end = waiting.count
        head = 0
        unsafe Self.free(memory)
        unsafe memory = larger
    }

    /// Length of the oldest message. There must be one.
    var firstLength: Int {
        precondition(!isEmpty, "a message waits")
        return Int(unsafe memory.loadUnaligned(fromByteOffset: head, as: UInt32.self))
    }

    /// The message number of the oldest message. There must be one.
    var firstNumber: UInt8 {
        precondition(firstLength > 0, "a message has its number")
        return unsafe memory.load(fromByteOffset: head + 4, as: UInt8.self)
    }

    /// Copies the oldest message out and forgets it.
    mutating func removeFirst(to place: UnsafeMutableRawPointer) {
        let length = firstLength
        let start = unsafe memory.baseAddress! + head
        unsafe place.copyMemory(from: start + 4, byteCount: length)
        unsafe explicit_bzero(start, 4 + length)
        head += 4 + length
        if isEmpty { removeAll() }
    }

    mutating func removeAll() {
        unsafe Self.free(memory)
        unsafe memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        head = 0
        end = 0
    }
}
