@testable import CulvertSSH

/// What an engine may do next with each channel, from what both ends have said: the promises that whole-engine targets
/// check, kept apart from the engine's own book-keeping.
struct ConnectionModel {
    enum Phase {
        case opening, requested, open
        /// We closed it: no event names it until the number is used again.
        case gone
    }

    struct Channel {
        var phase: Phase
        /// What the peer lets us send.
        var window = 0
        /// Received and not credited.
        var held = 0
        var isEnded = false
        var isClosedByPeer = false
    }

    private(set) var channels: [UInt32: Channel] = [:]
    private(set) var forwards: Set<UInt32> = []
    /// The peer's requests for forwards that are not answered.
    private(set) var requests: [PeerForwardNumber] = []
    /// The window that the message under way names.
    private var claimedWindow = 0

    func channel(_ index: UInt8, in phases: [Phase]) -> ChannelNumber? {
        let fitting = channels.filter { phases.contains($0.value.phase) }.keys.sorted()
        return fitting.isEmpty ? nil : ChannelNumber(fitting[Int(index) % fitting.count])
    }

    subscript(_ number: ChannelNumber) -> Channel {
        get {
            guard let channel = channels[number.value] else { fatalError("an event names a channel: \(number.value)") }
            return channel
        }
        set { channels[number.value] = newValue }
    }

    // MARK: The peer's doing

    /// Before a message of the peer's is shown to the engine.
    mutating func willHear(_ message: [UInt8]) {
        switch message.first {
        case 90: claimedWindow = Wire.uint32(in: message, at: 9 + (Wire.uint32(in: message, at: 1) ?? 0)) ?? 0
        case 91: claimedWindow = Wire.uint32(in: message, at: 9) ?? 0
        case 93:
            guard message.count == 9, let number = Wire.uint32(in: message, at: 1).flatMap(UInt32.init(exactly:)),
                let channel = channels[number], channel.phase == .open, !channel.isClosedByPeer
            else { return }
            channels[number]?.window += Wire.uint32(in: message, at: 5) ?? 0
        default: break
        }
    }

    mutating func note(_ event: EngineEvent) {
        switch event {
        case .payload(let number, let payload):
            let bytes = UnsafeRawBufferPointer(start: payload.start, count: payload.count)
            promise(!bytes.isEmpty && bytes.count <= PacketOpener.maximumPacketLength, "payload has bytes")
            // Every byte can be read.
            promise(bytes.reduce(0) { $0 | $1 } <= 255, "a byte is a byte")
            expect(number, .open, "payload")
            promise(!self[number].isEnded, "no payload follows EOF")
            self[number].held += bytes.count
        case .opened(let number):
            expect(number, .opening, "a confirmation")
            self[number] = Channel(phase: .open, window: claimedWindow)
        case .openRefused(let number, _):
            expect(number, .opening, "a refusal")
            channels[number.value] = nil
        case .openRequested(let number):
            let old = channels[number.value]
            promise(old == nil || old?.phase == .gone, "a new channel has a number that was free")
            self[number] = Channel(phase: .requested, window: claimedWindow)
        case .sendable(let number): expect(number, .open, "room")
        case .allSendable: break
        case .ended(let number):
            expect(number, .open, "EOF")
            promise(!self[number].isEnded, "EOF is told once")
            self[number].isEnded = true
        case .closed(let number, let afterEnd):
            expect(number, .open, "CLOSE")
            promise(afterEnd == self[number].isEnded, "CLOSE knows of EOF")
            self[number].isClosedByPeer = true
        case .violated(let number):
            expect(number, .open, "a violation")
            closed(number)
        case .forwardAnswered(let forward, let isAccepted, _):
            promise(forwards.contains(forward.value), "an answer belongs to a request")
            if !isAccepted { forwards.remove(forward.value) }
        case .forwardRequested(let request):
            promise(!requests.contains(request), "a request that is not answered has its number for itself")
            requests.append(request)
        case .commandRefused: promise(false, "nothing is refused that was not asked for")
        case .probeAnswered: break
        case .hostKeysOffered, .hostKeyProofAnswered: break
        }
    }

    private func expect(_ number: ChannelNumber, _ phase: Phase, _ what: String) {
        let channel = self[number]
        promise(channel.phase == phase && !channel.isClosedByPeer, "\(what) comes for a channel that is \(channel)")
    }

    // MARK: Our doing

    mutating func opened(_ number: ChannelNumber) {
        let old = channels[number.value]
        promise(old == nil || old?.phase == .gone, "a new channel has a number that was free")
        self[number] = Channel(phase: .opening)
    }

    mutating func accepted(_ number: ChannelNumber) { self[number].phase = .open }
    mutating func refused(_ number: ChannelNumber) { channels[number.value] = nil }
    mutating func closed(_ number: ChannelNumber) { self[number].phase = .gone }
    mutating func credited(_ number: ChannelNumber, _ count: Int) { self[number].held -= count }
    mutating func asked(_ forward: ForwardNumber) { forwards.insert(forward.value) }
    mutating func cancelled(_ forward: UInt32) { forwards.remove(forward) }

    mutating func answered(_ request: PeerForwardNumber) { requests.removeAll { $0 == request } }

    mutating func sent(_ number: ChannelNumber, _ count: Int) {
        self[number].window -= count
        promise(self[number].window >= 0, "no more is sent than the peer's window allows")
    }
}
