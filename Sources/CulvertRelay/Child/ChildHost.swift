internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The child process of a tunnel with the libssh2 engine, as the rest of its parent sees it: one worker among others, which
/// has all links, and whose links are lost when it dies. It is started again with the next login.
///
/// Everything is done by a thread of its own (`ChildThread`), which is posted to.
final class ChildHost: Sendable {
    enum Order: Sendable {
        /// With the child's end of the login's line.
        case login(LinkID, ChildWay, Descriptor)
        /// What the link of that login runs over.
        case keep(LinkPath, LinkID)
        case deliver(LinkID, reverse: [ReverseID])
        case drop(LinkID)
        /// The tunnel is over.
        case end
    }

    /// What others wait for.
    private struct Life {
        var start: Result<Void, IOError>?
        /// How often a child has ended, and how the last one did.
        var deaths = 0
        var lastWords = ""
        var isOver = false
    }

    let plan: TunnelPlan
    let workers: Int
    let kind: DriverKind
    let journal: Journal
    /// Of the pool's places.
    let links: [LinkStatus]
    let control: Mailbox<ControlMessage>
    /// Of the worker that accepts connections.
    let front: Mailbox<WorkerMessage<NativeEngine>>
    /// What a worker with links is told. Whatever was posted to `orders` before is done before.
    let connections: Mailbox<WorkerMessage<NativeEngine>>
    let orders: Mailbox<Order>
    private let life = Monitor(Life())

    /// A child that has closed its line is gone within this; whoever waits for its last words waits for twice as long.
    static let patience = Tick.Span.milliseconds(500)

    init(
        _ tunnel: Tunnel, workers: Int, kind: DriverKind, links: [LinkStatus], control: Mailbox<ControlMessage>,
        front: Mailbox<WorkerMessage<NativeEngine>>, connections: Mailbox<WorkerMessage<NativeEngine>>
    ) throws(IOError) {
        plan = tunnel.plan
        journal = tunnel.journal
        self.workers = workers
        self.kind = kind
        self.links = links
        self.control = control
        self.front = front
        self.connections = connections
        orders = try Mailbox()
    }

    /// Starts the first child. Throws where none can be had.
    func start() throws(IOError) {
        try Thread.start(name: "culvert-child") {
            var thread = ChildThread(self)
            thread.run()
        }
        let start = life.wait { life -> Monitor<Life>.Step<Result<Void, IOError>> in
            life.start.map { .done($0) } ?? .again(by: nil)
        }
        try start.get()
    }

    /// The tunnel is over: so is its child, when this returns.
    func end() {
        orders.post(.end)
        let deadline = Tick.current() + Self.patience + Self.patience
        life.wait { life -> Monitor<Life>.Step<Void> in
            life.isOver || Tick.current() >= deadline ? .done(()) : .again(by: deadline)
        }
    }

    // MARK: The thread's words

    func started(_ result: Result<Void, IOError>) { life.withLock { if $0.start == nil { $0.start = result } } }

    func died(_ words: String) {
        life.withLock {
            $0.deaths += 1
            $0.lastWords = words
        }
    }

    func isOver() {
        life.withLock { $0.isOver = true }
        for case .login(_, _, let line) in orders.takeAll() { SocketOption.close(line) }
    }

    // MARK: Logins

    /// One login, on its own thread.
    func logIn(
        _ id: LinkID, _ plan: TunnelPlan, _ knocks: LoginKnocks, _ watch: LoginWatch, authority: LoginDesk.MakeAuthority
    ) throws(SSHError) -> ReadyLink {
        let ends: (Descriptor, Descriptor)
        do throws(IOError) { ends = try ProcessLine.pair() } catch { throw SSHError(.local, error.description) }
        let (orders, theirs) = (orders, ends.1)
        // Whoever ends the thread takes what was posted until then.
        let deaths = life.withLock { life -> Int? in
            guard !life.isOver else { return nil }
            orders.post(.login(id, ChildWay(plan), theirs))
            return life.deaths
        }
        guard let deaths else {
            SocketOption.close(ends.0)
            SocketOption.close(ends.1)
            throw SSHError(.local, "the tunnel has ended")
        }
        let served = try withoutActuallyEscaping(authority) { authority throws(SSHError) in
            var desk = LoginDesk(plan, knocks: knocks, watch: watch, journal: journal, authority: authority)
            let summary = try desk.serve(ProcessLine(adopting: ends.0))
            return (summary: summary, path: desk.path)
        }
        guard let summary = served.summary else { throw SSHError(.transport, lastWords(after: deaths)) }
        if let path = served.path { orders.post(.keep(path, id)) }
        let link = ChildLink(id, self)
        return ReadyLink(summary: summary, door: knocks.door) { _, reverse in link.deliver(reverse) }
    }

    /// How the child ended that a login was lost with.
    private func lastWords(after deaths: Int) -> String {
        let deadline = Tick.current() + Self.patience + Self.patience
        return life.wait { life -> Monitor<Life>.Step<String> in
            if life.deaths > deaths { return .done(life.lastWords) }
            return Tick.current() >= deadline
                ? .done("the libssh2 process did not take the login") : .again(by: deadline)
        }
    }

    // MARK: Workers

    /// The worker that accepts connections, and the child's.
    var crew: WorkerCrew {
        let (front, connections, links) = (front, connections, links)
        return WorkerCrew(
            count: 1 + workers, kind: kind,
            post: { order in
                front.post(WorkerMessage(order))
                connections.post(WorkerMessage(order))
            },
            listen: { _, descriptor, forward in front.post(.listen(descriptor, forward: forward)) },
            carry: { connection, id in
                // Counted while it is on its way.
                links[id.place].flowBegan()
                connections.post(.carry(connection, link: id.place))
            },
            flows: { links.reduce(0) { $0 + $1.flowCount } })
    }
}

/// A link that has logged in and waits in the child. One that nobody wants is dropped there.
private final class ChildLink: Sendable {
    private let id: LinkID
    private let host: ChildHost
    private let isDelivered = Guarded(false)

    init(_ id: LinkID, _ host: ChildHost) {
        self.id = id
        self.host = host
    }

    deinit { if !isDelivered.withLock({ $0 }) { host.orders.post(.drop(id)) } }

    func deliver(_ reverse: [ReverseID]) {
        isDelivered.withLock { $0 = true }
        host.orders.post(.deliver(id, reverse: reverse))
    }
}
