/// An `mpint` of RFC 4251 §5 that is not negative: SSH has no use for others.
enum MPInt {
    /// 16384 bits, the longest RSA modulus that is taken, and its sign.
    static let maximumLength = 2049

    /// The magnitude, without leading zeros. Throws for what is negative, not in its shortest form, or too long.
    static func magnitude(_ bytes: UnsafeRawBufferPointer, of name: StaticString) throws(SSHError)
        -> UnsafeRawBufferPointer
    {
        guard bytes.count <= maximumLength else {
            throw .malformed(name, "a number in it has \(bytes.count) bytes")
        }
        guard let first = unsafe bytes.first else { return unsafe bytes }
        guard first < 0x80 else { throw .malformed(name, "a number in it is negative") }
        guard first == 0 else { return unsafe bytes }
        // A zero is there only to keep the next bit from being a sign; zero itself is the empty string.
        guard bytes.count > 1, unsafe bytes[1] >= 0x80 else {
            throw .malformed(name, "a number in it has zeros in front")
        }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    }

    /// What an `mpint` has behind its length, for a number that is no secret.
    static func content(_ magnitude: UnsafeRawBufferPointer) -> [UInt8] {
        let digits = unsafe Array(magnitude.drop { $0 == 0 })
        return digits.first.map { $0 >= 0x80 } == true ? [0] + digits : digits
    }

    /// A secret number, with its length, in memory of its own.
    static func encoded(_ magnitude: UnsafeRawBufferPointer) -> Secret {
        let capacity = unsafe 4 + length(magnitude)
        return unsafe Secret(capacity: capacity) { memory in
            var writer = unsafe WireWriter(start: memory.baseAddress!, capacity: capacity)
            unsafe writer.mpint(magnitude)
            return writer.count
        }
    }

    /// What the content of the `mpint` is as long as, bytes.
    static func length(_ magnitude: UnsafeRawBufferPointer) -> Int {
        let digits = unsafe magnitude.drop { $0 == 0 }
        guard let first = unsafe digits.first else { return 0 }
        return unsafe digits.count + (first >= 0x80 ? 1 : 0)
    }
}

extension WireReader {
    /// The magnitude of an `mpint`, where it lies.
    mutating func mpint(of name: StaticString) throws(SSHError) -> UnsafeRawBufferPointer {
        unsafe try MPInt.magnitude(try string(), of: name)
    }
}

extension WireWriter {
    /// An `mpint` from a big-endian magnitude; zeros in front are left out.
    mutating func mpint(_ magnitude: UnsafeRawBufferPointer) {
        let digits = unsafe magnitude.drop { $0 == 0 }
        uint32(UInt32(unsafe MPInt.length(magnitude)))
        if let first = unsafe digits.first, first >= 0x80 { byte(0) }
        for index in unsafe digits.indices { byte(unsafe digits[index]) }
    }
}
