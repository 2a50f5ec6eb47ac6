/// Reads the data types of RFC 4251 §5, in order, from a range of memory that somebody else owns and keeps valid.
///
/// Every length is compared with what is left before it is used; what does not fit is the peer's fault and throws
/// `.protocolViolation` with the message's name. Nothing is copied: a `string` is a range of the same memory.
@safe public struct WireReader {
    private var cursor: UnsafeRawPointer
    /// Bytes not yet read.
    public private(set) var remaining: Int
    private let message: StaticString

    /// `name` is the message's, for errors.
    init(start: UnsafeRawPointer, count: Int, of name: StaticString) {
        precondition(count >= 0, "a range has no negative length")
        unsafe cursor = start
        remaining = count
        message = name
    }

    private mutating func take(_ count: Int) throws(SSHError) -> UnsafeRawPointer {
        guard count <= remaining else { throw SSHError.malformed(message, "it is cut short") }
        let taken = unsafe cursor
        unsafe cursor += count
        remaining -= count
        return unsafe taken
    }

    public mutating func byte() throws(SSHError) -> UInt8 {
        unsafe try take(1).load(as: UInt8.self)
    }

    /// Every value but 0 is true (RFC 4251 §5).
    public mutating func boolean() throws(SSHError) -> Bool {
        try byte() != 0
    }

    public mutating func uint32() throws(SSHError) -> UInt32 {
        UInt32(bigEndian: unsafe try take(4).loadUnaligned(as: UInt32.self))
    }

    public mutating func uint64() throws(SSHError) -> UInt64 {
        UInt64(bigEndian: unsafe try take(8).loadUnaligned(as: UInt64.self))
    }

    /// The bytes of a `string`, where they lie.
    public mutating func string() throws(SSHError) -> UnsafeRawBufferPointer {
        let count = Int(try uint32())
        return unsafe UnsafeRawBufferPointer(start: try take(count), count: count)
    }

    /// The bytes of a `string`, copied.
    public mutating func bytes() throws(SSHError) -> [UInt8] { unsafe Array(try string()) }

    /// So many bytes without a length, where they lie.
    public mutating func raw(_ count: Int) throws(SSHError) -> UnsafeRawBufferPointer {
        precondition(count >= 0, "a field has no negative length")
        return unsafe UnsafeRawBufferPointer(start: try take(count), count: count)
    }

    /// A name of RFC 4251 §6: printable US-ASCII, at most 64 characters.
    public mutating func name() throws(SSHError) -> String {
        let bytes = unsafe try string()
        guard bytes.count <= 64, unsafe bytes.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw .malformed(message, "a name in it is none")
        }
        return unsafe String(decoding: bytes, as: UTF8.self)
    }

    /// The message has nothing after its last field.
    public func end() throws(SSHError) {
        guard remaining == 0 else { throw SSHError.malformed(message, "it has \(remaining) bytes too many") }
    }
}

extension SSHError {
    /// The peer broke the protocol; ends the link with code 2.
    static func violation(_ what: String) -> SSHError {
        SSHError(.protocolViolation, "the peer broke the protocol: \(what)")
    }

    public static func malformed(_ message: StaticString, _ why: String) -> SSHError {
        violation("\(message) is malformed, \(why)")
    }
}

extension [UInt8] {
    /// Reads a blob that is not in a packet any more. `name` is the blob's, for errors.
    public func read<Result>(
        _ name: StaticString, _ body: (inout WireReader) throws(SSHError) -> Result
    ) throws(SSHError) -> Result {
        try unsafe withUnsafeBufferPointer { buffer throws(SSHError) in
            guard let start = buffer.baseAddress else { throw .malformed(name, "it is empty") }
            var reader = unsafe WireReader(start: start, count: buffer.count, of: name)
            return try body(&reader)
        }
    }
}
