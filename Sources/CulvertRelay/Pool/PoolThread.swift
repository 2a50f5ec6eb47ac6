internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The control thread of a tunnel: the shell of clock, threads and mailbox around its `LinkPool`, which decides. It waits
/// for messages, network news and the pool's own moments; never for a login.
struct PoolThread: ~Copyable {
    /// Logs in, on a thread of its own, for the worker that serves the place.
    typealias Login = @Sendable (LinkID, _ mayPrompt: Bool, LoginRace) throws(LoginFailure) -> ReadyLink

    let plan: TunnelPlan
    let crew: WorkerCrew
    let control: Mailbox<ControlMessage>
    /// Of `-W`: the flow that the process is there for.
    let streams: StandardStreams?
    let knocks: Guarded<KnockBudget>
    let login: Login
    private var narrator: Narrator
    let tell: @Sendable (TunnelNews) -> Void

    private let network = NetworkChanges()
    private var pool: LinkPool
    /// What the names of forwards mean.
    private var forwards: TunnelForwards
    private var lastChange: UInt64 = 0
    /// Who waits for the next report.
    private var readers: [Reader] = []
    /// Changes that are not answered, and who waits.
    private var changes: [ChangeID: OrderedChange] = [:]
    private var dice = SystemRandomNumberGenerator()
    private var sleepWatch = SleepWatch(Tick.current(), withSleep: Tick.currentWithSleep())
    /// Links that the pool has not decided about.
    private var ready: [LinkID: ReadyLink] = [:]
    /// Of each place's logins.
    private var races: [Int: LoginRace] = [:]
    /// The server's addresses, as the last login found them.
    private var addresses: [SocketAddress] = []
    /// The address of each place's link, for the budget.
    private var doors: [Int: (id: LinkID, address: SocketAddress)] = [:]
    /// What follows from what was done, and is handled before anything else.
    private var following: [PoolEvent] = []
    private var ending: Ending?
    private let journal: Journal
    /// `--port-file`.
    private var ports: PortFile?
    private var localCommand: LocalCommandRun?
    private var hasStood = false

    init(
        _ tunnel: Tunnel, leadsTo: @escaping @Sendable () -> String, crew: WorkerCrew, control: Mailbox<ControlMessage>,
        streams: StandardStreams?,
        knocks: Guarded<KnockBudget>, login: @escaping Login, tell: @escaping @Sendable (TunnelNews) -> Void
    ) {
        plan = tunnel.plan
        self.crew = crew
        self.control = control
        self.streams = streams
        self.knocks = knocks
        self.login = login
        self.tell = tell
        narrator = Narrator(
            plan: tunnel.plan, forwards: TunnelForwards(tunnel.plan), workers: crew.count, kind: crew.kind,
            journal: tunnel.journal, leadsTo: leadsTo)
        forwards = narrator.forwards
        pool = LinkPool(PoolPlan(tunnel.plan, workers: crew.count))
        journal = tunnel.journal
        ports = tunnel.plan.portFile.map { PortFile(path: $0, tunnel.plan) }
        if let command = tunnel.plan.localCommand { localCommand = LocalCommandRun(command, tunnel.journal) }
    }

    /// A suspended machine's monotonic clock stands still: waking at least this often shows that it slept.
    private static var longestWait: Tick.Span { .seconds(5) }

    mutating func run() -> Ending {
        handle(.begun)
        while ending == nil {
            var descriptors = [control.descriptor]
            if let network { descriptors.append(network.descriptor) }
            let latest = Tick.current() + Self.longestWait
            let readable = Wait.forReadable(descriptors, until: min(latest, pool.nextMoment ?? latest))
            if readable.contains(control.descriptor) { for message in control.takeAll() { read(message) } }
            if let network, readable.contains(network.descriptor), network.drain() > 0 { handle(.networkChanged) }
            if sleepWatch.hasSlept(Tick.current(), withSleep: Tick.currentWithSleep()) { handle(.slept) }
            handle(.timePassed)
        }
        localCommand?.finish(by: Tick.current() + Tick.Span(plan.drain))
        return ending ?? .asAsked
    }

