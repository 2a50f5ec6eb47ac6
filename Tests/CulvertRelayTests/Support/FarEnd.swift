import CulvertIO
import CulvertSSH
import Simulation

/// A server at the far end of a link: a server's engine driven by hand, and what becomes of each channel. It keeps to
/// the protocol and its engine judges whether the worker does: payload beyond a window, or after EOF, ends the link.
final class FarEnd {
    /// What becomes of a channel that the worker asks for.
    enum Answer {
        case accept
        case refuse(OpenFailure)
        /// Never answered.
        case silence
    }

    let wire: any Peer
    private let engine: any FarEngine
    private var inbox: [UInt8] = []
    private var taken = 0
    private var random: Dice
    private let pieces: Bool
    private(set) var streams: [FarStream] = []
    private var current: [ChannelNumber: FarStream] = [:]

    var answer: (ChannelOpenRequest) -> Answer = { _ in .accept }
    /// The port that a request to listen is granted, 0 to refuse it.
    var grant: (ForwardRequest) -> UInt16 = { request in
        if case .tcp(_, let port) = request, port > 0 { port } else { 4000 }
    }
    private(set) var forwardRequests: [PeerForwardRequest] = []
    /// Off: requests to listen lie there unanswered.
    var answersForwards = true
    /// Payload goes in packets of 1 to so many bytes, and as many of them at a time as a fast server has ready. nil: in
    /// packets as large as may be.
    var packetLimit: Int?
    /// Neither reads nor writes: the path is dead, the sockets are not.
    var isFrozen = false { didSet { wire.isReading = !isFrozen } }
    private var isDead = false
    /// The engine found the worker at fault, or the link has ended.
    private(set) var error: SSHError?
    /// Bytes of each WINDOW_ADJUST that the worker sent, by our own number of the channel.
    var granted: [UInt32: Int] { engine.granted }
    /// Key exchanges after the first one.
    var exchanges: Int { engine.exchanges }

    /// `pieces`: what is sent and credited goes in pieces of any size.
    init(_ wire: any Peer, _ engine: any FarEngine, seed: UInt64, pieces: Bool) {
        self.wire = wire
        self.engine = engine
        self.pieces = pieces
        random = Dice(seed: seed)
    }

    var hasEnded: Bool { wire.sawEnd || wire.sawReset }

    // MARK: Steps

    /// Does what can be done; says whether that was something.
    func step() -> Bool {
        guard !isFrozen, !isDead, error == nil else { return false }
        let before = taken
        do throws(SSHError) { try receive() } catch {
            self.error = error
            return true
        }
        let didServe = serveStreams()
        let didSend = send()
        return taken > before || didServe || didSend
    }

    private func receive() throws(SSHError) {
        guard wire.received.count > taken else { return }
        inbox += wire.received[taken...]
        taken = wire.received.count
        var failure: SSHError?
        let consumed = inbox.withUnsafeMutableBytes { buffer in
            do throws(SSHError) { return try engine.receive(buffer, handle) } catch {
                failure = error
                return 0
            }
        }
        inbox.removeFirst(consumed)
        if let failure { throw failure }
    }

    private func handle(_ event: EngineEvent) {
        switch event {
        case .payload(let channel, let payload):
            current[channel]?.take(UnsafeRawBufferPointer(start: payload.start, count: payload.count))
        case .opened(let channel): current[channel]?.isOpen = true
        case .openRefused(let channel, let reason):
            current[channel]?.refusal = reason
            current[channel] = nil
        case .openRequested(let channel): judge(channel)
        case .ended(let channel): current[channel]?.sawEnd = true
        case .closed(let channel, let afterEnd):
            if !afterEnd { current[channel]?.sawReset = true }
            current[channel]?.peerClosed = true
        case .violated(let channel):
            current[channel]?.sawReset = true
            current[channel] = nil
        case .forwardRequested(let number): answer(number)
        case .sendable, .allSendable, .forwardAnswered, .commandRefused, .probeAnswered, .hostKeysOffered,
            .hostKeyProofAnswered:
            break
        }
    }

    private func answer(_ number: PeerForwardNumber) {
        let request = engine.forwardRequest(number)
        forwardRequests.append(request)
        guard answersForwards else { return }
        let port = request.action == .listen ? grant(request.request) : 1
        if port > 0 { engine.acceptForward(number, port: port) } else { engine.refuseForward(number) }
    }

    private func judge(_ channel: ChannelNumber) {
        let request = engine.openRequest(channel)
        switch answer(request) {
        case .accept:
            engine.accept(channel)
            add(FarStream(channel, request, isOpen: true))
        case .refuse(let reason): engine.refuse(channel, reason, words: "as the test has it")
        case .silence: break
        }
    }

    private func add(_ stream: FarStream) {
        streams.append(stream)
        current[stream.channel] = stream
    }

    /// Asks the worker for a channel of a forward that stands.
    func open(_ request: ChannelOpenRequest) throws -> FarStream {
        let stream = FarStream(try engine.open(request), request, isOpen: false)
        add(stream)
        return stream
    }

    func open(port: UInt16, address: String = "localhost") throws -> FarStream {
        try open(.forwardedTCPIP(address: address, port: port, originator: "127.0.0.1", originatorPort: 7))
    }

    /// Sends so much more on it than it may.
    func exceedWindow(_ stream: FarStream, by count: Int) { engine.exceedWindow(stream.channel, by: count) }

    /// Says goodbye and ends the stream.
    func disconnect() {
        engine.disconnect()
        _ = send()
        isDead = true
        wire.finish()
    }

    /// The path breaks: a reset.
    func cut() {
        isDead = true
        wire.reset()
    }

