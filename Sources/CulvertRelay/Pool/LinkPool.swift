internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The links of one tunnel: when each is made, judged and made again, and when the tunnel stands and ends. A value: what
/// happens, the time and chance go in, what is to be done comes out. It has no clock, no thread, no socket and no words.
///
/// Invariants, while it runs: a place whose first login has begun has a link that serves, or a login under way, or a time
/// at which the next one begins, or is dormant and waits for a connection, or has none of the plan's logins left. At most one login is under way a place, and one more
/// beside it where that fell silent. After the order to stop nothing begins, and there is exactly one end.
struct LinkPool {
    enum Phase: Equatable {
        case running
        /// The workers end their flows; the pool ends as it says once all have, or at the deadline.
        case stopping(Ending, deadline: Tick)
        case ended
    }

    /// What is listened on here, as a whole: nothing before the first login has succeeded.
    enum Listeners: Equatable {
        case closed
        /// They are being opened, and the first link waits for the result.
        case opening(LinkID, summary: String)
        case open
    }

    /// Workers that do not answer an order to stop in their time get this much more.
    static let stopPatience = Tick.Span.seconds(2)
    /// A port that another program holds, or an address that is not there yet, is tried again this often.
    static let openingPause = Tick.Span.seconds(10)
    /// Routing daemons and container hosts make news of the network all the time: it is acted upon at once, then at most
    /// this often.
    static let pathPause = Tick.Span.seconds(1)
    /// A tunnel that has stayed for as long as it was to, and is used yet, is looked at again so often.
    static let usePause = Tick.Span.milliseconds(250)
    static let firstAttemptsPause = Tick.Span.seconds(1)
    /// A tunnel that had a link, and meets another host key for so long without one, is over.
    static let hostKeyPatience = Tick.Span.seconds(600)

    let plan: PoolPlan
    var phase = Phase.running
    var places: [PoolPlace]
    var lastSerial: UInt64 = 0
    var firstAttempts = 0
    /// Logins begun, and when the first was.
    var logins = 0
    var begunAt: Tick?

    var listeners = Listeners.closed
    /// Direct forwards that are wanted here, and those whose port the kernel chooses.
    var listening: [DirectID]
    var choosing: Set<DirectID>
    /// What the kernel chose.
    var chosenPorts: [DirectID: UInt16] = [:]
    /// Changes that were ordered and are not answered.
    var changes: [PendingChange] = []
    /// Direct forwards that could not be opened, and when they are tried again.
    var unopened: [DirectID] = []
    var openAgainAt: Tick?
    /// Why they could not be opened last.
    var openingFailures: [DirectID: String] = [:]
    var reverseStates: [ReverseState]
    var isReady = false
    /// `-W` has its link.
    var streamsHaveBegun = false
    /// It has stayed for as long as it was to; then whether it is used is looked at.
    var staysUntil: Tick?
    var wasToldOfNodelay = false
    var wasToldOfSilence = false
    var wasToldOfUnusedTimeout = false

    /// When a local connection began to wait for a link last: it may do so for `plan.hold`.
    var waitedAt: Tick?
    /// The budget has no knock at the server's address before that moment.
    var knockable: Tick?
    var unusedTimeout = UnusedTimeout()
    /// Why connections that find no link are closed at once, for as long as they are.
    var refusal: String?
    /// No link has stood since then.
    var downSince: Tick?
    /// Links have stood without a gap since then.
    var upSince: Tick?
    /// When the links are looked at because the network has changed; a burst of news is one change.
    var pathCheckAt: Tick?
    var pathCheckedAt: Tick?

    var stoppedWorkers: Set<WorkerID> = []
    /// While a report is gathered: what workers have said.
    var reportParts: [WorkerID: WorkerReport]?

    /// What the event that is handled has led to so far.
    private var actions: [PoolAction] = []

    init(_ plan: PoolPlan) {
        precondition(plan.links > 0 && plan.workers > 0, "a pool has a place and a worker")
        self.plan = plan
        places = Array(repeating: PoolPlace(), count: plan.links)
        listening = plan.listening
        choosing = Set(plan.choosing)
        reverseStates = Array(repeating: .unasked, count: plan.reverse)
    }

    var isRunning: Bool { phase == .running }
    var hasLoggedIn: Bool { listeners != .closed }

    mutating func act(_ action: PoolAction) { actions.append(action) }
    mutating func say(_ news: PoolNews) { act(.say(news)) }

    // MARK: Events

    /// `now` never goes back. `knockable`: when the budget has a knock at the server's address again; nil: now.
    mutating func handle(
        _ event: PoolEvent, now: Tick, knockable: Tick? = nil, dice: inout some RandomNumberGenerator
    ) -> [PoolAction] {
        self.knockable = knockable
        switch event {
        case .loggedIn(let id, let summary): loggedIn(id, summary, now: now)
        case _ where phase == .ended: break
        case .begun: begin(now: now)
        case .loginFailed(let id, let error, let secret, let hasWon):
            // One that had come further than the other has ended it.
            let isOtherSilent = places[id.place].secondIsSilent
            if !hasWon, let other = places[id.place].leaves(id) {
                if isOtherSilent { loginSilent(other) }
                break
            }
            loginFailed(id, error, secret, now: now, dice: &dice)
        case .loginSilent(let id): loginSilent(id)
        case .linkLost(let id, let reason, let life): linkLost(id, reason, life, now: now, dice: &dice)
        case .linkSuspect(let id): linkSuspect(id, now: now, dice: &dice)
        case .linkRecovered(let id): linkRecovered(id)
        case .reverseAnswered(let id, let forward, let answer): reverseAnswered(id, forward, answer, now: now)
        case .nodelayRefused: tellOnce(.nodelayRefused, \.wasToldOfNodelay)
        case .questionsUnanswered: tellOnce(.questionsUnanswered, \.wasToldOfSilence)
        case .connectionWaits: connectionWaits(now: now)
        case .streamsEnded(let cleanly): streamsEnded(cleanly, now: now)
        case .flows(let count): flowsCounted(count, now: now)
        case .listenersOpened(let answers): listenersOpened(answers, now: now)
        case .networkChanged: networkChanged(now: now)
        case .slept: doubtPath(.sleep, now: now)
        case .changeOrdered(let id, let change): changeOrdered(id, change, now: now)
        case .listenersClosed(let forward): listenersClosed(forward)
        case .stopOrdered: stop(.asAsked, now: now)
        case .reportWanted: beginReport()
        case .reported(let worker, let report): addReport(worker, report, now: now)
        case .workerStopped(let worker): workerStopped(worker)
        case .workerFailed(_, let error): workerFailed(error)
        case .timePassed: timePassed(now: now)
        }
        defer { actions = [] }
        return actions
    }

