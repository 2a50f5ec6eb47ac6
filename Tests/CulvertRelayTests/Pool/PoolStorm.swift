import CulvertIO
import CulvertSSH

@testable import CulvertRelay

/// A pool in a world that does anything in any order: logins that end in every way, links that go and come, answers that
/// are late and of the dead, orders, time that leaps. The world knows by itself what must hold, and looks after every
/// event.
struct PoolStorm {
    var pool: LinkPool
    let plan: PoolPlan
    private var dice: Dice
    private(set) var now = Tick(nanoseconds: 1_000_000_000)

    // What is so in this world.
    private var underWay: Set<LinkID> = []
    /// Why connections are refused.
    private var refusal: String?
    /// Of those: another at the place has come further.
    private var overtaken: Set<LinkID> = []
    private var undecided: Set<LinkID> = []
    /// Links that the workers have for the pool, and whether they are silent.
    private var standing: [Int: (id: LinkID, isSuspect: Bool)] = [:]
    private var dead: [LinkID] = []
    private var begunPlaces: Set<Int> = []
    /// Listeners that are being opened, and have not been answered.
    private var asked: [[DirectID]] = []
    private var changes = StormChanges()
    private var hasOpened = false
    private var lastSerial: UInt64 = 0
    private var readyTold = 0
    private var streamsCarried = 0
    private var isReporting = false
    private var stopsPosted = 0
    private var endings: [Ending] = []
    private var stoppedWorkers = 0
    private var knocks = StormKnocks()
    private var logins = 0
    private var settled: Set<LinkID> = []
    private(set) var events = 0

    init(seed: UInt64) {
        dice = Dice(seed: seed)
        var plan = PoolPlan()
        plan.links = Int.random(in: 1...4, using: &dice)
        plan.workers = Int.random(in: 1...plan.links, using: &dice)
        plan.listening = (0..<Int.random(in: 0...3, using: &dice)).map { DirectID(index: $0) }
        plan.reverse = Int.random(in: 0...5, using: &dice)
        plan.carriesStreams = plan.links == 1 && Int.random(in: 0..<4, using: &dice) == 0
        switch Int.random(in: 0..<3, using: &dice) {
        case 0: plan.persistence = .no
        case 1: plan.persistence = .always
        default: plan.persistence = .after(.seconds(Int.random(in: 0...20, using: &dice)))
        }
        if Int.random(in: 0..<6, using: &dice) == 0 { plan.logins = Int.random(in: 1...12, using: &dice) }
        plan.exitOnForwardFailure = Int.random(in: 0..<4, using: &dice) == 0
        plan.connectionAttempts = Int.random(in: 1...3, using: &dice)
        plan.drain = .seconds(Double(Int.random(in: 0...9, using: &dice)))
        self.plan = plan
        pool = LinkPool(plan)
        changes = StormChanges(plan)
    }

    var hasEnded: Bool { !endings.isEmpty }
    private var areLoginsUsedUp: Bool { plan.logins.map { logins >= $0 } ?? false }
    private var isRunning: Bool { stopsPosted == 0 && !hasEnded }

    // MARK: The course of things

    mutating func run(steps: Int) throws {
        try tell(.begun)
        for _ in 0..<steps where !hasEnded { try step() }
        try calm()
        try finish()
    }

    private mutating func step() throws {
        now = now + Tick.Span(nanoseconds: Int64(dice.some(upTo: 50_000_000)))
        switch Int.random(in: 0..<100, using: &dice) {
        case 0..<22: try answerLogin(succeeds: Bool.random(using: &dice))
        case 22..<50: try somethingOfALink(standing.values.map(\.id).sorted { $0.serial < $1.serial })
        case 50..<62: try somethingOfALink(dead)
        case 62..<70: try answerListeners()
        case 70..<73: try tell(.networkChanged)
        case 73: try tell(.slept)
        case 74:
            if let id = underWay.sorted(by: { $0.serial < $1.serial }).randomElement(using: &dice) {
                try tell(.loginSilent(id))
            }
        case 75..<78: try tell(.connectionWaits)
        case 78: try tell(Bool.random(using: &dice) ? .nodelayRefused : .questionsUnanswered)
        case 79: try tell(.reportWanted)
        case 80..<82:
            try tell(.reported(WorkerID(Int.random(in: 0..<plan.workers, using: &dice)), WorkerReport()))
        case 82 where Int.random(in: 0..<20, using: &dice) == 0: try tell(.stopOrdered)
        case 83 where plan.carriesStreams && streamsCarried > 0:
            try tell(.streamsEnded(cleanly: Bool.random(using: &dice)))
        case 84 where Int.random(in: 0..<100, using: &dice) == 0: try tell(.workerFailed(WorkerID(0), IOError(5, "x")))
        case 85..<87 where !isRunning: try stopWorker()
        case 87, 88: try orderChange()
        case 89:
            if let forward = changes.closing.popFirst() { try tell(.listenersClosed(forward)) }
        case 90, 91: now = now + .seconds(Double(dice.some(upTo: 2000)))
        default:
            if let next = pool.nextMoment { now = max(now, next) }
            try passTime()
        }
    }

