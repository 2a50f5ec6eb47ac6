/// The flows of a link that have payload to send, in the order in which they are served: sparse flows (new to the
/// queue) first, then deficit round robin. The order of fq_codel (RFC 8290 §4), without its dropping. A sparse flow that
/// was served goes once round the list of the old ones before it counts as new again (§4.2), and after so much of sparse
/// payload a backlogged flow that waits has its quantum: so neither many small flows nor a few that are never quite
/// sparse keep a large one from its share.
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
        /// Among the old ones, with payload.
        case backlogged
        /// Among the old ones, with nothing to send: it was served as a sparse one.
        case goingRound
    }

    /// Bytes a flow may send before the next one's turn: two full packets.
    static let quantum = 64 * 1024
    /// Sparse payload after which a backlogged flow that waits has a turn, bytes.
    static let sparseRun = 128 * 1024

    private var sparse = RingQueue<FlowID>()
    private var old = RingQueue<FlowID>()
    private var backlogged = 0
    private var sparseSent = 0

    var isEmpty: Bool { sparse.isEmpty && old.isEmpty }
    /// How many stand in it, those that go round included.
    var count: Int { sparse.count + old.count }

    /// The flow has something to send.
    mutating func add(_ flow: FlowID, _ standing: inout Standing) {
        switch standing {
        case .idle:
            standing = .sparse
            sparse.append(flow)
        case .goingRound:
            standing = .backlogged
            backlogged += 1
        case .sparse, .backlogged: break
        }
    }

    /// Whose turn it is; its `standing` says as what. Whoever takes it gives it back by one of the calls below, except
    /// one that is over.
    mutating func takeFirst() -> FlowID? {
        let isOwed = backlogged > 0 && sparseSent >= Self.sparseRun
        if !isOwed, let flow = sparse.takeFirst() { return flow }
        return old.takeFirst() ?? sparse.takeFirst()
    }

    /// The turn is over: `sent` bytes went, and it has nothing more (for now), or it has more.
    mutating func turnEnded(_ flow: FlowID, _ standing: inout Standing, sent: Int, hasMore: Bool) {
        account(standing, sent)
        if hasMore {
            standing = .backlogged
            backlogged += 1
            old.append(flow)
        } else if standing == .sparse {
            standing = .goingRound
            old.append(flow)
        } else {
            standing = .idle
        }
    }

    /// Its turn is not over, only the link is full: it is the first again.
    mutating func putBack(_ flow: FlowID, _ standing: Standing, sent: Int) {
        if standing == .sparse {
            sparseSent += sent
            sparse.prepend(flow)
        } else {
            old.prepend(flow)
        }
    }

    /// It waits for something else than its turn, or is over. Its name stays in the list if it stands there.
    mutating func forget(_ standing: inout Standing) {
        if standing == .backlogged { backlogged -= 1 }
        standing = .idle
    }

    private mutating func account(_ standing: Standing, _ sent: Int) {
        switch standing {
        case .sparse: sparseSent += sent
        case .backlogged:
            backlogged -= 1
            sparseSent = 0
        case .goingRound, .idle: break
        }
        if backlogged == 0 { sparseSent = 0 }
    }

    /// A backlogged flow has its turn because sparse ones have had theirs for long: it sends one packet at a time.
    func isOwed(_ standing: Standing) -> Bool { standing == .backlogged && sparseSent >= Self.sparseRun }

    /// How often a flow stands in it, for invariants.
    func places(of flow: FlowID) -> Int { sparse.places(of: flow) + old.places(of: flow) }
    var backloggedCount: Int { backlogged }
}
