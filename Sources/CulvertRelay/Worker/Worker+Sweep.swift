internal import CulvertIO
internal import CulvertSSH

/// What is looked at twice a second while something is stalled, and who goes when memory is short.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func sweep() {
        isSweeping = false
        let isStalled = sweepFlows()
        let isHolding = sweepHeld()
        if isHolding { serveHeld() }
        sweepMemory()
        // While windows may not grow: other workers' flows may have been what filled the memory.
        if isStalled || isHolding || !windowsMayGrow { startSweeping() }
    }

    /// A socket that is not read, because its channel has no window or its stream has ended, could be reset unseen.
    private mutating func sweepFlows() -> Bool {
        var anyStalled = !deliveries.isEmpty
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            guard flows[flow].end == nil, flows[flow].phase == .open else { continue }
            if !flows[flow].spill.isEmpty { anyStalled = true }
            guard flows[flow].awaitsWindow || flows[flow].ends.source == .finished else { continue }
            anyStalled = true
            if flows[flow].ends.sink != .failed, let sink = flows[flow].sink, driver.isReset(sink) { sinkFailed(flow) }
        }
        return anyStalled
    }

    // MARK: Memory

    /// What engines hold for slow readers counts as well as what is spilled: at three quarters of the ceiling no window
    /// grows, at the ceiling the flow that holds most goes.
    private mutating func sweepMemory() {
        let ceiling = context.budget.ceiling
        let held = heldByEngines()
        windowsMayGrow = held + context.budget.inUse < ceiling / 4 * 3
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            if links[link].end == nil { limitWindows(link) }
        }
        publish(greatestHolder()?.rank)
        if held + context.budget.inUse > ceiling, held > 0, let own = greatestHolder() { cut(own.holder) }
    }

    private mutating func heldByEngines() -> Int {
        var held = 0
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            if links[link].end == nil { held += links[link].engine.heldBytes() }
        }
        return held
    }

    /// Who holds memory for a slow reader.
    private enum Holder {
        case flow(FlowID)
        case delivery(DeliveryID)
    }

    /// Who holds most of this worker, and more than its floor. Not what leads to a next hop: behind it are all the flows of
    /// a link, and no slow reader.
    private func greatestHolder() -> (holder: Holder, rank: HoldRank)? {
        let floor = context.budget.floor
        var found: (holder: Holder, rank: HoldRank)?
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            guard flows[flow].spill.held > floor, flows[flow].end == nil, flows[flow].purpose != .nextHop else {
                continue
            }
            let rank = rank(flow)
            if found.map({ $0.rank < rank }) ?? true { found = (.flow(flow), rank) }
        }
        if let (id, rank) = deliveries.greatest(above: floor, now: driver.now), found.map({ $0.rank < rank }) ?? true {
            found = (.delivery(id), rank)
        }
        return found
    }

    private func greatestHop() -> FlowID? {
        let floor = context.budget.floor
        var next = flows.first()
        while let flow = next {
            if flows[flow].spill.held > floor, flows[flow].end == nil, flows[flow].purpose == .nextHop { return flow }
            next = flows.next(after: flow)
        }
        return nil
    }

    private func rank(_ flow: FlowID) -> HoldRank {
        HoldRank(held: flows[flow].spill.count, stalled: driver.now - flows[flow].stalledSince)
    }

    /// At the ceiling, after the turn: whoever holds most of all workers goes. What is another worker's is asked of it,
    /// and again when nothing has come of that.
    mutating func relieveMemory() {
        let own = greatestHolder()
        publish(own?.rank)
        switch context.budget.relief(for: id, lastAsked: reliefAsked, now: driver.now) {
        // Nobody holds more than its floor but links to next hops.
        case .none: if own == nil, let hop = greatestHop() { exceedCeiling(hop) }
        case .own: if let own { cut(own.holder) }
        case .ask(let worker):
            reliefAsked = driver.now
            context.mailboxes[worker.number].post(.giveMemory)
        }
    }

    /// Another worker has no memory, and what is held most is here.
    mutating func giveMemory() {
        guard context.budget.isOver else { return }
        if let own = greatestHolder() { cut(own.holder) }
        publish(greatestHolder()?.rank)
    }

    private mutating func publish(_ rank: HoldRank?) {
        published = rank
        context.budget.publish(rank, by: id)
    }

    /// A flow holds more than before: others compare with it.
    mutating func noteHeld(_ flow: FlowID) {
        let rank = rank(flow)
        if published.map({ $0 < rank }) ?? true { publish(rank) }
    }

    private mutating func cut(_ holder: Holder) {
        switch holder {
        case .flow(let flow): exceedCeiling(flow)
        case .delivery(let each):
            context.journal.error(deliveries.ceilingText(each))
            deliveries.cut(each, &spillPool)
        }
    }

    /// There is no memory at all for a flow's payload: a little each for very many flows takes more than one receive may.
    /// Who holds most gives it back at once. Returns false when that is the flow itself, or nobody here.
    mutating func makeRoom(for flow: FlowID) -> Bool {
        guard let own = greatestHolder() else { return false }
        if case .flow(let victim) = own.holder {
            guard victim != flow else { return false }
            exceedCeiling(victim)
            spillPool.removeAll(&flows[victim].spill)
        } else {
            cut(own.holder)
        }
        return true
    }

    /// Ends the flow, with words.
    mutating func exceedCeiling(_ flow: FlowID) {
        let isStalled = !flows[flow].spill.isEmpty
        let slow = isStalled ? driver.now - flows[flow].stalledSince : .zero
        if let hop = links[flows[flow].link].hop {
            hop.path.fail("\(hop.name): the memory ceiling is reached (--memory)")
        } else {
            let (forward, why) = (forwardText(flow), "the memory ceiling is reached (--memory)")
            context.journal.error(
                "ended a connection through \(forward): its reader has been slow for \(formatSeconds(slow)) and \(why)",
                kind: "ended a connection through \(forward): \(why)")
        }
        end(flow, .cut)
    }
}
