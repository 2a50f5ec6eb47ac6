internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// How flows begin: a connection here (`-L`), or one at the server (`-R`).
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    func forwardText(_ flow: FlowID) -> String {
        let text: String
        switch flows[flow].purpose {
        case .nextHop:
            let hop = links[flows[flow].link].hop
            return hop.map { "\($0.name): the way to \(Target.tcp(host: $0.host, port: $0.port))" } ?? ""
        case .forward(.direct(let number)): text = directForwards[number].text
        case .forward(.reverse(let number)): text = reverseForwards[number].text
        }
        return flows[flow].socks?.request.map { "\(text) to \($0)" } ?? text
    }

    /// With where it comes from.
    func flowText(_ flow: FlowID) -> String {
        let text = forwardText(flow)
        return flows[flow].purpose == .nextHop ? text : "\(text) from \(flows[flow].peer.shown)"
    }

    mutating func insertFlow(_ flow: consuming TunnelFlow) -> FlowID {
        let link = flow.link
        let channel = flow.channel
        let id = flows.add(flow)
        links[link].map(channel, to: id)
        links[link].closing = nil
        // Other workers' flows may have filled the memory: this one's window is not to grow then.
        if context.budget.isNear { limitWindows(link) }
        if case .pool(let id) = links[link].place { context.links[id.place].flowBegan() }
        return id
    }

    // MARK: A connection here (-L)

    mutating func beginDirectFlow(_ connection: IncomingConnection, link: LinkSlot) {
        let forward = connection.forward
        // A server may have filled the table with channels whose target is not reached yet.
        guard !flows.isFull else {
            context.journal.error("\(directForwards[forward].text): too many connections")
            return drop(connection)
        }
        let channel: ChannelNumber
        do throws(SSHError) { channel = try links[link].engine.open(openRequest(connection)) } catch {
            context.journal.error("\(directForwards[forward].text): \(error)")
            return drop(connection)
        }
        let flow = insertFlow(
            TunnelFlow(
                phase: .opening, link: link, channel: channel, socket: connection.descriptor,
                purpose: .forward(.direct(forward)), peer: connection.peer, arrival: connection.arrival,
                started: driver.now))
        flows[flow].sink = connection.sink
        flows[flow].isStandardStreams = directForwards[forward].isStandardStreams
        flows[flow].socks = connection.socks
        flows[flow].opening = connection.opening
        flows[flow].isLent = context.lender != nil
        // An engine may find by any call that an older request was never answered.
        links[link].needsEvents = true
        // A SOCKS client asks for names in most cases.
        let target = directForwards[forward].target
        channelAsked(link, byName: target == .requested || target.hasName)
    }

    private func openRequest(_ connection: IncomingConnection) -> ChannelOpenRequest {
        let peer = connection.peer
        func tcp(_ host: String, _ port: UInt16) -> ChannelOpenRequest {
            let hasAddress = !peer.isUnix && !peer.host.isEmpty
            return .directTCPIP(
                host: host, port: port, originator: hasAddress ? peer.host : "127.0.0.1",
                originatorPort: hasAddress ? peer.port : 0)
        }
        switch directForwards[connection.forward].target {
        case .tcp(let host, let port): return tcp(host, port)
        case .unix(let path): return .directStreamLocal(path: path)
        case .requested:
            guard let request = connection.socks?.request else { preconditionFailure("the client has been asked") }
            return tcp(request.host, request.port)
        }
    }

    /// What becomes of a connection of another process's is known, and nothing was said to it yet: from here on it is this
    /// process's alone, and ends with it.
    mutating func settleLent(_ flow: FlowID, isOpen: Bool) {
        guard flows[flow].isLent else { return }
        flows[flow].isLent = false
        context.lender?.settled(flows[flow].arrival, isOpen: isOpen)
    }

    mutating func channelOpened(_ flow: FlowID) {
        settleLent(flow, isOpen: true)
        becomesOpen(flow)
        flows[flow].dialling = nil
        flows[flow].opening.take()?.settle(true)
        if flows[flow].socks != nil, !answerSocket(flow, .granted) { return end(flow, .cut) }
        awaitReadable(flow)
    }

    /// Both ends stand.
    mutating func becomesOpen(_ flow: FlowID) {
        flows[flow].phase = .open
        guard let forward = forward(of: flow) else { return }
        tallies[forward].opened += 1
        tallies[forward].opening.add(driver.now - flows[flow].arrival.moment)
    }

    func openedSocket(_ flow: FlowID) -> Descriptor {
        guard let socket = flows[flow].socket else { preconditionFailure("an open flow has a socket") }
        return socket
    }

    mutating func awaitReadable(_ flow: FlowID) {
        driver.awaitReadable(openedSocket(flow), Token(.flowRead, flow))
    }

    mutating func channelRefused(_ flow: FlowID, _ reason: OpenFailure, _ words: PeerText) {
        let why: String
        switch reason {
        case .administrativelyProhibited:
            why = "the server forbids it (look at AllowTcpForwarding and PermitOpen in its sshd_config)"
        case .connectFailed: why = "the server could not connect to the target"
        case .unknownChannelType: why = "the server does not know this kind of channel"
        case .resourceShortage: why = "the server is short of resources"
        }
        settleLent(flow, isOpen: false)
        let words = words.description
        let kind = "\(forwardText(flow)): channel open failed: \(why)"
        let failure = words.isEmpty ? kind : "\(kind): \(words)"
        // Whoever logs in through a hop says what became of it.
        if let hop = links[flows[flow].link].hop {
            hop.path.fail(failure)
        } else {
            context.journal.error(failure, kind: kind)
        }
        // The number is free already: nothing is to be closed. What the client is told, it is to get.
        let isAnswered = flows[flow].socks != nil && answerSocket(flow, SocksReply(reason, PeerText(words)))
        end(flow, isAnswered ? .whole : .refused, channelIsGone: true)
    }

    // MARK: A connection at the server (-R)

    /// The server opens a channel for what nobody asked it to listen on, or says the place in a way that fits nothing.
    func tellUnasked(_ request: ChannelOpenRequest) {
        let place: String
        switch request {
        case .forwardedTCPIP(let address, let port, let originator, let originatorPort):
            place = "\(PeerText(address)):\(port) from \(PeerText(originator)):\(originatorPort)"
        case .forwardedStreamLocal(let path): place = "\(PeerText(path))"
        case .directTCPIP, .directStreamLocal: return
        }
        let why = "no forward of ours listens there"
        context.journal.error(
            "refused a connection at the server to \(place): \(why)", kind: "refused a connection at the server: \(why)"
        )
    }

    mutating func channelRequested(_ link: LinkSlot, _ channel: ChannelNumber) {
        let request = links[link].engine.openRequest(channel)
        let reverse = reverseForwards
        guard !isStopping, let forward = links[link].reverse.forward(of: request, listens: { reverse[$0].listen })
        else {
            if !isStopping, links[link].duty == .serving { tellUnasked(request) }
            links[link].engine.refuse(channel, .administrativelyProhibited, words: "no such forward was asked for")
            return
        }
        guard !flows.isFull else {
            return links[link].engine.refuse(channel, .resourceShortage, words: "too many connections")
        }
        var peer = SocketAddress()
        if case .forwardedTCPIP(_, _, let originator, let port) = request,
            let address = try? SocketAddress.resolve(host: originator, port: port, numeric: true).first
        {
            peer = address
        }
        let flow = insertFlow(
            TunnelFlow(
                phase: .dialing, link: link, channel: channel, socket: nil, purpose: .forward(.reverse(forward)),
                peer: peer, arrival: held.nextArrival(driver.now), started: driver.now))
        if reverseForwards[forward].target == .requested { return beginChannelGreeting(flow) }
        beginDialling(flow)
        guard let addresses = targets[forward.index].addresses(now: driver.now) else {
            targets[forward.index].waiting.append(flow)
            return lookUpTarget(forward)
        }
        dial(flow, addresses)
    }

    // MARK: Targets

    private mutating func lookUpTarget(_ forward: ReverseID) {
        guard !targets[forward.index].isAsked else { return }
        guard case .tcp(let host, let port) = targets[forward.index].target else {
            preconditionFailure("only names are looked up")
        }
        targets[forward.index].isAsked = true
        let mailbox = context.mailboxes[id.number]
        context.resolver.look(up: host, port: port) { addresses, failure in
            mailbox.post(.resolved(forward: forward, addresses: addresses, failure: failure))
        }
    }

    mutating func targetResolved(_ forward: ReverseID, _ addresses: [SocketAddress], _ failure: String) {
        for flow in targets[forward.index].learn(addresses, now: driver.now) {
            guard flows.contains(flow), flows[flow].end == nil, flows[flow].phase == .dialing else { continue }
            if addresses.isEmpty { refuseDialled(flow, failure) } else { dial(flow, addresses) }
        }
    }
}
