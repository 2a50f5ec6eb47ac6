internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The control thread of a tunnel: the shell of clock, threads and mailbox around its `LinkPool`, which decides. It waits
/// for messages, network news and the pool's own moments; never for a login.
struct PoolThread: ~Copyable {
    /// Logs in, on a thread of its own, for the worker that serves the place.
    typealias Login = @Sendable (LinkID, _ mayPrompt: Bool) throws(SSHError) -> ReadyLink

    let plan: TunnelPlan
    let crew: WorkerCrew
    let control: Mailbox<ControlMessage>
    /// Of `-W`: the flow that the process is there for.
    let streams: StandardStreams?
    let login: Login
    let narrator: Narrator
    let tell: @Sendable (TunnelNews) -> Void

    private let network = NetworkChanges()
    private var pool: LinkPool
    private var dice = SystemRandomNumberGenerator()
    private var sleepWatch = SleepWatch(Tick.current(), withSleep: Tick.currentWithSleep())
    /// Links that the pool has not decided about.
    private var ready: [LinkID: ReadyLink] = [:]
    /// What follows from what was done, and is handled before anything else.
    private var following: [PoolEvent] = []
    private var ending: Ending?

    init(
        _ tunnel: Tunnel, crew: WorkerCrew, control: Mailbox<ControlMessage>, streams: StandardStreams?,
        login: @escaping Login, tell: @escaping @Sendable (TunnelNews) -> Void
    ) {
        plan = tunnel.plan
        self.crew = crew
        self.control = control
        self.streams = streams
        self.login = login
        self.tell = tell
        narrator = Narrator(
            plan: tunnel.plan, workers: crew.count, kind: crew.kind, journal: tunnel.journal)
        pool = LinkPool(PoolPlan(tunnel.plan, workers: crew.count))
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
        return ending ?? .asAsked
    }

    private mutating func read(_ message: ControlMessage) {
        switch message {
        case .loggedIn(let id, let link):
            ready[id] = link
            handle(.loggedIn(id, summary: link.summary))
        case .loginFailed(let id, let error): handle(.loginFailed(id, error))
        case .linkLost(let id, let reason): handle(.linkLost(id, reason: reason))
        case .linkSuspect(let id): handle(.linkSuspect(id))
        case .linkRecovered(let id): handle(.linkRecovered(id))
        case .reverseAnswered(let id, let forward, let answer): handle(.reverseAnswered(id, forward: forward, answer))
        case .nodelayRefused: handle(.nodelayRefused)
        case .connectionWaits: handle(.connectionWaits)
        case .streamsEnded(let cleanly): handle(.streamsEnded(cleanly: cleanly))
        case .snapshot(let worker, let text): handle(.snapshot(worker, text))
        case .stopped(let worker): handle(.workerStopped(worker))
        case .failed(let worker, let error): handle(.workerFailed(worker, error))
        case .order(let order): handle(.ordered(order))
        }
    }

    private mutating func handle(_ event: PoolEvent) {
        following.append(event)
        while !following.isEmpty {
            let next = following.removeFirst()
            for action in pool.handle(next, now: Tick.current(), dice: &dice) { perform(action) }
        }
    }

    // MARK: Actions

    private mutating func perform(_ action: PoolAction) {
        switch action {
        case .beginLogin(let id, let mayPrompt): beginLogin(id, mayPrompt: mayPrompt)
        case .deliver(let id, let reverse):
            guard let link = ready.removeValue(forKey: id) else {
                preconditionFailure("a link is delivered once, after its login")
            }
            link.deliver(as: id, reverse: reverse)
        // Its stream closes as it is forgotten.
        case .drop(let id): ready[id] = nil
        case .openListeners(let forwards): openListeners(forwards)
        case .carryStreams(let id): carryStreams(id)
        case .post(let order): crew.post(order)
        case .tell(let news): tell(news)
        case .say(let news): narrator.say(news)
        case .end(let ending): self.ending = ending
        }
    }

    private mutating func beginLogin(_ id: LinkID, mayPrompt: Bool) {
        let control = control
        let login = login
        do throws(IOError) {
            try Thread.start(name: "culvert-login") {
                do throws(SSHError) {
                    control.post(.loggedIn(id, try login(id, mayPrompt)))
                } catch {
                    control.post(.loginFailed(id, error))
                }
            }
        } catch {
            following.append(.loginFailed(id, SSHError(.local, error.description)))
        }
    }

    private mutating func openListeners(_ forwards: [DirectID]) {
        var answers: [ListenerAnswer] = []
        for forward in forwards { answers.append(openListener(forward)) }
        following.append(.listenersOpened(answers))
    }

    private func openListener(_ forward: DirectID) -> ListenerAnswer {
        do throws(Listening.Failure) {
            let opened = try Listening.open(
                plan.forwards[forward], family: plan.server.connection.addressFamily.socketFamily)
            let worker = WorkerID(forward.index % crew.count)
            for each in opened { crew.listen(worker, each.descriptor, forward) }
            return ListenerAnswer(forward: forward, outcome: .success(opened.map(\.address)))
        } catch {
            return ListenerAnswer(forward: forward, outcome: .failure(error))
        }
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
