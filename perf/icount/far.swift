// A server's side of a link, in memory. The benchmarks compile it too.

/// Trusts every host key and offers no credential: "none" is what gets in.
final class EverybodyIsWelcome: LoginAuthority {
    var userName: String { "anybody" }
    func knownHostKeyAlgorithms() -> [String] { [] }
    func verify(hostKey key: [UInt8]) throws(SSHError) {}
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? { nil }
    func refused(reason: String?) {}
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? { nil }
    func show(banner: PeerText) {}
}

/// Bytes on their way to one side, at one address: what the relay's ring is.
struct Inbox: ~Copyable {
    static let capacity = 4 << 20
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 4096)
    var count = 0
    deinit { memory.deallocate() }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard count + bytes.count <= Self.capacity else { fatalError("more is on its way than one round has") }
        if let start = bytes.baseAddress { (memory + count).copyMemory(from: start, byteCount: bytes.count) }
        count += bytes.count
    }

    mutating func removeFirst(_ used: Int) {
        memory.copyMemory(from: memory + used, byteCount: count - used)
        count -= used
    }

    var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: memory, count: count) }
}

/// The server's side: the engine in the other role.
struct FarSide: ~Copyable {
    var engine: NativeEngine
    var channel: ChannelNumber?
    var received = 0

    init(_ engine: consuming NativeEngine) { self.engine = engine }

    mutating func receive(_ inbox: inout Inbox) throws {
        engine.receive(inbox.bytes)
        while let event = try engine.nextEvent() {
            switch event {
            case .openRequested(let number):
                engine.accept(number)
                channel = number
            case .payload(let number, let payload):
                received += payload.count
                engine.credit(number, count: payload.count)
            default: break
            }
        }
        inbox.removeFirst(engine.takeConsumed())
    }

    mutating func takeOutput(_ inbox: inout Inbox) {
        while !engine.output.isEmpty {
            inbox.append(engine.output)
            engine.outputSent(engine.output.count)
        }
    }

    mutating func send(_ packets: Int, _ length: Int, _ inbox: inout Inbox) throws {
        guard let channel else { fatalError("there is no channel") }
        for _ in 0..<packets {
            guard engine.reserve(channel, maximum: length).totalLength == length else {
                fatalError("the window is too small for a round")
            }
            try engine.commit(channel, count: length)
            takeOutput(&inbox)
        }
    }
}
