internal import Scenario

/// The order of a link's flows: some that come with a little and go at once, beside others that use turn after turn.
private struct QueueRound: ~Copyable, Round {
    private static let turns = 1000
    private var queue = FlowQueue()
    private var standings: [FlowQueue.Standing]
    /// Bytes that each flow has left.
    private var left: [Int]

    init(flows: Int) {
        standings = [FlowQueue.Standing](repeating: .idle, count: flows)
        left = [Int](repeating: 0, count: flows)
    }

    mutating func run() {
        for flow in left.indices {
            left[flow] = flow % 4 == 0 ? 100 : (1 + Self.turns / left.count) * FlowQueue.quantum
            queue.add(FlowID(slot: Int32(truncatingIfNeeded: flow), generation: 1), &standings[flow])
        }
        var sent = 0
        while let name = queue.takeFirst() {
            let flow = Int(name.slot)
            guard standings[flow] != .goingRound else {
                standings[flow] = .idle
                continue
            }
            let count = min(left[flow], FlowQueue.quantum)
            left[flow] -= count
            sent += count
            queue.turnEnded(name, &standings[flow], sent: count, hasMore: left[flow] > 0)
        }
        guard sent > Self.turns / 2 * FlowQueue.quantum else { giveUp("a queue lost a flow") }
    }
}

let flowQueues = [10, 1000].map { flows in Scenario("flow-queue-\(flows)") { QueueRound(flows: flows) } }
