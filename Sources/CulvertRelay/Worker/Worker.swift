internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// One thread's whole world: a driver, and the listeners, links and flows that it serves. Nothing here is shared; a
/// worker lives in its thread's frame and talks to others by mailbox.
///
/// One way to die: what is over is marked (`end(flow:)`, `end(link:)`, `Deliveries`) and named by no event any more; it
/// stays in its slab until `reap`, once a turn, closes, counts, tells and frees. So nothing that a call-back still holds
/// is gone when the call returns.
struct Worker<Driver: IODriver & ~Copyable, Engine: SSHEngine & ~Copyable>: ~Copyable {
    let id: WorkerID
    let context: WorkerContext<Engine>
    var driver: Driver
    /// Of the tunnel, by their names: those of its plan, and those that were added since.
    var directForwards: [LocalForward]
    var reverseForwards: [ReverseForward]
    var listeners: Listeners
    var flows: Slab<TunnelFlow>
    var links: Slab<Link<Engine>>
    var greetings: Slab<SocksGreeting>
    var deliveries: Deliveries
    var dials: Dials<FlowID>
    var spillPool: SpillPool
    /// Payload of one flow, opened in place, that leaves in one send.
    var gathered = RangeList()
    var gatheredFlow: FlowID?
    var timers = TimerQueue()
    /// Connections that wait for a link.
    var held = HeldConnections()
    /// Why nothing is to wait for a link now.
    var refusal: String?
    /// Of the reverse forwards, by their number.
    var targets: [TargetCache<FlowID>]
    /// Where the server listened last, for those that leave it the choice. A forward always belongs to the same worker.
    var chosenPorts: [ReverseID: UInt16] = [:]
    /// Of the destination, as its links have shown it.
    var serverHabit: Liveness.Habit = Engine.tellsAnswers ? .unknown : .answers
    /// Names that clients at the server asked for, being looked up.
    var requestsResolving = 0
    /// Links that have work.
    var ready = RingQueue<LinkSlot>()
    /// What is over and not freed yet.
    var endedFlows: [FlowID] = []
    var endedLinks: [LinkSlot] = []
    var isSweeping = false
    /// False while memory is short.
    var windowsMayGrow = true
    /// What other workers know of the flow here that holds most.
    var published: HoldRank?
    /// What became of the connections of each forward.
    var tallies = ForwardTallies()
    /// Of links that have ended, those to jump hosts left out.
    var carriedBefore = LinkTotals()
    /// When another worker was last asked to give memory.
    var reliefAsked: Tick?
    /// Told to stop: by then everything is ended.
    var stopDeadline: Tick?
    /// What the last words of links over hops may take when it stops; a login that goes on there is not waited for.
    var hopDeadline = Tick.distantFuture
    private static var lastWords: Tick.Span { .milliseconds(200) }
    var hasStopped = false

    /// Links that one worker may serve: the longest pool, and those that it has replaced and that still have flows. There
    /// is room for as many again, since what is given up for a new one is freed after the turn.
    static var maximumLinks: Int { 1024 }

    init(_ id: WorkerID, driver: consuming Driver, context: WorkerContext<Engine>) {
        self.id = id
        self.context = context
        self.driver = driver
        // A flow has one descriptor at least, so the descriptors bound every table.
        let descriptors = max(1, context.limits.descriptors)
        directForwards = context.forwards
        reverseForwards = context.reverse
        listeners = Listeners(capacity: descriptors)
        flows = Slab(capacity: descriptors * 2)
        links = Slab(capacity: Self.maximumLinks * 2)
        greetings = Slab(capacity: descriptors)
        deliveries = Deliveries(capacity: descriptors)
        dials = Dials(
            capacity: descriptors * 2,
            descriptorLimit: context.limits.descriptors - context.limits.reservedDescriptors)
        spillPool = SpillPool(budget: context.budget)
        targets = reverseForwards.map { TargetCache($0.target) }
        chosenPorts = context.chosenPorts
        self.driver.awaitReadable(context.mailboxes[id.number].descriptor, Token(.mailbox))
    }

    var isStopping: Bool { stopDeadline != nil }

    // MARK: The loop

    /// Turns until stopped.
    mutating func run() throws(IOError) {
        while !hasStopped { try turnOnce() }
    }

