internal import CulvertIO
internal import CulvertSSH

/// How flows end: marked here, freed by `reap`.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Marks the flow as over and says so to the peer: CLOSE, without EOF unless that was said before. `channelIsGone`:
    /// the peer has refused the channel, or the engine has closed it.
    mutating func end(_ flow: FlowID, _ how: FlowEnd, channelIsGone: Bool = false) {
        guard flows[flow].end == nil else { return }
        flows[flow].end = how
        endedFlows.append(flow)
        if how != .heldAgain { settleLent(flow, isOpen: false) }
        let link = flows[flow].link
        let channel = flows[flow].channel
        links[link].queue.forget(&flows[flow].standing)
        if flows[flow].awaitsWindow {
            flows[flow].awaitsWindow = false
            links[link].blockedFlows -= 1
        }
        links[link].unmap(channel)
        if flows[flow].sent > 0 || flows[flow].received > 0 { links[link].hasCarried = true }
        links[link].idleSince = driver.now
        if links[link].end == nil {
            if flows[flow].isStandardStreams, how == .whole { links[link].duty = .lastFlowOver }
            if !channelIsGone, !isLeftToPeer(flow, how) { closeChannel(flow, link) }
            wake(link)
            // A link that is there for nothing else may end.
            if links[link].flowCount == 0, links[link].isClosing { scheduleCheck(link, at: driver.now) }
        }
    }

    /// Both directions are over, and the link ends with its channels: CLOSE is left to the server, who sends it when its
    /// target has everything. One that was told CLOSE says no more of how far it has come (WINDOW_ADJUST).
    private func isLeftToPeer(_ flow: FlowID, _ how: FlowEnd) -> Bool {
        let ends = flows[flow].ends
        return how == .whole && ends.source == .finished && ends.peer == .ended
            && (isStopping || links[flows[flow].link].isClosing)
    }

    private mutating func closeChannel(_ flow: FlowID, _ link: LinkSlot) {
        // What the server asked for and was never told about is refused.
        if flows[flow].phase == .dialing, flows[flow].socks == nil {
            links[link].engine.refuse(flows[flow].channel, .connectFailed, words: "connect failed")
        } else {
            links[link].engine.close(flows[flow].channel)
        }
    }

    /// Closes, counts, tells, frees. What came whole and is not with its reader yet goes on as a delivery.
    mutating func free(flow: FlowID) {
        guard let how = flows[flow].end else { preconditionFailure("only what is over is freed") }
        let hadSocket = flows[flow].socket != nil
        endDialling(flow)
        // Whatever else: one whose link went on with it, or that waits for another link, is told of there.
        if flows[flow].isStandardStreams, hadSocket, how != .heldAgain,
            how != .whole || links[flows[flow].link].duty != .lastFlowOver
        {
            context.control.post(.streamsEnded(cleanly: false))
        }
        context.journal.verbose(
            "closed \(flowText(flow)): \(flows[flow].sent) bytes out,"
                + " \(flows[flow].received) in, \(formatSeconds(driver.now - flows[flow].started))"
                + (how == .cut ? ", reset: cut short" : ""))
        count(flow, how)
        releaseSocket(flow, how)
        spillPool.removeAll(&flows[flow].spill)
        if case .pool(let id) = links[flows[flow].link].place { context.links[id.place].flowEnded() }
        _ = flows.remove(flow)
    }

    private mutating func count(_ flow: FlowID, _ how: FlowEnd) {
        guard let forward = forward(of: flow) else { return }
        tallies[forward].sent += flows[flow].sent
        tallies[forward].received += flows[flow].received
        switch (flows[flow].phase, how) {
        case (.open, .cut): tallies[forward].cut += 1
        case (.open, _), (_, .heldAgain): break
        case (_, .cut): tallies[forward].dropped += 1
        case (_, .refused), (_, .whole): tallies[forward].refused += 1
        }
    }

    private mutating func releaseSocket(_ flow: FlowID, _ how: FlowEnd) {
        guard let socket = flows[flow].socket else { return }
        let sink = flows[flow].sink
        let isOneSocket = sink == socket
        if how == .whole, isOneSocket { return deliverRest(flow, socket) }
        if how == .whole, let sink, !flows[flow].spill.isEmpty {
            // Standard output: its input has nothing more to say.
            deliver(
                rest: flow,
                Delivery(
                    sink, rest: takeSpill(flow), .finish, hasInput: false, inputEnded: true, name: flowText(flow),
                    now: driver.now))
        } else if let sink, !isOneSocket {
            driver.close(sink)
        }
        if how != .whole { driver.resetOnClose(socket) }
        driver.close(socket)
    }

    private mutating func deliverRest(_ flow: FlowID, _ socket: Descriptor) {
        let inputEnded = flows[flow].ends.source == .finished
        let isShut = flows[flow].ends.sink == .shut
        // The common end: nothing is owed and nothing will be unread.
        if inputEnded, isShut, flows[flow].spill.isEmpty {
            driver.finishOnClose(socket)
            return driver.close(socket)
        }
        deliver(
            rest: flow,
            Delivery(
                socket, rest: takeSpill(flow), .finish, inputEnded: inputEnded, isShut: isShut, name: flowText(flow),
                now: driver.now))
    }

    private mutating func deliver(rest flow: FlowID, _ delivery: consuming Delivery) {
        deliveries.adopt(delivery, &driver, &spillPool, &timers)
    }

    private mutating func takeSpill(_ flow: FlowID) -> Spill {
        defer { flows[flow].spill = Spill() }
        return flows[flow].spill
    }
}
