internal import CulvertIO
internal import Glibc

/// What the threads of a workload have in common.
struct ClientContext: Sendable {
    /// The number of this workload in the run.
    let part: Int
    let workload: Workload
    let mailboxes: [Mailbox<ClientMessage>]
    let control: Mailbox<ClientReport>
    let descriptorLimit: Int
    let tellsProgress: Bool
    /// How long each interval is that is told by itself; nil: none is.
    let interval: Tick.Span?

    /// The one place where the kind of driver is chosen: below it everything is specialised.
    func run(_ number: Int, _ kind: DriverKind) throws(IOError) {
        switch kind {
        case .uring:
            var thread = ClientThread(number, try UringDriver(descriptorLimit: descriptorLimit), self)
            try thread.run()
        case .epoll:
            var thread = ClientThread(number, try EpollDriver(descriptorLimit: descriptorLimit), self)
            try thread.run()
        }
    }
}

/// One thread that makes load: its connections, and what it has measured.
@safe struct ClientThread<Driver: IODriver & ~Copyable>: ~Copyable {
    enum Operation: UInt8 {
        case mailbox = 1
        case read
        case write
    }

    enum Phase {
        case connecting
        /// Everything is connected; the clock has not started.
        case waiting
        case running
        /// The time is over; what is under way is awaited.
        case finishing
    }

    /// Connections under way at once on a thread: fewer than a usual listener's backlog.
    static var connectingAtOnce: Int { 64 }

    let number: Int
    let context: ClientContext
    let workload: Workload
    var driver: Driver
    var connections: Slab<ClientConnection>
    let buffer: UnsafeMutableRawPointer
    var phase = Phase.connecting
    var connecting = 0
    /// The next connection's number: this thread has every `threads`-th.
    var nextNumber: UInt32
    /// The address that took a connection last.
    var goodAddress = 0
    /// Connections that requests at a rate are dealt to.
    var live: [Int] = []
    var nextLive = 0
    var schedule: Schedule?
    /// Requests (churn: connections) that are due and have no connection.
    var overdue = MomentQueue()

    var begin = Tick.distantFuture
    var measureStart = Tick.distantFuture
    var measureEnd = Tick.distantFuture
    var nextSweep = Tick.current()
    var nextProgress = Tick.distantFuture
    var isStopped = false
    var total = Figures()
    var atStart: Figures?
    var startedMeasuring = Tick.distantFuture
    var processorAtStart = 0.0
    var toldProgress = Figures()
    var interval = Latencies()
    var timeline: ThreadTimeline?
    var result = ThreadResult()

    init(_ number: Int, _ driver: consuming Driver, _ context: ClientContext) {
        self.number = number
        self.context = context
        self.driver = driver
        workload = context.workload
        connections = Slab(capacity: max(1, context.workload.connections))
        nextNumber = UInt32(number)
        unsafe buffer = MappedMemory.reserve(LoadThreads.chunk, for: "a buffer")
    }

    mutating func run() throws(IOError) {
        driver.awaitReadable(context.mailboxes[number].descriptor, Self.token(.mailbox, 0, 1))
        if !workload.connectsFirst { becomeReady() }
        while true {
            if phase == .connecting { connectMore() }
            if phase == .finishing && connections.count == 0 && overdue.isEmpty { break }
            try turnOnce()
        }
        // What was answered after the end.
        if let timeline, timeline.latencies.count > 0 { tellInterval(driver.now) }
        context.control.post(.done(part: context.part, thread: number, result))
    }

    static func token(_ operation: Operation, _ slot: Int, _ generation: UInt32) -> Token {
        Token(operation: operation.rawValue, slot: slot, generation: generation)
    }

    @inline(never)
    mutating func turnOnce() throws(IOError) {
        try driver.turn(until: nextMoment)
        while let completion = driver.next() { handle(completion) }
        advance(driver.now)
    }

    private var nextMoment: Tick {
        if hasPlaceToFill { return Tick(nanoseconds: 0) }
        var soonest = min(nextSweep, nextProgress)
        guard phase == .running else { return soonest }
        if let schedule { soonest = min(soonest, schedule.next) }
        if let timeline { soonest = min(soonest, timeline.next) }
        return min(soonest, atStart == nil ? measureStart : measureEnd)
    }

    @inline(never)
    mutating func handle(_ completion: Completion) {
        let slot = completion.token.slot
        switch Operation(rawValue: completion.token.operation) {
        case .read:
            if connections.isCurrent(completion.token) { received(slot, completion) }
            if !completion.slot.isNone { driver.release(completion.slot) }
        case .write:
            guard connections.isCurrent(completion.token) else { return }
            connections[slot].isAwaitingWritable = false
            if connections[slot].isConnecting { finishConnecting(slot) } else { send(slot) }
        case .mailbox:
            driver.awaitReadable(context.mailboxes[number].descriptor, completion.token)
            readMailbox()
        case nil: preconditionFailure("every token is made by this thread")
        }
    }

