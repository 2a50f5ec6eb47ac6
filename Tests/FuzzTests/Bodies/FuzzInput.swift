/// An input, taken from the front; zeros where it has ended.
struct FuzzInput {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isOver: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func uint16() -> Int { Int(byte()) << 8 | Int(byte()) }

    mutating func uint32() -> Int { uint16() << 16 | uint16() }

    /// At most `count` bytes.
    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(bytes[position..<min(bytes.count, position + count)])
        position += taken.count
        return taken
    }

    mutating func rest() -> [UInt8] { take(bytes.count - position) }
}

/// Shows a copy of `bytes` in memory of exactly that length, so that a sanitizer sees every step outside of it.
func withMemory<Result, Failure: Error>(
    of bytes: [UInt8], _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    return try body(memory)
}

/// The data types of RFC 4251 §5 as seeds and scripted peers write them.
enum Wire {
    static func uint32(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    static func string(_ bytes: [UInt8]) -> [UInt8] { uint32(bytes.count) + bytes }
    static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }

    /// The uint32 at an offset, nil when it is not there.
    static func uint32(in bytes: [UInt8], at offset: Int) -> Int? {
        guard offset >= 0, bytes.count >= offset + 4 else { return nil }
        return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }
}

/// Whether a line is safe to show: what every text for a person must be.
func isOneSafeLine(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: false
        default: true
        }
    }
}
