internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// The links of a worker: bytes in, events, payload pulled from the sockets, bytes out.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Bytes received on one link before others have their turn.
    private static var receiveBudget: Int { 1024 * 1024 }

    private func readToken(_ slot: Int) -> Token { Self.token(.linkRead, slot, links.generation(slot)) }
    private func writeToken(_ slot: Int) -> Token { Self.token(.linkWrite, slot, links.generation(slot)) }

    // MARK: Beginning

    mutating func addLink(_ start: consuming LoggedInLink<Engine>, _ id: LinkID, reverse: [Int]) {
        let descriptor = start.socket.descriptor
        retireLink(id.place)
        if links.isFull { loseRetiredLink() }
        guard !links.isFull else {
            driver.close(start.socket.release())
            return context.control.post(.linkLost(id, reason: "too many links at once"))
        }
        let slot = links.insert(Link(start, id: id, alive: context.alive, now: driver.now))
        SocketOption.setNotSentLowWater(descriptor, bytes: links[slot].sealAhead.bytes)
        limitWindows(slot)
        if context.limits.serverSendsAtOnce { links[slot].engine.runTrue() }
        for forward in reverse { askReverse(slot, forward) }
        context.links[id.place].isOpen = true
        beginReceiving(slot)
        for mailbox in context.mailboxes { mailbox.post(.linksChanged) }
    }

    mutating func beginReceiving(_ slot: Int) {
        let interval = links[slot].alive.interval
        scheduleCheck(slot, at: driver.now + min(interval, links[slot].alive.rekeyInterval ?? .seconds(60)))
        driver.awaitReadable(links[slot].descriptor, readToken(slot))
        // Whatever came behind the last packet of the login.
        processReceived(slot)
    }

    /// An older link at the same place takes no new flows; those it has may end on it, if it still lives.
    private mutating func retireLink(_ place: Int) {
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].place == place {
            links[slot].isRetired = true
            for each in links[slot].standing { links[slot].engine.cancelForward(each.number) }
            links[slot].refused = []
            links[slot].needsPump = true
            if links[slot].flowCount == 0 { loseLink(slot, "replaced", engineLives: true) }
        }
    }

    /// Only replaced links can have filled the table: one of them is given up.
    private mutating func loseRetiredLink() {
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].isRetired {
            return loseLink(slot, "too many replaced links", engineLives: true)
        }
    }

    private mutating func askReverse(_ slot: Int, _ forward: Int) {
        do throws(SSHError) {
            let number = try links[slot].engine.requestForward(context.reverse[forward].request)
            links[slot].asked.append((number, forward))
            links[slot].needsPump = true
        } catch {
            guard let id = links[slot].id else { return }
            context.control.post(.reverseAnswered(id, forward: forward, .notAsked(error.description)))
        }
    }

    // MARK: Receiving

    mutating func linkReadable(_ slot: Int) {
        var budget = Self.receiveBudget
        while budget > 0 {
            let room = unsafe links[slot].ring.writable
            precondition(room.count > 0, "no packet is as long as the ring")
            let count = unsafe driver.receive(
                links[slot].descriptor, into: room.baseAddress!, stride: room.count, slotLength: room.count,
                lastLength: room.count, count: 1)
            if count > 0 {
                links[slot].ring.advance(count)
                links[slot].bytesReceived &+= UInt64(count)
                links[slot].lastReceived = driver.now
                links[slot].probesUnanswered = 0
                budget -= count
                let generation = links.generation(slot)
                processReceived(slot)
                guard links.isUsed(slot), links.generation(slot) == generation else { return }
                if links[slot].isSuspect { linkRecovered(slot) }
                if count < room.count { break }
            } else if count == -Int(EAGAIN) {
                break
            } else {
                let reason = count == 0 ? "the server closed the connection" : errorText(-Int32(count))
                return loseLink(slot, reason)
            }
        }
        let received = Self.receiveBudget - budget
        let descriptor = links[slot].descriptor
        if links[slot].windowNeed.received(
            received, now: driver.now, roundTrip: { SocketOption.leastRoundTrip(descriptor) })
        {
            limitWindows(slot)
        }
        if links[slot].acknowledgement.received(received, now: driver.now) {
            timeAcknowledgement(slot, at: driver.now + OwedAcknowledgement.patience)
        }
        if links[slot].rest.received(received, now: driver.now) {
            timers.add(driver.now + StreamRest.span, Self.token(.linkRest, slot, links.generation(slot)))
        } else {
            driver.awaitReadable(descriptor, readToken(slot))
        }
    }

    mutating func acknowledge(_ slot: Int) {
        switch links[slot].acknowledgement.verdict(now: driver.now) {
        case .nothing: break
        case .acknowledge: SocketOption.acknowledge(links[slot].descriptor)
        case .wait(let moment): timeAcknowledgement(slot, at: moment)
        }
    }

    private mutating func timeAcknowledgement(_ slot: Int, at moment: Tick) {
        timers.add(moment, Self.token(.linkAcknowledgement, slot, links.generation(slot)))
    }

    /// Shows the engine everything received, and handles what it says.
    private mutating func processReceived(_ slot: Int) {
        links[slot].needsEvents = false
        unsafe links[slot].engine.receive(links[slot].ring.readable)
        do throws(SSHError) {
            while let event = try links[slot].engine.nextEvent() { handle(event, slot) }
            deliverGathered()
        } catch {
            deliverGathered()
            _ = flush(slot)
            if links.isUsed(slot) { loseLink(slot, error.description) }
            return
        }
        let consumed = links[slot].engine.takeConsumed()
        links[slot].ring.release(consumed)
        links[slot].needsPump = true
        watchExchange(slot)
    }

    private mutating func handle(_ event: EngineEvent, _ link: Int) {
        if case .payload(let channel, let payload) = event {
            if let flow = links[link].flow(of: channel) { deliver(flow, payload) }
            return
        }
        deliverGathered()
        switch event {
        case .payload: preconditionFailure("payload was delivered above")
        case .opened(let channel):
            links[link].openAsked = nil
            if let flow = links[link].flow(of: channel) { channelOpened(flow) }
        case .openRefused(let channel, let reason):
            links[link].openAsked = nil
            let words = links[link].engine.takeRefusal(channel)
            if let flow = links[link].flow(of: channel) { channelRefused(flow, reason, words) }
        case .openRequested(let channel): channelRequested(link, channel)
        case .sendable(let channel):
            if let flow = links[link].flow(of: channel) { windowOpened(flow) }
        case .allSendable:
            for flow in links[link].allFlows() { windowOpened(flow) }
        case .ended(let channel):
            if let flow = links[link].flow(of: channel) { channelEnded(flow) }
        case .closed(let channel, afterEnd: _):
            if let flow = links[link].flow(of: channel) {
                channelClosed(flow)
            } else {
                links[link].engine.close(channel)
            }
        case .forwardAnswered(let number, let accepted, let port): reverseAnswered(link, number, accepted, port)
        case .commandRefused: context.control.post(.commandRefused)
        }
    }

    private mutating func reverseAnswered(_ slot: Int, _ number: ForwardNumber, _ accepted: Bool, _ port: UInt16) {
        guard let place = links[slot].asked.firstIndex(where: { $0.number == number }) else { return }
        let forward = links[slot].asked.remove(at: place).forward
        // Its successor has asked too.
        if links[slot].isRetired {
            if accepted { links[slot].engine.cancelForward(number) }
            return
        }
        if accepted {
            links[slot].standing.append((number, forward, port))
            links[slot].refused.removeAll { $0.forward == forward }
        } else {
            // Asked for again until it stands: an old session of ours may hold the port for a while yet.
            let attempts = (links[slot].refused.first { $0.forward == forward }?.attempts ?? 0) + 1
            links[slot].refused.removeAll { $0.forward == forward }
            let wait = Tick.Span.seconds(min(30, 0.5 * Double(1 << min(attempts, 6))))
            links[slot].refused.append((forward, driver.now + wait, attempts))
            scheduleCheck(slot, at: driver.now + wait)
        }
        guard let id = links[slot].id else { return }
        context.control.post(.reverseAnswered(id, forward: forward, accepted ? .standing(port: port) : .refused))
    }

    // MARK: Sending

    mutating func flowReadable(_ slot: Int) {
        guard tunnelFlows[slot].phase == .open, !tunnelFlows[slot].isQueued else { return }
        let link = tunnelFlows[slot].link
        tunnelFlows[slot].isQueued = true
        links[link].queue.addSparse(slot)
        links[link].needsPump = true
    }

    private mutating func windowOpened(_ slot: Int) {
        guard tunnelFlows[slot].awaitsWindow else { return }
        tunnelFlows[slot].awaitsWindow = false
        links[tunnelFlows[slot].link].blockedFlows -= 1
        if tunnelFlows[slot].phase == .greeting { return queueAnswer(slot) }
        flowReadable(slot)
    }

    func anyLinkHasWork() -> Bool {
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].needsPump { return true }
        return false
    }

    mutating func pumpLinks() {
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].needsPump {
            if links[slot].needsEvents { processReceived(slot) }
            if links.isUsed(slot) { pump(slot) }
        }
    }

    /// What became of a flow's turn.
    enum Turn {
        case over
        /// The engine has no room before its output has left.
        case outputIsFull
        case linkIsDead
    }

    /// Pulls and seals payload, flow by flow, and sends what many flows gave in one go, until the socket is full,
    /// nothing is left, or others should have their turn.
    @inline(never)
    mutating func pump(_ slot: Int) {
        var budget = Self.receiveBudget
        links[slot].needsPump = false
        guard !links[slot].awaitsWritable else { return }
        while true {
            var isFull = false
            while !isFull, sealable(slot) >= Self.slotLength, let flow = links[slot].queue.takeFirst() {
                guard tunnelFlows[flow].phase == .open else {
                    switch pullUnopened(flow, slot) {
                    case .over: continue
                    case .outputIsFull: isFull = true
                    case .linkIsDead: return
                    }
                    continue
                }
                let before = tunnelFlows[flow].sent
                switch pull(flow, slot) {
                case .over: break
                case .outputIsFull: isFull = true
                case .linkIsDead: return
                }
                if tunnelFlows.isUsed(flow) { budget -= Int(tunnelFlows[flow].sent &- before) }
            }
            guard flush(slot), !links[slot].awaitsWritable, !links[slot].queue.isEmpty else { return }
            if budget <= 0 {
                links[slot].needsPump = true
                return
            }
        }
    }

    /// Bytes that may be sealed before some must be sent.
    private mutating func sealable(_ link: Int) -> Int {
        let waiting = unsafe links[link].engine.output.count
        return links[link].sealAhead.bytes - waiting
    }

    /// The turn of a flow that carries nothing: one that was removed while it stood in the queue, or one whose client is
    /// to be told something.
    private mutating func pullUnopened(_ flow: Int, _ link: Int) -> Turn {
        guard tunnelFlows[flow].phase == .defunct else { return pullAnswer(flow, link) }
        _ = tunnelFlows.remove(flow)
        return .over
    }

    /// One flow's turn.
    private mutating func pull(_ flow: Int, _ link: Int) -> Turn {
        let channel = tunnelFlows[flow].channel
        let share = links[link].sealAhead.bytes / (links[link].queue.count + 1)
        var allowance = min(sealable(link), max(FlowQueue.quantum, share))
        while allowance > 0 {
            let wanted = min(allowance, tunnelFlows[flow].batch * Self.slotLength)
            let slots = links[link].engine.reserve(channel, maximum: wanted)
            guard slots.count > 0 else {
                let isFull = unsafe !links[link].engine.output.isEmpty
                if isFull {
                    links[link].queue.putBack(flow)
                    return .outputIsFull
                }
                blockOnWindow(flow)
                return .over
            }
            let count = unsafe driver.receive(
                tunnelFlows[flow].socket, into: slots.first!, stride: slots.stride, slotLength: slots.slotLength,
                lastLength: slots.lastLength, count: slots.count)
            do throws(SSHError) { try links[link].engine.commit(channel, count: max(0, count)) } catch {
                // The queue has let go of it already.
                tunnelFlows[flow].isQueued = false
                loseLink(link, error.description)
                return .linkIsDead
            }
            guard count > 0 else {
                tunnelFlows[flow].isQueued = false
                sourceStopped(flow, link, count)
                return .over
            }
            tunnelFlows[flow].sent &+= UInt64(count)
            links[link].rest.sent(now: driver.now)
            allowance -= count
            if count < slots.totalLength {
                // Nothing more for now, most likely: the next readiness will tell.
                if count * 4 < slots.totalLength { tunnelFlows[flow].batch = max(1, tunnelFlows[flow].batch / 4) }
                tunnelFlows[flow].isQueued = false
                driver.awaitReadable(
                    tunnelFlows[flow].socket, Self.token(.flowRead, flow, tunnelFlows.generation(flow)))
                return .over
            }
            if tunnelFlows[flow].batch * Self.slotLength == wanted || wanted == allowance + count {
                tunnelFlows[flow].batch = min(PayloadSlots.maximumCount, tunnelFlows[flow].batch * 4)
            }
        }
        links[link].queue.addBacklogged(flow)
        return .over
    }

    private static var slotLength: Int { 32 * 1024 }

    /// Not in the queue until the engine says that there is room again.
    mutating func blockOnWindow(_ flow: Int) {
        tunnelFlows[flow].isQueued = false
        tunnelFlows[flow].awaitsWindow = true
        links[tunnelFlows[flow].link].blockedFlows += 1
        startSweeping()
    }

    /// The socket had nothing (-EAGAIN), has ended (0), or has failed.
    private mutating func sourceStopped(_ flow: Int, _ link: Int, _ result: Int) {
        if result == -Int(EAGAIN) {
            driver.awaitReadable(
                tunnelFlows[flow].socket, Self.token(.flowRead, flow, tunnelFlows.generation(flow)))
        } else if result == 0, !tunnelFlows[flow].leadsToNextHop {
            tunnelFlows[flow].hasFinished = true
            links[link].engine.finish(tunnelFlows[flow].channel)
            startSweeping()
            passEnd(flow)
        } else {
            // A link that has ended at the next host says nothing more in either direction.
            cutFlow(flow)
        }
    }

    /// Sends the engine's output until it is empty or the socket is full. False when the link is dead.
    mutating func flush(_ slot: Int) -> Bool {
        guard !links[slot].awaitsWritable else { return true }
        while true {
            let output = unsafe links[slot].engine.output
            guard unsafe !output.isEmpty else { return true }
            let sent = unsafe driver.send(links[slot].descriptor, output.baseAddress!, count: output.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else {
                loseLink(slot, errorText(-Int32(sent)))
                return false
            }
            let count = max(0, sent)
            links[slot].engine.outputSent(count)
            links[slot].bytesSent &+= UInt64(count)
            if count > 0 { links[slot].acknowledgement.sent() }
            // What was sent may have brought a key to its limit.
            watchExchange(slot)
            // An engine may have waited for room in its output to say that all may send again.
            if links[slot].blockedFlows > 0 {
                links[slot].needsEvents = true
                links[slot].needsPump = true
            }
            let isFull = count < output.count
            if links[slot].sealAhead.sent(count, isFull: isFull, now: driver.now) {
                SocketOption.setNotSentLowWater(links[slot].descriptor, bytes: links[slot].sealAhead.bytes)
            }
            if isFull {
                links[slot].awaitsWritable = true
                driver.awaitWritable(links[slot].descriptor, writeToken(slot))
                return true
            }
        }
    }

    // MARK: Liveness

    /// A channel that is not opened after this long makes the link be asked whether it lives.
    private static var openPatience: Tick.Span { .seconds(1) }

    /// Looks at the link at that moment, if nothing sooner does.
    mutating func scheduleCheck(_ slot: Int, at moment: Tick) {
        guard moment < links[slot].nextCheck else { return }
        links[slot].nextCheck = moment
        timers.add(moment, Self.token(.linkLiveness, slot, links.generation(slot)))
    }

    mutating func channelAsked(_ slot: Int) {
        links[slot].needsPump = true
        // One that is waited for while the link speaks waits for its target, and says nothing about the link.
        if let asked = links[slot].openAsked, links[slot].lastReceived <= asked { return }
        links[slot].openAsked = driver.now
        if links[slot].alive.interval > .zero { scheduleCheck(slot, at: driver.now + Self.openPatience) }
    }

    /// Called when any of a link's times may have come: the next question, a question's deadline, a reverse forward to
    /// ask for again, the end of a key exchange's time, or of a link that was replaced.
    mutating func checkLink(_ slot: Int) {
        guard driver.now >= links[slot].nextCheck else { return }
        links[slot].nextCheck = .distantFuture
        if links[slot].flowCount == 0 {
            if links[slot].isRetired { return loseLink(slot, "replaced", engineLives: true) }
            if links[slot].hop != nil { return endLink(slot, "nothing goes through it any more") }
        }
        guard !endOverdueExchange(slot) else { return }
        askRefusedAgain(slot)
        exchangeOldKeys(slot)
        if links[slot].alive.interval > .zero { checkLiveness(slot) }
    }

    private mutating func askRefusedAgain(_ slot: Int) {
        let due = links[slot].refused.filter { $0.at <= driver.now }
        for each in due {
            if let place = links[slot].refused.firstIndex(where: { $0.forward == each.forward }) {
                // Not again before the answer.
                links[slot].refused[place].at = .distantFuture
            }
            askReverse(slot, each.forward)
        }
        if let next = links[slot].refused.map(\.at).min(), next < .distantFuture { scheduleCheck(slot, at: next) }
    }

    private mutating func checkLiveness(_ slot: Int) {
        let now = driver.now
        let interval = links[slot].alive.interval
        if links[slot].probesUnanswered == 0 {
            var due = links[slot].lastReceived + interval
            // A channel may have been asked for after this look was scheduled for another.
            if let asked = links[slot].openAsked, links[slot].lastReceived <= asked {
                due = min(due, asked + Self.openPatience)
            }
            return due <= now ? probe(slot) : scheduleCheck(slot, at: due)
        }
        let silence = now - links[slot].probeSent
        if links[slot].probesUnanswered >= links[slot].alive.countMaximum, silence >= interval {
            let seconds = Int((now - links[slot].lastReceived).seconds)
            return loseLink(slot, "timeout, server not responding for \(seconds) s", engineLives: true)
        }
        if silence >= suspicion(slot), !links[slot].isSuspect { suspect(slot) }
        if silence >= interval { return probe(slot) }
        scheduleCheck(slot, at: links[slot].probeSent + (links[slot].isSuspect ? interval : suspicion(slot)))
    }

    private func suspicion(_ slot: Int) -> Tick.Span {
        let roundTrip = SocketOption.roundTrip(links[slot].descriptor) ?? .zero
        return max(links[slot].alive.suspicion, Tick.Span(nanoseconds: roundTrip.nanoseconds * 4))
    }

    private mutating func probe(_ slot: Int) {
        links[slot].engine.probe()
        links[slot].needsPump = true
        links[slot].probesUnanswered += 1
        links[slot].probeSent = driver.now
        let interval = links[slot].alive.interval
        let wait = links[slot].isSuspect ? interval : min(suspicion(slot), interval)
        scheduleCheck(slot, at: driver.now + wait)
    }

    /// The path has changed: every link that has been silent for a moment is asked at once.
    mutating func probeLinks() {
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].probesUnanswered == 0 {
            if links[slot].alive.interval > .zero { probe(slot) }
        }
    }

    /// Silent although asked: no new flow goes there, and a second link is tried beside it.
    private mutating func suspect(_ slot: Int) {
        links[slot].isSuspect = true
        guard links[slot].isOfPool, let id = links[slot].id else { return }
        context.links[id.place].isOpen = false
        rehold(slot, engineLives: true)
        serveWaiting()
        context.control.post(.linkSuspect(id))
    }

    private mutating func linkRecovered(_ slot: Int) {
        links[slot].isSuspect = false
        guard links[slot].isOfPool, let id = links[slot].id else { return }
        context.links[id.place].isOpen = true
        context.control.post(.linkRecovered(id))
        for mailbox in context.mailboxes { mailbox.post(.linksChanged) }
    }

    /// Connections whose channel was never opened have lost nothing: they wait for another link.
    private mutating func rehold(_ link: Int, engineLives: Bool) {
        guard links[link].hop == nil else { return }
        for slot in links[link].allFlows() where tunnelFlows[slot].phase == .opening {
            let connection = IncomingConnection(
                tunnelFlows[slot].socket, sink: tunnelFlows[slot].sink, forward: tunnelFlows[slot].forward,
                peer: tunnelFlows[slot].peer, socks: tunnelFlows[slot].socks)
            // It was read from here, and may go to another worker.
            if connection.socks != nil { driver.letGo(connection.descriptor) }
            tunnelFlows[slot].socket = -1
            if engineLives { links[link].engine.close(tunnelFlows[slot].channel) }
            removeFlow(slot, reset: false)
            hold(connection)
        }
    }

    // MARK: The end

    /// The link is dead or given up: its flows are reset, those that had not begun wait for another one. A link that
    /// was replaced goes unreported; a hop that still has its flow breaks its path.
    mutating func loseLink(_ slot: Int, _ reason: String, engineLives: Bool = false) {
        let id = links[slot].isOfPool ? links[slot].id : nil
        let cause = links[slot].path?.cause(of: reason) ?? reason
        if let hop = links[slot].hop, links[slot].flowCount > 0 { hop.path.fail("\(hop.name): \(cause)") }
        if let id { context.links[id.place].isOpen = false }
        rehold(slot, engineLives: engineLives)
        for flow in links[slot].allFlows() { removeFlow(flow, reset: true) }
        // What the queue still names was removed before; only its slots were kept.
        while let flow = links[slot].queue.takeFirst() { _ = tunnelFlows.remove(flow) }
        let link = links.remove(slot)
        driver.close(link.descriptor)
        if let id, !isStopping { context.control.post(.linkLost(id, reason: cause)) }
        // Another link of the pool may stand: what waits does not wait for this one's successor.
        serveWaiting()
    }

    /// Reverse forwards are cancelled, and the link ends.
    mutating func sayGoodbye(_ slot: Int) {
        for each in links[slot].standing { links[slot].engine.cancelForward(each.number) }
        endLink(slot, "stopped")
    }

    /// The server is told, as far as the socket takes it at once.
    mutating func endLink(_ slot: Int, _ reason: String) {
        links[slot].engine.disconnect()
        guard flush(slot) else { return }
        loseLink(slot, reason, engineLives: true)
    }
}
