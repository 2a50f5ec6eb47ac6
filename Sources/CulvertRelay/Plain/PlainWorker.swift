internal import CulvertIO
internal import CulvertPlan
internal import Synchronization

/// What a worker of `culvert relay` is told.
enum PlainMessage: Sendable {
    /// A listening socket for a forward.
    case listen(Descriptor, forward: DirectID)
    /// A connection that another worker accepted.
    case carry(Descriptor, forward: DirectID, peer: SocketAddress)
    /// The addresses of a forward's target, or why there are none.
    case resolved(forward: DirectID, addresses: [SocketAddress], failure: String)
    /// Another worker has reached the memory ceiling, and the flow that holds most is here.
    case giveMemory
    /// Reports on everything the worker has.
    case snapshot
    /// Ends all: delivers what came whole as long as `drain` lasts.
    case stop(drain: Tick.Span)
}

/// What the control thread of `culvert relay` is told.
enum PlainNews: Sendable {
    case listenersOpened([ListenerOpening.Opened])
    case snapshot(WorkerID, String)
    case stopped(WorkerID)
    case failed(WorkerID, IOError)
}

/// What the workers of `culvert relay` share.
struct PlainContext: Sendable {
    let forwards: [LocalForward]
    let mailboxes: [Mailbox<PlainMessage>]
    let control: Mailbox<PlainNews>
    /// Flows on each worker, for spreading connections.
    let loads: [LinkStatus]
    let budget: MemoryBudget
    let resolver: Resolver
    let journal: Journal
    let limits: RelayLimits
    let undialled = Undialled()
}

/// Connections of all workers whose target does not stand yet: each will need one descriptor more.
final class Undialled: Sendable {
    private let connections = Atomic<Int>(0)
    var count: Int { connections.load(ordering: .relaxed) }
    func began() { connections.add(1, ordering: .relaxed) }
    func ended() { connections.subtract(1, ordering: .relaxed) }
}

/// A worker of `culvert relay`: connections from socket to socket, without SSH. It marks what is over and frees it once a
/// turn, as the tunnel's worker does.
struct PlainWorker<Driver: IODriver & ~Copyable>: ~Copyable {
    let id: WorkerID
    let context: PlainContext
    var driver: Driver
    var listeners: Listeners
    var flows: Slab<PlainFlow>
    var deliveries: Deliveries
    var dials: Dials<PlainFlowID>
    var spillPool: SpillPool
    var timers = TimerQueue()
    var targets: [TargetCache<PlainFlowID>]
    var ended: [PlainFlowID] = []
    var isSweeping = false
    var reliefAsked: Tick?
    var stopDeadline: Tick?
    var hasStopped = false

    init(_ id: WorkerID, driver: consuming Driver, context: PlainContext) {
        self.id = id
        self.context = context
        self.driver = driver
        let descriptors = max(1, context.limits.descriptors)
        listeners = Listeners(capacity: descriptors)
        flows = Slab(capacity: descriptors)
        deliveries = Deliveries(capacity: descriptors)
        // The client was admitted already: its target may have one of the reserve.
        dials = Dials(capacity: descriptors * 2, descriptorLimit: descriptors)
        spillPool = SpillPool(budget: context.budget)
        targets = context.forwards.map { TargetCache($0.target) }
        self.driver.awaitReadable(context.mailboxes[id.number].descriptor, Token(.mailbox))
    }

    // MARK: The loop

    mutating func run() throws(IOError) {
        while !hasStopped { try turnOnce() }
    }

    @inline(never)
    mutating func turnOnce() throws(IOError) {
        try driver.turn(until: timers.soonest)
        while let completion = driver.next() { handle(completion) }
        while let due = timers.takeDue(driver.now) { expire(due) }
        if context.budget.isOver { relieveMemory() }
        reap()
    }

    @inline(never)
    mutating func handle(_ completion: Completion) {
        let token = completion.token
        switch Operation(rawValue: token.operation) {
        case .clientRead: read(token, end: 0, completion)
        case .targetRead: read(token, end: 1, completion)
        case .clientWrite: if let flow = live(token) { writable(flow, end: 0) }
        case .targetWrite: if let flow = live(token) { writable(flow, end: 1) }
        case .dialWrite: if let dial = dials.id(token) { dialEnded(dial) }
        case .deliveryRead:
            if let each = deliveries.slab.id(token) { deliveries.readable(each, &driver, &spillPool, &timers) }
        case .deliveryWrite:
            if let each = deliveries.slab.id(token) { deliveries.writable(each, &driver, &spillPool, &timers) }
        case .listener: if let listener = listeners.id(token) { acceptConnections(listener) }
        case .mailbox:
            driver.awaitReadable(context.mailboxes[id.number].descriptor, token)
            readMailbox()
        default: preconditionFailure("every token is made by this worker, and timers do not complete")
        }
    }

    private mutating func read(_ token: Token, end: Int, _ completion: Completion) {
        guard let flow = live(token) else { return discard(completion) }
        readable(flow, end: end, completion)
    }

    private mutating func discard(_ completion: Completion) {
        if !completion.slot.isNone { driver.release(completion.slot) }
    }

    private mutating func expire(_ token: Token) {
        switch Operation(rawValue: token.operation) {
        case .dialStep: if let flow = live(token) { proceedDial(flow) }
        case .acceptAgain: if let listener = listeners.id(token) { resumeAccepting(listener) }
        case .deliveryCheck:
            if let each = deliveries.slab.id(token) { deliveries.check(each, &driver, &spillPool, &timers) }
        case .restCheck: if let flow = live(token) { checkRest(flow) }
        case .sweep: sweep()
        // `reap` looks at the time.
        case .drainEnd: break
        default: preconditionFailure("only timers expire")
        }
    }