    /// Waits, handles everything that completed, lets every link send, and frees what is over.
    @inline(never)
    mutating func turnOnce() throws(IOError) {
        try driver.turn(until: ready.isEmpty ? timers.soonest : Tick(nanoseconds: 0))
        while let completion = driver.next() { handle(completion) }
        while let due = timers.takeDue(driver.now) { expire(due) }
        pumpLinks()
        if context.budget.isOver { relieveMemory() }
        reap()
    }

    @inline(never)
    mutating func handle(_ completion: Completion) {
        guard let operation = Operation(rawValue: completion.token.operation) else {
            preconditionFailure("every token is made by this worker")
        }
        let token = completion.token
        switch operation {
        case .flowRead: if let flow = live(flow: token) { flowReadable(flow) }
        case .flowWrite: if let flow = live(flow: token) { flowWritable(flow) }
        case .linkRead: if let link = live(link: token) { linkReadable(link) }
        case .linkWrite:
            guard let link = live(link: token) else { return }
            links[link].awaitsWritable = false
            wake(link)
        case .dialWrite: if let dial = dials.id(token) { dialEnded(dial) }
        case .deliveryRead:
            if let each = deliveries.slab.id(token) { deliveries.readable(each, &driver, &spillPool, &timers) }
        case .deliveryWrite:
            if let each = deliveries.slab.id(token) { deliveries.writable(each, &driver, &spillPool, &timers) }
        case .listener: if let listener = listeners.id(token) { acceptConnections(listener) }
        case .greetingRead: if let greeting = greetings.id(token) { greetingReadable(greeting) }
        case .mailbox:
            driver.awaitReadable(context.mailboxes[id.number].descriptor, token)
            readMailbox()
        case .clientRead, .targetRead, .clientWrite, .targetWrite:
            preconditionFailure("a tunnel's worker has no plain flows")
        case .greetingExpiry, .channelGreetingExpiry, .dialStep, .acceptAgain, .heldExpiry, .linkCheck, .linkRest,
            .linkAcknowledgement, .deliveryCheck, .restCheck, .sweep, .drainEnd:
            preconditionFailure("timers do not complete as operations")
        }
    }

    private mutating func expire(_ token: Token) {
        switch Operation(rawValue: token.operation) {
        case .greetingExpiry: if let greeting = greetings.id(token) { greetingExpired(greeting) }
        case .channelGreetingExpiry: if let flow = live(flow: token) { channelGreetingExpired(flow) }
        case .dialStep: if let flow = live(flow: token) { proceedDial(flow) }
        case .acceptAgain: if let listener = listeners.id(token) { resumeAccepting(listener) }
        case .heldExpiry: expireHeld()
        case .linkCheck: if let link = live(link: token) { check(link) }
        case .linkRest: if let link = live(link: token) { linkReadable(link) }
        case .linkAcknowledgement: if let link = live(link: token) { acknowledge(link) }
        case .deliveryCheck:
            if let each = deliveries.slab.id(token) { deliveries.check(each, &driver, &spillPool, &timers) }
        case .restCheck: if let flow = live(flow: token) { checkRest(flow) }
        case .sweep: sweep()
        // `reap` looks at the time.
        case .drainEnd: break
        default: preconditionFailure("only timers expire")
        }
    }

    // Mutating, though they change nothing: a borrowed worker would be copied to the stack at each call.

    /// The flow that a token was made for, unless it is over.
    private mutating func live(flow token: Token) -> FlowID? {
        guard let flow = flows.id(token), flows[flow].end == nil else { return nil }
        return flow
    }

    /// The link that a token was made for, unless it is over.
    private mutating func live(link token: Token) -> LinkSlot? {
        guard let link = links.id(token), links[link].end == nil else { return nil }
        return link
    }

