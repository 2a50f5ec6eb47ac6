/// Messages that wait, unsealed, in the order in which they were made: for room, or for the end of a key exchange.
/// They are control messages, never payload: that is pulled only when it can be sealed.
struct DeferredMessages {
    private var bytes: [UInt8] = []
    private var head = 0

    var isEmpty: Bool { head == bytes.count }
    /// Bytes of memory in use, gone messages included.
    var storedBytes: Int { bytes.count }
    /// Bytes that wait, lengths included.
    var byteCount: Int { bytes.count - head }

    mutating func append(_ message: UnsafeRawBufferPointer) {
        unsafe withUnsafeBytes(of: UInt32(message.count)) { unsafe bytes.append(contentsOf: $0) }
        unsafe bytes.append(contentsOf: message)
    }

    /// Length of the oldest message. There must be one.
    var firstLength: Int {
        Int(unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: head, as: UInt32.self) })
    }

    /// Copies the oldest message out and forgets it.
    mutating func removeFirst(to place: UnsafeMutableRawPointer) {
        let length = firstLength
        unsafe bytes.withUnsafeBytes { buffer in
            unsafe place.copyMemory(from: buffer.baseAddress! + head + 4, byteCount: length)
        }
        head += 4 + length
        if head == bytes.count {
            removeAll()
        } else if head > bytes.count / 2 {
            // What has gone takes no memory, also when the queue is never quite empty.
            bytes.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() {
        bytes = []
        head = 0
    }
}
