/// The flows of a link that have payload to send, in the order in which they are served: sparse flows (new to the
/// queue) first, then deficit round robin. The order of fq_codel (RFC 8290 §4), without its dropping: a sparse flow that
/// was served goes once round the list of the old ones before it counts as new again (§4.2).
///
/// What fq_codel leaves open is how much many small flows may take from a large one. Here a backlogged flow that waits has
/// its quantum at the latest after `lightRun` bytes of theirs: so it keeps a third of the link, however many they are.
///
/// Invariant: a flow stands in it at most once, and its `Standing` says where. One that is over is forgotten; its name
/// stays until its turn comes, and names nothing then.
struct FlowQueue: ~Copyable {
    /// Where a flow stands in its link's queue; kept in the flow.
    enum Standing: UInt8, BitwiseCopyable {
        /// Not in the queue.
        case idle
        /// Among the new ones.
        case sparse
        /// Among the old ones, with nothing to send: it was served as a light one.
        case goingRound
        /// Among the old ones, with payload that came while it went round.
        case light
        /// Among the old ones: it used up its last turn and has more.
        case backlogged
    }

    /// Bytes a flow may send before the next one's turn: two full packets.
    static let quantum = 64 * 1024
    /// Payload of sparse and light flows after which a backlogged one that waits has a turn, bytes.
    static let lightRun = 128 * 1024

    private var sparse = RingQueue<FlowID>()
    private var light = RingQueue<OldFlow>()
    private var backlogged = RingQueue<OldFlow>()
    /// Backlogged flows that are not over.
    private(set) var backloggedCount = 0
    private var nextPlace: UInt64 = 0
    /// The place of the old one that was taken last: it may be put back there.
    private var takenPlace: UInt64 = 0
    /// What sparse and light flows have sent beyond twice what backlogged ones have, while some of these waited.
    private var lightSent = 0

    var isEmpty: Bool { sparse.isEmpty && light.isEmpty && backlogged.isEmpty }
    /// How many stand in it, those that go round included.
    var count: Int { sparse.count + light.count + backlogged.count }

    /// The flow has something to send.
    mutating func add(_ flow: FlowID, _ standing: inout Standing) {
        switch standing {
        case .idle:
            standing = .sparse
            sparse.append(flow)
        case .goingRound: standing = .light
        case .sparse, .light, .backlogged: break
        }
    }

    /// Whose turn it is; its `standing` says as what. Whoever takes it gives it back by one of the calls below, except
    /// one that is over.
    mutating func takeFirst() -> FlowID? {
        if isOwed, let flow = takeBacklogged() { return flow }
        if let flow = sparse.takeFirst() { return flow }
        guard let first = light.first else { return takeBacklogged() }
        guard let second = backlogged.first, second.place < first.place else { return takeLight() }
        return takeBacklogged()
    }

    private mutating func takeBacklogged() -> FlowID? {
        guard let old = backlogged.takeFirst() else { return nil }
        takenPlace = old.place
        return old.flow
    }

    private mutating func takeLight() -> FlowID? {
        guard let old = light.takeFirst() else { return nil }
        takenPlace = old.place
        return old.flow
    }

    /// The turn is over: `sent` bytes went, and it has nothing more (for now), or it has more.
    mutating func turnEnded(_ flow: FlowID, _ standing: inout Standing, sent: Int, hasMore: Bool) {
        let former = standing
        account(former, sent)
        if former == .backlogged { backloggedCount -= 1 }
        if hasMore {
            standing = .backlogged
            backloggedCount += 1
            backlogged.append(nextOld(flow))
        } else if former == .backlogged {
            standing = .idle
        } else {
            standing = .goingRound
            light.append(nextOld(flow))
        }
    }

    private mutating func nextOld(_ flow: FlowID) -> OldFlow {
        nextPlace += 1
        return OldFlow(flow: flow, place: nextPlace)
    }

    /// Its turn is not over, only the link is full: it is the first again.
    mutating func putBack(_ flow: FlowID, _ standing: Standing, sent: Int) {
        account(standing, sent)
        switch standing {
        case .sparse: sparse.prepend(flow)
        case .light: light.prepend(OldFlow(flow: flow, place: takenPlace))
        case .backlogged: backlogged.prepend(OldFlow(flow: flow, place: takenPlace))
        case .idle, .goingRound: preconditionFailure("only a flow that has its turn is put back")
        }
    }

    /// It waits for something else than its turn, or is over. Its name stays in the list if it stands there.
    mutating func forget(_ standing: inout Standing) {
        if standing == .backlogged { backloggedCount -= 1 }
        standing = .idle
    }

    private mutating func account(_ standing: Standing, _ sent: Int) {
        guard backloggedCount > 0 else { return lightSent = 0 }
        switch standing {
        case .sparse, .light: lightSent += sent
        case .backlogged: lightSent = max(0, lightSent - 2 * sent)
        case .goingRound, .idle: break
        }
    }

    /// A backlogged flow waits that light ones have passed for long: its turn is next, one packet at a time.
    var isOwed: Bool { backloggedCount > 0 && lightSent >= Self.lightRun }

    /// How often a flow stands in it, for invariants.
    func places(of flow: FlowID) -> Int {
        sparse.places { $0 == flow } + light.places { $0.flow == flow } + backlogged.places { $0.flow == flow }
    }
}

/// A flow among the old ones of a queue, and its place in their order. (No private type of the queue's: the compiler's
/// verifier stops at one.)
struct OldFlow: BitwiseCopyable {
    let flow: FlowID
    let place: UInt64
}
