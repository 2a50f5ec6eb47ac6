internal import CulvertIO
internal import CulvertSSH

/// What the workers of one process share.
struct WorkerContext<Engine: SSHEngine & ~Copyable>: Sendable {
    let forwards: [LocalForward]
    let reverse: [ReverseForward]
    let links: [LinkStatus]
    let mailboxes: [Mailbox<WorkerMessage<Engine>>]
    /// Flows on each worker, for spreading relayed connections.
    let loads: [LinkStatus]
    let control: Mailbox<ControlMessage>
    let budget: MemoryBudget
    let resolver: Resolver
    /// For the names that SOCKS clients at the server ask for: those that nobody answers may not hold up the others.
    let requestResolver: Resolver
    let journal: Journal
    let limits: RelayLimits
    let alive: KeepAlive

    /// What counts a connection on its way to another worker, so that a burst does not all go to one.
    func announced(_ link: Int?, worker: Int) -> LinkStatus { link.map { links[$0] } ?? loads[worker] }
}

/// Limits, each with its reason.
struct RelayLimits: Sendable {
    /// How long a connection to a local port waits for a link before it is closed.
    var hold = Tick.Span.seconds(30)
    /// Connections that wait at once, a worker: beyond it the kernel's backlog holds them.
    var waiting = 4096
    /// Descriptors kept for culvert itself, so that a link can be made again however many flows there are.
    var reservedDescriptors = 64
    /// The process's limit of open files.
    var descriptors = 1024
    /// A SOCKS client has said where it wants to go within this long, or is closed: programs say it at once, and a
    /// connection that never does must not keep a descriptor.
    var greeting = Tick.Span.seconds(10)
    /// A target that does not answer is given up after this long.
    var dial = Tick.Span.seconds(60)
    /// A later key exchange that takes longer ends the link: nothing else is carried meanwhile, so a server that does
    /// not finish one would stop the link, however much it says.
    var keyExchange = Tick.Span.seconds(30)
    /// Each link has its server run `true`, so that it sends small packets at once.
    var serverSendsAtOnce = false

    /// Names that SOCKS clients at the server asked for, being looked up at once, a worker.
    var requestsResolving = 64

    /// With as many open files as the process may have.
    static func ofProcess() -> RelayLimits {
        var limits = RelayLimits()
        limits.descriptors = HostProcess.raiseDescriptorLimit()
        return limits
    }
}

/// The times of the links to one server: when a silent one is asked whether it lives, and when it is given up
/// (ServerAliveInterval, ServerAliveCountMax); and how old its keys may become.
struct KeepAlive: Sendable {
    /// Zero: never asked.
    var interval = Tick.Span.seconds(15)
    var countMaximum = 3
    /// A question unanswered for this long makes a link suspect: a second one is tried beside it.
    var suspicion = Tick.Span.seconds(2)
    /// RekeyLimit's time; nil: keys do not age.
    var rekeyInterval: Tick.Span?
}

extension KeepAlive {
    init(_ server: ServerSettings) {
        interval = server.aliveInterval.map { Tick.Span($0) } ?? .zero
        countMaximum = server.aliveCountMaximum
        rekeyInterval = server.algorithms.rekeyInterval.map { Tick.Span($0) }
    }
}

/// What a token's operation means to a worker.
enum Operation: UInt8 {
    case mailbox = 1
    case listener
    case clientRead
    case targetRead
    case clientWrite
    case targetWrite
    case flowRead
    case flowWrite
    case linkRead
    case linkWrite
    case greetingRead
    // Timers.
    case greetingExpiry
    case channelGreetingExpiry
    case closeExpiry
    case dialExpiry
    case plainDialExpiry
    case acceptAgain
    case waitingExpiry
    case linkLiveness
    case linkRest
    case linkAcknowledgement
    case sweep
}

