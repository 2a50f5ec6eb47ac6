internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// A listening socket: one for each address of each forward.
struct Listener: BitwiseCopyable {
    let descriptor: Descriptor
    let forward: Int
    var isPaused = false
    /// When that was last said: near a limit a listener pauses many times a second.
    var pauseTold: Tick?
}

/// A connection that came in here and has no flow yet.
struct IncomingConnection: Sendable {
    let descriptor: Descriptor
    /// Written to: the same, but for standard input and output.
    let sink: Descriptor
    let forward: Int
    let peer: SocketAddress
    /// Of a dynamic forward, once the client has asked.
    var socks: SocksNegotiation?

    init(
        _ descriptor: Descriptor, sink: Descriptor? = nil, forward: Int, peer: SocketAddress,
        socks: SocksNegotiation? = nil
    ) {
        self.descriptor = descriptor
        self.sink = sink ?? descriptor
        self.forward = forward
        self.peer = peer
        self.socks = socks
    }
}

/// A connection that waits for a link.
struct WaitingConnection {
    let connection: IncomingConnection
    let expires: Tick
}

extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Accepts in one go before other work has its turn.
    private static var acceptBatch: Int { 64 }
    private static var pauseSilence: Tick.Span { .seconds(10) }

    mutating func listen(_ descriptor: Descriptor, forward: Int) {
        let slot = listeners.insert(Listener(descriptor: descriptor, forward: forward))
        driver.awaitReadable(descriptor, Self.token(.listener, slot, listeners.generation(slot)))
    }

    mutating func acceptConnections(_ slot: Int) {
        let listener = listeners[slot]
        for _ in 0..<Self.acceptBatch {
            if waiting.count >= context.limits.waiting { return pause(slot, "too many connections wait") }
            var peer = SocketAddress()
            let result = driver.accept(listener.descriptor, peer: &peer)
            if result >= 0 {
                route(IncomingConnection(Descriptor(result), forward: listener.forward, peer: peer))
                if result >= context.limits.descriptors - context.limits.reservedDescriptors {
                    return pause(slot, "nearly every descriptor is in use")
                }
                continue
            }
            switch -Int32(result) {
            case EAGAIN: return awaitConnections(slot)
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return pause(slot, errorText(-Int32(result)))
            // The connection was gone before it was accepted (ECONNABORTED and the network's errors, accept(2)).
            default: continue
            }
        }
        awaitConnections(slot)
    }

    private mutating func awaitConnections(_ slot: Int) {
        listeners[slot].isPaused = false
        driver.awaitReadable(
            listeners[slot].descriptor, Self.token(.listener, slot, listeners.generation(slot)))
    }

    /// The kernel's backlog holds new connections meanwhile. One line when it begins, not one for each try.
    private mutating func pause(_ slot: Int, _ reason: String) {
        let isNews = listeners[slot].pauseTold.map { driver.now - $0 >= Self.pauseSilence } ?? true
        if !listeners[slot].isPaused && isNews {
            listeners[slot].pauseTold = driver.now
            context.journal.error(
                "not accepting on \(context.forwards[listeners[slot].forward].text) for now: \(reason)"
                    + " (open files are limited to \(context.limits.descriptors))")
        }
        listeners[slot].isPaused = true
        timers.add(
            driver.now + .milliseconds(100), Self.token(.acceptAgain, slot, listeners.generation(slot)))
    }

    /// Accepts only where there is room: one more at each try would use up the reserve in seconds.
    mutating func resumeAccepting(_ slot: Int) {
        let lowestFree = fcntl(context.mailboxes[number].descriptor, F_DUPFD_CLOEXEC, 0)
        if lowestFree >= 0 { SocketOption.close(lowestFree) }
        guard lowestFree >= 0, lowestFree < context.limits.descriptors - context.limits.reservedDescriptors else {
            return pause(slot, "nearly every descriptor is in use")
        }
        acceptConnections(slot)
    }

    // MARK: Routing

    /// To the worker of the least loaded link, or the least loaded worker; here, when that is this one.
    mutating func route(_ connection: IncomingConnection) {
        guard !context.links.isEmpty else {
            return pass(connection, link: nil, to: LinkStatus.leastLoaded(context.loads) ?? number)
        }
        guard let link = LinkStatus.leastLoaded(context.links) else { return hold(connection) }
        pass(connection, link: link, to: context.links[link].worker.number)
    }

    private mutating func pass(_ connection: IncomingConnection, link: Int?, to worker: Int) {
        if worker == number { return carry(connection, link: link) }
        context.announced(link, worker: worker).flowBegan()
        context.mailboxes[worker].post(.carry(connection, link: link))
    }

    mutating func carry(_ connection: IncomingConnection, link: Int?) {
        guard let link else {
            return beginPlainFlow(connection.descriptor, forward: connection.forward, peer: connection.peer)
        }
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].place == link {
            if !links[slot].isSuspect && !links[slot].isRetired {
                let asksFirst = context.forwards[connection.forward].target == .requested && connection.socks == nil
                return asksFirst ? beginGreeting(connection) : beginDirectFlow(connection, link: slot)
            }
        }
        // Lost while the connection was on its way.
        hold(connection)
    }

    /// Resets a connection that comes to nothing.
    mutating func drop(_ connection: IncomingConnection) {
        driver.resetOnClose(connection.descriptor)
        driver.close(connection.descriptor)
        if connection.sink != connection.descriptor { driver.close(connection.sink) }
        if context.forwards[connection.forward].isStandardStreams {
            context.control.post(.streamsEnded(cleanly: false))
        }
    }

    // MARK: Waiting for a link

    mutating func hold(_ connection: IncomingConnection) {
        guard context.limits.hold > .zero, !isStopping else { return drop(connection) }
        let expires = driver.now + context.limits.hold
        waiting.append(WaitingConnection(connection: connection, expires: expires))
        timers.add(expires, Self.token(.waitingExpiry, 0, 1))
        context.control.post(.connectionWaits)
    }

    mutating func serveWaiting() {
        guard !waiting.isEmpty, LinkStatus.leastLoaded(context.links) != nil else { return }
        let ready = waiting
        waiting = []
        for each in ready { route(each.connection) }
    }

    mutating func expireWaiting() {
        let now = driver.now
        guard waiting.contains(where: { $0.expires <= now }) else { return }
        for each in waiting where each.expires <= now {
            context.journal.error(
                "closed a connection to \(context.forwards[each.connection.forward].text) from"
                    + " \(each.connection.peer): no link within \(Int(context.limits.hold.seconds)) s")
            drop(each.connection)
        }
        waiting.removeAll { $0.expires <= now }
    }
}
