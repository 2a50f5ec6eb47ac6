import Crypto
import Testing

@testable import CulvertSSH

/// A host key for servers that are tests.
struct TestHostKey {
    let key = Curve25519.Signing.PrivateKey()
    var blob: [UInt8] { Script.string("ssh-ed25519") + Script.string(Array(key.publicKey.rawRepresentation)) }

    func sign(_ data: [UInt8]) -> [UInt8] {
        guard let signature = try? key.signature(for: data) else { preconditionFailure("Ed25519 signs anything") }
        return Script.string("ssh-ed25519") + Script.string(Array(signature))
    }

    var signer: HostKeySigner {
        HostKeySigner(blob: blob, algorithms: [HostKeyAlgorithm(scheme: .ed25519, isCertified: false)]) {
            _, hash throws(SSHError) in self.sign(hash)
        }
    }
}

/// A client that a test feeds: login and engine, its authority, and what it was shown.
final class NativeNode {
    var end: ClientEnd
    let authority = NativeAuthority()
    private var inbox: [UInt8] = []
    private(set) var allSendable = 0
    var received: [UInt8] = []
    /// Credits each payload as it comes.
    var credits = true

    init(_ settings: NativeSettings = NativeSettings(), random: RandomSource = RandomSource()) throws {
        end = NativeEnd(try ClientLogin(settings: settings, random: random)) { $0.engine() }
    }

    var isLoggedIn: Bool { end.isLoggedIn }
    var engine: NativeEngine {
        _read { yield end.engine }
        _modify { yield &end.engine }
    }

    /// Bytes come, in the login or after it. Returns events other than payload, which is credited at once.
    @discardableResult
    func feed(_ bytes: some Collection<UInt8>) throws -> [EngineEvent] {
        inbox += bytes
        var events: [EngineEvent] = []
        var credits: [(ChannelNumber, Int)] = []
        let consumed = try inbox.withUnsafeMutableBytes { buffer in
            try end.receive(buffer, authority) { _, event in
                switch event {
                case .payload(let channel, let payload):
                    received += UnsafeRawBufferPointer(start: payload.start, count: payload.count)
                    credits.append((channel, payload.count))
                case .allSendable:
                    allSendable += 1
                    events.append(event)
                default: events.append(event)
                }
            }
        }
        inbox.removeFirst(consumed)
        if self.credits {
            for (channel, count) in credits { engine.credit(channel, count: count) }
        }
        end.invariants()
        return events
    }

    var keyExchange: Int? { engine.keyExchange }

    /// The first step, which needs no bytes.
    func start() throws { try feed([]) }

    func takeOutput(_ limit: Int = .max) -> [UInt8] { end.takeOutput(limit) }

    func takeAllOutput() -> [UInt8] {
        var all: [UInt8] = []
        while case let some = takeOutput(), !some.isEmpty { all += some }
        return all
    }

    /// Sends what may be sent of `bytes`, and returns how much that was.
    func send(_ channel: ChannelNumber, _ bytes: ArraySlice<UInt8>) throws -> Int {
        try fill(engine.reserve(channel, maximum: bytes.count), bytes) { try engine.commit(channel, count: $0) }
    }
}

/// Copies into reserved slots and commits.
func fill(_ slots: PayloadSlots, _ bytes: ArraySlice<UInt8>, _ commit: (Int) throws -> Void) throws -> Int {
    var next = bytes.startIndex
    for index in 0..<slots.count {
        let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
        UnsafeMutableRawBufferPointer(start: slots.first! + index * slots.stride, count: length)
            .copyBytes(from: bytes[next..<next + length])
        next += length
    }
    try commit(slots.totalLength)
    return slots.totalLength
}

/// A server whose channels send back what comes.
final class EchoServer {
    var end: ServerEnd
    private let authority = NativeAuthority()
    private var inbox: [UInt8] = []
    private var pending: [UInt8] = []
    private var channel: ChannelNumber?
    private(set) var wasHeld = 0

    init(_ settings: NativeSettings = NativeSettings(), _ key: TestHostKey = TestHostKey()) throws {
        end = try ServerEnd(settings: settings, signer: key.signer)
    }

    /// How often keys were renewed after the first time.
    var exchanges: Int { end.isLoggedIn ? Int(end.engine.keyRenewals ?? 0) : 0 }

    func feed(_ bytes: some Collection<UInt8>) throws {
        inbox += bytes
        let consumed = try inbox.withUnsafeMutableBytes { buffer in
            try end.receive(buffer, authority) { engine, event in handle(&engine, event) }
        }
        inbox.removeFirst(consumed)
        try pump()
        end.invariants()
    }

    private func handle(_ engine: inout NativeEngine, _ event: EngineEvent) {
        switch event {
        case .openRequested(let number):
            engine.accept(number)
            channel = number
        case .payload(let number, let payload):
            pending += UnsafeRawBufferPointer(start: payload.start, count: payload.count)
            engine.credit(number, count: payload.count)
        case .allSendable: wasHeld += 1
        default: break
        }
    }

    private func pump() throws {
        guard let channel, !pending.isEmpty else { return }
        let slots = end.engine.reserve(channel, maximum: pending.count)
        guard slots.count > 0 else { return }
        let count = try fill(slots, pending[...]) { try end.engine.commit(channel, count: $0) }
        pending.removeFirst(count)
    }

    func takeOutput(_ limit: Int = .max) throws -> [UInt8] {
        let taken = end.takeOutput(limit)
        try pump()
        return taken
    }
}

/// How bytes are cut on their way.
enum NativeCut: Sendable, CaseIterable {
    case whole, oneByte, random
}

/// A client and a server, and the bytes between them.
final class NativePair {
    let client: NativeNode
    let server: EchoServer
    private var random: SplitMix
    private let cut: NativeCut
    private(set) var events: [EngineEvent] = []

    init(
        _ cut: NativeCut, seed: UInt64 = 1, client: NativeSettings = NativeSettings(),
        server: NativeSettings = NativeSettings()
    ) throws {
        self.cut = cut
        random = SplitMix(seed)
        self.client = try NativeNode(client)
        self.server = try EchoServer(server)
        try self.client.start()
    }

    private func pieces(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var at = 0
        while at < bytes.count {
            let size: Int
            switch cut {
            case .whole: size = bytes.count
            case .oneByte: size = 1
            case .random: size = Int.random(in: 1...5000, using: &random)
            }
            pieces.append(bytes[at..<min(bytes.count, at + size)])
            at += size
        }
        return pieces
    }

    /// Moves bytes both ways once. Returns whether anything moved.
    @discardableResult
    func step() throws -> Bool {
        let limit = cut == .random ? Int.random(in: 1...20_000, using: &random) : .max
        let out = client.takeOutput(limit)
        for piece in pieces(out) { try server.feed(piece) }
        let back = try server.takeOutput(limit)
        for piece in pieces(back) { events += try client.feed(piece) }
        return !out.isEmpty || !back.isEmpty
    }

    func settle() throws {
        while try step() {}
    }

    func takeEvents() -> [EngineEvent] {
        defer { events = [] }
        return events
    }
}
