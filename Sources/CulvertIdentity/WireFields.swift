/// Fields of RFC 4251 §5, taken one after another from bytes that somebody else wrote. nil: the bytes end too early.
struct WireReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var remaining: Int { bytes.count - position }

    mutating func byte() -> UInt8? {
        take(1)?.first
    }

    mutating func uint32() -> UInt32? {
        take(4)?.reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func string() -> [UInt8]? {
        guard let length = uint32() else { return nil }
        return take(Int(length))
    }

    /// A name of RFC 4251 §6: printable US-ASCII, at most 64 characters.
    mutating func name() -> String? {
        guard let bytes = string(), bytes.count <= 64, bytes.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func take(_ count: Int) -> [UInt8]? {
        guard count <= remaining else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}

/// The other direction: fields of RFC 4251 §5 put one after another.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) {
        bytes.append(value)
    }

    mutating func uint32(_ value: UInt32) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    /// At most 4 GiB: everything written here is read from a file or a packet far below that.
    mutating func string(_ value: some Collection<UInt8>) {
        uint32(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
}
