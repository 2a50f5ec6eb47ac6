internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// The process around its tunnels, on the first thread: answers signals, tells a service manager and a waiting parent,
/// and ends when every tunnel has. The tunnels know nothing of each other, and none ends another.
struct TunnelProcess {
    private struct Place {
        let name: String?
        /// nil once it has ended: what its threads share goes with the last of them, and with it a link whose login
        /// came too late.
        var order: (@Sendable (TunnelOrder) -> Void)?
        let leadsTo: @Sendable () -> String
        let links: Int
        /// That are wanted.
        var forwards: Int
        let control: TunnelControl
        var standing = TunnelStanding()
        /// It stands, has ended, or (beside others) was delayed: nobody waits for it any longer.
        var isSettled = false
        var ending: Ending?
    }

    let signals: SignalSource
    let news: Mailbox<(tunnel: Int, news: TunnelNews)>
    let journal: Journal
    let becameReady: () -> Void
    /// Called once, before anybody is told that the tunnel stands, or waits for its next attempt.
    private var beginControl: BeginControl?
    /// Of that: takes away what others reach it by.
    private var endControl: (@Sendable () -> Void)?
    /// The process ends so, whatever its tunnels end with.
    private var ending: Ending?
    /// When all are told to end; nil: never.
    private var endsAt: Tick?
    private let service = ServiceNotifier()
    /// Of all tunnels.
    private let knocks = Guarded(KnockBudget())
    private var places: [Place] = []
    private var isReady = false
    private var isStopping = false

    init(
        _ signals: SignalSource, lifetime: Duration? = nil, _ journal: Journal, beginControl: BeginControl? = nil,
        becameReady: @escaping () -> Void
    ) throws(IOError) {
        self.signals = signals
        self.journal = journal
        self.becameReady = becameReady
        self.beginControl = beginControl
        endsAt = lifetime.map { Tick.current() + Tick.Span($0) }
        news = try Mailbox()
    }

    /// Starts `tunnel`, whose control thread and workers have threads of their own.
    mutating func start<Engine: SSHEngine & ~Copyable>(
        _ tunnel: Tunnel, _ kind: DriverKind, _ streams: StandardStreams?,
        logIn: @escaping Route<Engine>.LogIn, unprotected: @escaping @Sendable () throws(SSHError) -> Engine
    ) throws(IOError) {
        let plan = tunnel.plan
        let processors = processors(for: plan)
        let statuses = (0..<plan.links).map { LinkStatus(worker: WorkerID($0 % processors.count)) }
        let group = try WorkerGroup<Engine>.start(
            processors: processors, kind: kind, forwards: plan.forwards,
            reverse: plan.reverse, links: statuses, memory: plan.runtime.memory, limits: RelayLimits(plan),
            alive: KeepAlive(plan.server), journal: tunnel.journal)
        try begin(tunnel, crew: group.crew, control: group.control, streams) {
            id, plan, mayPrompt, knocks, watch throws(SSHError) in
            let worker = group.mailboxes[statuses[id.place].worker.number]
            var (isAtDestination, lacksAnswer) = (false, false)
            do throws(SSHError) {
                let link = try Route(plan, tunnel.journal, logIn: logIn).link(
                    worker: worker, watch: watch,
                    open: { step, path throws(SSHError) in
                        try Login.open(step.plan, path, knocks, tunnel.journal, watch)
                    },
                    authority: { step in
                        isAtDestination = step.hop == nil
                        return tunnel.authority(step.server, mayPrompt, knocks.asksPerson) { () throws(SSHError) in
                            if step.isFirst { try watch.judges() }
                        }
                    },
                    finished: {
                        if $0.handedOutSecret { knocks.handedOutSecret() }
                        lacksAnswer = $0.lacksAnswer
                    })
                return ReadyLink(link, door: knocks.door, for: worker)
            } catch {
                guard isAtDestination, lacksAnswer, let path = plan.masterPath else { throw error }
                return ReadyLink(try tunnel.borrowed(at: path, after: error, engine: unprotected), for: worker)
            }
        }
    }

