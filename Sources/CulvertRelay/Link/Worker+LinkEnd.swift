internal import CulvertIO
internal import CulvertSSH

/// How links end, and what becomes of their flows.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Marks the link as over. Connections whose channel was never opened wait for another one, what came whole stays
    /// until its reader has it, the other flows are cut. `reap` does the rest.
    mutating func end(_ link: LinkSlot, _ how: LinkEnd) {
        guard links[link].end == nil else { return }
        if let id = links[link].poolID { context.links[id.place].isOpen = false }
        if let hop = links[link].hop, links[link].flowCount > 0 {
            hop.path.fail("\(hop.name): \(links[link].path?.cause(of: how.reason) ?? how.reason)")
        }
        links[link].end = how
        endedLinks.append(link)
        let isIdle = links[link].flowCount == 0
        if !isStopping { holdUnopened(link) }
        for flow in links[link].allFlows() {
            end(flow, flows[flow].phase == .open && flows[flow].ends.peerIsWhole ? .whole : .cut)
        }
        links[link].life = LinkLife(
            hasCarried: links[link].hasCarried, closedByServer: links[link].isClosedByServer,
            idleSince: isIdle ? links[link].idleSince : nil, now: driver.now)
    }

    /// Connections whose channel was never opened have lost nothing: they wait for another link, in their old order.
    mutating func holdUnopened(_ link: LinkSlot) {
        guard links[link].hop == nil else { return }
        for flow in links[link].allFlows() where flows[flow].phase == .opening {
            guard case .forward(.direct(let forward)) = flows[flow].purpose, let socket = flows[flow].socket else {
                continue
            }
            let connection = IncomingConnection(
                socket, sink: flows[flow].sink, forward: forward, peer: flows[flow].peer,
                arrival: flows[flow].arrival, socks: flows[flow].socks, opening: flows[flow].opening.take())
            // It was read from here, and may go to another worker.
            if connection.socks != nil { driver.letGo(socket) }
            flows[flow].socket = nil
            flows[flow].sink = nil
            end(flow, .heldAgain)
            hold(connection)
        }
    }

    /// Says the last word as far as the socket takes it, closes, tells, frees.
    mutating func free(link: LinkSlot) {
        guard let how = links[link].end else { preconditionFailure("only what is over is freed") }
        switch how {
        case .lost: break
        case .givenUp, .finished: links[link].engine.disconnect()
        }
        sendLastWord(link)
        let ended = links.remove(link)
        driver.close(ended.descriptor)
        switch ended.place {
        case .hop: break
        case .pool(let id):
            carriedBefore.add(
                sent: ended.bytesSent, received: ended.bytesReceived, keyRenewals: ended.engine.keyRenewals ?? 0)
            let reason = ended.path?.cause(of: how.reason) ?? how.reason
            switch ended.duty {
            case .retired:
                inherit(at: id.place)
                if how != .finished {
                    context.journal.info("an older link that was replaced has ended: \(reason)")
                }
            case .lastFlowOver where how == .finished: context.control.post(.streamsEnded(cleanly: true))
            case .lastFlowOver: context.control.post(.linkLost(id, reason: reason, life: ended.life))
            case .serving:
                if !isStopping { context.control.post(.linkLost(id, reason: reason, life: ended.life)) }
            }
        }
        // Another link of the pool may stand: what waits does not wait for this one's successor.
        serveHeld()
    }

    private mutating func sendLastWord(_ link: LinkSlot) {
        while true {
            let output = unsafe links[link].engine.output
            guard unsafe !output.isEmpty else { return }
            let sent = unsafe driver.send(links[link].descriptor, output.baseAddress!, count: output.count)
            guard sent > 0 else { return }
            links[link].engine.outputSent(sent)
        }
    }
}
