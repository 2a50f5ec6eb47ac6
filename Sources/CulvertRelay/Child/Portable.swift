internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// A value that goes from one process of culvert's to another, in the data types of RFC 4251 §5.
///
/// What is read is bounded by the message that it is read from; whether it makes sense (a number in its range) is for whoever
/// takes it.
protocol Portable {
    func write(to out: inout WireBytes)
    init(from reader: inout WireReader) throws(SSHError)
}

extension WireBytes {
    mutating func put(_ values: any Portable...) { for value in values { value.write(to: &self) } }
}

extension WireReader {
    mutating func take<Value: Portable>(_ type: Value.Type = Value.self) throws(SSHError) -> Value {
        try Value(from: &self)
    }
}

extension SSHError {
    /// Another process of ours never says that.
    static var unreadable: SSHError { malformed("a message between processes", "a field of it has no such value") }
}

// MARK: Numbers and texts

extension UInt8: Portable {
    func write(to out: inout WireBytes) { out.byte(self) }
    init(from reader: inout WireReader) throws(SSHError) { self = try reader.byte() }
}

extension UInt32: Portable {
    func write(to out: inout WireBytes) { out.uint32(self) }
    init(from reader: inout WireReader) throws(SSHError) { self = try reader.uint32() }
}

extension UInt64: Portable {
    func write(to out: inout WireBytes) {
        out.put(UInt32(truncatingIfNeeded: self >> 32), UInt32(truncatingIfNeeded: self))
    }
    init(from reader: inout WireReader) throws(SSHError) { self = try reader.uint64() }
}

extension UInt16: Portable {
    func write(to out: inout WireBytes) { out.uint32(UInt32(self)) }
    init(from reader: inout WireReader) throws(SSHError) {
        guard let value = UInt16(exactly: try reader.uint32()) else { throw .unreadable }
        self = value
    }
}

extension Int32: Portable {
    func write(to out: inout WireBytes) { out.uint32(UInt32(bitPattern: self)) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(bitPattern: try reader.uint32()) }
}

extension Int64: Portable {
    func write(to out: inout WireBytes) { out.put(UInt64(bitPattern: self)) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(bitPattern: try reader.uint64()) }
}

/// Of a count or a place: never below zero.
extension Int: Portable {
    func write(to out: inout WireBytes) { out.put(UInt64(self)) }
    init(from reader: inout WireReader) throws(SSHError) {
        guard let value = Int(exactly: try reader.uint64()) else { throw .unreadable }
        self = value
    }
}

extension Bool: Portable {
    func write(to out: inout WireBytes) { out.byte(self ? 1 : 0) }
    init(from reader: inout WireReader) throws(SSHError) { self = try reader.boolean() }
}

extension String: Portable {
    func write(to out: inout WireBytes) { out.string(self) }
    init(from reader: inout WireReader) throws(SSHError) {
        let text = unsafe String(validating: try reader.string(), as: UTF8.self)
        guard let text else { throw .unreadable }
        self = text
    }
}

extension Optional: Portable where Wrapped: Portable {
    func write(to out: inout WireBytes) {
        out.put(self != nil)
        if let self { out.put(self) }
    }
    init(from reader: inout WireReader) throws(SSHError) {
        self = try reader.boolean() ? .some(try reader.take(Wrapped.self)) : nil
    }
}

extension Array: Portable where Element: Portable {
    func write(to out: inout WireBytes) {
        out.uint32(UInt32(count))
        for element in self { out.put(element) }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        let count = Int(try reader.uint32())
        // Every element has a byte at least.
        guard count <= reader.remaining else { throw .unreadable }
        self = []
        reserveCapacity(count)
        for _ in 0..<count { append(try reader.take(Element.self)) }
    }
}

// MARK: Times and addresses

extension Tick: Portable {
    func write(to out: inout WireBytes) { out.put(nanoseconds) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(nanoseconds: try reader.take()) }
}

extension Tick.Span: Portable {
    func write(to out: inout WireBytes) { out.put(nanoseconds) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(nanoseconds: try reader.take()) }
}

extension Duration: Portable {
    func write(to out: inout WireBytes) { out.put(components.seconds, components.attoseconds) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(secondsComponent: try reader.take(), attosecondsComponent: try reader.take())
    }
}

extension SocketAddress: Portable {
    func write(to out: inout WireBytes) { out.string(raw) }
    init(from reader: inout WireReader) throws(SSHError) {
        guard let address = SocketAddress(raw: try reader.bytes()) else { throw .unreadable }
        self = address
    }
}

// MARK: Errors and texts of others

extension SSHError: Portable {
    private static let kinds: [Kind] = [
        .protocolViolation, .integrity, .keyExchange, .hostKey, .authentication, .disconnected, .local, .transport,
        .unsupported,
    ]

    func write(to out: inout WireBytes) {
        guard let number = Self.kinds.firstIndex(of: kind) else { preconditionFailure("every kind has a number") }
        out.put(UInt8(number), description)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        let number = Int(try reader.byte())
        guard Self.kinds.indices.contains(number) else { throw .unreadable }
        self.init(Self.kinds[number], try reader.take())
    }
}

extension PeerText: Portable {
    func write(to out: inout WireBytes) { out.put(description) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(try reader.take(String.self)) }
}

extension PeerLines: Portable {
    func write(to out: inout WireBytes) { out.put(lines) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(try reader.take([PeerText].self)) }
}

extension Journal.Line: Portable {
    func write(to out: inout WireBytes) { out.put(UInt8(level.rawValue), text, kind) }
    init(from reader: inout WireReader) throws(SSHError) {
        guard let level = Journal.Level(rawValue: Int(try reader.byte())) else { throw .unreadable }
        self.init(level, try reader.take(), kind: try reader.take())
    }
}

extension ProxyProcess.Ending: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .exited(let status): out.put(false, status)
        case .signalled(let signal): out.put(true, signal)
        }
    }
    init(from reader: inout WireReader) throws(SSHError) {
        self = try reader.boolean() ? .signalled(try reader.take()) : .exited(try reader.take())
    }
}
