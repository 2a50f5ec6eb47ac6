internal import CulvertIO
internal import CulvertSSH

/// Links to jump hosts. Each has one flow: the channel to the next host of its path, with one end of a socket pair
/// where others have an application. What logs in over the other end is the next link, which knows nothing of this.
///
/// A hop is asked whether it lives as every link is. It has no place in the pool, which hears of it only by
/// the link at the end of its path.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func addHop(_ start: consuming LoggedInLink<Engine>, _ hop: Hop, channel descriptor: Descriptor) {
        guard !links.isFull, !tunnelFlows.isFull, !isStopping else {
            hop.path.fail("\(hop.name): too many links and connections at once")
            driver.close(start.socket.release())
            return driver.close(descriptor)
        }
        let stream = start.socket.descriptor
        let slot = links.insert(Link(start, hop: hop, now: driver.now))
        SocketOption.setNotSentLowWater(stream, bytes: links[slot].sealAhead.bytes)
        limitWindows(slot)
        do throws(SSHError) {
            // No connection of anybody's is carried: the originator is this machine (RFC 4254 §7.2).
            let channel = try links[slot].engine.open(
                .directTCPIP(host: hop.host, port: hop.port, originator: "127.0.0.1", originatorPort: 0))
            let flow = insertFlow(
                TunnelFlow(
                    phase: .opening, link: slot, channel: channel, socket: descriptor, forward: TunnelFlow.toNextHop,
                    isReverse: false, peer: SocketAddress(), started: driver.now))
            timers.add(
                driver.now + context.limits.dial + context.limits.dial,
                Self.token(.dialExpiry, flow, tunnelFlows.generation(flow)))
        } catch {
            hop.path.fail("\(hop.name): \(error)")
            driver.close(descriptor)
            return endLink(slot, "\(error)")
        }
        channelAsked(slot)
        beginReceiving(slot)
    }

    /// A hop whose server says nothing of the way to the next host is given up.
    mutating func hopExpired(_ flow: Int) {
        let slot = tunnelFlows[flow].link
        guard let hop = links[slot].hop else { return }
        hop.path.fail("\(hop.name): no answer about the way to \(Target.tcp(host: hop.host, port: hop.port))")
        endLink(slot, "no answer")
    }

    /// At the end of the process, after the links that run over them: the first hop last, and what those have said at
    /// the very end goes through before.
    mutating func endHops() {
        var hops: [(number: Int, slot: Int)] = []
        for slot in 0..<links.highWater where links.isUsed(slot) {
            if let hop = links[slot].hop { hops.append((hop.number, slot)) }
        }
        for (_, slot) in hops.sorted(by: { $0.number > $1.number }) where links.isUsed(slot) {
            for flow in links[slot].allFlows() {
                driver.stopReading(tunnelFlows[flow].socket)
                flowReadable(flow)
            }
            pump(slot)
            if links.isUsed(slot) { sayGoodbye(slot) }
        }
    }
}