    /// When time alone leads to something next. nil: never.
    var nextMoment: Tick? {
        var moments = places.compactMap(\.retryAt)
        if isRunning { moments += places.compactMap(\.settlesAt) }
        if let pathCheckAt { moments.append(pathCheckAt) }
        if let openAgainAt { moments.append(openAgainAt) }
        if isRunning, let staysUntil { moments.append(staysUntil) }
        if case .stopping(_, let deadline) = phase { moments.append(deadline) }
        moments += changes.compactMap(\.deadline)
        return phase == .ended ? nil : moments.min()
    }

    private mutating func timePassed(now: Tick) {
        if case .stopping(let ending, let deadline) = phase, deadline <= now { return end(ending) }
        if let due = pathCheckAt, due <= now { doubtPath(.networkChange, now: now) }
        for index in places.indices {
            settleByAge(index, now: now)
            guard let due = places[index].retryAt, due <= now else { continue }
            if let knockable, knockable > now {
                places[index].postpone(to: knockable)
            } else {
                beginLogin(index, now: now)
            }
        }
        giveUpChanges(now: now)
        if let due = openAgainAt, due <= now {
            openAgainAt = nil
            act(.openListeners(unopened))
        }
        if isRunning, let due = staysUntil, due <= now {
            staysUntil = now + Self.usePause
            act(.countFlows)
        }
    }

    /// The time that the tunnel was to stay has passed: it ends as soon as nobody uses it.
    private mutating func flowsCounted(_ count: Int, now: Tick) {
        // A link has served those that had waited for it.
        let latest = places.compactMap { $0.link?.since }.max() ?? Tick(nanoseconds: 0)
        guard isRunning, count == 0, !isWaited(now, since: latest) else { return }
        say(.endsUnused)
        stop(.asAsked, now: now)
    }

    private mutating func begin(now: Tick) {
        begunAt = now
        beginLogin(0, now: now)
    }

    /// Whether what fails now is tried again, where nothing of the tunnel stands.
    func persists(_ now: Tick) -> Bool {
        switch plan.persistence {
        case .no: false
        case .always: true
        case .after(let gate): begunAt.map { now - $0 >= Tick.Span(gate) } ?? false
        }
    }

    // MARK: The network

    private mutating func networkChanged(now: Tick) {
        pathCheckAt = pathCheckAt ?? max(now, pathCheckedAt.map { $0 + Self.pathPause } ?? now)
    }

    /// Whatever is known of the links is old: those that stand are asked, those that do not are tried.
    private mutating func doubtPath(_ doubt: PathDoubt, now: Tick) {
        say(.checksLinks(doubt))
        pathCheckAt = nil
        pathCheckedAt = now
        for place in places where !place.isServing {
            guard case .underWay(let id) = place.attempt else { continue }
            if case .opening = listeners { continue }
            act(.doubtLogin(id))
        }
        hurry(now: now)
        act(.post(.probe))
    }

    // MARK: The end

    /// Ends once the workers have stopped, or soon. The first reason counts.
    mutating func stop(_ ending: Ending, now: Tick) {
        guard isRunning else { return }
        phase = .stopping(ending, deadline: now + plan.drain + Self.stopPatience)
        openAgainAt = nil
        failChanges("the tunnel is ending")
        for index in places.indices where !places[index].isTrying { places[index].attempt = .none }
        if case .opening(let id, _) = listeners { dismiss(id) }
        act(.post(.stop(drain: plan.drain)))
    }

    /// The process ends with the one flow of `-W`; one that is cut by the end is no clean one.
    private mutating func streamsEnded(_ cleanly: Bool, now: Tick) {
        if case .stopping(_, let deadline) = phase, !cleanly {
            phase = .stopping(.connectionFailed, deadline: deadline)
        }
        stop(cleanly ? .asAsked : .connectionFailed, now: now)
    }

    private mutating func workerStopped(_ worker: WorkerID) {
        stoppedWorkers.insert(worker)
        guard stoppedWorkers.count == plan.workers else { return }
        if case .stopping(let ending, _) = phase { end(ending) } else { end(.asAsked) }
    }

    /// Beside other tunnels the process goes on, and nobody would look after what is left of this one.
    private mutating func workerFailed(_ error: IOError) {
        say(.workerFailed(error))
        act(.post(.stop(drain: .zero)))
        end(.systemError)
    }

    private mutating func end(_ ending: Ending) {
        if case .opening(let id, _) = listeners { dismiss(id) }
        phase = .ended
        failChanges("the tunnel is ending")
        act(.end(ending))
    }

    /// The first link waits for the listeners in vain.
    private mutating func dismiss(_ id: LinkID) {
        places[id.place].attempt = .none
        listeners = .open
        act(.drop(id))
    }
}