    // MARK: Streams

    private func serveStreams() -> Bool {
        var didSomething = false
        for stream in current.values.sorted(by: { $0.channel.value < $1.channel.value }) {
            if serve(stream) { didSomething = true }
        }
        return didSomething
    }

    private func serve(_ stream: FarStream) -> Bool {
        guard stream.isOpen else { return false }
        if stream.isCut {
            engine.close(stream.channel)
            stream.hasBrokenOff = true
            current[stream.channel] = nil
            return true
        }
        var didSomething = false
        if stream.isReading && stream.uncredited > 0 {
            let most = min(stream.uncredited, stream.creditLimit ?? .max)
            let count = pieces ? random.some(upTo: most) : most
            stream.uncredited -= count
            if !stream.peerClosed { engine.credit(stream.channel, count: count) }
            didSomething = true
        }
        if !stream.peerClosed && pull(stream) { didSomething = true }
        if stream.wantsFinish && stream.unsent == 0 && !stream.hasFinished && !stream.peerClosed {
            stream.hasFinished = true
            engine.finish(stream.channel)
            didSomething = true
        }
        if stream.isHandingOn { return didSomething }
        if stream.peerClosed || (stream.hasFinished && stream.sawEnd && stream.uncredited == 0) {
            engine.close(stream.channel)
            current[stream.channel] = nil
            stream.isOver = true
            didSomething = true
        }
        return didSomething
    }

    private func pull(_ stream: FarStream) -> Bool {
        guard stream.unsent > 0, wire.unsent < 256 * 1024 else { return false }
        if let packetLimit { return pullSmall(stream, packetLimit) }
        let wanted = pieces ? random.some(upTo: stream.unsent) : stream.unsent
        let slots = engine.reserve(stream.channel, maximum: wanted)
        guard slots.count > 0 else { return false }
        for index in 0..<slots.count {
            let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
            stream.fill(UnsafeMutableRawBufferPointer(start: slots.first! + index * slots.stride, count: length))
        }
        engine.commit(stream.channel, count: slots.totalLength)
        return true
    }

    private func pullSmall(_ stream: FarStream, _ limit: Int) -> Bool {
        var packets = random.some(upTo: 400)
        while packets > 0 && stream.unsent > 0 && wire.unsent < 1024 * 1024 {
            let wanted = min(stream.unsent, Int.random(in: 1...limit, using: &random))
            let slots = engine.reserve(stream.channel, maximum: wanted)
            guard slots.count > 0 else { break }
            stream.fill(UnsafeMutableRawBufferPointer(start: slots.first!, count: slots.lastLength))
            engine.commit(stream.channel, count: slots.lastLength)
            packets -= 1
        }
        _ = send()
        return true
    }

    private func send() -> Bool {
        var didSomething = false
        while wire.unsent < 512 * 1024, !engine.output.isEmpty, !wire.sawReset {
            let output = Array(engine.output)
            wire.write(output)
            engine.outputSent(output.count)
            didSomething = true
        }
        return didSomething
    }
}

/// One channel at the far end.
final class FarStream: Peer {
    let channel: ChannelNumber
    let request: ChannelOpenRequest
    fileprivate(set) var isOpen: Bool
    fileprivate(set) var refusal: OpenFailure?
    private(set) var received: [UInt8] = []
    fileprivate(set) var uncredited = 0
    fileprivate(set) var sawEnd = false
    /// CLOSE came without EOF.
    fileprivate(set) var sawReset = false
    fileprivate(set) var peerClosed = false
    fileprivate(set) var isOver = false
    fileprivate(set) var wantsFinish = false
    fileprivate(set) var hasFinished = false
    fileprivate(set) var isCut = false
    /// CLOSE was sent without EOF, of its own will.
    fileprivate(set) var hasBrokenOff = false
    /// False: nothing is credited.
    var isReading = true
    /// What came is still on its way to a slow target: it is not closed before that has it.
    var isHandingOn = false
    /// No more than so many bytes are credited at a time.
    var creditLimit: Int?
    private var outgoing: [UInt8] = []
    private var sent = 0

    init(_ channel: ChannelNumber, _ request: ChannelOpenRequest, isOpen: Bool) {
        self.channel = channel
        self.request = request
        self.isOpen = isOpen
    }

    var unsent: Int { outgoing.count - sent }
    /// What has left so far.
    var said: ArraySlice<UInt8> { outgoing[..<sent] }
    func write(_ bytes: [UInt8]) { outgoing += bytes }
    func finish() { wantsFinish = true }
    func reset() { isCut = true }

    fileprivate func take(_ bytes: UnsafeRawBufferPointer) {
        received += bytes
        uncredited += bytes.count
    }

    fileprivate func fill(_ place: UnsafeMutableRawBufferPointer) {
        place.copyBytes(from: outgoing[sent..<sent + place.count])
        sent += place.count
    }
}

/// SplitMix64: chances that can be had again from their seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x2545_f491_4f6c_dd1d &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// From 1 to `limit`, small numbers as likely as large ones.
    mutating func some(upTo limit: Int) -> Int {
        let bits = Int.random(in: 0...(Int.bitWidth - limit.leadingZeroBitCount), using: &self)
        return min(limit, Int.random(in: 1...(1 << bits), using: &self))
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var made = [UInt8](repeating: 0, count: count)
        made.withUnsafeMutableBytes { buffer in
            var at = 0
            while at < count {
                let word = next()
                withUnsafeBytes(of: word) { source in
                    let length = min(8, count - at)
                    UnsafeMutableRawBufferPointer(rebasing: buffer[at..<at + length])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<length]))
                    at += length
                }
            }
        }
        return made
    }
}
