internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// The process around its tunnels, on the first thread: answers signals, tells a service manager and a waiting parent,
/// and ends when every tunnel has. The tunnels know nothing of each other, and none ends another.
struct TunnelProcess {
    private struct Place {
        /// nil once it has ended: what its threads share goes with the last of them, and with it a link whose login
        /// came too late.
        var order: (@Sendable (TunnelOrder) -> Void)?
        let destination: String
        let links: Int
        let forwards: Int
        var standing = TunnelStanding()
        /// It stands, has ended, or (beside others) was delayed: nobody waits for it any longer.
        var isSettled = false
        var ending: Ending?
    }

    let signals: SignalSource
    let news: Mailbox<(tunnel: Int, news: TunnelNews)>
    let journal: Journal
    let becameReady: () -> Void
    private let service = ServiceNotifier()
    /// Of all tunnels.
    private let knocks = Guarded(KnockBudget())
    private var places: [Place] = []
    private var isReady = false
    private var isStopping = false

    init(_ signals: SignalSource, _ journal: Journal, becameReady: @escaping () -> Void) throws(IOError) {
        self.signals = signals
        self.journal = journal
        self.becameReady = becameReady
        news = try Mailbox()
    }

    /// Starts `tunnel`, whose control thread and workers have threads of their own.
    mutating func start<Engine: SSHEngine & ~Copyable>(
        _ tunnel: Tunnel, _ kind: DriverKind, _ streams: StandardStreams?,
        logIn: @escaping Route<Engine>.LogIn
    ) throws(IOError) {
        let plan = tunnel.plan
        let index = places.count
        let processors = Thread.processors(startingAt: HostProcess.identifier + index)
        let workers = max(1, min(plan.links, processors.count, plan.runtime.threads ?? processors.count))
        let statuses = (0..<plan.links).map { LinkStatus(worker: WorkerID($0 % workers)) }
        var limits = RelayLimits.ofProcess()
        limits.nodelay = plan.nodelay
        limits.hold = Tick.Span(plan.hold)
        let group = try WorkerGroup<Engine>.start(
            processors: Array(processors.prefix(workers)), kind: kind, forwards: plan.forwards,
            reverse: plan.reverse, links: statuses, memory: plan.runtime.memory, limits: limits,
            alive: KeepAlive(plan.server), journal: tunnel.journal)
        let news = news
        places.append(
            Place(
                order: { group.control.post(.order($0)) }, destination: plan.destination, links: plan.links,
                forwards: plan.forwards.count + plan.reverse.count))
        let renewal = PlanRenewal(plan, journal: tunnel.journal, read: tunnel.renewed)
        let knocks = knocks
        try Thread.start(name: "culvert-tunnel") {
            var thread = PoolThread(
                tunnel, crew: group.crew, control: group.control, streams: streams,
                knocks: knocks,
                login: { id, mayPrompt, race throws(LoginFailure) in
                    let worker = group.mailboxes[statuses[id.place].worker.number]
                    let login = LoginKnocks(knocks, plan.knocks, isFirst: id.isFirst)
                    let watch = LoginWatch(login: id, race: race) {
                        login.failed()
                        group.control.post(.loginSilent(id))
                    }
                    let route = Route(tunnel, id.isFirst ? renewal.current : renewal.renewed(), logIn: logIn)
                    do throws(SSHError) {
                        let link = try route.link(mayPrompt: mayPrompt, knocks: login, watch: watch, worker: worker)
                        return ReadyLink(link, door: login.door, for: worker)
                    } catch {
                        if !watch.isOver { login.failed() }
                        throw LoginFailure(
                            error: error, hasWon: race.isWon(by: id), addresses: login.addresses, secret: login.secret)
                    }
                }, tell: { news.post((index, $0)) })
            news.post((index, .ended(thread.run())))
        }
    }

    mutating func run() -> Ending {
        while places.contains(where: { $0.ending == nil }) {
            let ready = Wait.forReadable([news.descriptor, signals.descriptor], until: nil)
            if ready.contains(signals.descriptor), let signal = readSignals() { return .signalled(signal) }
            for each in news.takeAll() { take(each.news, of: each.tunnel) }
        }
        // Of one tunnel the ending is the process's; of several the first that was not asked for.
        let endings = places.compactMap(\.ending)
        return endings.first { $0.exitStatus != 0 } ?? .asAsked
    }

    /// Whether all was told to stand before the end came: what a waiting parent is told by the exit status.
    var everStood: Bool { isReady }

    private mutating func take(_ news: TunnelNews, of tunnel: Int) {
        switch news {
        case .ready: places[tunnel].isSettled = true
        case .delayed: places[tunnel].isSettled = places.count > 1
        case .standing(let standing): places[tunnel].standing = standing
        case .ended(let ending):
            places[tunnel].ending = ending
            places[tunnel].order = nil
            places[tunnel].isSettled = places[tunnel].isSettled || places.count > 1
            places[tunnel].standing = TunnelStanding()
        }
        guard !isStopping else { return }
        service.tell("STATUS=\(status)")
        if !isReady, places.allSatisfy(\.isSettled), places.contains(where: { $0.ending == nil }) {
            isReady = true
            service.tell("READY=1")
            becameReady()
        }
    }

    private var status: String {
        if places.count == 1 {
            let only = places[0]
            return "\(only.standing.linksUp) of \(only.links) links to \(only.destination) up,"
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
            isStopping = true
            journal.info("stopping")
            service.tell("STOPPING=1")
            for place in places { place.order?(.stop) }
        }
        return nil
    }
}
