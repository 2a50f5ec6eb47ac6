internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// A client of a dynamic forward (`-D`) that has not said yet where it wants to go: no channel is asked for before.
struct SocksGreeting {
    let connection: IncomingConnection
    var socks = SocksNegotiation()
}

/// Dynamic forwards: clients that say in SOCKS where they want to go. At a port here (`-D`) they say it to the socket,
/// before there is a channel. At a port of the server's (`-R` without a target) they say it through the channel, before
/// there is a socket. Either way they are told of success when their target stands, and not before.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    // MARK: Here (-D)

    mutating func beginGreeting(_ connection: IncomingConnection) {
        guard !greetings.isFull else {
            context.journal.error("\(context.forwards[connection.forward].text): too many connections")
            return drop(connection)
        }
        let slot = greetings.insert(SocksGreeting(connection: connection))
        timers.add(driver.now + context.limits.greeting, Self.token(.greetingExpiry, slot, greetings.generation(slot)))
        awaitGreeting(slot)
    }

    private mutating func awaitGreeting(_ slot: Int) {
        driver.awaitReadable(
            greetings[slot].connection.descriptor, Self.token(.greetingRead, slot, greetings.generation(slot)))
    }

    /// Reads what the negotiation wants and no byte more: what comes behind the request is the target's, and waits in the
    /// socket.
    mutating func greetingReadable(_ slot: Int) {
        let descriptor = greetings[slot].connection.descriptor
        while true {
            let wanted = greetings[slot].socks.wanted
            var bytes = [UInt8](repeating: 0, count: wanted)
            let count = unsafe bytes.withUnsafeMutableBytes { room in
                unsafe driver.receive(
                    descriptor, into: room.baseAddress!, stride: wanted, slotLength: wanted, lastLength: wanted,
                    count: 1)
            }
            if count == -Int(EAGAIN) { return awaitGreeting(slot) }
            guard count > 0 else { return endGreeting(slot) }
            greetings[slot].socks.take(bytes.prefix(count))
            guard send(greetings[slot].socks.takeAnswer(), to: descriptor) else { return endGreeting(slot) }
            switch greetings[slot].socks.step {
            case .needsBytes: continue
            case .requested: return carryGreeted(slot)
            case .failed(let fault):
                let connection = greetings[slot].connection
                context.journal.error(
                    "\(context.forwards[connection.forward].text): closed a client from \(connection.peer): \(fault)")
                return endGreeting(slot)
            case .granted, .refused: preconditionFailure("nobody has concluded it yet")
            }
        }
    }

    private mutating func carryGreeted(_ slot: Int) {
        let greeting = greetings.remove(slot)
        var connection = greeting.connection
        connection.socks = greeting.socks
        // The link that served it when it came may have gone, and another worker may serve it now.
        driver.letGo(connection.descriptor)
        route(connection)
    }

    mutating func greetingExpired(_ slot: Int) {
        let connection = greetings[slot].connection
        context.journal.error(
            "\(context.forwards[connection.forward].text): closed a client from \(connection.peer) that did not say in"
                + " SOCKS where to go within \(Int(context.limits.greeting.seconds)) s")
        endGreeting(slot)
    }

    mutating func endGreeting(_ slot: Int) {
        driver.close(greetings.remove(slot).connection.descriptor)
    }

    /// The reply to the request of a flow whose channel was asked for. False when the client does not take it.
    mutating func answerSocket(_ slot: Int, _ reply: SocksReply) -> Bool {
        tunnelFlows[slot].socks?.conclude(reply)
        guard let answer = tunnelFlows[slot].socks?.takeAnswer() else { return true }
        return send(answer, to: tunnelFlows[slot].socket)
    }

    /// An answer is a few bytes, and nothing else waits in the socket: one that does not take it whole has gone.
    private mutating func send(_ answer: [UInt8], to descriptor: Descriptor) -> Bool {
        guard !answer.isEmpty else { return true }
        return unsafe answer.withUnsafeBytes { bytes in
            unsafe driver.send(descriptor, bytes.baseAddress!, count: bytes.count) == bytes.count
        }
    }

    // MARK: At the server (-R)

    /// The channel is accepted before its target is known: its client speaks first, through it.
    mutating func beginChannelGreeting(_ slot: Int) {
        let link = tunnelFlows[slot].link
        tunnelFlows[slot].phase = .greeting
        tunnelFlows[slot].socks = SocksNegotiation()
        // There is no socket that could be written to; what comes is spilled.
        tunnelFlows[slot].awaitsWritable = true
        tunnelFlows[slot].stalledSince = driver.now
        timers.add(
            driver.now + context.limits.greeting,
            Self.token(.channelGreetingExpiry, slot, tunnelFlows.generation(slot)))
        links[link].engine.accept(tunnelFlows[slot].channel)
        links[link].needsPump = true
        links[link].needsEvents = true
    }

    /// Goes as far as it can: answers leave before more is read.
    mutating func continueChannelGreeting(_ slot: Int) {
        while let socks = tunnelFlows[slot].socks {
            if socks.hasAnswer { return queueAnswer(slot) }
            switch socks.step {
            case .needsBytes:
                if takeSpilled(slot) { continue }
                // Nothing more comes from it.
                if tunnelFlows[slot].peerEnded { cutFlow(slot) }
                return
            case .requested(let request): return dialRequested(slot, request)
            case .granted: return openGreeted(slot)
            case .refused: return endGreeted(slot)
            case .failed(let fault):
                context.journal.error("\(forwardText(slot)): closed a client from \(tunnelFlows[slot].peer): \(fault)")
                return endGreeted(slot)
            }
        }
    }

    /// False when nothing of the client's has come.
    private mutating func takeSpilled(_ slot: Int) -> Bool {
        guard !tunnelFlows[slot].spill.isEmpty, let wanted = tunnelFlows[slot].socks?.wanted else { return false }
        let first = spillPool.first(of: tunnelFlows[slot].spill)
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: first.start, count: min(first.count, wanted)))
        tunnelFlows[slot].socks?.take(bytes)
        spillPool.consume(bytes.count, of: &tunnelFlows[slot].spill)
        let link = tunnelFlows[slot].link
        links[link].engine.credit(tunnelFlows[slot].channel, count: bytes.count)
        links[link].needsPump = true
        return true
    }

    /// The answer leaves in the flow's turn, as payload does.
    mutating func queueAnswer(_ slot: Int) {
        guard !tunnelFlows[slot].isQueued, !tunnelFlows[slot].awaitsWindow else { return }
        let link = tunnelFlows[slot].link
        tunnelFlows[slot].isQueued = true
        links[link].queue.addSparse(slot)
        links[link].needsPump = true
    }

    /// The turn of a flow with an answer for its client.
    mutating func pullAnswer(_ flow: Int, _ link: Int) -> Turn {
        let channel = tunnelFlows[flow].channel
        guard let answer = tunnelFlows[flow].socks?.takeAnswer(), !answer.isEmpty else {
            tunnelFlows[flow].isQueued = false
            return .over
        }
        // Shorter than the shortest slot, or the window has nearly no room and a few bytes go at a time.
        let slots = links[link].engine.reserve(channel, maximum: answer.count)
        guard slots.count > 0 else {
            tunnelFlows[flow].socks?.putBack(answer)
            if unsafe !links[link].engine.output.isEmpty {
                links[link].queue.putBack(flow)
                return .outputIsFull
            }
            blockOnWindow(flow)
            return .over
        }
        let length = min(answer.count, slots.count == 1 ? slots.lastLength : slots.slotLength)
        unsafe answer.withUnsafeBytes { unsafe slots.first!.copyMemory(from: $0.baseAddress!, byteCount: length) }
        tunnelFlows[flow].isQueued = false
        do throws(SSHError) { try links[link].engine.commit(channel, count: length) } catch {
            loseLink(link, error.description)
            return .linkIsDead
        }
        tunnelFlows[flow].socks?.putBack(Array(answer.dropFirst(length)))
        continueChannelGreeting(flow)
        return .over
    }

    private mutating func dialRequested(_ slot: Int, _ request: SocksRequest) {
        tunnelFlows[slot].phase = .dialing
        guard context.reverse[tunnelFlows[slot].forward].permits(request) else {
            return refuseDialled(slot, "PermitRemoteOpen does not name it", .notAllowed)
        }
        limitDial(slot)
        if let address = try? SocketAddress.resolve(host: request.host, port: request.port, numeric: true) {
            return dial(slot, address)
        }
        // A client at the server may ask for names that are never answered, as often as it likes.
        guard requestsResolving < context.limits.requestsResolving else {
            return refuseDialled(slot, "too many names are being looked up")
        }
        requestsResolving += 1
        let flow = Self.token(.flowRead, slot, tunnelFlows.generation(slot))
        let mailbox = context.mailboxes[number]
        context.requestResolver.look(up: request.host, port: request.port) { addresses, failure in
            mailbox.post(.resolvedRequest(flow: flow, addresses: addresses, failure: failure))
        }
    }

    mutating func requestResolved(_ flow: Token, _ addresses: [SocketAddress], _ failure: String) {
        requestsResolving -= 1
        guard tunnelFlows.isCurrent(flow), tunnelFlows[flow.slot].phase == .dialing else { return }
        // The name in it is the client's.
        if addresses.isEmpty {
            refuseDialled(flow.slot, PeerText(failure).description)
        } else {
            dial(flow.slot, addresses)
        }
    }

    /// The target stands, or cannot be had: the client is told before anything else goes to it.
    mutating func concludeChannelGreeting(_ slot: Int, _ reply: SocksReply) {
        tunnelFlows[slot].phase = .greeting
        tunnelFlows[slot].socks?.conclude(reply)
        continueChannelGreeting(slot)
    }

    private mutating func openGreeted(_ slot: Int) {
        tunnelFlows[slot].phase = .open
        driver.awaitReadable(
            tunnelFlows[slot].socket, Self.token(.flowRead, slot, tunnelFlows.generation(slot)))
        // What came behind the request, and perhaps its end.
        flowWritable(slot)
    }

    /// The client has been told; there is nothing else for it.
    private mutating func endGreeted(_ slot: Int) {
        let link = tunnelFlows[slot].link
        links[link].engine.finish(tunnelFlows[slot].channel)
        links[link].engine.close(tunnelFlows[slot].channel)
        links[link].needsPump = true
        removeFlow(slot, reset: false)
    }

    mutating func channelGreetingExpired(_ slot: Int) {
        guard tunnelFlows[slot].phase == .greeting else { return }
        context.journal.error(
            "\(forwardText(slot)): closed a client from \(tunnelFlows[slot].peer) that did not say in SOCKS where to go"
                + " within \(Int(context.limits.greeting.seconds)) s")
        cutFlow(slot)
    }
}