    private mutating func readMailbox() {
        for message in context.mailboxes[number].takeAll() {
            switch message {
            case .begin(let tick): start(tick)
            case .stop:
                isStopped = true
                if phase != .finishing { finish(driver.now) }
            }
        }
    }

    // MARK: Time

    private mutating func start(_ tick: Tick) {
        guard phase == .waiting else { return }
        phase = .running
        begin = tick
        measureStart = tick + workload.warmup
        measureEnd = measureStart + workload.duration
        if context.tellsProgress { nextProgress = tick + .seconds(1) }
        if let rate = workload.rate {
            schedule = Schedule(begin: tick, rate: rate, thread: number, threads: workload.threads)
        }
        for slot in live { begin(slot) }
    }

    /// Does what is due: the bounds of the measured time, requests at a rate, connections of a churn, time-outs.
    private mutating func advance(_ now: Tick) {
        if now >= nextProgress { tellProgress(now) }
        if now >= nextSweep {
            nextSweep = now + .milliseconds(100)
            sweep(now)
        }
        if phase == .finishing { serveOverdue(now) }
        guard phase == .running else { return }
        while let next = timeline?.next, next <= now, next < measureEnd { tellInterval(next) }
        if atStart == nil && now >= measureStart {
            atStart = total
            startedMeasuring = now
            processorAtStart = Self.processorSeconds
            if let length = context.interval { timeline = ThreadTimeline(start: measureStart, length: length, total) }
        }
        // What was due before the end is made, however late this turn is.
        makeDue(now)
        if now >= measureEnd { return finish(now) }
        // Every connection has failed.
        if workload.connectsFirst && connections.count == 0 { finish(now) }
    }

    /// Ends the measured time; everything under way is still awaited, unless it was stopped.
    mutating func finish(_ now: Tick) {
        phase = .finishing
        if timeline != nil { tellInterval(now) }
        if let atStart {
            result.measured = total - atStart
            result.elapsed = now - startedMeasuring
            result.processorSeconds = Self.processorSeconds - processorAtStart
            if now > startedMeasuring { result.busiest = result.processorSeconds / result.elapsed.seconds }
        }
        measureEnd = min(measureEnd, now)
        // Connections of a churn that were due are still made.
        if isStopped || workload.kind != .churn { giveUpOverdue() }
        for slot in 0..<connections.highWater where connections.isUsed(slot) {
            connections[slot].isStopping = true
            if !connections[slot].exchanges { connections[slot].target = connections[slot].sent }
            if !connections[slot].mayStart {
                // It has said nothing yet: there is nothing to be told.
                close(slot)
            } else if !connections[slot].isConnecting {
                send(slot)
            }
        }
    }

    /// What the calling thread has taken of the processors.
    private static var processorSeconds: Double {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private mutating func sweep(_ now: Tick) {
        for slot in 0..<connections.highWater where connections.isUsed(slot) {
            let silence = now - connections[slot].lastProgress
            guard connections[slot].expectsProgress, silence > workload.timeout else { continue }
            if connections[slot].isConnecting { connecting -= 1 }
            let what = connections[slot].isConnecting ? "not connected" : "nothing moved"
            fail(slot, .timeout, "\(what) for \(Amounts.text(workload.timeout))")
        }
    }

    private mutating func tellProgress(_ now: Tick) {
        nextProgress = now + .seconds(1)
        context.control.post(
            .progress(
                part: context.part,
                ProgressFigures(
                    figures: total - toldProgress, mean: interval.mean, longest: interval.longest,
                    troubles: result.troubles.total)))
        toldProgress = total
        interval.reset()
    }

    private mutating func tellInterval(_ now: Tick) {
        guard let figures = timeline?.take(until: now, total) else { return }
        context.control.post(.interval(part: context.part, thread: number, figures))
    }

    // MARK: Ends

    mutating func fail(_ slot: Int, _ kind: TroubleKind, _ words: String) {
        let number = connections[slot].number
        result.troubles.add(kind, "connection \(number) \(words)")
        close(slot, reset: true)
    }

    mutating func close(_ slot: Int, reset: Bool = false) {
        let connection = connections.remove(slot)
        result.unanswered += UInt64(connection.begun.count)
        if reset { driver.resetOnClose(connection.descriptor) }
        driver.close(connection.descriptor)
        if let index = live.firstIndex(of: slot) { live.remove(at: index) }
    }
}