    private mutating func readMailbox() {
        for message in context.mailboxes[id.number].takeAll() {
            switch message {
            case .listen(let descriptor, let forward): listen(descriptor, forward: forward)
            case .carry(let connection, let place):
                context.links[place].flowEnded()
                carry(connection, place: place)
            case .takeBack(let connection): takeBack(connection)
            case .link(let parcel, let id, let reverse): addLink(parcel.take(), id, reverse: reverse)
            case .hop(let parcel, let hop, let channel): addHop(parcel.take(), hop, channel: channel.take().release())
            case .linksChanged: serveHeld()
            case .resolved(let forward, let addresses, let failure): targetResolved(forward, addresses, failure)
            case .resolvedRequest(let flow, let addresses, let failure): requestResolved(flow, addresses, failure)
            case .proveHostKeys(let link, let keys): proveHostKeys(link, keys)
            case .probe: askLinks()
            case .refuse(let reason): setRefusal(reason)
            case .giveMemory: giveMemory()
            case .ping: context.lender?.answer(by: id)
            case .learnDirect(let id, let forward): learn(id, forward)
            case .learnReverse(let id, let forward): learn(id, forward)
            case .closeListeners(let forward): closeListeners(forward)
            case .askReverse(let link, let forward): askReverse(link, forward)
            case .cancelReverse(let forward): cancelReverse(forward)
            case .report: context.control.post(.reported(id, report()))
            case .stop(let drain): stop(drain: drain)
            }
        }
    }

    // MARK: The end

    /// Closes, counts, tells and frees what is over. The only place where anything is freed.
    private mutating func reap() {
        repeat {
            while !endedFlows.isEmpty || !endedLinks.isEmpty || !deliveries.over.isEmpty {
                for flow in endedFlows { free(flow: flow) }
                endedFlows.removeAll(keepingCapacity: true)
                let over = endedLinks
                endedLinks = []
                for link in over { free(link: link) }
                reapDeliveries()
            }
        } while stopDeadline.map { proceedStop($0) } ?? false
    }

    private mutating func reapDeliveries() {
        let journal = context.journal
        deliveries.reap(&driver, &spillPool) { name, verdict in
            if verdict == .cut { journal.verbose("\(name): cut short, its reader has gone or takes nothing") }
        }
    }

    /// Nothing new is served. What came whole is delivered, until the drain is over; the rest is reset at once.
    private mutating func stop(drain: Tick.Span) {
        guard !isStopping else { return }
        stopDeadline = driver.now + drain
        timers.add(driver.now + drain, Token(.drainEnd))
        listeners.closeAll(&driver)
        for each in held.takeAll() { drop(each.connection) }
        var greeting = greetings.first()
        while let each = greeting {
            greeting = greetings.next(after: each)
            endGreeting(each)
        }
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            guard flows[flow].end == nil, flows[flow].purpose != .nextHop else { continue }
            let isWhole = flows[flow].phase == .open && flows[flow].ends.peerIsWhole
            end(flow, isWhole ? .whole : .cut)
        }
        var link = links.first()
        while let each = link {
            link = links.next(after: each)
            if links[each].end == nil { cancelForwards(each) }
        }
    }

    /// Ends the links that have nothing more to do, those over others first; when the drain is over, all. Returns whether
    /// anything is to be freed now.
    private mutating func proceedStop(_ deadline: Tick) -> Bool {
        let isOver = driver.now >= deadline
        if isOver { deliveries.endAll() }
        var hasInner = false
        for isHop in [false, true] where !(isHop && hasInner) {
            var next = links.first()
            while let link = next {
                next = links.next(after: link)
                guard (links[link].hop != nil) == isHop else { continue }
                hasInner = hasInner || !isHop
                guard links[link].end == nil else { continue }
                let isFinished = links[link].flowCount == 0 && links[link].engine.unconfirmedCount == 0
                let isLate = isHop && driver.now >= hopDeadline
                if isFinished { end(link, .finished) } else if isOver || isLate { end(link, .givenUp("stopped")) }
            }
        }
        if !hasInner, hopDeadline == .distantFuture {
            hopDeadline = driver.now + Self.lastWords
            timers.add(hopDeadline, Token(.drainEnd))
        }
        hasStopped = links.count == 0 && flows.count == 0 && deliveries.isEmpty
        if hasStopped { context.budget.publish(nil, by: id) }
        return !endedFlows.isEmpty || !endedLinks.isEmpty || !deliveries.over.isEmpty
    }

    /// Something is stalled: look at it twice a second until nothing is.
    mutating func startSweeping() {
        guard !isSweeping else { return }
        isSweeping = true
        timers.add(driver.now + .milliseconds(500), Token(.sweep))
    }
}