    /// One that has knocked; where none has, some wait for their turn.
    private mutating func answerLogin(succeeds: Bool) throws {
        try knocks.knock(now)
        let knocked = underWay.subtracting(knocks.waiting)
        guard let id = knocked.sorted(by: { $0.serial < $1.serial }).randomElement(using: &dice) else {
            now = now + .seconds(1)
            return
        }
        underWay.remove(id)
        if overtaken.remove(id) != nil {
            knocks.loginEnded(id, succeeds: true)
            dead.append(id)
            return try tell(.loginFailed(id, PoolBench.transport))
        }
        knocks.loginEnded(id, succeeds: succeeds)
        if succeeds {
            wins(id)
            undecided.insert(id)
            return try tell(.loggedIn(id, summary: "s"))
        }
        dead.append(id)
        let kinds: [SSHError.Kind] = [.transport, .transport, .authentication, .hostKey, .local, .keyExchange]
        let secret: SecretUse = Bool.random(using: &dice) ? .none : .handedOut
        let kind = kinds[Int.random(in: 0..<kinds.count, using: &dice)]
        let hasWon = kind == .authentication || kind == .hostKey
        if hasWon { wins(id) }
        try tell(.loginFailed(id, SSHError(kind, "failed"), secret: secret, hasWon: hasWon))
    }

    /// A login beside it is over by that, and says so when it says so.
    private mutating func wins(_ id: LinkID) {
        for other in underWay where other.place == id.place { overtaken.insert(other) }
    }

    private mutating func answerListeners() throws {
        guard let place = asked.indices.randomElement(using: &dice) else { return }
        let forwards = asked.remove(at: place)
        let answers = forwards.map { forward in
            Int.random(in: 0..<3, using: &dice) == 0 ? PoolBench.failed([forward])[0] : PoolBench.opened([forward])[0]
        }
        try tell(.listenersOpened(answers))
    }

    /// Of one that stands, or of one that does not and is talked about all the same.
    private mutating func somethingOfALink(_ links: [LinkID]) throws {
        guard let id = links.randomElement(using: &dice) else { return }
        let current = standing[id.place].flatMap { $0.id == id ? $0 : nil }
        switch Int.random(in: 0..<9, using: &dice) {
        case 0, 1:
            if current != nil {
                standing[id.place] = nil
                dead.append(id)
            }
            try tell(.linkLost(id, reason: "gone", life: someLife()))
        case 2, 3:
            if current != nil, !plan.carriesStreams, isRunning { standing[id.place]?.isSuspect = true }
            try tell(.linkSuspect(id))
        case 4, 5:
            if current != nil { standing[id.place]?.isSuspect = false }
            try tell(.linkRecovered(id))
        case 6 where current == nil:
            // A login that is told twice, or was never begun.
            undecided.insert(id)
            try tell(.loggedIn(id, summary: "s"))
        case 7 where current == nil: try tell(.loginFailed(id, PoolBench.transport))
        default:
            guard let forward = changes.known(at: id.place, of: plan.links).randomElement(using: &dice) else { return }
            let answers: [ReverseAnswer] = [.standing(port: 7), .standing(port: 8), .refused, .notAsked("why")]
            let answer = answers[Int.random(in: 0..<answers.count, using: &dice)]
            try tell(.reverseAnswered(id, forward: forward, answer))
        }
    }

    private mutating func someLife() -> LinkLife {
        var life = LinkLife()
        life.hasCarried = Int.random(in: 0..<4, using: &dice) == 0
        if Bool.random(using: &dice) { life.endedUnused = .seconds(Double(Int.random(in: 55...65, using: &dice))) }
        return life
    }

    private mutating func stopWorker() throws {
        guard stoppedWorkers < plan.workers else { return }
        stoppedWorkers += 1
        try tell(.workerStopped(WorkerID(stoppedWorkers - 1)))
    }

    /// Of a forward that the plan has, or that is added and cancelled again and again.
    private mutating func orderChange() throws {
        let (id, change) = changes.order(&dice)
        try tell(.changeOrdered(id, change))
    }

    private mutating func passTime() throws {
        try tell(.timePassed)
        if let next = pool.nextMoment, next <= now { throw Missed("it would spin: \(next) is not later than \(now)") }
    }

