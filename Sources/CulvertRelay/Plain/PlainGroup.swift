internal import CulvertIO
internal import CulvertPlan

/// The workers of `culvert relay`: pinned threads, each with its driver.
struct PlainGroup: Sendable {
    let mailboxes: [Mailbox<PlainMessage>]
    let control: Mailbox<PlainNews>
    let kind: DriverKind

    /// Starts a worker on each of `processors`. Each tells its end by `.stopped` or `.failed`.
    static func start(
        processors: [Int], kind: DriverKind, forwards: [LocalForward], memory: Int, limits: RelayLimits,
        journal: Journal
    ) throws(IOError) -> PlainGroup {
        var mailboxes: [Mailbox<PlainMessage>] = []
        for _ in processors { mailboxes.append(try Mailbox()) }
        let control = try Mailbox<PlainNews>()
        let context = PlainContext(
            forwards: forwards, mailboxes: mailboxes, control: control,
            loads: processors.indices.map { LinkStatus(worker: WorkerID($0), isOpen: true) },
            budget: MemoryBudget(ceiling: memory, workers: processors.count), resolver: try Resolver(),
            journal: journal, limits: limits)
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
        return PlainGroup(mailboxes: mailboxes, control: control, kind: kind)
    }

    /// Below this everything is specialised for one kind of driver.
    private static func run(_ number: Int, _ kind: DriverKind, _ context: PlainContext) throws(IOError) {
        Thread.wakeOnTime()
        let descriptors = context.limits.descriptors
        switch kind {
        case .uring:
            var worker = PlainWorker(
                WorkerID(number), driver: try UringDriver(descriptorLimit: descriptors), context: context)
            try worker.run()
        case .epoll:
            var worker = PlainWorker(
                WorkerID(number), driver: try EpollDriver(descriptorLimit: descriptors), context: context)
            try worker.run()
        }
    }

    func post(_ message: PlainMessage) { for mailbox in mailboxes { mailbox.post(message) } }
}
