/// The flows of a link that have payload to send, in the order in which they are served: sparse flows (new to the
/// queue) first, then deficit round robin. The order of fq_codel (RFC 8290 §4), without its dropping. A sparse flow that
/// was served goes once round the list of the old ones before it counts as new again (§4.2); if it has something to send
/// meanwhile it is served there. Beside that order a flow that always has more keeps a part of the link: of three bytes
/// that it and those which are done in one turn want to send one is its, however many those are.
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
        /// Among the old ones, with payload: a whole turn was not enough for it.
        case backlogged
        /// Among the old ones, with nothing to send: it was served as a sparse one.
        case goingRound
        /// The same, and it has something to send again.
        case returning
    }

    /// Bytes a flow may send before the next one's turn: two full packets.
    static let quantum = 64 * 1024
    /// Payload of others after which a backlogged flow that waits has a turn out of its order, bytes.
    static let sparseRun = 128 * 1024

    /// One of the old ones. The list is kept in two rings, so that the first backlogged one is found at once.
    private struct Old: BitwiseCopyable, Equatable {
        let flow: FlowID
        /// Lower ones come first.
        let place: UInt64
    }

    private var sparse = RingQueue<FlowID>()
    private var old = RingQueue<Old>()
    private var bulk = RingQueue<Old>()
    private var places: UInt64 = 0
    private var backlogged = 0
    /// What others have sent beyond their two bytes for each of a backlogged flow.
    private var sparseSent = 0

    var isEmpty: Bool { sparse.isEmpty && old.isEmpty && bulk.isEmpty }
    /// How many stand in it, those that go round included.
    var count: Int { sparse.count + old.count + bulk.count }

    /// The flow has something to send.
    mutating func add(_ flow: FlowID, _ standing: inout Standing) {
        switch standing {
        case .idle:
            standing = .sparse
            sparse.append(flow)
        case .goingRound: standing = .returning
        case .sparse, .backlogged, .returning: break
        }
    }

    /// Whose turn it is; its `standing` says as what. Whoever takes it gives it back by one of the calls below, except
    /// one that is over.
    mutating func takeFirst() -> FlowID? {
        let isOwed = backlogged > 0 && sparseSent >= Self.sparseRun
        if isOwed, let first = bulk.takeFirst() { return first.flow }
        if let flow = sparse.takeFirst() { return flow }
        guard let first = bulk.first else { return old.takeFirst()?.flow }
        if let other = old.first, other.place < first.place { return old.takeFirst()?.flow }
        return bulk.takeFirst()?.flow
    }

    private mutating func nextPlace() -> UInt64 {
        places += 1
        return places
    }

    /// The turn is over: `sent` bytes went, and it has nothing more (for now), or it has more.
    mutating func turnEnded(_ flow: FlowID, _ standing: inout Standing, sent: Int, hasMore: Bool) {
        account(standing, sent)
        if standing == .backlogged { backlogged -= 1 }
        if hasMore {
            standing = .backlogged
            backlogged += 1
            bulk.append(Old(flow: flow, place: nextPlace()))
        } else if standing == .sparse {
            standing = .goingRound
            old.append(Old(flow: flow, place: nextPlace()))
        } else {
            standing = .idle
        }
        if backlogged == 0 { sparseSent = 0 }
    }

    /// Its turn is not over, only the link is full: it is the first again.
    mutating func putBack(_ flow: FlowID, _ standing: Standing, sent: Int) {
        account(standing, sent)
        switch standing {
        case .sparse: sparse.prepend(flow)
        case .backlogged: bulk.prepend(Old(flow: flow, place: 0))
        case .returning, .goingRound, .idle: old.prepend(Old(flow: flow, place: 0))
        }
    }

    /// It waits for something else than its turn, or is over. Its name stays in the list if it stands there.
    mutating func forget(_ standing: inout Standing) {
        if standing == .backlogged { backlogged -= 1 }
        standing = .idle
        if backlogged == 0 { sparseSent = 0 }
    }

    private mutating func account(_ standing: Standing, _ sent: Int) {
        switch standing {
        case .sparse, .returning: sparseSent += sent
        case .backlogged: sparseSent = max(0, sparseSent - sent * (Self.sparseRun / Self.quantum))
        case .goingRound, .idle: break
        }
    }

    /// A backlogged flow has its turn because others have had theirs for long: it sends one packet at a time.
    func isOwed(_ standing: Standing) -> Bool { standing == .backlogged && sparseSent >= Self.sparseRun }

    /// How often a flow stands in it, for invariants.
    func places(of flow: FlowID) -> Int {
        sparse.places { $0 == flow } + old.places { $0.flow == flow } + bulk.places { $0.flow == flow }
    }
    var backloggedCount: Int { backlogged }
}

/// A queue in one growing ring.
struct RingQueue<Item: BitwiseCopyable & Equatable>: ~Copyable {
    private var items: [Item?] = .init(repeating: nil, count: 16)
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ item: Item) {
        if count == items.count { grow() }
        items[(head + count) & (items.count - 1)] = item
        count += 1
    }

    mutating func prepend(_ item: Item) {
        if count == items.count { grow() }
        head = (head - 1) & (items.count - 1)
        items[head] = item
        count += 1
    }

    mutating func takeFirst() -> Item? {
        guard count > 0 else { return nil }
        let item = items[head]
        head = (head + 1) & (items.count - 1)
        count -= 1
        return item
    }

    var first: Item? { count > 0 ? items[head] : nil }

    func places(of item: Item) -> Int { places { $0 == item } }

    func places(where isMeant: (Item) -> Bool) -> Int {
        (0..<count).count { items[(head + $0) & (items.count - 1)].map(isMeant) ?? false }
    }

    private mutating func grow() {
        var larger = [Item?](repeating: nil, count: items.count * 2)
        for index in 0..<count { larger[index] = items[(head + index) & (items.count - 1)] }
        items = larger
        head = 0
    }
}
