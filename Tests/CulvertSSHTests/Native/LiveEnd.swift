import Testing

@testable import CulvertSSH

/// What one end of a channel does in a run of `LivenessTests`.
final class LiveChannel {
    let number: ChannelNumber
    /// What it has to send, and how much of it has gone.
    var outgoing: [UInt8]
    var sent = 0
    /// Sends back what comes, and ends when the other end has.
    var echoes = false
    /// False: takes nothing, for ever.
    var reads = true
    /// Closes without EOF when this many bytes have been sent or come.
    var resetsAfter: Int?

    var isOpen = false
    var received: [UInt8] = []
    var uncredited = 0
    var hasFinished = false
    var sawEnd = false
    /// CLOSE was sent: nothing more is heard of it.
    var isOver = false
    /// CLOSE came, without EOF.
    var wasCut = false

    init(_ number: ChannelNumber, _ outgoing: [UInt8]) {
        self.number = number
        self.outgoing = outgoing
    }
}

/// One end of a connection: login and engine, its channels, and sockets that take and give bytes by chance.
final class LiveEnd<Way: SSHLogin & ~Copyable> {
    private var end: NativeEnd<Way>
    private let authority = NativeAuthority()
    /// Received and not consumed.
    private(set) var inbox: [UInt8] = []
    private(set) var channels: [ChannelNumber: LiveChannel] = [:]
    /// Answers a channel that the other end opens.
    var accept: (ChannelOpenRequest, ChannelNumber) -> LiveChannel? = { _, _ in nil }
    private(set) var exchanges = 0
    private let check: (borrowing NativeEngine) -> Void

    init(_ end: consuming NativeEnd<Way>, check: @escaping (borrowing NativeEngine) -> Void) {
        self.end = end
        self.check = check
    }

    var engine: NativeEngine {
        _read { yield end.engine }
        _modify { yield &end.engine }
    }

    func add(_ channel: LiveChannel) { channels[channel.number] = channel }

    func isReady() throws -> Bool {
        if !end.isLoggedIn { try feed([]) }
        return end.isLoggedIn
    }

    // MARK: Bytes

    func feed(_ bytes: ArraySlice<UInt8>) throws {
        inbox += bytes
        let consumed = try inbox.withUnsafeMutableBytes { buffer in
            try end.receive(buffer, authority) { engine, event in handle(&engine, event) }
        }
        inbox.removeFirst(consumed)
        if end.isLoggedIn { check(engine) }
    }

    private func handle(_ engine: inout NativeEngine, _ event: EngineEvent) {
        switch event {
        case .payload(let number, let payload):
            guard let channel = live(number) else { return }
            #expect(!channel.sawEnd, "payload behind EOF")
            let bytes = UnsafeRawBufferPointer(start: payload.start, count: payload.count)
            channel.received += bytes
            channel.uncredited += payload.count
            if channel.echoes { channel.outgoing += bytes }
        case .opened(let number): live(number)?.isOpen = true
        case .openRequested(let number):
            if let channel = accept(engine.openRequest(number), number) {
                engine.accept(number)
                channel.isOpen = true
                add(channel)
            } else {
                engine.refuse(number, .connectFailed, words: "")
            }
        case .ended(let number): live(number)?.sawEnd = true
        case .closed(let number, let afterEnd):
            guard let channel = live(number) else { return }
            channel.wasCut = !afterEnd
            engine.close(number)
            channel.isOver = true
        case .allSendable: exchanges += 1
        case .sendable: break
        case .openRefused, .violated, .forwardAnswered, .forwardRequested, .commandRefused, .probeAnswered,
            .hostKeysOffered, .hostKeyProofAnswered:
            Issue.record("nothing here is refused or forwarded")
        }
    }

    private func live(_ number: ChannelNumber) -> LiveChannel? {
        let channel = channels[number]
        #expect(channel.map { !$0.isOver } == true, "an event for a channel that is over")
        return channel
    }

    /// What the link's socket takes now.
    func take(_ limit: Int) -> [UInt8] {
        end.takeOutput(limit)
    }

    // MARK: Channels

    /// The local sockets take and give what they do by chance. Returns whether anything happened.
    func serve(_ random: inout SplitMix) throws -> Bool {
        var happened = false
        for channel in channels.values.sorted(by: { $0.number.value < $1.number.value }) where channel.isOpen {
            if Bool.random(using: &random), try serve(channel, &random) { happened = true }
        }
        if end.isLoggedIn { check(engine) }
        return happened
    }

    private func serve(_ channel: LiveChannel, _ random: inout SplitMix) throws -> Bool {
        guard !channel.isOver else { return false }
        if let limit = channel.resetsAfter, max(channel.sent, channel.received.count) >= limit {
            engine.close(channel.number)
            channel.isOver = true
            return true
        }
        var happened = false
        if channel.reads && channel.uncredited > 0 {
            let count = Int.random(in: 1...channel.uncredited, using: &random)
            channel.uncredited -= count
            engine.credit(channel.number, count: count)
            happened = true
        }
        if channel.sent < channel.outgoing.count {
            let most = min(channel.outgoing.count - channel.sent, Int.random(in: 1...100_000, using: &random))
            let slots = engine.reserve(channel.number, maximum: most)
            if slots.count > 0 {
                channel.sent += try fill(slots, channel.outgoing[channel.sent..<channel.sent + most]) {
                    try engine.commit(channel.number, count: $0)
                }
                happened = true
            }
        } else if !channel.hasFinished && (!channel.echoes || channel.sawEnd) {
            engine.finish(channel.number)
            channel.hasFinished = true
            happened = true
        } else if channel.hasFinished && channel.sawEnd && channel.uncredited == 0 {
            engine.close(channel.number)
            channel.isOver = true
            happened = true
        }
        return happened
    }
}
