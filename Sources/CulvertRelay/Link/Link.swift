internal import CulvertIO
internal import CulvertSSH

/// One SSH connection on its worker: the stream, the engine that speaks on it, the ring that it receives into, and the
/// queue of flows that have something to send.
///
/// Invariant: a flow that is not over is mapped from its channel, and no other is. Once `end` is set nothing is received
/// or sent but a last word, and the link is freed by the worker's `reap`, nowhere else.
struct Link<Engine: SSHEngine & ~Copyable>: ~Copyable, SlabElement {
    typealias ID = LinkSlot

    /// Where it belongs.
    enum Place {
        /// In the pool, where new flows come.
        case pool(LinkID)
        /// It leads to a jump host, and is in no pool.
        case hop(Hop)
    }

    /// What it is for now.
    enum Duty: Equatable {
        /// Flows come.
        case serving
        /// A newer link has its place: no new flows come, and it ends when both sides have closed every channel.
        case retired
        /// The process is there for a flow of it that is over (`-W`): it ends as a retired one does, and the process with
        /// it.
        case lastFlowOver
    }

    let descriptor: Descriptor
    let place: Place
    /// What it runs over, nil for a TCP connection.
    let path: LinkPath?
    let since: Tick
    var engine: Engine
    var ring: MirroredRing
    var queue = FlowQueue()
    var sealAhead: SealAhead
    var rest = StreamRest()
    var windowNeed = WindowNeed()
    var acknowledgement = OwedAcknowledgement()

    var liveness: Liveness
    var keys: KeyAges
    var exchangeBudget: ExchangeBudget
    var hostKeys: HostKeyLesson
    var reverse = ReverseForwards()
    /// To be asked for once the link that had its place has them no more.
    var heritage: [ReverseID] = []
    var duty = Duty.serving
    /// Its flows are over, and the server has not closed every channel.
    var closing: ClosingWatch?
    /// Set once: it is over.
    var end: LinkEnd?

    /// The flow of each channel, by the channel's number.
    private var flows: [FlowID?] = []

    /// Stands among the links that have work: something was asked of the engine, or a flow joined the queue.
    var isReady = false
    var awaitsWritable = false
    /// The engine may have something to say although nothing was received: a channel was accepted, or a slow reader's
    /// payload was credited.
    var needsEvents = false
    /// Flows that wait for window, or for the end of a key exchange.
    var blockedFlows = 0
    /// The soonest moment at which this link is to be looked at.
    var nextCheck = Tick.distantFuture

    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Flows that are not over.
    private(set) var flowCount = 0
    /// Payload has gone through it: known of flows that are over.
    var hasCarried = false
    /// When its last flow ended, or it began without one.
    var idleSince: Tick
    /// As of `LoggedInLink`.
    let saysEveryEnd: Bool
    /// The server has closed the connection in order.
    var isClosedByServer = false
    /// Told with its end.
    var life = LinkLife()

    init(
        _ start: consuming LoggedInLink<Engine>, _ place: Place, alive: KeepAlive, habit: Liveness.Habit = .unknown,
        exchangePatience: Tick.Span, now: Tick
    ) {
        descriptor = start.socket.release()
        path = start.path
        saysEveryEnd = start.saysEveryEnd
        hostKeys = HostKeyLesson(keeper: start.hostKeyKeeper)
        self.place = place
        engine = start.engine
        ring = start.ring
        sealAhead = SealAhead(now: now)
        liveness = Liveness(alive, habit: habit, now: now)
        keys = KeyAges(interval: alive.rekeyInterval, patience: exchangePatience, now: now)
        exchangeBudget = ExchangeBudget(now: now)
        since = now
        idleSince = now
    }

    var hop: Hop? {
        if case .hop(let hop) = place { return hop }
        return nil
    }

    /// Its name in the pool, where new flows come and the control thread watches; nil for a hop, and for a link whose place
    /// a newer one has.
    var poolID: LinkID? {
        if case .pool(let id) = place, duty != .retired { return id }
        return nil
    }

    /// It ends when its flows are over and both sides have closed every channel. What the server listens on for a link that
    /// was silent is not given up before that is dead.
    var isClosing: Bool {
        switch duty {
        case .serving: hop != nil
        case .retired: reverse.held.isEmpty
        case .lastFlowOver: true
        }
    }

    /// For a person.
    var name: String {
        switch place {
        case .pool(let id): "link \(id.place)"
        case .hop(let hop): hop.name
        }
    }

    var roundTrip: Tick.Span { SocketOption.roundTrip(descriptor) ?? .zero }

    /// The flow of a channel, nil when it has none (any more).
    func flow(of channel: ChannelNumber) -> FlowID? {
        channel.index < flows.count ? flows[channel.index] : nil
    }

    mutating func map(_ channel: ChannelNumber, to flow: FlowID) {
        while flows.count <= channel.index { flows.append(nil) }
        precondition(flows[channel.index] == nil, "a channel has one flow")
        flows[channel.index] = flow
        flowCount += 1
    }

    mutating func unmap(_ channel: ChannelNumber) {
        precondition(flow(of: channel) != nil, "only a mapped channel is unmapped")
        flows[channel.index] = nil
        flowCount -= 1
    }

    /// Every flow of the link that is not over.
    func allFlows() -> [FlowID] { flows.compactMap { $0 } }
}

/// Why a link is over.
enum LinkEnd: Equatable {
    /// The transport failed, or the server did wrong: nothing more can be said to it but what lies ready.
    case lost(String)
    /// It is given up while the engine lives: the server is told.
    case givenUp(String)
    /// In order: nobody needs it any more, and nothing is lost.
    case finished

    var reason: String {
        switch self {
        case .lost(let reason), .givenUp(let reason): reason
        case .finished: "ended"
        }
    }
}
