internal import CulvertSSH

/// What a client says to a master (PROTOCOL.mux), each behind its length. Everything but the greeting has a number that
/// the answer repeats.
enum MuxRequest: Equatable {
    case hello(version: UInt32)
    case newSession(UInt32)
    case aliveCheck(UInt32)
    case terminate(UInt32)
    case openForward(UInt32, MuxForward)
    case closeForward(UInt32, MuxForward)
    /// `nil` as port: a path.
    case stdioForward(UInt32, MuxForward.End)
    case stopListening(UInt32)
    case proxy(UInt32)
    /// Of another version of the protocol, or of its extensions.
    case unknown(UInt32)
    /// A forward of a kind that nobody knows.
    case unknownForward(UInt32)
}

/// What a master answers.
enum MuxReply: Equatable {
    case hello(version: UInt32)
    case done(UInt32)
    case denied(UInt32, String)
    case failed(UInt32, String)
    case alive(UInt32, process: UInt32)
    case remotePort(UInt32, UInt32)
    case sessionOpened(UInt32, session: UInt32)
    case other(UInt32)
}

/// The protocol's only version.
enum MuxVersion {
    static let number: UInt32 = 4
}

/// The numbers of messages.
enum MuxNumber {
    static let hello: UInt32 = 0x1
    static let newSession: UInt32 = 0x1000_0002
    static let aliveCheck: UInt32 = 0x1000_0004
    static let terminate: UInt32 = 0x1000_0005
    static let openForward: UInt32 = 0x1000_0006
    static let closeForward: UInt32 = 0x1000_0007
    static let stdioForward: UInt32 = 0x1000_0008
    static let stopListening: UInt32 = 0x1000_0009
    static let proxy: UInt32 = 0x1000_000f
    static let done: UInt32 = 0x8000_0001
    static let denied: UInt32 = 0x8000_0002
    static let failed: UInt32 = 0x8000_0003
    static let alive: UInt32 = 0x8000_0005
    static let sessionOpened: UInt32 = 0x8000_0006
    static let remotePort: UInt32 = 0x8000_0007
}

extension MuxRequest {
    /// A message without its length. Throws for one that is none; what follows the known fields is let be, as ssh does.
    init(_ message: [UInt8]) throws(SSHError) {
        self = try message.read("a mux request") { reader throws(SSHError) in
            let number = try reader.uint32()
            if number == MuxNumber.hello {
                let version = try reader.uint32()
                // Extensions: names and values that mean nothing here.
                while reader.remaining > 0 { _ = (try reader.bytes(), try reader.bytes()) }
                return .hello(version: version)
            }
            let id = try reader.uint32()
            switch number {
            case MuxNumber.newSession: return .newSession(id)
            case MuxNumber.aliveCheck: return .aliveCheck(id)
            case MuxNumber.terminate: return .terminate(id)
            case MuxNumber.stopListening: return .stopListening(id)
            case MuxNumber.proxy: return .proxy(id)
            case MuxNumber.stdioForward:
                _ = try reader.bytes()
                return .stdioForward(id, try reader.muxEnd())
            case MuxNumber.openForward, MuxNumber.closeForward:
                let kind = MuxForward.Kind(rawValue: try reader.uint32())
                let (listen, connect) = (try reader.muxEnd(), try reader.muxEnd())
                guard let kind else { return .unknownForward(id) }
                let forward = MuxForward(kind: kind, listen: listen, connect: connect)
                return number == MuxNumber.openForward ? .openForward(id, forward) : .closeForward(id, forward)
            default: return .unknown(id)
            }
        }
    }

    /// With its length.
    var packet: [UInt8] {
        var body = WireBytes()
        switch self {
        case .hello(let version): body.put(MuxNumber.hello, version)
        case .newSession(let id): body.put(MuxNumber.newSession, id)
        case .aliveCheck(let id): body.put(MuxNumber.aliveCheck, id)
        case .terminate(let id): body.put(MuxNumber.terminate, id)
        case .stopListening(let id): body.put(MuxNumber.stopListening, id)
        case .proxy(let id): body.put(MuxNumber.proxy, id)
        case .unknown(let id): body.put(0, id)
        case .unknownForward(let id):
            body.put(MuxNumber.openForward, id, 0)
            body.put(MuxForward.End(host: "", port: 0))
            body.put(MuxForward.End(host: "", port: 0))
        case .stdioForward(let id, let end):
            body.put(MuxNumber.stdioForward, id)
            body.string("")
            body.put(end)
        case .openForward(let id, let forward), .closeForward(let id, let forward):
            let isOpening = if case .openForward = self { true } else { false }
            body.put(isOpening ? MuxNumber.openForward : MuxNumber.closeForward, id, forward.kind.rawValue)
            body.put(forward.listen)
            body.put(forward.connect)
        }
        return body.packet
    }
}

