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

/// A connection to a local port that waits for a link.
struct WaitingConnection {
    let descriptor: Descriptor
    let forward: Int
    let peer: SocketAddress
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
                route(Descriptor(result), forward: listener.forward, peer: peer)
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
    private mutating func route(_ descriptor: Descriptor, forward: Int, peer: SocketAddress) {
        guard !context.links.isEmpty else {
            let worker = LinkStatus.leastLoaded(context.loads) ?? number
            return pass(descriptor, forward, peer, link: nil, to: worker)
        }
        guard let link = LinkStatus.leastLoaded(context.links) else { return hold(descriptor, forward, peer) }
        pass(descriptor, forward, peer, link: link, to: context.links[link].worker)
    }

    private mutating func pass(
        _ descriptor: Descriptor, _ forward: Int, _ peer: SocketAddress, link: Int?, to worker: Int
    ) {
        if worker == number { return carry(descriptor, forward: forward, peer: peer, link: link) }
        context.announced(link, worker: worker).flowBegan()
        context.mailboxes[worker].post(.carry(descriptor, forward: forward, peer: peer, link: link))
    }

    mutating func carry(_ descriptor: Descriptor, forward: Int, peer: SocketAddress, link: Int?) {
        guard let link else { return beginPlainFlow(descriptor, forward: forward, peer: peer) }
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].index == link {
            if !links[slot].isSuspect && !links[slot].isRetired {
                return beginDirectFlow(descriptor, forward: forward, peer: peer, link: slot)
            }
        }
        // Lost while the connection was on its way.
        hold(descriptor, forward, peer)
    }

    // MARK: Waiting for a link

    mutating func hold(_ descriptor: Descriptor, _ forward: Int, _ peer: SocketAddress) {
        guard context.limits.hold > .zero, !isStopping else {
            driver.resetOnClose(descriptor)
            return driver.close(descriptor)
        }
        let expires = driver.now + context.limits.hold
        waiting.append(WaitingConnection(descriptor: descriptor, forward: forward, peer: peer, expires: expires))
        timers.add(expires, Self.token(.waitingExpiry, 0, 1))
        context.control.post(.connectionWaits)
    }

    mutating func serveWaiting() {
        guard !waiting.isEmpty, LinkStatus.leastLoaded(context.links) != nil else { return }
        let ready = waiting
        waiting = []
        for connection in ready { route(connection.descriptor, forward: connection.forward, peer: connection.peer) }
    }

    mutating func expireWaiting() {
        let now = driver.now
        guard waiting.contains(where: { $0.expires <= now }) else { return }
        for connection in waiting where connection.expires <= now {
            context.journal.error(
                "closed a connection to \(context.forwards[connection.forward].text) from \(connection.peer):"
                    + " no link within \(Int(context.limits.hold.seconds)) s")
            driver.resetOnClose(connection.descriptor)
            driver.close(connection.descriptor)
        }
        waiting.removeAll { $0.expires <= now }
    }
}
