@testable import CulvertSSH

/// What the whole-engine targets need of an engine besides its protocol.
protocol FuzzedEngine: SSHEngine, ~Copyable {
    func invariants()
    var deferredBytes: Int { get }
}
extension NativeEngine: FuzzedEngine {}
extension NullCipherEngine: FuzzedEngine {}

/// Drives an engine after its login: an input is a stream of what the peer says and what we do.
struct ConnectionDriver<Engine: FuzzedEngine & ~Copyable>: ~Copyable {
    var engine: Engine
    let server: FuzzServer
    private var inbox: [UInt8] = []
    private var model = ConnectionModel()
    /// Room for the messages of our own doing, bytes: beside these only answers may wait.
    private var ownBytes = 0
    private(set) var committed = 0
    private var heardData = 0
    private(set) var received = 0
    /// Why the connection ended; nil: the input did.
    private(set) var fault: SSHError.Kind?
    private var isDisconnected = false
    /// The peer's bytes are no packets of ours any more, so nobody can say what they mean.
    private var isBlind = false

    init(engine: consuming Engine, server: FuzzServer) {
        self.engine = engine
        self.server = server
    }

    // MARK: Bytes

    private mutating func feed(_ bytes: [UInt8]) throws(SSHError) {
        inbox += bytes
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: inbox.count, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: inbox)
        engine.receive(memory)
        while let event = try engine.nextEvent() {
            model.note(event)
            if case .payload(_, let payload) = event { received += payload.count }
        }
        inbox.removeFirst(engine.takeConsumed())
        engine.invariants()
    }

    private mutating func say(_ message: [UInt8], drips: Bool = false) throws(SSHError) {
        guard !message.isEmpty, message.count <= 34000 else { return }
        model.willHear(message)
        let packet = server.seal(message)
        if drips {
            for byte in packet { try feed([byte]) }
        } else {
            try feed(packet)
        }
    }

    private mutating func drain(_ limit: Int) {
        let output = Array(engine.output.prefix(limit))
        engine.outputSent(output.count)
        for message in server.hear(output) where message[0] == 94 { heardData += message.count - 9 }
    }

    private mutating func drainAll() {
        while engine.output.count > 0 { drain(.max) }
    }

    // MARK: The stream

    /// Ends with the input, or with an error and its last word.
    mutating func run(_ input: inout FuzzInput) {
        do throws(SSHError) {
            while !input.isOver && !isBlind {
                let action = input.byte()
                if action & 0x40 == 0 { try peer(action, &input) } else { try own(action, &input) }
                engine.invariants()
                promise(engine.output.count <= OutputBlock.capacity, "the output has one block")
                promise(
                    engine.deferredBytes <= PacketOutput.maximumDeferredReplies + ownBytes,
                    "no more answers wait than a peer is granted")
            }
            drainAll()
            promise(heardData == committed, "what was committed is sent: \(committed), \(heardData)")
            engine.disconnect()
            drainAll()
        } catch {
            fault = error.kind
            promise(isOneSafeLine(error.description), "an error is one line")
            var last: [UInt8]?
            while engine.output.count > 0 {
                let output = Array(engine.output)
                engine.outputSent(output.count)
                last = server.hear(output).last ?? last
            }
            let isTold = DisconnectReason(error.kind) != nil && !isDisconnected
            promise(!isTold || last?.first == 1, "the last word is SSH_MSG_DISCONNECT: \(error), \(last ?? [])")
        }
    }

    /// What the peer does. The high bit: its bytes come one by one.
    private mutating func peer(_ action: UInt8, _ input: inout FuzzInput) throws(SSHError) {
        let drips = action & 0x80 != 0
        switch action & 0x1f {
        case 0: try say(input.take(Int(input.byte())), drips: drips)
        case 1:
            try say(
                [91] + Self.number(&input) + Self.number(&input) + Wire.uint32(input.uint32())
                    + Wire.uint32(input.uint16()))
        case 2:
            try say([92] + Self.number(&input) + Wire.uint32(Int(input.byte())) + Wire.string("no") + Wire.string(""))
        case 3: try say([93] + Self.number(&input) + Wire.uint32(input.uint32()), drips: drips)
        case 4, 5:
            try say([94] + Self.number(&input) + Wire.string([UInt8](repeating: 0x61, count: input.uint16() % 33000)))
        case 6:
            try say(
                [95] + Self.number(&input) + Wire.uint32(1) + Wire.string([UInt8](repeating: 2, count: input.uint16())))
        case 7: try say([96] + Self.number(&input), drips: drips)
        case 8: try say([97] + Self.number(&input), drips: drips)
        case 9:
            let window = Wire.uint32(input.uint32()) + Wire.uint32(input.uint16())
            let ends = Wire.uint32(Int(input.byte())) + Wire.string("10.0.0.9") + Wire.uint32(40000)
            try say(
                [90] + Wire.string("forwarded-tcpip") + Self.number(&input) + window + Wire.string("localhost") + ends)
        case 10: try say([98] + Self.number(&input) + Wire.string("eow@openssh.com") + [input.byte() & 1], drips: drips)
        case 11: try say([80] + Wire.string("keepalive@openssh.com") + [input.byte() & 1])
        case 12: try say([81] + Wire.uint32(Int(input.byte())))
        case 13: try say([82])
        case 14: try say([192] + Wire.string([UInt8](repeating: 1, count: Int(input.byte()))))
        case 15: try say([input.byte()], drips: drips)
        case 16: try exchange(input.byte())
        case 17:
            // A packet with one byte changed.
            var packet = server.seal([94] + Wire.uint32(0) + Wire.string("data"))
            packet[Int(input.byte()) % packet.count] ^= input.byte()
            isBlind = true
            try feed(packet)
        case 18:
            // Many small answers are asked for at once.
            for _ in 0..<Int(input.byte()) { try say([80] + Wire.string("x") + [1]) }
        case 19:
            isBlind = true
            try feed(input.take(Int(input.byte())))
        case 20:
            let path = Wire.string("forwarded-streamlocal@openssh.com") + Self.number(&input)
            try say([90] + path + Wire.uint32(4096) + Wire.uint32(4096) + Wire.string("/s") + Wire.string(""))
        default: drain(input.uint16())
        }
    }

    private static func number(_ input: inout FuzzInput) -> [UInt8] {
        let value = input.byte()
        return Wire.uint32(value == 255 ? -1 : Int(value))
    }

    /// The next step of an exchange of keys, whoever began it.
    private mutating func exchange(_ variant: UInt8) throws(SSHError) {
        drainAll()
        if let reply = server.sayReply() {
            try feed(reply)
            drainAll()
            if let keys = server.sayNewKeys() { try feed(keys) }
        } else {
            try feed(server.sayInit(variant: variant & 0x13))
        }
    }

    /// What we do.
    private mutating func own(_ action: UInt8, _ input: inout FuzzInput) throws(SSHError) {
        switch action & 0x0f {
        case 0:
            ownBytes += 2200
            let request = ChannelOpenRequest.directTCPIP(
                host: "db", port: UInt16(truncatingIfNeeded: input.byte()), originator: "here", originatorPort: 1)
            // The limit of channels is ours, not the peer's fault.
            if let channel = try? engine.open(request) { model.opened(channel) }
        case 1:
            guard let channel = model.channel(input.byte(), in: [.requested]) else { return }
            _ = engine.openRequest(channel)
            ownBytes += 32
            engine.accept(channel)
            model.accepted(channel)
        case 2:
            guard let channel = model.channel(input.byte(), in: [.requested]) else { return }
            ownBytes += 64
            engine.refuse(channel, .connectFailed, words: "no")
            model.refused(channel)
        case 3, 4: try send(&input)
        case 5, 6:
            guard let channel = model.channel(input.byte(), in: [.open]) else { return }
            let count = min(model[channel].held, input.uint16() * 16)
            ownBytes += 16
            engine.credit(channel, count: count)
            model.credited(channel, count)
        case 7:
            guard let channel = model.channel(input.byte(), in: [.open]) else { return }
            ownBytes += 16
            engine.finish(channel)
        case 8:
            guard let channel = model.channel(input.byte(), in: [.open, .opening]) else { return }
            ownBytes += 16
            engine.close(channel)
            model.closed(channel)
        case 9:
            ownBytes += 1200
            let port = UInt16(input.byte())
            // A server asks for none, and says so to its own side only.
            let request = port == 255 ? ForwardRequest.streamLocal(path: "/s") : .tcp(address: "localhost", port: port)
            if let forward = try? engine.requestForward(request) { model.asked(forward) }
        case 10:
            guard let forward = model.forwards.min() else { return }
            ownBytes += 1200
            engine.cancelForward(ForwardNumber(forward))
            model.cancelled(forward)
        case 11:
            ownBytes += 64
            engine.probe()
        case 12: engine.beginKeyExchange()
        case 13: engine.allowWindows(upTo: Int(input.byte()) << 16)
        case 14:
            switch input.byte() {
            case 0x5a:
                engine.disconnect()
                isDisconnected = true
            case 0xa5: answerForward(accepts: true)
            case 0xa6: answerForward(accepts: false)
            default: break
            }
        default: drain(input.uint16())
        }
    }

    /// Accepts the peer's oldest request for a forward, or refuses its newest: answers come in any order.
    private mutating func answerForward(accepts: Bool) {
        guard let request = accepts ? model.requests.first : model.requests.last else { return }
        _ = engine.forwardRequest(request)
        // Those that wait behind it may be answered too.
        ownBytes += 16 * PeerRequests.maximumCount
        if accepts { engine.acceptForward(request, port: 4000) } else { engine.refuseForward(request) }
        model.answered(request)
    }

    private mutating func send(_ input: inout FuzzInput) throws(SSHError) {
        guard let channel = model.channel(input.byte(), in: [.open, .opening, .requested]) else { return }
        let sendable = engine.sendable(channel)
        promise(sendable >= 0 && sendable <= max(0, model[channel].window), "what may be sent fits the peer's window")
        let slots = engine.reserve(channel, maximum: input.uint16() * 8)
        promise(slots.totalLength <= sendable, "no more is reserved than may be sent")
        let count = min(slots.totalLength, input.uint16() * 8)
        var left = slots.totalLength
        for index in 0..<slots.count {
            guard let first = slots.first else { fatalError("slots have memory") }
            let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
            (first + index * slots.stride).initializeMemory(as: UInt8.self, repeating: 0x62, count: length)
            left -= length
        }
        promise(left == 0, "slots hold what was reserved")
        try engine.commit(channel, count: count)
        committed += count
        model.sent(channel, count)
    }
}