extension MuxReply {
    /// The number of the request that it answers; nil: it answers none.
    var number: UInt32? {
        switch self {
        case .hello, .other: nil
        case .done(let id), .denied(let id, _), .failed(let id, _), .alive(let id, _), .remotePort(let id, _),
            .sessionOpened(let id, _):
            id
        }
    }

    /// A message without its length.
    init(_ message: [UInt8]) throws(SSHError) {
        self = try message.read("a mux reply") { reader throws(SSHError) in
            let number = try reader.uint32()
            let id = try reader.uint32()
            switch number {
            case MuxNumber.hello: return .hello(version: id)
            case MuxNumber.done: return .done(id)
            case MuxNumber.denied: return .denied(id, PeerText(try reader.text()).description)
            case MuxNumber.failed: return .failed(id, PeerText(try reader.text()).description)
            case MuxNumber.alive: return .alive(id, process: try reader.uint32())
            case MuxNumber.remotePort: return .remotePort(id, try reader.uint32())
            case MuxNumber.sessionOpened: return .sessionOpened(id, session: try reader.uint32())
            default: return .other(number)
            }
        }
    }

    /// With its length.
    var packet: [UInt8] {
        var body = WireBytes()
        switch self {
        case .hello(let version): body.put(MuxNumber.hello, version)
        case .done(let id): body.put(MuxNumber.done, id)
        case .denied(let id, let reason):
            body.put(MuxNumber.denied, id)
            body.string(reason)
        case .failed(let id, let reason):
            body.put(MuxNumber.failed, id)
            body.string(reason)
        case .alive(let id, let process): body.put(MuxNumber.alive, id, process)
        case .remotePort(let id, let port): body.put(MuxNumber.remotePort, id, port)
        case .sessionOpened(let id, let session): body.put(MuxNumber.sessionOpened, id, session)
        case .other(let number): body.put(number, 0)
        }
        return body.packet
    }
}

extension WireBytes {
    fileprivate mutating func put(_ numbers: UInt32...) { for number in numbers { uint32(number) } }

    fileprivate mutating func put(_ end: MuxForward.End) {
        string(end.host)
        uint32(end.mark)
    }

    fileprivate var packet: [UInt8] {
        var whole = WireBytes()
        whole.string(bytes)
        return whole.bytes
    }
}

extension WireReader {
    /// A text as C has it: without a zero, and UTF-8.
    fileprivate mutating func text() throws(SSHError) -> String {
        let bytes = try bytes()
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw .malformed("a mux message", "a text in it is none")
        }
        return text
    }

    fileprivate mutating func muxEnd() throws(SSHError) -> MuxForward.End {
        let host = try text()
        let port = try uint32()
        if port == MuxForward.End.pathMark { return MuxForward.End(host: host, port: nil) }
        guard let port = UInt16(exactly: port) else { throw .malformed("a mux message", "a port in it is none") }
        return MuxForward.End(host: host, port: port)
    }
}

/// Messages put together from a stream, each behind its length.
struct MuxStream {
    /// Longer ones are nobody's, bytes: a session's has its whole environment in it.
    static let longestMessage = 256 << 10

    private var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// The next whole message, without its length; nil: it has not come. Throws for one that is too long.
    mutating func take() throws(SSHError) -> [UInt8]? {
        guard bytes.count >= 4 else { return nil }
        let length = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.longestMessage else { throw .malformed("a mux message", "it is too long") }
        guard bytes.count >= 4 + length else { return nil }
        defer { bytes.removeFirst(4 + length) }
        return Array(bytes[4..<4 + length])
    }

    /// So many bytes between messages, which descriptors came with; false: they have not come.
    mutating func drop(_ count: Int) -> Bool {
        guard bytes.count >= count else { return false }
        bytes.removeFirst(count)
        return true
    }
}