    /// The world is kind again: everything stands in the end, whatever was before.
    private mutating func calm() throws {
        for _ in 0..<200 where isRunning {
            while !underWay.isEmpty, isRunning { try answerLogin(succeeds: true) }
            while !asked.isEmpty { try tell(.listenersOpened(PoolBench.opened(asked.removeFirst()))) }
            while let forward = changes.closing.popFirst() { try tell(.listenersClosed(forward)) }
            for (_, link) in standing.sorted(by: { $0.key < $1.key }) where link.isSuspect && isRunning {
                standing[link.id.place]?.isSuspect = false
                try tell(.linkRecovered(link.id))
            }
            if isRunning { try tell(.connectionWaits) }
            guard isRunning, let next = pool.nextMoment else { continue }
            now = max(now, next)
            try passTime()
        }
        guard isRunning else { return }
        let dormant = pool.places.count { $0.attempt == .dormant }
        guard standing.count + dormant == plan.links || areLoginsUsedUp, !standing.isEmpty, underWay.isEmpty,
            pool.unopened.isEmpty || plan.persistence == .no
        else {
            throw Missed(
                "\(standing.count) of \(plan.links) links stand in a kind world, \(underWay), \(knocks.waiting): \(pool.places)"
            )
        }
    }

    private mutating func finish() throws {
        if !hasEnded { try tell(.stopOrdered) }
        let deadline = now + plan.drain + LinkPool.stopPatience
        while !underWay.isEmpty { try answerLogin(succeeds: true) }
        if Bool.random(using: &dice) {
            while stoppedWorkers < plan.workers, !hasEnded { try stopWorker() }
        } else {
            now = max(now, deadline)
            try passTime()
        }
        guard endings.count == 1 else { throw Missed("\(endings.count) ends") }
        guard pool.nextMoment == nil else { throw Missed("something is to come after the end") }
        guard changes.open.isEmpty else { throw Missed("nobody has answered \(changes.open)") }
    }

    // MARK: What must hold

    private mutating func tell(_ event: PoolEvent) throws {
        events += 1
        do {
            for action in pool.handle(event, now: now, knockable: knocks.earliest(now), dice: &dice) {
                try take(action)
            }
            try check()
        } catch let missed as Missed {
            throw Missed("after \(events) events, \(event): \(missed)")
        }
    }

    private mutating func take(_ action: PoolAction) throws {
        if hasEnded, case .drop = action {} else if hasEnded { throw Missed("\(action) after the end") }
        switch action {
        case .beginLogin(let id, let mayPrompt, let silent):
            guard isRunning else { throw Missed("\(id) begins after the order to stop") }
            guard id.serial > lastSerial else { throw Missed("\(id): a serial number twice") }
            guard underWay.subtracting(overtaken).filter({ $0.place == id.place }) == (silent.map { [$0] } ?? []) else {
                throw Missed("logins at a place that do not know of each other")
            }
            guard mayPrompt != hasOpened else { throw Missed("\(id) asks, or may not ask") }
            lastSerial = id.serial
            if silent == nil { logins += 1 }
            if let most = plan.logins, logins > most { throw Missed("login \(logins) of \(most)") }
            underWay.insert(id)
            knocks.loginBegun(id)
            begunPlaces.insert(id.place)
        case .deliver(let id, let reverse):
            guard isRunning, undecided.remove(id) != nil else { throw Missed("\(id) cannot be delivered") }
            guard changes.allows(reverse, at: id.place, of: plan.links) else {
                throw Missed("\(id) asks for \(reverse): \(changes)")
            }
            if let old = standing[id.place] {
                guard old.isSuspect else { throw Missed("\(old.id) serves, and was replaced") }
                dead.append(old.id)
            }
            standing[id.place] = (id, false)
        case .drop(let id):
            guard undecided.remove(id) != nil else { throw Missed("\(id) is dropped, and was not told") }
            if !dead.contains(id) { dead.append(id) }
        case .openListeners(let forwards):
            guard isRunning else { throw Missed("listeners are asked for") }
            guard forwards.allSatisfy(changes.mayListen) else { throw Missed("\(forwards) are no listeners") }
            asked.append(forwards)
            hasOpened = true
        case .carryStreams(let id):
            guard standing[id.place]?.id == id, plan.carriesStreams else { throw Missed("streams of \(id)") }
            streamsCarried += 1
        case .post(.stop): stopsPosted += 1
        case .post(.report):
            guard !isReporting else { throw Missed("a report is gathered already") }
            isReporting = true
        case .report(let report):
            guard isReporting, report.workers.count == plan.workers else {
                throw Missed("nobody has asked for a report")
            }
            isReporting = false
            for (number, place) in report.places.enumerated() {
                guard (place.age != nil) == (standing[number] != nil), place.connects >= place.losses else {
                    throw Missed("place \(number): \(place)")
                }
            }
            let isServing = standing.values.contains { !$0.isSuspect }
            guard !isRunning || (report.state == .up || report.state == .partly) == isServing else {
                throw Missed("\(report.state) though \(standing)")
            }
        case .countFlows: throw Missed("it stays until it is told to end")
        case .post(.probe), .say, .post(.cancelReverse), .tell(.forwards): break
        case .post(.learnDirect), .post(.learnReverse), .tell(.stopWanted): throw Missed("a pool has no \(action)")
        case .post(.closeListeners(let forward)): changes.closing.insert(forward)
        case .post(.askReverse(let id, let forward)):
            guard standing[id.place]?.id == id, forward.index % plan.links == id.place else {
                throw Missed("\(id) is asked for \(forward)")
            }
        case .answer(let id, let answer): try changes.answered(id, answer)
        case .post(.refuse(let reason)):
            guard (reason == nil) != (refusal == nil) || reason != refusal else { throw Missed("told twice") }
            guard reason == nil || standing.isEmpty else { throw Missed("links stand, and connections are refused") }
            refusal = reason
        case .doubtLogin(let id): guard underWay.contains(id) else { throw Missed("\(id) is doubted") }
        case .settled(let id, let settling):
            guard settled.insert(id).inserted else { throw Missed("\(id) settles twice") }
            knocks.settled(settling, now)
        case .unsettled(let id):
            guard !settled.contains(id) else { throw Missed("\(id) has settled") }
            knocks.failed()
        case .tell(.ready): readyTold += 1
        case .tell(.standing(let told)): try check(told)
        case .tell(.delayed): break
        case .tell(.ended): throw Missed("the thread tells the end")
        case .end(let ending): endings.append(ending)
        }
    }

