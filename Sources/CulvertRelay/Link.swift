internal import CulvertIO
internal import CulvertSSH

/// One SSH connection on its worker: the stream, the engine that speaks on it, the ring that it receives into, and the
/// queue of flows that have something to send.
struct Link<Engine: SSHEngine & ~Copyable>: ~Copyable {
    let descriptor: Descriptor
    /// In the pool; nil for a link to a jump host.
    let id: LinkID?
    /// What it is on its path, when it leads to a jump host.
    let hop: Hop?
    /// What it runs over, nil for a TCP connection.
    let path: LinkPath?
    let alive: KeepAlive
    var engine: Engine
    var ring: MirroredRing
    var queue = FlowQueue()
    var sealAhead: SealAhead
    var rest = StreamRest()
    var windowNeed = WindowNeed()
    var acknowledgement = OwedAcknowledgement()

    /// The flow of each channel, by the channel's number; -1 for none.
    private var flows: [Int32] = []

    var awaitsWritable = false
    /// Something was asked of the engine or queued since the last pump.
    var needsPump = true
    /// The engine may have something to say although nothing was received: a channel was accepted, or a slow reader's
    /// payload was credited.
    var needsEvents = false
    /// Flows that wait for window, or for the end of a key exchange.
    var blockedFlows = 0

    // Liveness.
    var lastReceived: Tick
    var probesUnanswered = 0
    var probeSent = Tick(nanoseconds: 0)
    var isSuspect = false
    /// A newer link has its place: no new flows, and it ends when its last one has.
    var isRetired = false
    /// When a channel was asked for that is not answered yet.
    var openAsked: Tick?
    /// When keys were last exchanged because of their age.
    var keysSince: Tick
    /// The key exchange that is under way, by the engine's number; when it was first seen, or was last seen to have much
    /// coming before its end; and what had been received then.
    var exchange: Int?
    var exchangeSince = Tick(nanoseconds: 0)
    var exchangeHeard: UInt64 = 0
    /// The soonest moment at which this link is to be looked at.
    var nextCheck = Tick.distantFuture

    /// Reverse forwards of this link that are asked for, by the engine's number.
    var asked: [(number: ForwardNumber, forward: Int)] = []
    /// Reverse forwards that stand.
    var standing: [(number: ForwardNumber, forward: Int, port: UInt16)] = []
    /// Reverse forwards to ask for again, when their time has come.
    var refused: [(forward: Int, at: Tick, attempts: Int)] = []

    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    var flowCount = 0
    let since: Tick

    init(_ start: consuming LoggedInLink<Engine>, id: LinkID, alive: KeepAlive, now: Tick) {
        self.init(start, id: id, hop: nil, alive: alive, now: now)
    }

    init(_ start: consuming LoggedInLink<Engine>, hop: Hop, now: Tick) {
        self.init(start, id: nil, hop: hop, alive: hop.alive, now: now)
    }

    private init(_ start: consuming LoggedInLink<Engine>, id: LinkID?, hop: Hop?, alive: KeepAlive, now: Tick) {
        descriptor = start.socket.release()
        path = start.path
        self.id = id
        self.hop = hop
        self.alive = alive
        engine = start.engine
        ring = start.ring
        sealAhead = SealAhead(now: now)
        lastReceived = now
        since = now
        keysSince = now
    }

    /// In the pool, where new flows come and the pool watches.
    var isOfPool: Bool { hop == nil && !isRetired }
    /// Its place in the pool; nil for a link to a jump host.
    var place: Int? { id?.place }

    /// For a person.
    var name: String { hop?.name ?? place.map { "link \($0)" } ?? "link" }

    /// The flow of a channel, nil when it has none (any more).
    func flow(of channel: ChannelNumber) -> Int? {
        guard channel.index < flows.count, flows[channel.index] >= 0 else { return nil }
        return Int(flows[channel.index])
    }

    mutating func setFlow(of channel: ChannelNumber, _ flow: Int?) {
        while flows.count <= channel.index { flows.append(-1) }
        flows[channel.index] = Int32(flow ?? -1)
    }

    /// Every flow of the link.
    func allFlows() -> [Int] { flows.filter { $0 >= 0 }.map { Int($0) } }
}
