internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// Socket to channel: how a flow begins and ends, and the way from the channel to the socket. The other way, from the
/// socket to the channel, is the link's pump.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    private func readToken(_ slot: Int) -> Token {
        Self.token(.flowRead, slot, tunnelFlows.generation(slot))
    }

    private func writeToken(_ slot: Int) -> Token {
        Self.token(.flowWrite, slot, tunnelFlows.generation(slot))
    }

    func forwardText(_ slot: Int) -> String {
        let forward = tunnelFlows[slot].forward
        if tunnelFlows[slot].leadsToNextHop {
            let hop = links[tunnelFlows[slot].link].hop
            return hop.map { "\($0.name): the way to \(Target.tcp(host: $0.host, port: $0.port))" } ?? ""
        }
        let text = tunnelFlows[slot].isReverse ? context.reverse[forward].text : context.forwards[forward].text
        return tunnelFlows[slot].socks?.request.map { "\(text) to \($0)" } ?? text
    }

    /// With where it comes from.
    func flowText(_ slot: Int) -> String {
        let text = forwardText(slot)
        return tunnelFlows[slot].leadsToNextHop ? text : "\(text) from \(tunnelFlows[slot].peer)"
    }

    // MARK: Beginning: a connection here (-L)

    mutating func beginDirectFlow(_ connection: IncomingConnection, link: Int) {
        let forward = connection.forward
        // A server may have filled the table with channels whose target is not reached yet.
        guard !tunnelFlows.isFull else {
            context.journal.error("\(context.forwards[forward].text): too many connections")
            return drop(connection)
        }
        let channel: ChannelNumber
        do throws(SSHError) { channel = try links[link].engine.open(openRequest(connection)) } catch {
            context.journal.error("\(context.forwards[forward].text): \(error)")
            return drop(connection)
        }
        let slot = insertFlow(
            TunnelFlow(
                phase: .opening, link: link, channel: channel, socket: connection.descriptor, forward: forward,
                isReverse: false, peer: connection.peer, started: driver.now))
        tunnelFlows[slot].sink = connection.sink
        tunnelFlows[slot].isStandardStreams = context.forwards[forward].isStandardStreams
        tunnelFlows[slot].socks = connection.socks
        channelAsked(link)
    }

    private func openRequest(_ connection: IncomingConnection) -> ChannelOpenRequest {
        let peer = connection.peer
        func tcp(_ host: String, _ port: UInt16) -> ChannelOpenRequest {
            let hasAddress = !peer.isUnix && !peer.host.isEmpty
            return .directTCPIP(
                host: host, port: port, originator: hasAddress ? peer.host : "127.0.0.1",
                originatorPort: hasAddress ? peer.port : 0)
        }
        switch context.forwards[connection.forward].target {
        case .tcp(let host, let port): return tcp(host, port)
        case .unix(let path): return .directStreamLocal(path: path)
        case .requested:
            guard let request = connection.socks?.request else { preconditionFailure("the client has been asked") }
            return tcp(request.host, request.port)
        }
    }

    mutating func insertFlow(_ flow: consuming TunnelFlow) -> Int {
        let link = flow.link
        let channel = flow.channel
        let slot = tunnelFlows.insert(flow)
        links[link].setFlow(of: channel, slot)
        links[link].flowCount += 1
        if let place = links[link].place { context.links[place].flowBegan() }
        return slot
    }

    mutating func channelOpened(_ slot: Int) {
        tunnelFlows[slot].phase = .open
        if tunnelFlows[slot].socks != nil, !answerSocket(slot, .granted) { return cutFlow(slot) }
        driver.awaitReadable(tunnelFlows[slot].socket, readToken(slot))
    }

    mutating func channelRefused(_ slot: Int, _ reason: OpenFailure, _ words: PeerText) {
        let flow = forwardText(slot)
        let why: String
        switch reason {
        case .administrativelyProhibited:
            why = "the server forbids it (look at AllowTcpForwarding and PermitOpen in its sshd_config)"
        case .connectFailed: why = "the server could not connect to the target"
        case .unknownChannelType: why = "the server does not know this kind of channel"
        case .resourceShortage: why = "the server is short of resources"
        }
        let failure = "\(flow): channel open failed: \(why)\(words.description.isEmpty ? "" : ": \(words)")"
        // Whoever logs in through a hop says what became of it.
        if let hop = links[tunnelFlows[slot].link].hop {
            hop.path.fail(failure)
        } else {
            context.journal.error(failure)
        }
        // A reset could overtake the answer.
        let isAnswered = tunnelFlows[slot].socks != nil && answerSocket(slot, SocksReply(reason, words))
        removeFlow(slot, reset: !isAnswered)
    }

    // MARK: Beginning: a connection at the server (-R)

    mutating func channelRequested(_ link: Int, _ channel: ChannelNumber) {
        let request = links[link].engine.openRequest(channel)
        guard let forward = reverseForward(link, request) else {
            links[link].engine.refuse(channel, .administrativelyProhibited, "no such forward was asked for")
            return
        }
        guard !tunnelFlows.isFull else {
            return links[link].engine.refuse(channel, .resourceShortage, "too many connections")
        }
        var peer = SocketAddress()
        if case .forwardedTCPIP(_, _, let originator, let port) = request,
            let address = try? SocketAddress.resolve(host: originator, port: port, numeric: true).first
        {
            peer = address
        }
        let slot = insertFlow(
            TunnelFlow(
                phase: .dialing, link: link, channel: channel, socket: -1, forward: forward, isReverse: true,
                peer: peer,
                started: driver.now))
        if context.reverse[forward].target == .requested { return beginChannelGreeting(slot) }
        limitDial(slot)
        guard let addresses = reverseTargets[forward].addresses(now: driver.now) else {
            reverseTargets[forward].waiting.append(readToken(slot))
            return lookUpTarget(forward + context.forwards.count)
        }
        dial(slot, addresses)
    }

    /// Which of the forwards that stand on this link the channel belongs to.
    private func reverseForward(_ link: Int, _ request: ChannelOpenRequest) -> Int? {
        switch request {
        case .forwardedTCPIP(let address, let port, _, _):
            // Two forwards may have one port and different addresses. The address may come back as the server
            // understood it, so where none is as it was asked for, the port decides.
            var found: Int?
            for each in links[link].standing where each.port == port && port != 0 {
                if case .tcp(address, _) = context.reverse[each.forward].listen { return each.forward }
                found = found ?? each.forward
            }
            return found
        case .forwardedStreamLocal(let path):
            let standing = links[link].standing.first {
                context.reverse[$0.forward].listen == .unix(path: path)
            }
            return standing?.forward
        case .directTCPIP, .directStreamLocal: return nil
        }
    }

    mutating func limitDial(_ slot: Int) {
        timers.add(driver.now + context.limits.dial, Self.token(.dialExpiry, slot, tunnelFlows.generation(slot)))
    }

    mutating func dial(_ slot: Int, _ addresses: [SocketAddress]) {
        tunnelFlows[slot].candidates = addresses
        dialNext(slot, failure: EADDRNOTAVAIL)
    }

    private mutating func dialNext(_ slot: Int, failure: Int32) {
        var failure = failure
        let limit = context.limits.descriptors - context.limits.reservedDescriptors
        while !tunnelFlows[slot].candidates.isEmpty {
            let address = tunnelFlows[slot].candidates.removeFirst()
            var pending = false
            let made = driver.connect(to: address, from: nil, pending: &pending)
            guard made >= 0 else {
                failure = -Int32(made)
                continue
            }
            // Whoever connects at the server may not use up what culvert itself needs.
            guard made < limit else {
                driver.close(Descriptor(made))
                failure = EMFILE
                continue
            }
            tunnelFlows[slot].socket = Descriptor(made)
            tunnelFlows[slot].sink = Descriptor(made)
            if pending { driver.awaitWritable(Descriptor(made), writeToken(slot)) } else { dialled(slot) }
            return
        }
        refuseDialled(slot, errorText(failure), SocksReply(failedConnect: failure))
    }

    private mutating func dialled(_ slot: Int) {
        let link = tunnelFlows[slot].link
        tunnelFlows[slot].candidates = []
        if tunnelFlows[slot].socks != nil { return concludeChannelGreeting(slot, .granted) }
        tunnelFlows[slot].phase = .open
        links[link].engine.accept(tunnelFlows[slot].channel)
        links[link].needsPump = true
        links[link].needsEvents = true
        driver.awaitReadable(tunnelFlows[slot].socket, readToken(slot))
        // The peer may have ended meanwhile.
        passEnd(slot)
    }

    mutating func refuseDialled(_ slot: Int, _ reason: String, _ reply: SocksReply = .hostUnreachable) {
        let link = tunnelFlows[slot].link
        if tunnelFlows[slot].socks != nil {
            context.journal.error("\(forwardText(slot)): \(reason)")
            return concludeChannelGreeting(slot, reply)
        }
        context.journal.error(
            "\(forwardText(slot)): connect to \(context.reverse[tunnelFlows[slot].forward].target): \(reason)")
        links[link].engine.refuse(tunnelFlows[slot].channel, .connectFailed, "connect failed")
        links[link].needsPump = true
        removeFlow(slot, reset: true)
    }

    mutating func dialExpired(_ slot: Int) {
        if tunnelFlows[slot].phase == .opening { return hopExpired(slot) }
        guard tunnelFlows[slot].phase == .dialing else { return }
        tunnelFlows[slot].candidates = []
        closeSocket(slot, reset: false)
        dialNext(slot, failure: ETIMEDOUT)
    }

    // MARK: Channel to socket

    /// Payload has come for this flow: to the socket at once, together with what comes next for it where the engine
    /// opens in place; what the socket refuses goes into the spill.
    mutating func deliver(_ slot: Int, _ payload: Payload) {
        tunnelFlows[slot].received &+= UInt64(payload.count)
        if gatheredFlow != slot || gathered.isFull { deliverGathered() }
        gatheredFlow = slot
        unsafe gathered.append(payload.start, payload.count)
        if !Engine.opensInPlace { deliverGathered() }
    }

    /// Sends what has been gathered. Called before anything else happens to its flow, and before its memory goes.
    mutating func deliverGathered() {
        guard !gathered.isEmpty else { return }
        defer { gathered.removeAll() }
        let slot = gatheredFlow
        var sent = 0
        if tunnelFlows[slot].spill.isEmpty, tunnelFlows[slot].phase == .open {
            let sink = tunnelFlows[slot].sink
            sent =
                gathered.count == 1
                ? unsafe driver.send(sink, gathered.start(0), count: gathered.length(0))
                : driver.send(sink, gathered)
            if sent > 0 { links[tunnelFlows[slot].link].engine.credit(tunnelFlows[slot].channel, count: sent) }
            if sent == gathered.totalLength { return }
            guard sent >= 0 || sent == -Int(EAGAIN) else { return cutFlow(slot) }
            sent = max(0, sent)
        }
        for index in 0..<gathered.count {
            let length = gathered.length(index)
            if sent < length {
                guard unsafe spill(slot, gathered.start(index) + sent, length - sent) else { return }
            }
            sent = max(0, sent - length)
        }
        if !tunnelFlows[slot].awaitsWritable {
            tunnelFlows[slot].awaitsWritable = true
            tunnelFlows[slot].stalledSince = driver.now
            driver.awaitWritable(tunnelFlows[slot].sink, writeToken(slot))
            startSweeping()
        }
        if tunnelFlows[slot].phase == .greeting { continueChannelGreeting(slot) }
    }

    /// False when the flow had to go: at the ceiling the flow that has been stalled longest does, and when none is
    /// left, this one.
    private mutating func spill(_ slot: Int, _ start: UnsafeRawPointer, _ count: Int) -> Bool {
        while !(unsafe spillPool.append(start, count, to: &tunnelFlows[slot].spill)) {
            guard let victim = longestStalled(), victim != slot else {
                exceedCeiling(slot)
                return false
            }
            exceedCeiling(victim)
        }
        return true
    }

    private func longestStalled() -> Int? {
        var found: Int?
        for slot in 0..<tunnelFlows.highWater where tunnelFlows.isUsed(slot) && !tunnelFlows[slot].spill.isEmpty {
            // Behind a hop are all the flows of a link, and no slow reader.
            if tunnelFlows[slot].leadsToNextHop { continue }
            if let found, tunnelFlows[found].stalledSince <= tunnelFlows[slot].stalledSince { continue }
            found = slot
        }
        return found
    }

    mutating func exceedCeiling(_ slot: Int) {
        let isStalled = !tunnelFlows[slot].spill.isEmpty
        let slow = isStalled ? driver.now - tunnelFlows[slot].stalledSince : .zero
        if let hop = links[tunnelFlows[slot].link].hop {
            hop.path.fail("\(hop.name): the memory ceiling is reached (--memory)")
            return cutFlow(slot)
        }
        context.journal.error(
            "ended a connection through \(forwardText(slot)): its reader has been slow for"
                + " \(formatSeconds(slow)) and the memory ceiling is reached"
                + " (--memory)")
        cutFlow(slot)
    }

    mutating func flowWritable(_ slot: Int) {
        if tunnelFlows[slot].phase == .dialing {
            let error = driver.connectionError(tunnelFlows[slot].socket)
            if error == 0 { return dialled(slot) }
            closeSocket(slot, reset: false)
            return dialNext(slot, failure: -Int32(error))
        }
        tunnelFlows[slot].awaitsWritable = false
        let link = tunnelFlows[slot].link
        while !tunnelFlows[slot].spill.isEmpty {
            let first = spillPool.first(of: tunnelFlows[slot].spill)
            let sent = unsafe driver.send(tunnelFlows[slot].sink, first.start, count: first.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return cutFlow(slot) }
            if sent > 0 {
                spillPool.consume(sent, of: &tunnelFlows[slot].spill)
                links[link].engine.credit(tunnelFlows[slot].channel, count: sent)
                links[link].needsPump = true
                links[link].needsEvents = true
            }
            if sent < first.count {
                tunnelFlows[slot].awaitsWritable = true
                return driver.awaitWritable(tunnelFlows[slot].sink, writeToken(slot))
            }
        }
        passEnd(slot)
    }

    // MARK: The end

    mutating func channelEnded(_ slot: Int) {
        tunnelFlows[slot].peerEnded = true
        if tunnelFlows[slot].phase == .greeting { return continueChannelGreeting(slot) }
        passEnd(slot)
    }

    mutating func channelClosed(_ slot: Int) {
        // Of a channel that was accepted before its target stood: nobody waits for that any more.
        if tunnelFlows[slot].phase != .open, tunnelFlows[slot].socks != nil { return cutFlow(slot) }
        tunnelFlows[slot].peerClosed = true
        // CLOSE without EOF ends the stream as EOF does, as with OpenSSH's client: AsyncSSH and many servers in Go never
        // say EOF where both directions end at once, and what they sent before is whole.
        tunnelFlows[slot].peerEnded = true
        passEnd(slot)
    }

    /// After everything from the channel is written: the socket learns that it has ended; when both directions are
    /// over, or the peer has closed, the flow is.
    mutating func passEnd(_ slot: Int) {
        guard tunnelFlows[slot].peerEnded, tunnelFlows[slot].spill.isEmpty, tunnelFlows[slot].phase == .open else {
            return
        }
        if !tunnelFlows[slot].isShut {
            tunnelFlows[slot].isShut = true
            endWriting(slot)
        }
        if tunnelFlows[slot].hasFinished || tunnelFlows[slot].peerClosed {
            if tunnelFlows[slot].isStandardStreams, !tunnelFlows[slot].peerClosed { return awaitClose(slot) }
            let link = tunnelFlows[slot].link
            links[link].engine.close(tunnelFlows[slot].channel)
            links[link].needsPump = true
            removeFlow(slot, reset: false)
        }
    }

    /// The link ends with this flow, and a server that is told so drops what its target has not taken yet. It closes the
    /// channel itself when nothing is left; one that does not is waited for no longer than this.
    private mutating func awaitClose(_ slot: Int) {
        timers.add(driver.now + .seconds(10), Self.token(.closeExpiry, slot, tunnelFlows.generation(slot)))
    }

    mutating func closeExpired(_ slot: Int) {
        guard tunnelFlows[slot].phase == .open else { return }
        tunnelFlows[slot].peerClosed = true
        passEnd(slot)
    }

    private mutating func endWriting(_ slot: Int) {
        let sink = tunnelFlows[slot].sink
        guard sink != tunnelFlows[slot].socket else { return driver.shutdownWriting(sink) }
        // A pipe has one direction, which ends when it is closed.
        tunnelFlows[slot].sink = -1
        driver.close(sink)
    }

    /// The flow cannot go on: CLOSE without EOF, and a reset here.
    mutating func cutFlow(_ slot: Int) {
        let link = tunnelFlows[slot].link
        links[link].engine.close(tunnelFlows[slot].channel)
        links[link].needsPump = true
        removeFlow(slot, reset: true)
    }

    private mutating func closeSocket(_ slot: Int, reset: Bool) {
        let socket = tunnelFlows[slot].socket
        let sink = tunnelFlows[slot].sink
        guard socket >= 0 else { return }
        tunnelFlows[slot].socket = -1
        tunnelFlows[slot].sink = -1
        if sink >= 0 && sink != socket { driver.close(sink) }
        if reset { driver.resetOnClose(socket) }
        driver.close(socket)
    }

    /// Forgets the flow: its channel is closed or gone with its link.
    mutating func removeFlow(_ slot: Int, reset: Bool) {
        let hasSocket = tunnelFlows[slot].socket >= 0
        closeSocket(slot, reset: reset)
        let link = tunnelFlows[slot].link
        links[link].setFlow(of: tunnelFlows[slot].channel, nil)
        links[link].flowCount -= 1
        if tunnelFlows[slot].awaitsWindow {
            tunnelFlows[slot].awaitsWindow = false
            links[link].blockedFlows -= 1
        }
        if let place = links[link].place {
            context.links[place].flowEnded()
        } else {
            scheduleCheck(link, at: driver.now)
        }
        // One that waits for another link has given its socket away.
        if hasSocket, tunnelFlows[slot].isStandardStreams {
            context.control.post(.streamsEnded(cleanly: !reset))
        }
        spillPool.removeAll(&tunnelFlows[slot].spill)
        context.journal.verbose(
            "closed \(flowText(slot)): \(tunnelFlows[slot].sent) bytes out,"
                + " \(tunnelFlows[slot].received) in, \(formatSeconds(driver.now - tunnelFlows[slot].started))"
                + (reset ? ", reset" : ""))
        // The queue still has its number: the slot must not be used again before.
        if tunnelFlows[slot].isQueued { tunnelFlows[slot].phase = .defunct } else { _ = tunnelFlows.remove(slot) }
    }

    /// A socket that is not read, because its channel has no window or its stream has ended, could be reset unseen.
    private mutating func sweepTunnelFlows() -> Bool {
        var anyStalled = false
        for slot in 0..<tunnelFlows.highWater where tunnelFlows.isUsed(slot) && tunnelFlows[slot].phase == .open {
            if !tunnelFlows[slot].spill.isEmpty { anyStalled = true }
            guard tunnelFlows[slot].awaitsWindow || tunnelFlows[slot].hasFinished else { continue }
            anyStalled = true
            if SocketOption.isReset(tunnelFlows[slot].sink) { cutFlow(slot) }
        }
        return anyStalled
    }

    /// What engines hold for slow readers counts as well as what is spilled: at three quarters of the ceiling no
    /// window grows, at the ceiling the flow that has been stalled longest goes.
    private mutating func sweepMemory() {
        let ceiling = context.budget.ceiling
        var held = heldByEngines()
        windowsMayGrow = held + context.budget.inUse < ceiling / 4 * 3
        for slot in 0..<links.highWater where links.isUsed(slot) { limitWindows(slot) }
        while held + context.budget.inUse > ceiling, let victim = longestStalled() {
            exceedCeiling(victim)
            held = heldByEngines()
        }
    }

    mutating func limitWindows(_ link: Int) {
        links[link].engine.allowWindows(upTo: windowsMayGrow ? links[link].windowNeed.bytes : 0)
    }

    private mutating func heldByEngines() -> Int {
        var held = 0
        for slot in 0..<links.highWater where links.isUsed(slot) { held += links[slot].engine.heldBytes() }
        return held
    }

    mutating func sweep() {
        isSweeping = false
        let plain = sweepPlainFlows()
        let tunnelled = sweepTunnelFlows()
        sweepMemory()
        // While windows may not grow: other workers' flows may have been what filled the memory.
        if plain || tunnelled || !windowsMayGrow { startSweeping() }
    }

    // MARK: Targets

    /// `number` counts the direct forwards first, then the reverse ones.
    mutating func lookUpTarget(_ number: Int) {
        let direct = context.forwards.count
        let isReverse = number >= direct
        let isAsked = isReverse ? reverseTargets[number - direct].isAsked : directTargets[number].isAsked
        guard !isAsked else { return }
        let target: Target
        if isReverse {
            reverseTargets[number - direct].isAsked = true
            target = reverseTargets[number - direct].target
        } else {
            directTargets[number].isAsked = true
            target = directTargets[number].target
        }
        guard case .tcp(let host, let port) = target else { preconditionFailure("only names are looked up") }
        let mailbox = context.mailboxes[self.number]
        context.resolver.look(up: host, port: port) { addresses, failure in
            mailbox.post(.resolved(forward: number, addresses: addresses, failure: failure))
        }
    }

    mutating func targetResolved(_ number: Int, _ addresses: [SocketAddress], _ failure: String) {
        let direct = context.forwards.count
        let tokens: [Token]
        if number >= direct {
            reverseTargets[number - direct].learn(addresses, now: driver.now)
            tokens = reverseTargets[number - direct].waiting
            reverseTargets[number - direct].waiting = []
            for token in tokens where tunnelFlows.isCurrent(token) && tunnelFlows[token.slot].phase == .dialing {
                if addresses.isEmpty { refuseDialled(token.slot, failure) } else { dial(token.slot, addresses) }
            }
        } else {
            directTargets[number].learn(addresses, now: driver.now)
            tokens = directTargets[number].waiting
            directTargets[number].waiting = []
            for token in tokens where plainFlows.isCurrent(token) {
                if addresses.isEmpty {
                    plainTargetUnresolved(token.slot, failure)
                } else {
                    dialPlain(token.slot, addresses)
                }
            }
        }
    }
}
