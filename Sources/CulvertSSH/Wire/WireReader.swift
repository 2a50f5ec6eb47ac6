/// Reads the data types of RFC 4251 §5, in order, from a range of memory that somebody else owns and keeps valid.
///
/// Every length is compared with what is left before it is used; what does not fit is the peer's fault and throws
/// `.protocolViolation` with the message's name. Nothing is copied: a `string` is a range of the same memory.
@safe struct WireReader {
    private var cursor: UnsafeRawPointer
    /// Bytes not yet read.
    private(set) var remaining: Int
    private let name: StaticString

    /// `name` is the message's, for errors.
    init(start: UnsafeRawPointer, count: Int, of name: StaticString) {
        precondition(count >= 0, "a range has no negative length")
        unsafe cursor = start
        remaining = count
        self.name = name
    }

    private mutating func take(_ count: Int) throws(SSHError) -> UnsafeRawPointer {
        guard count <= remaining else { throw SSHError.malformed(name, "it is cut short") }
        let taken = unsafe cursor
        unsafe cursor += count
        remaining -= count
        return unsafe taken
    }

    mutating func byte() throws(SSHError) -> UInt8 {
        unsafe try take(1).load(as: UInt8.self)
    }

    /// Every value but 0 is true (RFC 4251 §5).
    mutating func boolean() throws(SSHError) -> Bool {
        try byte() != 0
    }

    mutating func uint32() throws(SSHError) -> UInt32 {
        UInt32(bigEndian: unsafe try take(4).loadUnaligned(as: UInt32.self))
    }

    mutating func uint64() throws(SSHError) -> UInt64 {
        UInt64(bigEndian: unsafe try take(8).loadUnaligned(as: UInt64.self))
    }

    /// The bytes of a `string`, where they lie.
    mutating func string() throws(SSHError) -> UnsafeRawBufferPointer {
        let count = Int(try uint32())
        return unsafe UnsafeRawBufferPointer(start: try take(count), count: count)
    }

    /// The message has nothing after its last field.
    func end() throws(SSHError) {
        guard remaining == 0 else { throw SSHError.malformed(name, "it has \(remaining) bytes too many") }
    }
}

extension SSHError {
    /// The peer broke the protocol; ends the link with code 2.
    static func violation(_ what: String) -> SSHError {
        SSHError(.protocolViolation, "the peer broke the protocol: \(what)")
    }

    static func malformed(_ message: StaticString, _ why: String) -> SSHError {
        violation("\(message) is malformed, \(why)")
    }
}

extension [UInt8] {
    /// Reads a blob that is not in a packet any more. `name` is the blob's, for errors.
    func read<Result>(
        _ name: StaticString, _ body: (inout WireReader) throws(SSHError) -> Result
    ) throws(SSHError) -> Result {
        try unsafe withUnsafeBufferPointer { buffer throws(SSHError) in
            guard let start = buffer.baseAddress else { throw .malformed(name, "it is empty") }
            var reader = unsafe WireReader(start: start, count: buffer.count, of: name)
            return try body(&reader)
        }
    }
}
