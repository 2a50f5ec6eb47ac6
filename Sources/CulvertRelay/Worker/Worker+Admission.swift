internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// How connections come in here, wait for a link, and find one.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func listen(_ descriptor: Descriptor, forward: DirectID) {
        guard !isStopping else { return driver.close(descriptor) }
        listeners.add(descriptor, forward: forward, &driver)
    }

    mutating func acceptConnections(_ listener: ListenerID) {
        for _ in 0..<Listeners.batch {
            if held.count >= context.limits.waiting { return pause(listener, "too many connections wait") }
            switch listeners.next(listener, context.limits, owed: owed, &driver) {
            case .connection(let descriptor, let peer): admit(descriptor, listener, peer)
            case .lastConnection(let descriptor, let peer):
                admit(descriptor, listener, peer)
                return pause(listener, "nearly every descriptor is in use")
            case .nothing: return listeners.await(listener, &driver)
            case .paused(let reason): return pause(listener, reason)
            }
        }
        listeners.await(listener, &driver)
    }

    /// Descriptors that accepted connections need elsewhere, as many as that process may have too.
    private var owed: Int {
        context.linksAreElsewhere ? context.links.reduce(0) { $0 + $1.flowCount } : 0
    }

    private mutating func admit(_ descriptor: Descriptor, _ listener: ListenerID, _ peer: SocketAddress) {
        route(
            IncomingConnection(
                descriptor, forward: listeners.forward(listener), peer: peer, arrival: held.nextArrival(driver.now)))
    }

    private mutating func pause(_ listener: ListenerID, _ reason: String) {
        guard listeners.pause(listener, driver.now, &timers) else { return }
        context.journal.error(
            Listeners.pausedText(directForwards[listeners.forward(listener)].text, reason, context.limits))
    }

    mutating func resumeAccepting(_ listener: ListenerID) {
        guard Listeners.hasRoom(context.limits, owed: owed, beside: context.mailboxes[id.number].descriptor) else {
            return pause(listener, "nearly every descriptor is in use")
        }
        acceptConnections(listener)
    }

    // MARK: Routing

    /// To the worker of the least loaded link; here, when that is this one. Behind those that wait already.
    mutating func route(_ connection: IncomingConnection) {
        guard held.isEmpty, let place = LinkStatus.leastLoaded(context.links) else { return hold(connection) }
        pass(connection, place: place)
    }

    private mutating func pass(_ connection: IncomingConnection, place: Int) {
        // What its client has said is read here: another process that dies with it could not give it back.
        if context.linksAreElsewhere, asksFirst(connection) { return beginGreeting(connection) }
        let worker = context.links[place].worker
        if worker == id { return carry(connection, place: place) }
        // Counted on its way, so that a burst does not all go to one.
        context.links[place].flowBegan()
        context.mailboxes[worker.number].post(.carry(connection, link: place))
    }

    /// Through the link that has that place in the pool now.
    mutating func carry(_ connection: IncomingConnection, place: Int) {
        guard !isStopping else { return drop(connection) }
        // Lost while the connection was on its way.
        guard let link = openLink(place) else { return hold(connection) }
        if asksFirst(connection) { beginGreeting(connection) } else { beginDirectFlow(connection, link: link) }
    }

    /// A client of a dynamic forward that has not said yet where it wants to go.
    private func asksFirst(_ connection: IncomingConnection) -> Bool {
        directForwards[connection.forward].target == .requested && connection.socks == nil
    }

    private func openLink(_ place: Int) -> LinkSlot? {
        var next = links.first()
        while let link = next {
            if links[link].poolID?.place == place, links[link].end == nil, !links[link].liveness.isSuspect,
                links[link].duty == .serving
            {
                return link
            }
            next = links.next(after: link)
        }
        return nil
    }

    /// Resets a connection that comes to nothing.
    mutating func drop(_ connection: IncomingConnection) {
        context.lender?.settled(connection.arrival, isOpen: false)
        tallies[.direct(connection.forward)].dropped += 1
        driver.resetOnClose(connection.descriptor)
        driver.close(connection.descriptor)
        if connection.sink != connection.descriptor { driver.close(connection.sink) }
        if directForwards[connection.forward].isStandardStreams {
            context.control.post(.streamsEnded(cleanly: false))
        }
    }

    // MARK: Waiting for a link

    mutating func hold(_ connection: IncomingConnection) {
        if let lender = context.lender, !isStopping { return giveBack(connection, to: lender) }
        guard context.limits.hold > .zero, !isStopping else { return drop(connection) }
        if let refusal { return refuse(connection, refusal) }
        let expires = driver.now + context.limits.hold
        held.add(connection, expires: expires)
        timers.add(expires, Token(.heldExpiry))
        startSweeping()
        context.control.post(.connectionWaits)
    }

    /// It waits where it came from, which has descriptors of it.
    private mutating func giveBack(_ connection: IncomingConnection, to lender: ConnectionLender) {
        driver.close(connection.descriptor)
        if connection.sink != connection.descriptor { driver.close(connection.sink) }
        lender.giveBack(connection.arrival)
    }

    /// Nothing has become of it elsewhere: it waits, unless another link stands.
    mutating func takeBack(_ connection: IncomingConnection) {
        hold(connection)
        serveHeld()
    }

    /// In the order in which they came, as long as there is a link. Nothing is carried out for clients that have gone
    /// while they waited: a close and a half-close cannot be told apart there. One that need not wait may end its direction
    /// as soon as it likes.
    mutating func serveHeld() {
        while !held.isEmpty, let place = LinkStatus.leastLoaded(context.links) {
            guard let connection = held.takeFirst() else { return }
            guard connection.isStandardStreams || !driver.peerHasGone(connection.descriptor) else {
                drop(connection)
                continue
            }
            pass(connection, place: place)
            // It came back at once: the link is not what its status says yet.
            if held.list.first?.connection.arrival == connection.arrival { return }
        }
    }

    mutating func expireHeld() {
        let now = driver.now
        for each in held.take(where: { $0.expires <= now }) {
            refuse(each.connection, "no link within \(Int(context.limits.hold.seconds)) s")
        }
    }

    private mutating func refuse(_ connection: IncomingConnection, _ reason: String) {
        let forward = directForwards[connection.forward].text
        context.journal.error(
            "closed a connection to \(forward) from \(connection.peer.shown): \(reason)",
            kind: "closed a connection to \(forward): \(reason)")
        drop(connection)
    }

    /// No link is to be had until a person has mended something: those that wait are told as well.
    mutating func setRefusal(_ reason: String?) {
        refusal = reason
        guard let reason else { return }
        for each in held.takeAll() { refuse(each.connection, reason) }
    }

    /// Those whose clients have gone are let go. Returns whether any still wait.
    mutating func sweepHeld() -> Bool {
        guard !held.isEmpty else { return false }
        var gone: [IncomingConnection] = []
        for each in held.list
        where !each.connection.isStandardStreams && driver.peerHasGone(each.connection.descriptor) {
            gone.append(each.connection)
        }
        let arrivals = Set(gone.map(\.arrival))
        _ = held.take { arrivals.contains($0.connection.arrival) }
        for connection in gone {
            context.journal.verbose(
                "dropped a connection to \(directForwards[connection.forward].text) from \(connection.peer.shown): its"
                    + " client has gone while it waited for a link")
            drop(connection)
        }
        return !held.isEmpty
    }
}
