internal import Scenario

/// The order of a link's flows: some that come with a little and go at once, beside others that use turn after turn.
private struct QueueRound: ~Copyable, Round {
    /// What a link's worker keeps of a flow, at an address that holds, as in its slab.
    private struct Flow {
        var standing = FlowQueue.Standing.idle
        /// Bytes that it has left.
        var left = 0
    }

    private static let turns = 1000
    private var queue = FlowQueue()
    private let flows: UnsafeMutablePointer<Flow>
    private let count: Int

    init(flows count: Int) {
        flows = .allocate(capacity: count)
        flows.initialize(repeating: Flow(), count: count)
        self.count = count
    }

    deinit {
        flows.deallocate()
    }

    mutating func run() {
        for flow in 0..<count {
            flows[flow].left = flow % 4 == 0 ? 100 : (1 + Self.turns / count) * FlowQueue.quantum
            queue.add(FlowID(slot: Int32(truncatingIfNeeded: flow), generation: 1), &flows[flow].standing)
        }
        var sent = 0
        while let name = queue.takeFirst() {
            let flow = Int(name.slot)
            guard flows[flow].standing != .goingRound else {
                flows[flow].standing = .idle
                continue
            }
            let count = min(flows[flow].left, FlowQueue.quantum)
            flows[flow].left -= count
            sent += count
            queue.turnEnded(name, &flows[flow].standing, sent: count, hasMore: flows[flow].left > 0)
        }
        guard sent > Self.turns / 2 * FlowQueue.quantum else { giveUp("a queue lost a flow") }
    }
}

let flowQueues = [10, 1000].map { flows in Scenario("flow-queue-\(flows)") { QueueRound(flows: flows) } }
