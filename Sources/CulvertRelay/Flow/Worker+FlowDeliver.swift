internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// Channel to socket: what came is sent at once, what the socket refuses is spilled, and what both directions have come
/// to decides what happens next.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// What became of payload that was to be delivered.
    private enum Taken {
        /// The socket has all of it.
        case taken
        /// Some of it lies in the spill.
        case stalled
        /// The socket has failed: nothing goes there any more.
        case broken
        /// There is no memory for it.
        case overCeiling
    }

    /// Payload has come for this flow: to the socket at once, together with what comes next for it where the engine
    /// opens in place.
    mutating func deliver(_ flow: FlowID, _ payload: Payload) {
        if gatheredFlow != flow || gathered.isFull {
            deliverGathered()
            // What it gathered may have ended it.
            guard flows[flow].end == nil else { return }
            gatheredFlow = flow
        }
        flows[flow].received &+= UInt64(payload.count)
        unsafe gathered.append(payload.start, payload.count)
        if !Engine.opensInPlace { deliverGathered() }
    }

    /// Sends what has been gathered. Called before the next event of another kind, and before its memory goes.
    mutating func deliverGathered() {
        guard let flow = gatheredFlow else { return }
        let verdict = flows[flow].end == nil ? sendGathered(flow) : .taken
        gathered.removeAll()
        gatheredFlow = nil
        switch verdict {
        case .taken: break
        case .stalled: if flows[flow].phase == .greeting { continueChannelGreeting(flow) }
        case .broken: sinkFailed(flow)
        case .overCeiling: exceedCeiling(flow)
        }
    }

    private mutating func sendGathered(_ flow: FlowID) -> Taken {
        var sent = 0
        let total = gathered.totalLength
        if flows[flow].spill.isEmpty, flows[flow].phase == .open {
            guard let sink = flows[flow].sink, flows[flow].ends.sink == .open else {
                credit(flow, total)
                return .taken
            }
            sent =
                gathered.count == 1
                ? unsafe driver.send(sink, gathered.start(0), count: gathered.length(0))
                : driver.send(sink, gathered)
            guard sent >= 0 || sent == -Int(EAGAIN) else {
                credit(flow, total)
                return .broken
            }
            sent = max(0, sent)
            if sent > 0 { credit(flow, sent) }
            if sent == total { return .taken }
        }
        for index in 0..<gathered.count {
            let length = gathered.length(index)
            if sent < length {
                while unsafe !spillPool.append(gathered.start(index) + sent, length - sent, to: &flows[flow].spill) {
                    guard makeRoom(for: flow) else { return .overCeiling }
                }
            }
            sent = max(0, sent - length)
        }
        if !flows[flow].awaitsWritable {
            flows[flow].awaitsWritable = true
            flows[flow].stalledSince = driver.now
            if let sink = flows[flow].sink { driver.awaitWritable(sink, Token(.flowWrite, flow)) }
            startSweeping()
        }
        noteHeld(flow)
        return .stalled
    }

    /// The socket took so much, or it is dropped: the peer may send as much again.
    mutating func credit(_ flow: FlowID, _ count: Int) {
        links[flows[flow].link].engine.credit(flows[flow].channel, count: count)
    }

    mutating func flowWritable(_ flow: FlowID) {
        flows[flow].awaitsWritable = false
        guard let sink = flows[flow].sink else { return }
        let link = flows[flow].link
        while !flows[flow].spill.isEmpty {
            let first = spillPool.first(of: flows[flow].spill)
            let sent = unsafe driver.send(sink, first.start, count: first.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return sinkFailed(flow) }
            if sent > 0 {
                spillPool.consume(sent, of: &flows[flow].spill)
                links[link].engine.credit(flows[flow].channel, count: sent)
                links[link].needsEvents = true
                wake(link)
            }
            if sent < first.count {
                flows[flow].awaitsWritable = true
                return driver.awaitWritable(sink, Token(.flowWrite, flow))
            }
        }
        proceed(flow)
    }

    // MARK: Ends

    /// A send has failed. That ends one direction: what the socket still holds is read to its end first, as long as the
    /// far side takes it. Payload for it is dropped and credited.
    mutating func sinkFailed(_ flow: FlowID) {
        flows[flow].ends.sinkFailed()
        let owed = flows[flow].spill.count
        spillPool.removeAll(&flows[flow].spill)
        if owed > 0 {
            credit(flow, owed)
            links[flows[flow].link].needsEvents = true
            wake(flows[flow].link)
        }
        noteRest(flow)
        proceed(flow)
    }

    /// Cuts a flow whose socket has failed and whose rest nobody takes, or that brings no rest: a pipe that stays open and
    /// empty.
    mutating func checkRest(_ flow: FlowID) {
        guard flows[flow].ends.sink == .failed else { return }
        guard flows[flow].sent != flows[flow].restSeen else { return end(flow, .cut) }
        noteRest(flow)
    }

    private mutating func noteRest(_ flow: FlowID) {
        flows[flow].restSeen = flows[flow].sent
        timers.add(driver.now + context.limits.rest, Token(.restCheck, flow))
    }

    mutating func channelEnded(_ flow: FlowID) {
        flows[flow].ends.peerEnded()
        if flows[flow].phase == .greeting { return continueChannelGreeting(flow) }
        proceed(flow)
    }

    mutating func channelClosed(_ flow: FlowID) {
        // Of a channel that was accepted before its target stood: nobody waits for that any more.
        if flows[flow].phase != .open, flows[flow].socks != nil { return end(flow, .cut) }
        flows[flow].ends.peerClosed()
        proceed(flow)
    }

    /// The server has not kept to its window: bytes are lost, so neither side sees a clean end.
    mutating func channelViolated(_ flow: FlowID) {
        let why = "the server does not keep to the window of its channel"
        context.journal.error("reset \(flowText(flow)): \(why)", kind: "reset \(forwardText(flow)): \(why)")
        end(flow, .cut, channelIsGone: true)
    }

    /// Does what the ends of both directions ask for.
    mutating func proceed(_ flow: FlowID) {
        guard flows[flow].phase == .open, flows[flow].end == nil else { return }
        if flows[flow].ends.step(owesNothing: flows[flow].spill.isEmpty) == .shutSink {
            flows[flow].ends.sinkWasShut()
            endWriting(flow)
        }
        switch flows[flow].ends.step(owesNothing: flows[flow].spill.isEmpty) {
        case .goOn, .shutSink: break
        case .end(let whole): end(flow, whole ? .whole : .cut)
        }
    }

    private mutating func endWriting(_ flow: FlowID) {
        guard let sink = flows[flow].sink else { return }
        guard sink != flows[flow].socket else { return driver.shutdownWriting(sink) }
        // A pipe has one direction, which ends when it is closed.
        flows[flow].sink = nil
        driver.close(sink)
    }
}
