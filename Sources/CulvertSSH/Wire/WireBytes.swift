/// Writes the data types of RFC 4251 §5 into memory of its own: for what is made once in a while, such as the messages
/// of a key exchange and what is hashed in it.
public struct WireBytes {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// With room for so many bytes: below that nothing is copied that would have to be wiped.
    public init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// What was written, without another copy of it.
    public mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    public mutating func uint32(_ value: UInt32) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Bytes without a length.
    public mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    public mutating func string(_ value: some Collection<UInt8>) {
        uint32(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func string(_ text: String) { string(text.utf8) }
}
