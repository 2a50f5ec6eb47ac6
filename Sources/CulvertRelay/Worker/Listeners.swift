internal import CulvertIO
internal import CulvertPlan
internal import Glibc

/// A listening socket: one for each address of each forward.
struct Listener: SlabElement {
    typealias ID = ListenerID
    let descriptor: Descriptor
    let forward: DirectID
    var isPaused = false
    /// When that was last said: near a limit a listener pauses many times a second.
    var pauseTold: Tick?

    init(descriptor: Descriptor, forward: DirectID) {
        self.descriptor = descriptor
        self.forward = forward
    }
}

/// The listeners of one worker: what they accept, and when they do not.
struct Listeners: ~Copyable {
    /// What came of one look at a listener.
    enum Accepted {
        case connection(Descriptor, from: SocketAddress)
        /// One whose descriptor is nearly the last that there may be: no more after it for now.
        case lastConnection(Descriptor, from: SocketAddress)
        case nothing
        /// Not now; the reason, for a person, when it is news.
        case paused(String)
    }

    /// Accepts in one go before other work has its turn.
    static var batch: Int { 64 }
    private static var pauseSilence: Tick.Span { .seconds(10) }
    private static var pauseLength: Tick.Span { .milliseconds(100) }

    private(set) var slab: Slab<Listener>

    init(capacity: Int) { slab = Slab(capacity: capacity) }

    func id(_ token: Token) -> ListenerID? { slab.id(token) }
    func forward(_ id: ListenerID) -> DirectID { slab[id].forward }

    mutating func add<Driver: IODriver & ~Copyable>(
        _ descriptor: Descriptor, forward: DirectID, _ driver: inout Driver
    ) {
        // What dies without an end of its own is reset: connections inherit it, from `Listening` on.
        driver.resetOnClose(descriptor)
        let id = slab.add(Listener(descriptor: descriptor, forward: forward))
        driver.awaitReadable(descriptor, Token(.listener, id))
    }

    /// `owed`: descriptors that connections which were accepted before will need yet.
    mutating func next<Driver: IODriver & ~Copyable>(
        _ id: ListenerID, _ limits: RelayLimits, owed: Int, _ driver: inout Driver
    ) -> Accepted {
        while true {
            var peer = SocketAddress()
            let result = driver.accept(slab[id].descriptor, peer: &peer)
            if result >= 0 {
                let isLast = result + owed >= limits.descriptors - limits.reservedDescriptors
                return isLast
                    ? .lastConnection(Descriptor(result), from: peer) : .connection(Descriptor(result), from: peer)
            }
            switch -Int32(result) {
            case EAGAIN: return .nothing
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .paused(errorText(-Int32(result)))
            // The connection was gone before it was accepted (ECONNABORTED and the network's errors, accept(2)).
            default: continue
            }
        }
    }

    mutating func await<Driver: IODriver & ~Copyable>(_ id: ListenerID, _ driver: inout Driver) {
        slab[id].isPaused = false
        driver.awaitReadable(slab[id].descriptor, Token(.listener, id))
    }

    /// The kernel's backlog holds new connections meanwhile. Returns whether that is to be said: one line when it begins,
    /// not one for each try.
    mutating func pause(_ id: ListenerID, _ now: Tick, _ timers: inout TimerQueue) -> Bool {
        let isNews = slab[id].pauseTold.map { now - $0 >= Self.pauseSilence } ?? true
        let says = !slab[id].isPaused && isNews
        if says { slab[id].pauseTold = now }
        slab[id].isPaused = true
        timers.add(now + Self.pauseLength, Token(.acceptAgain, id))
        return says
    }

    /// For a person: why a listener pauses.
    static func pausedText(_ forward: String, _ reason: String, _ limits: RelayLimits) -> String {
        "not accepting on \(forward) for now: \(reason) (open files are limited to \(limits.descriptors))"
    }

    /// One for each forward, though it may have two sockets.
    func report() -> [ListenerReport] {
        var reports: [ListenerReport] = []
        var next = slab.first()
        while let id = next {
            next = slab.next(after: id)
            let one = ListenerReport(forward: slab[id].forward, isPaused: slab[id].isPaused)
            if !reports.contains(one) { reports.append(one) }
        }
        return reports
    }

    /// Whether there is room for another descriptor: one more at each try would use up the reserve in seconds.
    /// `other`: any open descriptor. `owed`: as for `next`.
    static func hasRoom(_ limits: RelayLimits, owed: Int, beside other: Descriptor) -> Bool {
        let lowestFree = fcntl(other, F_DUPFD_CLOEXEC, 0)
        guard lowestFree >= 0 else { return false }
        SocketOption.close(lowestFree)
        return Int(lowestFree) + owed < limits.descriptors - limits.reservedDescriptors
    }

    /// Of one forward. Returns whether there was any.
    mutating func close<Driver: IODriver & ~Copyable>(_ forward: DirectID, _ driver: inout Driver) -> Bool {
        var hasAny = false
        var next = slab.first()
        while let id = next {
            next = slab.next(after: id)
            guard slab[id].forward == forward else { continue }
            driver.close(slab.remove(id).descriptor)
            hasAny = true
        }
        return hasAny
    }

    mutating func closeAll<Driver: IODriver & ~Copyable>(_ driver: inout Driver) {
        var next = slab.first()
        while let id = next {
            next = slab.next(after: id)
            driver.close(slab.remove(id).descriptor)
        }
    }
}
