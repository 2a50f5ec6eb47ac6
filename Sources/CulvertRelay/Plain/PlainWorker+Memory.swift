internal import CulvertIO
internal import CulvertPlan

/// Who goes when memory is short, and what a worker of `culvert relay` has, for a person.
extension PlainWorker where Driver: ~Copyable {
    private enum Holder {
        case flow(PlainFlowID)
        case delivery(DeliveryID)
    }

    /// Who holds most of this worker, and more than its floor.
    private func greatest() -> (holder: Holder, rank: HoldRank)? {
        let floor = context.budget.floor
        var found: (holder: Holder, rank: HoldRank)?
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            guard flows[flow].held > floor, flows[flow].ending == nil else { continue }
            let rank = HoldRank(held: flows[flow].owed, stalled: driver.now - flows[flow].stalledSince)
            if found.map({ $0.rank < rank }) ?? true { found = (.flow(flow), rank) }
        }
        if let (id, rank) = deliveries.greatest(above: floor, now: driver.now), found.map({ $0.rank < rank }) ?? true {
            found = (.delivery(id), rank)
        }
        return found
    }

    mutating func publishHeld() { context.budget.publish(greatest()?.rank, by: id) }

    mutating func relieveMemory() {
        let own = greatest()
        context.budget.publish(own?.rank, by: id)
        switch context.budget.relief(for: id, lastAsked: reliefAsked, now: driver.now) {
        case .none: break
        case .own: if let own { cut(own.holder) }
        case .ask(let worker):
            reliefAsked = driver.now
            context.mailboxes[worker.number].post(.giveMemory)
        }
    }

    mutating func giveMemory() {
        guard context.budget.isOver else { return }
        if let own = greatest() { cut(own.holder) }
        publishHeld()
    }

    private mutating func cut(_ holder: Holder) {
        switch holder {
        case .flow(let flow): exceedCeiling(flow)
        case .delivery(let each):
            context.journal.error(deliveries.ceilingText(each))
            deliveries.cut(each, &spillPool)
        }
    }

    mutating func exceedCeiling(_ flow: PlainFlowID) {
        context.journal.error(
            "ended a connection to \(context.forwards[flows[flow].forward].text): its reader is slow"
                + " and the memory ceiling is reached (--memory)")
        end(flow, .cut)
    }

    func report() -> String {
        var lines = listeners.report().map { ReportText.line(of: $0, context.forwards) }
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            let slow = (0...1).filter { !flows[flow].ends[$0].owesNothing }
            let stall =
                !flows[flow].isOpen
                ? "the target" : slow.isEmpty ? "nothing (idle or moving)" : slow == [0] ? "the client" : "the target"
            lines.append(
                "flow \(context.forwards[flows[flow].forward].text) from \(flows[flow].peer.shown):"
                    + " \(flows[flow].ends[0].bytes) bytes out, \(flows[flow].ends[1].bytes) in, waits for"
                    + " \(stall)")
        }
        if !deliveries.isEmpty { lines.append("\(deliveries.count) ended connections wait for their readers") }
        return lines.joined(separator: "\n")
    }
}
