internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// Bytes in: what a link receives, and what its engine says of it.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Bytes received on one link before others have their turn.
    static var receiveBudget: Int { 1024 * 1024 }

    /// Memory is short, and somebody has been asked for it: the link is looked at again after this long.
    private static var reliefPause: Tick.Span { .milliseconds(1) }

    mutating func linkReadable(_ link: LinkSlot) {
        var budget = Self.receiveBudget
        while budget > 0 {
            // One receive may bring the memory beyond its ceiling, no second one: whoever holds most goes first.
            if context.budget.isOver {
                return timers.add(driver.now + Self.reliefPause, Token(.linkRest, link))
            }
            let (count, room) = receiveInto(ring: link)
            if count > 0 {
                let hasRecovered = links[link].liveness.heard(driver.now)
                budget -= count
                processReceived(link)
                guard links[link].end == nil else { return }
                if hasRecovered { recovered(link) }
                if count < room { break }
            } else if count == -Int(EAGAIN) {
                break
            } else {
                links[link].isClosedByServer = count == 0
                return end(link, .lost(count == 0 ? "the server closed the connection" : errorText(-Int32(count))))
            }
        }
        awaitMore(link, received: Self.receiveBudget - budget)
    }

    /// Returns what `driver.receive` says, and how much there was room for.
    private mutating func receiveInto(ring link: LinkSlot) -> (count: Int, room: Int) {
        let room = unsafe links[link].ring.writable
        precondition(room.count > 0, "no packet is as long as the ring")
        let count = unsafe driver.receive(
            links[link].descriptor, into: room.baseAddress!, stride: room.count, slotLength: room.count,
            lastLength: room.count, count: 1)
        if count > 0 {
            links[link].ring.advance(count)
            links[link].bytesReceived &+= UInt64(count)
        }
        return (count, room.count)
    }

    /// A send has failed: the server has gone, and what it said before may still lie in the socket. Answers that came
    /// whole are their clients', and a last word of the server's says why better than an error does. What the socket
    /// holds bounds it.
    mutating func readRest(_ link: LinkSlot) {
        while links[link].end == nil, receiveInto(ring: link).count > 0 { processReceived(link) }
    }

    /// The values that decide when to read again, how large windows are, and when to acknowledge.
    private mutating func awaitMore(_ link: LinkSlot, received: Int) {
        let descriptor = links[link].descriptor
        if links[link].windowNeed.received(
            received, now: driver.now, roundTrip: { SocketOption.leastRoundTrip(descriptor) })
        {
            limitWindows(link)
        }
        if links[link].acknowledgement.received(received, now: driver.now) {
            timers.add(driver.now + OwedAcknowledgement.patience, Token(.linkAcknowledgement, link))
        }
        if links[link].rest.received(received, now: driver.now) {
            timers.add(driver.now + StreamRest.span, Token(.linkRest, link))
        } else {
            driver.awaitReadable(descriptor, Token(.linkRead, link))
        }
    }

    mutating func acknowledge(_ link: LinkSlot) {
        switch links[link].acknowledgement.verdict(now: driver.now) {
        case .nothing: break
        case .acknowledge: SocketOption.acknowledge(links[link].descriptor)
        case .wait(let moment): timers.add(moment, Token(.linkAcknowledgement, link))
        }
    }

    /// Shows the engine everything received, and handles what it says.
    mutating func processReceived(_ link: LinkSlot) {
        links[link].needsEvents = false
        unsafe links[link].engine.receive(links[link].ring.readable)
        do throws(SSHError) {
            while let event = try links[link].engine.nextEvent() { handle(event, link) }
            deliverGathered()
        } catch {
            deliverGathered()
            links[link].isClosedByServer = error.kind == .disconnected
            return end(link, .lost(error.description))
        }
        if let request = links[link].engine.takeUnaskedOpen() { tellUnasked(request) }
        let consumed = links[link].engine.takeConsumed()
        links[link].ring.release(consumed)
        wake(link)
        watchExchange(link)
        // No event tells that the last channel is closed.
        if links[link].closing != nil { scheduleCheck(link, at: driver.now) }
    }

    private mutating func handle(_ event: EngineEvent, _ link: LinkSlot) {
        if case .payload(let channel, let payload) = event {
            if let flow = links[link].flow(of: channel) { deliver(flow, payload) }
            return
        }
        deliverGathered()
        switch event {
        case .payload: preconditionFailure("payload was delivered above")
        case .opened(let channel):
            links[link].liveness.channelAnswered()
            if let flow = links[link].flow(of: channel) { channelOpened(flow) }
        case .openRefused(let channel, let reason):
            links[link].liveness.channelAnswered()
            let words = links[link].engine.takeRefusal(channel)
            if let flow = links[link].flow(of: channel) { channelRefused(flow, reason, words) }
        case .openRequested(let channel): channelRequested(link, channel)
        case .sendable(let channel):
            if let flow = links[link].flow(of: channel) { windowOpened(flow) }
        case .allSendable:
            for flow in links[link].allFlows() { windowOpened(flow) }
        case .ended(let channel):
            if let flow = links[link].flow(of: channel) { channelEnded(flow) }
        case .closed(let channel, let afterEnd):
            guard let flow = links[link].flow(of: channel) else { return links[link].engine.close(channel) }
            if links[link].saysEveryEnd, !afterEnd { end(flow, .cut) } else { channelClosed(flow) }
        case .violated(let channel):
            if let flow = links[link].flow(of: channel) { channelViolated(flow) }
        case .forwardAnswered(let number, let accepted, let port): reverseAnswered(link, number, accepted, port)
        case .forwardRequested: preconditionFailure("a client's engine refuses a request for a forward by itself")
        case .commandRefused: context.control.post(.nodelayRefused)
        case .probeAnswered: questionAnswered(link)
        case .hostKeysOffered: hostKeysOffered(link)
        case .hostKeyProofAnswered: hostKeyProofAnswered(link)
        }
    }

    mutating func limitWindows(_ link: LinkSlot) {
        let mayGrow = windowsMayGrow && !context.budget.isNear
        links[link].engine.allowWindows(upTo: mayGrow ? links[link].windowNeed.bytes : 0)
    }
}