/// One thread's whole world: a driver, and the listeners, links and flows that it serves. Nothing here is shared; a
/// worker lives in its thread's frame and talks to others by mailbox.
struct Worker<Driver: IODriver & ~Copyable, Engine: SSHEngine & ~Copyable>: ~Copyable {
    let number: Int
    let context: WorkerContext<Engine>
    var driver: Driver
    var listeners: Slab<Listener>
    var plainFlows: Slab<PlainFlow>
    var tunnelFlows: Slab<TunnelFlow>
    var links: Slab<Link<Engine>>
    var greetings: Slab<SocksGreeting>
    /// Names that clients at the server asked for, being looked up.
    var requestsResolving = 0
    var spillPool: SpillPool
    /// Payload of one flow, opened in place, that leaves in one send.
    var gathered = RangeList()
    var gatheredFlow = -1
    var timers = TimerQueue()
    var waiting: [WaitingConnection] = []
    var directTargets: [TargetCache]
    var reverseTargets: [TargetCache]
    var isSweeping = false
    /// False while memory is short.
    var windowsMayGrow = true
    var isStopping = false
    var hasStopped = false

    /// Links that one worker may serve: the longest pool, and those that it has replaced and that still have flows.
    static var maximumLinks: Int { 1024 }

    init(number: Int, driver: consuming Driver, context: WorkerContext<Engine>) {
        self.number = number
        self.context = context
        self.driver = driver
        // A flow has one descriptor at least, so the descriptors bound every table.
        let descriptors = context.limits.descriptors
        listeners = Slab(capacity: max(1, descriptors))
        plainFlows = Slab(capacity: max(1, descriptors))
        tunnelFlows = Slab(capacity: max(1, descriptors * 2))
        links = Slab(capacity: Self.maximumLinks)
        greetings = Slab(capacity: max(1, descriptors))
        spillPool = SpillPool(budget: context.budget)
        directTargets = context.forwards.map { TargetCache($0.target) }
        reverseTargets = context.reverse.map { TargetCache($0.target) }
        self.driver.awaitReadable(context.mailboxes[number].descriptor, Self.token(.mailbox, 0, 1))
    }

    static func token(_ operation: Operation, _ slot: Int, _ generation: UInt32) -> Token {
        Token(operation: operation.rawValue, slot: slot, generation: generation)
    }

    /// Turns until stopped.
    mutating func run() throws(IOError) {
        while !hasStopped { try turnOnce() }
    }

    /// Waits, handles everything that completed, then lets every link send.
    @inline(never)
    mutating func turnOnce() throws(IOError) {
        try driver.turn(until: anyLinkHasWork() ? Tick(nanoseconds: 0) : timers.soonest)
        while let completion = driver.next() { handle(completion) }
        while let due = timers.takeDue(driver.now) { expire(due) }
        pumpLinks()
    }

    @inline(never)
    mutating func handle(_ completion: Completion) {
        guard let operation = Operation(rawValue: completion.token.operation) else {
            preconditionFailure("every token is made by this worker")
        }
        let slot = completion.token.slot
        switch operation {
        case .clientRead, .targetRead:
            guard plainFlows.isCurrent(completion.token) else { return discard(completion) }
            plainRead(slot, end: operation == .clientRead ? 0 : 1, completion)
        case .clientWrite, .targetWrite:
            guard plainFlows.isCurrent(completion.token) else { return }
            plainWritable(slot, end: operation == .clientWrite ? 0 : 1)
        case .flowRead:
            guard tunnelFlows.isCurrent(completion.token) else { return }
            flowReadable(slot)
        case .flowWrite:
            guard tunnelFlows.isCurrent(completion.token) else { return }
            flowWritable(slot)
        case .linkRead:
            guard links.isCurrent(completion.token) else { return }
            linkReadable(slot)
        case .linkWrite:
            guard links.isCurrent(completion.token) else { return }
            links[slot].awaitsWritable = false
            links[slot].needsPump = true
        case .listener:
            guard listeners.isCurrent(completion.token) else { return }
            acceptConnections(slot)
        case .mailbox:
            driver.awaitReadable(context.mailboxes[number].descriptor, completion.token)
            readMailbox()
        case .greetingRead:
            guard greetings.isCurrent(completion.token) else { return }
            greetingReadable(slot)
        case .greetingExpiry, .channelGreetingExpiry, .closeExpiry, .dialExpiry, .plainDialExpiry, .acceptAgain,
            .waitingExpiry, .linkLiveness, .linkRest, .linkAcknowledgement, .sweep:
            preconditionFailure("timers do not complete as operations")
        }
    }

