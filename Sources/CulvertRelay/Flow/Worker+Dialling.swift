internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// Targets of connections at the server: looked up, then dialled until one of their addresses answers.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// From now on the target has so much time, its name's looking up included.
    mutating func beginDialling(_ flow: FlowID) {
        let deadline = driver.now + context.limits.dial
        flows[flow].dialling = Dialling(deadline: deadline)
        timers.add(deadline, Token(.dialStep, flow))
    }

    mutating func dial(_ flow: FlowID, _ addresses: [SocketAddress]) {
        flows[flow].dialling?.begin(addresses, now: driver.now)
        proceedDial(flow)
    }

    /// Does what is due: the next attempt, or the end.
    mutating func proceedDial(_ flow: FlowID) {
        guard var dialling = flows[flow].dialling else { return }
        let outcome = dials.proceed(&dialling, flow, step: Token(.dialStep, flow), &driver, &timers)
        flows[flow].dialling = dialling
        conclude(flow, outcome)
    }

    /// A connection is made, or has failed.
    mutating func dialEnded(_ id: DialID) {
        let flow = dials.owner(id)
        guard flows[flow].end == nil, var dialling = flows[flow].dialling else { return }
        let outcome = dials.ended(id, &dialling, step: Token(.dialStep, flow), &driver, &timers)
        flows[flow].dialling = dialling
        conclude(flow, outcome)
    }

    private mutating func conclude(_ flow: FlowID, _ outcome: Dials<FlowID>.Outcome) {
        switch outcome {
        case .waits: break
        case .connected(let descriptor): dialled(flow, descriptor)
        case .failed where flows[flow].phase == .opening: hopExpired(flow)
        case .failed(let error): refuseDialled(flow, errorText(error), SocksReply(failedConnect: error))
        }
    }

    /// What is still being made for the flow is given up.
    mutating func endDialling(_ flow: FlowID) {
        dials.end(flows[flow].dialling, &driver)
        flows[flow].dialling = nil
    }

    private mutating func dialled(_ flow: FlowID, _ descriptor: Descriptor) {
        endDialling(flow)
        flows[flow].socket = descriptor
        flows[flow].sink = descriptor
        if flows[flow].socks != nil { return concludeChannelGreeting(flow, .granted) }
        becomesOpen(flow)
        let link = flows[flow].link
        links[link].engine.accept(flows[flow].channel)
        links[link].needsEvents = true
        wake(link)
        awaitReadable(flow)
        // The peer may have ended meanwhile.
        proceed(flow)
    }

    mutating func refuseDialled(_ flow: FlowID, _ reason: String, _ reply: SocksReply = .hostUnreachable) {
        endDialling(flow)
        guard case .forward(.reverse(let forward)) = flows[flow].purpose else { return }
        if flows[flow].socks != nil {
            context.journal.error("\(forwardText(flow)): \(reason)")
            return concludeChannelGreeting(flow, reply)
        }
        context.journal.error("\(forwardText(flow)): connect to \(reverseForwards[forward].target): \(reason)")
        end(flow, .refused)
    }
}
