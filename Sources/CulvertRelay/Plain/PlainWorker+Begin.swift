internal import CulvertIO
internal import CulvertPlan

/// How relayed connections begin: accepted, spread over the workers, and dialled.
extension PlainWorker where Driver: ~Copyable {
    mutating func acceptConnections(_ listener: ListenerID) {
        for _ in 0..<Listeners.batch {
            switch listeners.next(listener, context.limits, owed: context.undialled.count, &driver) {
            case .connection(let descriptor, let peer): route(descriptor, listener, peer)
            case .lastConnection(let descriptor, let peer):
                route(descriptor, listener, peer)
                return pause(listener, "nearly every descriptor is in use")
            case .nothing: return listeners.await(listener, &driver)
            case .paused(let reason): return pause(listener, reason)
            }
        }
        listeners.await(listener, &driver)
    }

    private mutating func pause(_ listener: ListenerID, _ reason: String) {
        guard listeners.pause(listener, driver.now, &timers) else { return }
        context.journal.error(
            Listeners.pausedText(context.forwards[listeners.forward(listener)].text, reason, context.limits))
    }

    mutating func resumeAccepting(_ listener: ListenerID) {
        let owed = context.undialled.count
        guard Listeners.hasRoom(context.limits, owed: owed, beside: context.mailboxes[id.number].descriptor) else {
            return pause(listener, "nearly every descriptor is in use")
        }
        acceptConnections(listener)
    }

    /// To the least loaded worker; here, when that is this one.
    private mutating func route(_ descriptor: Descriptor, _ listener: ListenerID, _ peer: SocketAddress) {
        let forward = listeners.forward(listener)
        context.undialled.began()
        let worker = LinkStatus.leastLoaded(context.loads) ?? id.number
        if worker == id.number { return begin(descriptor, forward: forward, peer: peer) }
        // Counted on its way, so that a burst does not all go to one.
        context.loads[worker].flowBegan()
        context.mailboxes[worker].post(.carry(descriptor, forward: forward, peer: peer))
    }

    mutating func begin(_ descriptor: Descriptor, forward: DirectID, peer: SocketAddress) {
        guard !flows.isFull, stopDeadline == nil else {
            context.undialled.ended()
            driver.resetOnClose(descriptor)
            return driver.close(descriptor)
        }
        let flow = flows.add(PlainFlow(client: descriptor, forward: forward, peer: peer, started: driver.now))
        context.loads[id.number].flowBegan()
        let deadline = driver.now + context.limits.dial
        flows[flow].dialling = Dialling(deadline: deadline)
        timers.add(deadline, Token(.dialStep, flow))
        guard let addresses = targets[forward.index].addresses(now: driver.now) else {
            targets[forward.index].waiting.append(flow)
            return lookUpTarget(forward)
        }
        dial(flow, addresses)
    }

    private mutating func lookUpTarget(_ forward: DirectID) {
        guard !targets[forward.index].isAsked else { return }
        guard case .tcp(let host, let port) = targets[forward.index].target else {
            preconditionFailure("only names are looked up")
        }
        targets[forward.index].isAsked = true
        let mailbox = context.mailboxes[id.number]
        context.resolver.look(up: host, port: port) { addresses, failure in
            mailbox.post(.resolved(forward: forward, addresses: addresses, failure: failure))
        }
    }

    mutating func targetResolved(_ forward: DirectID, _ addresses: [SocketAddress], _ failure: String) {
        for flow in targets[forward.index].learn(addresses, now: driver.now) {
            guard flows.contains(flow), flows[flow].ending == nil else { continue }
            if addresses.isEmpty { refuse(flow, failure) } else { dial(flow, addresses) }
        }
    }

    private mutating func dial(_ flow: PlainFlowID, _ addresses: [SocketAddress]) {
        flows[flow].dialling?.begin(addresses, now: driver.now)
        proceedDial(flow)
    }

    mutating func proceedDial(_ flow: PlainFlowID) {
        guard var dialling = flows[flow].dialling else { return }
        let outcome = dials.proceed(&dialling, flow, step: Token(.dialStep, flow), &driver, &timers)
        flows[flow].dialling = dialling
        conclude(flow, outcome)
    }

    mutating func dialEnded(_ dial: DialID) {
        let flow = dials.owner(dial)
        guard flows[flow].ending == nil, var dialling = flows[flow].dialling else { return }
        let outcome = dials.ended(dial, &dialling, step: Token(.dialStep, flow), &driver, &timers)
        flows[flow].dialling = dialling
        conclude(flow, outcome)
    }

    private mutating func conclude(_ flow: PlainFlowID, _ outcome: Dials<PlainFlowID>.Outcome) {
        switch outcome {
        case .waits: break
        case .connected(let descriptor): dialled(flow, descriptor)
        case .failed(let error):
            refuse(
                flow, "connect to \(context.forwards[flows[flow].forward].target): \(errorText(error))")
        }
    }

    private mutating func refuse(_ flow: PlainFlowID, _ reason: String) {
        context.journal.error("\(context.forwards[flows[flow].forward].text): \(reason)")
        end(flow, .cut)
    }

    private mutating func dialled(_ flow: PlainFlowID, _ descriptor: Descriptor) {
        dials.end(flows[flow].dialling, &driver)
        flows[flow].dialling = nil
        flows[flow].ends[1].descriptor = descriptor
        context.undialled.ended()
        for end in 0...1 { awaitMore(flow, end) }
    }
}
