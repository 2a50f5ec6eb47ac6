internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The workers of one process: pinned threads, each with its driver.
struct WorkerGroup<Engine: SSHEngine & ~Copyable>: Sendable {
    let mailboxes: [Mailbox<WorkerMessage<Engine>>]
    let control: Mailbox<ControlMessage>
    let links: [LinkStatus]
    let kind: DriverKind

    /// Starts a worker on each of `processors`. Each tells its end by `.stopped` or `.failed`. `elsewhere`: the mailbox for
    /// all links' worker, where that is another process; `lender`: in that process.
    static func start(
        processors: [Int], kind: DriverKind, forwards: [LocalForward], reverse: [ReverseForward], links: [LinkStatus],
        memory: Int, limits: RelayLimits, alive: KeepAlive, journal: Journal,
        elsewhere: Mailbox<WorkerMessage<Engine>>? = nil, lender: ConnectionLender? = nil,
        chosenPorts: [ReverseID: UInt16] = [:]
    ) throws(IOError) -> WorkerGroup {
        var mailboxes: [Mailbox<WorkerMessage<Engine>>] = []
        for _ in processors { mailboxes.append(try Mailbox()) }
        let control = try Mailbox<ControlMessage>()
        let resolver = try Resolver()
        let context = WorkerContext(
            forwards: forwards, reverse: reverse, links: links,
            mailboxes: mailboxes + (elsewhere.map { [$0] } ?? []),
            control: control,
            budget: MemoryBudget(ceiling: memory, workers: processors.count), resolver: resolver,
            requestResolver: try Resolver(), journal: journal, limits: limits,
            alive: alive, chosenPorts: chosenPorts, linksAreElsewhere: elsewhere != nil, lender: lender)
        for (number, processor) in processors.enumerated() {
            try Thread.start(name: "culvert-\(number)", processor: processor) {
                do throws(IOError) {
                    try Self.run(number, kind, context)
                    control.post(.stopped(WorkerID(number)))
                } catch {
                    control.post(.failed(WorkerID(number), error))
                }
            }
        }
        return WorkerGroup(mailboxes: mailboxes, control: control, links: links, kind: kind)
    }

    /// The one place where the kind of driver is chosen: below it everything is specialised for one kind.
    private static func run(_ number: Int, _ kind: DriverKind, _ context: WorkerContext<Engine>) throws(IOError) {
        Thread.wakeOnTime()
        let descriptors = context.limits.descriptors
        switch kind {
        case .uring:
            var worker = Worker(
                WorkerID(number), driver: try UringDriver(descriptorLimit: descriptors), context: context)
            try worker.run()
        case .epoll:
            var worker = Worker(
                WorkerID(number), driver: try EpollDriver(descriptorLimit: descriptors), context: context)
            try worker.run()
        }
    }

    /// The same, for those who do not know the engine.
    var crew: WorkerCrew {
        let mailboxes = mailboxes
        let links = links
        return WorkerCrew(
            count: mailboxes.count, kind: kind,
            post: { order in for mailbox in mailboxes { mailbox.post(WorkerMessage(order)) } },
            listen: { worker, descriptor, forward in
                mailboxes[worker.number].post(.listen(descriptor, forward: forward))
            },
            carry: { connection, id in
                // Counted while it is on its way.
                links[id.place].flowBegan()
                mailboxes[links[id.place].worker.number].post(.carry(connection, link: id.place))
            },
            flows: { links.reduce(0) { $0 + $1.flowCount } })
    }
}
