/// Writes the data types of RFC 4251 §5, in order, into memory that was allocated before and that somebody else owns.
///
/// Invariant: `count` ≤ `capacity`. What would not fit is our own fault: whoever makes a message has bounded its
/// texts first.
@safe struct WireWriter {
    let start: UnsafeMutableRawPointer
    let capacity: Int
    private(set) var count = 0

    init(start: UnsafeMutableRawPointer, capacity: Int) {
        unsafe self.start = start
        self.capacity = capacity
    }

    /// What has been written.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start, count: count) }

    private mutating func advance(_ length: Int) -> UnsafeMutableRawPointer {
        precondition(length <= capacity - count, "a message of ours fits the room that was made for it")
        let place = unsafe start + count
        count += length
        return unsafe place
    }

    mutating func byte(_ value: UInt8) {
        unsafe advance(1).storeBytes(of: value, as: UInt8.self)
    }

    mutating func boolean(_ value: Bool) {
        byte(value ? 1 : 0)
    }

    mutating func uint32(_ value: UInt32) {
        unsafe advance(4).storeBytes(of: value.bigEndian, as: UInt32.self)
    }

    mutating func uint64(_ value: UInt64) {
        unsafe advance(8).storeBytes(of: value.bigEndian, as: UInt64.self)
    }

    mutating func string(_ bytes: UnsafeRawBufferPointer) {
        uint32(UInt32(bytes.count))
        let place = unsafe advance(bytes.count)
        if let source = bytes.baseAddress { unsafe place.copyMemory(from: source, byteCount: bytes.count) }
    }

    mutating func string(_ text: String) {
        let utf8 = text.utf8
        uint32(UInt32(utf8.count))
        for unit in utf8 { byte(unit) }
    }

    mutating func string(_ text: StaticString) {
        text.withUTF8Buffer { unsafe string(UnsafeRawBufferPointer($0)) }
    }
}