    private mutating func read(_ message: ControlMessage) {
        switch message {
        case .loggedIn(let id, let link):
            ready[id] = link
            handle(.loggedIn(id, summary: link.summary))
        case .loginFailed(let id, let failure):
            if !failure.addresses.isEmpty { addresses = failure.addresses }
            handle(.loginFailed(id, failure.error, secret: failure.secret, hasWon: failure.hasWon))
        case .loginSilent(let id): handle(.loginSilent(id))
        case .linkLost(let id, let reason, let life): handle(.linkLost(id, reason: reason, life: life))
        case .linkSuspect(let id): handle(.linkSuspect(id))
        case .linkRecovered(let id): handle(.linkRecovered(id))
        case .reverseAnswered(let id, let forward, let answer): handle(.reverseAnswered(id, forward: forward, answer))
        case .listenersOpened(let opened): listenersOpened(opened)
        case .nodelayRefused: handle(.nodelayRefused)
        case .questionsUnanswered: handle(.questionsUnanswered)
        case .connectionWaits: handle(.connectionWaits)
        case .streamsEnded(let cleanly): handle(.streamsEnded(cleanly: cleanly))
        case .reported(let worker, let report): handle(.reported(worker, report))
        case .stopped(let worker): handle(.workerStopped(worker))
        case .failed(let worker, let error): handle(.workerFailed(worker, error))
        case .order(.snapshot): askReport(for: .person)
        case .order(.stop): handle(.stopOrdered)
        case .report(let answer): askReport(for: .asker(answer))
        case .change(let change, let answer): order(OrderedChange(change: change, answer: answer))
        case .handedOver(let target, let text, let socket, let watch): carry(socket.take(), to: target, text, watch)
        case .listenersClosed(let forward): handle(.listenersClosed(forward))
        }
    }

    private mutating func handle(_ event: PoolEvent) {
        following.append(event)
        while !following.isEmpty {
            let next = following.removeFirst()
            let now = Tick.current()
            for action in pool.handle(next, now: now, knockable: knockable(now), dice: &dice) { perform(action) }
        }
    }

    /// When the budget has a knock at the server's address again; nil: now.
    private func knockable(_ now: Tick) -> Tick? {
        let (addresses, limit) = (addresses, plan.knocks)
        return knocks.withLock { $0.earliest(addresses, limit: limit, now: now) }
    }

    // MARK: Actions

    private mutating func perform(_ action: PoolAction) {
        switch action {
        case .beginLogin(let id, let mayPrompt, let silent):
            let race = silent.flatMap { races[$0.place] } ?? LoginRace()
            races[id.place] = race
            beginLogin(id, mayPrompt: mayPrompt, race)
        case .doubtLogin(let id): if races[id.place]?.isWaiting(id) == true { following.append(.loginSilent(id)) }
        case .deliver(let id, let reverse):
            guard let link = ready.removeValue(forKey: id) else {
                preconditionFailure("a link is delivered once, after its login")
            }
            doors[id.place] = link.door.map { (id, $0) }
            if let door = link.door, !addresses.contains(door) { addresses = [door] }
            link.deliver(as: id, reverse: reverse)
            // As ssh, which would be begun again.
            if hasStood, id.place == 0 { localCommand?.begin() }
        // Its stream closes as it is forgotten.
        case .drop(let id): ready[id] = nil
        case .openListeners(let forwards): openListeners(forwards)
        case .carryStreams(let id): carryStreams(id)
        case .post(let order): crew.post(order)
        case .answer(let id, let answer): settle(id, answer)
        case .report(let report): answer(report)
        case .countFlows: following.append(.flows(crew.flows()))
        case .settled(let id, let settling):
            if let door = door(of: id) { knocks.withLock { $0.settled(settling, at: door, now: .current()) } }
        case .unsettled(let id): if let door = door(of: id) { knocks.withLock { $0.failed(at: door) } }
        case .tell(let news):
            // Whoever waits for the tunnel to stand reads it then.
            if news == .ready {
                ports?.write(journal)
                hasStood = true
                localCommand?.begin()
            }
            tell(news)
        case .say(let news):
            narrator.say(news)
            ports?.take(news, journal)
        case .end(let ending):
            ports?.remove()
            self.ending = ending
        }
    }

    private func door(of id: LinkID) -> SocketAddress? {
        doors[id.place].flatMap { $0.id == id ? $0.address : nil }
    }

    // MARK: Reports

    private mutating func askReport(for reader: Reader) {
        readers.append(reader)
        handle(.reportWanted)
    }

    /// When it is over: what it has said of itself, without workers.
    var lastReport: TunnelReport { whole(pool.lastReport(.current())) }

    private func whole(_ report: PoolReport) -> TunnelReport {
        report.whole(plan, forwards, destination: narrator.leadsTo(), crew)
    }

    private mutating func answer(_ report: PoolReport) {
        let whole = whole(report)
        for reader in readers {
            switch reader {
            case .person: narrator.tell(whole)
            case .asker(let answer): answer(whole)
            }
        }
        readers = []
    }

    // MARK: Changes

    private mutating func order(_ ordered: OrderedChange) {
        guard plan.engine == .native else {
            return ordered.answer(.failed("with --engine libssh2 a tunnel keeps the forwards that it began with"))
        }
        guard let change = poolChange(ordered.change) else {
            return ordered.answer(
                .failed(ordered.change.adds ? "too many forwards were added" : "port not forwarded"))
        }
        lastChange += 1
        let id = ChangeID(number: lastChange)
        changes[id] = ordered
        handle(.changeOrdered(id, change))
    }