    /// The same for one whose links and flows are a child's. Connections come in here.
    mutating func startWithChild(_ tunnel: Tunnel, _ kind: DriverKind, _ streams: StandardStreams?) throws(IOError) {
        let plan = tunnel.plan
        let processors = processors(for: plan)
        // The worker here is the first; its mailbox stands for all links'.
        let statuses = (0..<plan.links).map { _ in LinkStatus(worker: WorkerID(1)) }
        let connections = try Mailbox<WorkerMessage<NativeEngine>>()
        let front = try WorkerGroup<NativeEngine>.start(
            processors: [processors[0]], kind: kind, forwards: plan.forwards, reverse: [], links: statuses,
            memory: plan.runtime.memory, limits: RelayLimits(plan), alive: KeepAlive(plan.server),
            journal: tunnel.journal, elsewhere: connections)
        let host = try ChildHost(
            tunnel, workers: processors.count, kind: kind, links: statuses, control: front.control,
            front: front.mailboxes[0], connections: connections)
        try host.start()
        try begin(tunnel, crew: host.crew, control: front.control, streams) {
            id, plan, mayPrompt, knocks, watch throws(SSHError) in
            try host.logIn(id, plan, knocks, watch) { server, judges in
                tunnel.authority(server, mayPrompt, knocks.asksPerson, judges)
            }
        } atEnd: {
            host.end()
        }
    }

    /// One for each worker that the tunnel is to have.
    private func processors(for plan: TunnelPlan) -> [Int] {
        let processors = Thread.processors(startingAt: HostProcess.identifier + places.count)
        let workers = max(1, min(plan.links, processors.count, plan.runtime.threads ?? processors.count))
        return Array(processors.prefix(workers))
    }

    /// Logs in by the plan as it is now, with the leave of this login's knocks.
    private typealias LogIn =
        @Sendable (LinkID, TunnelPlan, _ mayPrompt: Bool, LoginKnocks, LoginWatch) throws(SSHError) -> ReadyLink

    /// Starts the tunnel's control thread; its workers are there. `atEnd` is called when the tunnel is over.
    private mutating func begin(
        _ tunnel: Tunnel, crew: WorkerCrew, control: Mailbox<ControlMessage>, _ streams: StandardStreams?,
        logIn: @escaping LogIn, atEnd: @escaping @Sendable () -> Void = {}
    ) throws(IOError) {
        let plan = tunnel.plan
        let index = places.count
        let (news, knocks) = (news, knocks)
        let renewal = PlanRenewal(plan, journal: tunnel.journal, read: tunnel.renewed)
        let leadsTo = { @Sendable in renewal.current.destination }
        let line = TunnelLine(control)
        places.append(
            Place(
                name: tunnel.name,
                order: { control.post(.order($0)) }, leadsTo: leadsTo, links: plan.links,
                forwards: plan.forwards.count + plan.reverse.count,
                control: TunnelControl(
                    change: { line.post(.change($0, answer: $1)) }, stop: { news.post((index, .stopWanted)) },
                    report: { line.report(to: $0) }, carry: { line.post(.handedOver($0, text: $1, $2, $3)) })))
        try Thread.start(name: "culvert-tunnel") {
            var thread = PoolThread(
                tunnel, leadsTo: leadsTo, crew: crew, control: control, streams: streams, knocks: knocks,
                login: { id, mayPrompt, race throws(LoginFailure) in
                    let login = LoginKnocks(knocks, plan.knocks, isFirst: id.isFirst)
                    let watch = LoginWatch(login: id, race: race) {
                        login.failed()
                        control.post(.loginSilent(id))
                    }
                    defer { watch.leaves() }
                    do throws(SSHError) {
                        let plan = id.isFirst ? renewal.current : renewal.renewed()
                        return try logIn(id, plan, mayPrompt, login, watch)
                    } catch {
                        if !watch.isOver { login.failed() }
                        throw LoginFailure(
                            error: error, hasWon: race.isWon(by: id), addresses: login.addresses, secret: login.secret)
                    }
                }, tell: { news.post((index, $0)) })
            let ending = thread.run()
            line.end(thread.lastReport)
            atEnd()
            news.post((index, .ended(ending)))
        }
    }

