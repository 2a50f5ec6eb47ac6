internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// A client of a dynamic forward (`-D`) that has not said yet where it wants to go: no channel is asked for before.
struct SocksGreeting: SlabElement {
    typealias ID = GreetingID
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
            context.journal.error("\(directForwards[connection.forward].text): too many connections")
            return drop(connection)
        }
        let greeting = greetings.add(SocksGreeting(connection: connection))
        timers.add(driver.now + context.limits.greeting, Token(.greetingExpiry, greeting))
        awaitGreeting(greeting)
    }

    private mutating func awaitGreeting(_ greeting: GreetingID) {
        driver.awaitReadable(greetings[greeting].connection.descriptor, Token(.greetingRead, greeting))
    }

    /// Reads what the negotiation wants and no byte more: what comes behind the request is the target's, and waits in the
    /// socket.
    mutating func greetingReadable(_ greeting: GreetingID) {
        let descriptor = greetings[greeting].connection.descriptor
        while true {
            let wanted = greetings[greeting].socks.wanted
            var bytes = [UInt8](repeating: 0, count: wanted)
            let count = unsafe bytes.withUnsafeMutableBytes { room in
                unsafe driver.receive(
                    descriptor, into: room.baseAddress!, stride: wanted, slotLength: wanted, lastLength: wanted,
                    count: 1)
            }
            if count == -Int(EAGAIN) { return awaitGreeting(greeting) }
            guard count > 0 else { return endGreeting(greeting) }
            greetings[greeting].socks.take(bytes.prefix(count))
            guard send(greetings[greeting].socks.takeAnswer(), to: descriptor) else { return endGreeting(greeting) }
            switch greetings[greeting].socks.step {
            case .needsBytes: continue
            case .requested: return carryGreeted(greeting)
            case .failed(let fault):
                let connection = greetings[greeting].connection
                let forward = directForwards[connection.forward].text
                context.journal.error(
                    "\(forward): closed a client from \(connection.peer.shown): \(fault)",
                    kind: "\(forward): closed a client: \(fault)")
                return endAnsweredGreeting(greeting)
            case .granted, .refused: preconditionFailure("nobody has concluded it yet")
            }
        }
    }

    private mutating func carryGreeted(_ id: GreetingID) {
        let greeting = greetings.remove(id)
        var connection = greeting.connection
        connection.socks = greeting.socks
        // The link that served it when it came may have gone, and another worker may serve it now.
        driver.letGo(connection.descriptor)
        route(connection)
    }

    mutating func greetingExpired(_ greeting: GreetingID) {
        let connection = greetings[greeting].connection
        let forward = directForwards[connection.forward].text
        let why = "that did not say in SOCKS where to go within \(Int(context.limits.greeting.seconds)) s"
        context.journal.error(
            "\(forward): closed a client from \(connection.peer.shown) \(why)",
            kind: "\(forward): closed a client \(why)")
        endGreeting(greeting)
    }

    /// The client has gone, or has said nothing: nobody waits for a word.
    mutating func endGreeting(_ greeting: GreetingID) { drop(greetings.remove(greeting).connection) }

    /// The client was told what it did wrong, and a reset could overtake that.
    private mutating func endAnsweredGreeting(_ id: GreetingID) {
        let connection = greetings.remove(id).connection
        tallies[.direct(connection.forward)].dropped += 1
        deliveries.adopt(
            Delivery(
                connection.descriptor, rest: Spill(), .finish, inputEnded: false,
                name: "\(directForwards[connection.forward].text) from \(connection.peer.shown)", now: driver.now),
            &driver, &spillPool, &timers)
    }

    /// The reply to the request of a flow whose channel was asked for. False when the client does not take it.
    mutating func answerSocket(_ flow: FlowID, _ reply: SocksReply) -> Bool {
        flows[flow].socks?.conclude(reply)
        guard let answer = flows[flow].socks?.takeAnswer(), let socket = flows[flow].socket else { return true }
        return send(answer, to: socket)
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
    mutating func beginChannelGreeting(_ flow: FlowID) {
        let link = flows[flow].link
        flows[flow].phase = .greeting
        flows[flow].socks = SocksNegotiation()
        // There is no socket that could be written to; what comes is spilled.
        flows[flow].awaitsWritable = true
        flows[flow].stalledSince = driver.now
        timers.add(driver.now + context.limits.greeting, Token(.channelGreetingExpiry, flow))
        links[link].engine.accept(flows[flow].channel)
        links[link].needsEvents = true
        wake(link)
    }

    /// Goes as far as it can: answers leave before more is read.
    mutating func continueChannelGreeting(_ flow: FlowID) {
        while flows[flow].end == nil, let socks = flows[flow].socks {
            if socks.hasAnswer { return queueAnswer(flow) }
            switch socks.step {
            case .needsBytes:
                if takeSpilled(flow) { continue }
                // Nothing more comes from it.
                if flows[flow].ends.peer != .sending { end(flow, .cut) }
                return
            case .requested(let request): return dialRequested(flow, request)
            case .granted: return openGreeted(flow)
            case .refused: return endGreeted(flow)
            case .failed(let fault):
                let forward = forwardText(flow)
                context.journal.error(
                    "\(forward): closed a client from \(flows[flow].peer.shown): \(fault)",
                    kind: "\(forward): closed a client: \(fault)")
                return endGreeted(flow)
            }
        }
    }

    /// Returns false when nothing of the client's has come.
    private mutating func takeSpilled(_ flow: FlowID) -> Bool {
        guard !flows[flow].spill.isEmpty, let wanted = flows[flow].socks?.wanted else { return false }
        let first = spillPool.first(of: flows[flow].spill)
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: first.start, count: min(first.count, wanted)))
        flows[flow].socks?.take(bytes)
        spillPool.consume(bytes.count, of: &flows[flow].spill)
        credit(flow, bytes.count)
        wake(flows[flow].link)
        return true
    }

    /// The answer leaves in the flow's turn, as payload does.
    mutating func queueAnswer(_ flow: FlowID) {
        guard !flows[flow].awaitsWindow else { return }
        let link = flows[flow].link
        links[link].queue.add(flow, &flows[flow].standing)
        wake(link)
    }

    /// The turn of a flow with an answer for its client.
    mutating func pullAnswer(_ flow: FlowID, _ link: LinkSlot) -> Turn {
        let channel = flows[flow].channel
        guard let answer = flows[flow].socks?.takeAnswer(), !answer.isEmpty else {
            links[link].queue.forget(&flows[flow].standing)
            return .over
        }
        // Shorter than the shortest slot, or the window has nearly no room and a few bytes go at a time.
        let slots = links[link].engine.reserve(channel, maximum: answer.count)
        guard slots.count > 0 else {
            flows[flow].socks?.putBack(answer)
            if unsafe !links[link].engine.output.isEmpty {
                links[link].queue.putBack(flow, flows[flow].standing, sent: 0)
                return .outputIsFull
            }
            blockOnWindow(flow)
            return .over
        }
        let length = min(answer.count, slots.count == 1 ? slots.lastLength : slots.slotLength)
        unsafe answer.withUnsafeBytes { unsafe slots.first!.copyMemory(from: $0.baseAddress!, byteCount: length) }
        links[link].queue.forget(&flows[flow].standing)
        do throws(SSHError) { try links[link].engine.commit(channel, count: length) } catch {
            end(link, .lost(error.description))
            return .over
        }
        flows[flow].socks?.putBack(Array(answer.dropFirst(length)))
        continueChannelGreeting(flow)
        return .over
    }

    private mutating func dialRequested(_ flow: FlowID, _ request: SocksRequest) {
        guard case .forward(.reverse(let forward)) = flows[flow].purpose else { return }
        flows[flow].phase = .dialing
        guard reverseForwards[forward].permits(request) else {
            return refuseDialled(flow, "PermitRemoteOpen does not name it", .notAllowed)
        }
        beginDialling(flow)
        if let address = try? SocketAddress.resolve(host: request.host, port: request.port, numeric: true) {
            return dial(flow, address)
        }
        // A client at the server may ask for names that are never answered, as often as it likes.
        guard requestsResolving < context.limits.requestsResolving else {
            return refuseDialled(flow, "too many names are being looked up")
        }
        requestsResolving += 1
        let mailbox = context.mailboxes[id.number]
        let asker = flows[flow].peer.host
        context.requestResolver.look(up: request.host, port: request.port, asker: asker) { addresses, failure in
            mailbox.post(.resolvedRequest(flow: flow, addresses: addresses, failure: failure))
        }
    }

    mutating func requestResolved(_ flow: FlowID, _ addresses: [SocketAddress], _ failure: String) {
        requestsResolving -= 1
        guard flows.contains(flow), flows[flow].end == nil, flows[flow].phase == .dialing else { return }
        // The name in it is the client's.
        if addresses.isEmpty {
            refuseDialled(flow, PeerText(failure).description)
        } else {
            dial(flow, addresses)
        }
    }

    /// The target stands, or cannot be had: the client is told before anything else goes to it.
    mutating func concludeChannelGreeting(_ flow: FlowID, _ reply: SocksReply) {
        flows[flow].phase = .greeting
        flows[flow].socks?.conclude(reply)
        continueChannelGreeting(flow)
    }

    private mutating func openGreeted(_ flow: FlowID) {
        becomesOpen(flow)
        awaitReadable(flow)
        // What came behind the request, and perhaps its end.
        flowWritable(flow)
    }

    /// The client has been told; there is nothing else for it.
    private mutating func endGreeted(_ flow: FlowID) {
        links[flows[flow].link].engine.finish(flows[flow].channel)
        end(flow, .refused)
    }

    mutating func channelGreetingExpired(_ flow: FlowID) {
        // One that has asked, and whose answer waits for its turn, has said where to go.
        guard flows[flow].phase == .greeting, flows[flow].socks?.step == .needsBytes else { return }
        let forward = forwardText(flow)
        let why = "that did not say in SOCKS where to go within \(Int(context.limits.greeting.seconds)) s"
        context.journal.error(
            "\(forward): closed a client from \(flows[flow].peer.shown) \(why)",
            kind: "\(forward): closed a client \(why)")
        end(flow, .cut)
    }
}