    /// Mutating, though it changes nothing: a borrowed worker would be copied to the stack at each call.
    private mutating func live(_ token: Token) -> PlainFlowID? {
        guard let flow = flows.id(token), flows[flow].ending == nil else { return nil }
        return flow
    }

    private mutating func readMailbox() {
        for message in context.mailboxes[id.number].takeAll() {
            switch message {
            case .listen(let descriptor, let forward):
                guard stopDeadline == nil else { driver.close(descriptor); continue }
                listeners.add(descriptor, forward: forward, &driver)
            case .carry(let descriptor, let forward, let peer):
                context.loads[id.number].flowEnded()
                begin(descriptor, forward: forward, peer: peer)
            case .resolved(let forward, let addresses, let failure): targetResolved(forward, addresses, failure)
            case .giveMemory: giveMemory()
            case .snapshot: context.control.post(.snapshot(id, report()))
            case .stop(let drain): stop(drain: drain)
            }
        }
    }

    // MARK: The end

    /// Marks the flow as over; `reap` does the rest.
    mutating func end(_ flow: PlainFlowID, _ how: PlainFlow.Ending) {
        guard flows[flow].ending == nil else { return }
        flows[flow].ending = how
        ended.append(flow)
    }

    private mutating func reap() {
        while !ended.isEmpty || !deliveries.over.isEmpty {
            for flow in ended { free(flow) }
            ended.removeAll(keepingCapacity: true)
            let journal = context.journal
            deliveries.reap(&driver, &spillPool) { name, verdict in
                if verdict == .cut { journal.verbose("\(name): cut short, its reader has gone or takes nothing") }
            }
        }
        guard let deadline = stopDeadline else { return }
        if driver.now >= deadline, !deliveries.isEmpty || flows.count > 0 {
            var next = flows.first()
            while let flow = next {
                next = flows.next(after: flow)
                end(flow, .cut)
            }
            deliveries.endAll()
            return reap()
        }
        hasStopped = deliveries.isEmpty && flows.count == 0
        if hasStopped { context.budget.publish(nil, by: id) }
    }

    private mutating func stop(drain: Tick.Span) {
        guard stopDeadline == nil else { return }
        stopDeadline = driver.now + drain
        timers.add(driver.now + drain, Token(.drainEnd))
        listeners.closeAll(&driver)
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            // A stream whose end has come to this machine is whole, though a slow reader keeps it from being read.
            if !hasEndUnread(flow) { end(flow, .settled) }
        }
    }

    private mutating func hasEndUnread(_ flow: PlainFlowID) -> Bool {
        for end in 0...1 where flows[flow].isOpen && flows[flow].ends[end].source == .sending {
            guard flows[flow].ends[1 - end].sink == .open, !flows[flow].ends[1 - end].owesNothing else { continue }
            if let descriptor = flows[flow].ends[end].descriptor, driver.peerHasGone(descriptor) { return true }
        }
        return false
    }

    /// Closes, counts, tells and frees.
    private mutating func free(_ over: PlainFlowID) {
        dials.end(flows[over].dialling, &driver)
        if !flows[over].isOpen { context.undialled.ended() }
        for end in 0...1 { release(over, end) }
        let flow = flows.remove(over)
        context.loads[id.number].flowEnded()
        context.journal.verbose(
            "closed \(context.forwards[flow.forward].text) from \(flow.peer.shown): \(flow.ends[0].bytes) bytes out,"
                + " \(flow.ends[1].bytes) in, \(formatSeconds(driver.now - flow.started))"
                + (flow.ending == .whole ? "" : ", reset: cut short"))
    }

    private mutating func release(_ flow: PlainFlowID, _ end: Int) {
        var fate = flows[flow].fate(of: end)
        var rest = Spill()
        if !takeRest(flow, end, isWanted: fate != .resets, &rest) { fate = .resets }
        guard let descriptor = flows[flow].ends[end].descriptor else { return }
        let source = flows[flow].ends[end].source
        let isShut = flows[flow].ends[end].sink == .shut
        if fate == .finishes, source == .finished, isShut, rest.isEmpty {
            driver.finishOnClose(descriptor)
            return driver.close(descriptor)
        }
        guard fate != .resets else {
            driver.resetOnClose(descriptor)
            return driver.close(descriptor)
        }
        let name = "\(context.forwards[flows[flow].forward].text) from \(flows[flow].peer.shown)"
        deliveries.adopt(
            Delivery(
                descriptor, rest: rest, fate == .finishes ? .finish : .reset, inputEnded: source != .sending,
                isShut: isShut, name: name, now: driver.now),
            &driver, &spillPool, &timers)
    }

    /// What waits to be written to that end, out of the slot that is on loan. Returns false when there is no memory for it,
    /// and so no end that would be true but a reset.
    private mutating func takeRest(_ flow: PlainFlowID, _ end: Int, isWanted: Bool, _ rest: inout Spill) -> Bool {
        rest = flows[flow].ends[end].spill
        flows[flow].ends[end].spill = Spill()
        var isWhole = true
        let kept = flows[flow].ends[end].kept
        if !kept.isNone {
            let start = unsafe kept.start! + flows[flow].ends[end].keptOffset
            if isWanted { isWhole = unsafe spillPool.append(start, flows[flow].ends[end].keptCount, to: &rest) }
            driver.release(kept)
            flows[flow].ends[end].kept = .none
            flows[flow].ends[end].keptCount = 0
        }
        if !isWanted || !isWhole { spillPool.removeAll(&rest) }
        return isWhole
    }

    mutating func startSweeping() {
        guard !isSweeping else { return }
        isSweeping = true
        timers.add(driver.now + .milliseconds(500), Token(.sweep))
    }
}
