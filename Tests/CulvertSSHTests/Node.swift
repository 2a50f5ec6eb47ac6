import Testing

@testable import CulvertSSH

/// A generator with a seed: a failure is repeated by its seed alone.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// One end: an engine, what it was shown and what it said. It checks the engine's invariants at every step.
final class Node {
    var engine: NullCipherEngine
    private var inbox: [UInt8] = []
    private(set) var events: [EngineEvent] = []
    var received: [ChannelNumber: [UInt8]] = [:]
    /// Credits each payload as it comes.
    var creditsAtOnce = true

    init(_ role: ConnectionRole, _ settings: ConnectionSettings = ConnectionSettings()) {
        engine = NullCipherEngine(role: role, settings: settings)
    }

    /// Bytes come. Returns the events that they led to.
    @discardableResult
    func feed(_ bytes: some Collection<UInt8>) throws -> [EngineEvent] {
        inbox += bytes
        var new: [EngineEvent] = []
        var credits: [(ChannelNumber, Int)] = []
        let consumed = try inbox.withUnsafeMutableBytes { buffer in
            engine.receive(buffer)
            while let event = try engine.nextEvent() {
                if case .payload(let channel, let payload) = event {
                    received[channel, default: []] += UnsafeRawBufferPointer(start: payload.start, count: payload.count)
                    credits.append((channel, payload.count))
                }
                new.append(event)
            }
            return engine.takeConsumed()
        }
        inbox.removeFirst(consumed)
        events += new
        if creditsAtOnce {
            for (channel, count) in credits { engine.credit(channel, count: count) }
        }
        engine.invariants()
        return new
    }

    /// At most `limit` bytes leave.
    func takeOutput(_ limit: Int = .max) -> [UInt8] {
        let taken = Array(engine.output.prefix(limit))
        engine.outputSent(taken.count)
        engine.invariants()
        return taken
    }

    /// Everything leaves, deferred messages too.
    func takeAllOutput() -> [UInt8] {
        var all: [UInt8] = []
        while case let some = takeOutput(), !some.isEmpty { all += some }
        return all
    }

    /// Sends what may be sent of `bytes` in one reservation, and returns how much that was.
    @discardableResult
    func send(_ channel: ChannelNumber, _ bytes: ArraySlice<UInt8>, commitLess: Int = 0) throws -> Int {
        let slots = engine.reserve(channel, maximum: bytes.count)
        #expect(slots.totalLength <= bytes.count && slots.count <= PayloadSlots.maximumCount)
        var next = bytes.startIndex
        for index in 0..<slots.count {
            let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
            let place = UnsafeMutableRawBufferPointer(start: slots.first! + index * slots.stride, count: length)
            place.copyBytes(from: bytes[next..<next + length])
            next += length
        }
        let count = max(0, slots.totalLength - commitLess)
        try engine.commit(channel, count: count)
        return count
    }
}

extension EngineEvent {
    /// The event in words that a test can compare; payload without its place.
    var words: String {
        switch self {
        case .payload(let channel, let payload): "payload \(channel.value) \(payload.count)"
        case .opened(let channel): "opened \(channel.value)"
        case .openRefused(let channel, let reason): "refused \(channel.value) \(reason.rawValue)"
        case .openRequested(let channel): "requested \(channel.value)"
        case .sendable(let channel): "sendable \(channel.value)"
        case .allSendable: "all sendable"
        case .violated(let channel): "violated \(channel.value)"
        case .commandRefused: "command refused"
        case .probeAnswered: "probe answered"
        case .hostKeysOffered: "host keys offered"
        case .hostKeyProofAnswered: "host key proof answered"
        case .ended(let channel): "ended \(channel.value)"
        case .closed(let channel, let afterEnd): "closed \(channel.value) \(afterEnd ? "after end" : "cut")"
        case .forwardRequested(let request): "forward requested \(request.value)"
        case .forwardAnswered(let forward, let accepted, let port): "forward \(forward.value) \(accepted) \(port)"
        }
    }
}
