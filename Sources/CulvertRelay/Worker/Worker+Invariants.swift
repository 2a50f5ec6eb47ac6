internal import CulvertIO
internal import CulvertSSH

/// What must hold between two turns, for tests: counts equal what they count, a flow is mapped both ways, stands in its
/// link's queue exactly when it says so, and nothing that is over is left.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    func invariants() {
        precondition(endedFlows.isEmpty && endedLinks.isEmpty && deliveries.over.isEmpty, "what is over is freed")
        precondition(gatheredFlow == nil && gathered.isEmpty, "nothing is gathered between turns")
        var flowsOfLinks = 0
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            flowsOfLinks += invariants(of: link)
        }
        precondition(flowsOfLinks == flows.count, "every flow is mapped from its channel")
        precondition(ready.count >= readyLinks, "a link that has work stands among the ready ones, once")
        precondition(held.list.map(\.connection.arrival) == held.list.map(\.connection.arrival).sorted(), "in order")
        deliveries.invariants()
    }

    private var readyLinks: Int {
        var count = 0
        var next = links.first()
        while let link = next {
            if links[link].isReady { count += 1 }
            precondition(
                ready.places(where: { $0 == link }) == (links[link].isReady ? 1 : 0), "it says where it stands")
            next = links.next(after: link)
        }
        return count
    }

    /// Returns how many flows the link has.
    private func invariants(of link: LinkSlot) -> Int {
        precondition(links[link].end == nil, "a link that is over is freed")
        precondition(links[link].ring.invariants(), "released ≤ received ≤ released + capacity")
        let all = links[link].allFlows()
        precondition(all.count == links[link].flowCount, "the count of flows is theirs")
        var blocked = 0
        var backlogged = 0
        for flow in all {
            precondition(flows.contains(flow), "a channel names a flow that is there")
            precondition(flows[flow].link == link && links[link].flow(of: flows[flow].channel) == flow, "both ways")
            precondition(flows[flow].end == nil, "a flow that is over is freed")
            if flows[flow].awaitsWindow { blocked += 1 }
            if flows[flow].standing == .backlogged { backlogged += 1 }
            let places = links[link].queue.places(of: flow)
            precondition(places == (flows[flow].standing == .idle ? 0 : 1), "it stands where it says")
            precondition(!flows[flow].awaitsWindow || flows[flow].standing == .idle, "it waits for one thing")
            precondition(flows[flow].ends.sink != .failed || flows[flow].spill.isEmpty, "nothing is kept for nobody")
            let isOpen = flows[flow].phase == .open
            precondition(!isOpen || flows[flow].socket != nil, "an open flow has a socket")
            precondition(isOpen || flows[flow].ends.sink == .open, "only an open flow is written to")
        }
        precondition(blocked == links[link].blockedFlows, "the count of blocked flows is theirs")
        precondition(backlogged == links[link].queue.backloggedCount, "the count of backlogged flows is theirs")
        return all.count
    }
}

extension Deliveries {
    func invariants() {
        var next = slab.first()
        while let id = next {
            next = slab.next(after: id)
            precondition(slab[id].rest.isEmpty || slab[id].awaitsWritable, "what is owed is waited for")
            precondition(!slab[id].isShut || slab[id].rest.isEmpty, "a shut sink owes nothing")
        }
    }
}

extension PlainWorker where Driver: ~Copyable {
    func invariants() {
        precondition(ended.isEmpty && deliveries.over.isEmpty, "what is over is freed")
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            precondition(flows[flow].ending == nil, "a flow that is over is freed")
            for end in 0...1 {
                let owes = !flows[flow].ends[end].owesNothing
                precondition(!owes || flows[flow].ends[end].sink == .open, "nothing is kept for nobody")
                precondition(!owes || flows[flow].ends[end].awaitsWritable, "what is owed is waited for")
                precondition(flows[flow].isOpen || !owes, "only an open flow is written to")
            }
        }
        deliveries.invariants()
    }
}
