internal import Scenario

/// The order of a link's flows: some that come with a little and go at once, beside others that use turn after turn.
private struct QueueRound: ~Copyable, Round {
    private static let turns = 1000
    private var queue = FlowQueue()
    /// Bytes that each flow has left.
    private var left: [Int]

    init(flows: Int) {
        left = [Int](repeating: 0, count: flows)
    }

    mutating func run() {
        for flow in left.indices {
            left[flow] = flow % 4 == 0 ? 100 : (1 + Self.turns / left.count) * FlowQueue.quantum
            queue.addSparse(flow)
        }
        var sent = 0
        while let flow = queue.takeFirst() {
            let count = min(left[flow], FlowQueue.quantum)
            left[flow] -= count
            sent += count
            if left[flow] > 0 { queue.addBacklogged(flow) }
        }
        guard sent > Self.turns / 2 * FlowQueue.quantum else { giveUp("a queue lost a flow") }
    }
}

let flowQueues = [10, 1000].map { flows in Scenario("flow-queue-\(flows)") { QueueRound(flows: flows) } }