    private func check(_ told: TunnelStanding) throws {
        let serving = standing.values.count { !$0.isSuspect }
        guard told.linksUp == serving else { throw Missed("\(told.linksUp) links are told, \(serving) serve") }
        guard (0...pool.directCount + pool.reverseCount).contains(told.forwardsUp) else {
            throw Missed("\(told.forwardsUp) forwards")
        }
    }

    private func check() throws {
        guard readyTold <= 1, streamsCarried <= 1, endings.count <= 1 else { throw Missed("told twice") }
        guard stopsPosted <= (endings == [.systemError] ? 2 : 1) else { throw Missed("ordered twice") }
        guard undecided.count <= (!asked.isEmpty && standing.isEmpty ? 1 : 0) else {
            throw Missed("\(undecided) wait for a decision")
        }
        for place in 0..<plan.links where pool.places[place].link?.id != standing[place]?.id {
            throw Missed("the pool takes \(pool.places[place]) for what stands at \(place)")
        }
        guard isRunning else { return }
        for place in begunPlaces {
            let isTrying =
                underWay.subtracting(overtaken).contains { $0.place == place }
                || undecided.contains { $0.place == place }
            let isDue = pool.places[place].retryAt != nil
            guard !(isTrying && isDue) else { throw Missed("place \(place) tries and waits") }
            let serves = standing[place].map { !$0.isSuspect } ?? false
            guard !(serves && isDue) else { throw Missed("place \(place) serves, and another is to be made") }
            if let due = pool.places[place].retryAt, due > now + Backoff.longestAfterRefusal {
                throw Missed("place \(place) waits for \((due - now).seconds) s")
            }
            let isDormant = pool.places[place].attempt == .dormant
            guard !isDormant || pool.reverse(of: place).isEmpty else {
                throw Missed("nobody would wake place \(place)")
            }
            guard serves || isTrying || isDue || isDormant || areLoginsUsedUp else {
                throw Missed("place \(place) waits for nothing")
            }
        }
        let hasSomething = !standing.isEmpty || !underWay.isEmpty || !undecided.isEmpty
        guard hasSomething || pool.nextMoment != nil || pool.places.contains(where: { $0.attempt == .dormant }) else {
            throw Missed("it runs on, and nothing of it is to come")
        }
        // The next place follows the first login of the one before, however that ends.
        guard begunPlaces.count < plan.links, let last = begunPlaces.max() else { return }
        let follows = underWay.contains { $0.place == last } || undecided.contains { $0.place == last }
        guard follows || !hasOpened || !asked.isEmpty || areLoginsUsedUp else {
            throw Missed("nobody begins place \(last + 1)")
        }
    }
}