    /// Those that were started.
    var shown: [ShownTunnel] {
        places.map { ShownTunnel(name: $0.name ?? $0.leadsTo(), destination: $0.leadsTo, control: $0.control) }
    }

    mutating func run() -> Ending {
        defer { endControl?() }
        while places.contains(where: { $0.ending == nil }) {
            let ready = Wait.forReadable([news.descriptor, signals.descriptor], until: endsAt)
            if ready.contains(signals.descriptor), let signal = readSignals() { return .signalled(signal) }
            if let due = endsAt, due <= Tick.current() {
                endsAt = nil
                if !isStopping { stop() }
            }
            for each in news.takeAll() { take(each.news, of: each.tunnel) }
        }
        // Of one tunnel the ending is the process's; of several the first that was not asked for.
        let endings = places.compactMap(\.ending)
        return ending ?? endings.first { $0.exitStatus != 0 } ?? .asAsked
    }

    /// Whether all was told to stand before the end came: what a waiting parent is told by the exit status.
    var everStood: Bool { isReady }

    private mutating func take(_ news: TunnelNews, of tunnel: Int) {
        switch news {
        case .ready: places[tunnel].isSettled = true
        case .delayed: places[tunnel].isSettled = places.count > 1
        case .standing(let standing): places[tunnel].standing = standing
        case .forwards(let count): places[tunnel].forwards = count
        case .stopWanted: return isStopping ? () : stop()
        case .ended(let ending):
            places[tunnel].ending = ending
            places[tunnel].order = nil
            places[tunnel].isSettled = places[tunnel].isSettled || places.count > 1
            places[tunnel].standing = TunnelStanding()
        }
        guard !isStopping else { return }
        if news == .ready || news == .delayed { control(tunnel) }
        guard !isStopping else { return }
        service.tell("STATUS=\(status)")
        if !isReady, places.allSatisfy(\.isSettled), places.contains(where: { $0.ending == nil }) {
            isReady = true
            service.tell("READY=1")
            becameReady()
        }
    }

    /// From now on others may ask things of the tunnel, if that was wanted.
    private mutating func control(_ tunnel: Int) {
        guard let begin = beginControl.take() else { return }
        do throws(ControlFailure) { endControl = try begin(places[tunnel].control) } catch {
            journal.error(error.description)
            ending = .connectionFailed
            stop()
        }
    }

    private var status: String {
        if places.count == 1 {
            let only = places[0]
            return "\(only.standing.linksUp) of \(only.links) links to \(only.leadsTo()) up,"
                + " \(only.standing.forwardsUp) of \(only.forwards) forwards"
        }
        let up = places.filter { $0.standing.linksUp > 0 }.count
        let forwards = places.map(\.forwards).reduce(0, +)
        let standing = places.map(\.standing.forwardsUp).reduce(0, +)
        return "\(up) of \(places.count) tunnels up, \(standing) of \(forwards) forwards"
    }

    /// The signal that ends all without waiting: one that comes while the process is ending.
    private mutating func readSignals() -> Int32? {
        while let signal = signals.next() {
            if signal == SIGUSR1 {
                for place in places { place.order?(.snapshot) }
                continue
            }
            if isStopping { return signal }
            stop()
        }
        return nil
    }

    private mutating func stop() {
        isStopping = true
        journal.info("stopping")
        service.tell("STOPPING=1")
        endControl?()
        for place in places { place.order?(.stop) }
    }
}