    private mutating func discard(_ completion: Completion) {
        if !completion.slot.isNone { driver.release(completion.slot) }
    }

    private mutating func expire(_ token: Token) {
        switch Operation(rawValue: token.operation) {
        case .greetingExpiry: if greetings.isCurrent(token) { greetingExpired(token.slot) }
        case .channelGreetingExpiry: if tunnelFlows.isCurrent(token) { channelGreetingExpired(token.slot) }
        case .closeExpiry: if tunnelFlows.isCurrent(token) { closeExpired(token.slot) }
        case .dialExpiry: if tunnelFlows.isCurrent(token) { dialExpired(token.slot) }
        case .plainDialExpiry: if plainFlows.isCurrent(token) { plainDialExpired(token.slot) }
        case .acceptAgain: if listeners.isCurrent(token) { resumeAccepting(token.slot) }
        case .waitingExpiry: expireWaiting()
        case .linkLiveness: if links.isCurrent(token) { checkLink(token.slot) }
        case .linkRest: if links.isCurrent(token) { linkReadable(token.slot) }
        case .linkAcknowledgement: if links.isCurrent(token) { acknowledge(token.slot) }
        case .sweep: sweep()
        default: preconditionFailure("only timers expire")
        }
    }

    private mutating func readMailbox() {
        for message in context.mailboxes[number].takeAll() {
            switch message {
            case .listen(let descriptor, let forward): listen(descriptor, forward: forward)
            case .carry(let connection, let link):
                context.announced(link, worker: number).flowEnded()
                carry(connection, link: link)
            case .link(let parcel, let id, let reverse): addLink(parcel.take(), id, reverse: reverse)
            case .hop(let parcel, let hop, let channel): addHop(parcel.take(), hop, channel: channel.take().release())
            case .linksChanged: serveWaiting()
            case .resolved(let forward, let addresses, let failure):
                targetResolved(forward, addresses, failure)
            case .resolvedRequest(let flow, let addresses, let failure): requestResolved(flow, addresses, failure)
            case .probe: probeLinks()
            case .snapshot: context.control.post(.snapshot(WorkerID(number), snapshot()))
            case .stop: stop()
            }
        }
    }

    private mutating func stop() {
        isStopping = true
        for slot in 0..<listeners.highWater where listeners.isUsed(slot) {
            driver.close(listeners[slot].descriptor)
            _ = listeners.remove(slot)
        }
        for each in waiting {
            driver.close(each.connection.descriptor)
            if each.connection.sink != each.connection.descriptor { driver.close(each.connection.sink) }
        }
        waiting = []
        for slot in 0..<greetings.highWater where greetings.isUsed(slot) { endGreeting(slot) }
        for slot in 0..<links.highWater where links.isUsed(slot) && links[slot].hop == nil { sayGoodbye(slot) }
        endHops()
        for slot in 0..<plainFlows.highWater where plainFlows.isUsed(slot) { endPlainFlow(slot, reset: true) }
        hasStopped = true
    }

    /// Something is stalled: look at it twice a second until nothing is.
    mutating func startSweeping() {
        guard !isSweeping else { return }
        isSweeping = true
        timers.add(driver.now + .milliseconds(500), Self.token(.sweep, 0, 1))
    }
}