    /// By names; one that is new is told to everybody first. nil: there is none, or no room for it.
    private mutating func poolChange(_ change: ForwardChange) -> PoolChange? {
        switch change {
        case .add(let forward):
            guard let name = forwards.name(of: forward) ?? learn(forward) else { return nil }
            switch name {
            case .direct(let id): return .listen(id, choosesPort: forwards.direct[id].choosesPort)
            case .reverse(let id): return .ask(id)
            }
        case .cancel(let forward):
            switch forwards.name(of: forward) {
            case .direct(let id)?: return .unlisten(id)
            case .reverse(let id)?: return .cancel(id)
            case nil: return nil
            }
        }
    }

    private mutating func learn(_ forward: TunnelForward) -> ForwardID? {
        guard forwards.hasRoom else { return nil }
        let name = forwards.add(forward)
        narrator.forwards = forwards
        switch name {
        case .direct(let id): crew.post(.learnDirect(id, forwards.direct[id]))
        case .reverse(let id): crew.post(.learnReverse(id, forwards.reverse[id]))
        }
        return name
    }

    /// Through a link that serves, or it waits for one as every connection does.
    private mutating func carry(
        _ socket: consuming BlockingSocket, to target: Target, _ text: String, _ watch: OpeningWatch
    ) {
        let forward = TunnelForward.direct(LocalForward(listen: .handedOver, target: target, text: text))
        guard plan.engine == .native, case .direct(let id)? = forwards.name(of: forward) ?? learn(forward) else {
            return journal.error("\(text): nothing can be handed over to this tunnel")
        }
        let place = pool.places.firstIndex(where: \.isServing) ?? 0
        crew.carry(
            IncomingConnection(
                socket.release(), forward: id, peer: SocketAddress(),
                arrival: Arrival(moment: .current(), number: 0), opening: watch), LinkID(place: place, serial: 0))
    }

    private mutating func settle(_ id: ChangeID, _ answer: ForwardAnswer) {
        guard let ordered = changes.removeValue(forKey: id) else { preconditionFailure("a change is answered once") }
        if case .done = answer, let name = forwards.name(of: ordered.change.forward) {
            if ordered.change.adds { ports?.add(name, forwards) } else { ports?.remove(name) }
            ports?.follow(journal)
        }
        ordered.answer(answer)
    }

    // MARK: Logins and listeners

    private mutating func beginLogin(_ id: LinkID, mayPrompt: Bool, _ race: LoginRace) {
        let control = control
        let login = login
        do throws(IOError) {
            try Thread.start(name: "culvert-login") {
                do throws(LoginFailure) {
                    control.post(.loggedIn(id, try login(id, mayPrompt, race)))
                } catch {
                    control.post(.loginFailed(id, error))
                }
            }
        } catch {
            following.append(.loginFailed(id, SSHError(.local, error.description)))
        }
    }

    private func openListeners(_ names: [DirectID]) {
        let control = control
        ListenerOpening.begin(
            names.map { ($0, forwards.direct[$0]) }, family: plan.server.connection.addressFamily.socketFamily
        ) { control.post(.listenersOpened($0)) }
    }

    private mutating func listenersOpened(_ opened: [ListenerOpening.Opened]) {
        for each in opened {
            let worker = WorkerID(each.forward.index % crew.count)
            each.take { crew.listen(worker, $0, each.forward) }
        }
        handle(.listenersOpened(opened.map(\.answer)))
    }

    /// Behind the link in its worker's mailbox.
    private func carryStreams(_ id: LinkID) {
        guard let streams, let forward = plan.forwards.firstIndex(where: \.isStandardStreams) else {
            preconditionFailure("streams are carried for -W alone")
        }
        crew.carry(
            IncomingConnection(
                streams.input, sink: streams.output, forward: DirectID(index: forward), peer: SocketAddress(),
                arrival: Arrival(moment: .current(), number: 0)), id)
    }
}

/// Who wants to know how all is.
private enum Reader {
    /// Whoever reads what is said.
    case person
    case asker(@Sendable (TunnelReport) -> Void)
}

/// A change, and who is told what becomes of it.
private struct OrderedChange {
    let change: ForwardChange
    let answer: @Sendable (ForwardAnswer) -> Void
}

extension ForwardChange {
    fileprivate var adds: Bool {
        if case .add = self { true } else { false }
    }

    fileprivate var forward: TunnelForward {
        switch self {
        case .add(let forward), .cancel(let forward): forward
        }
    }
}
