import CulvertIO
import CulvertSSH
import Simulation

@testable import CulvertRelay

/// A real worker in the simulated world, under a pool with that world's time: what the pool wants done is done, and what
/// the worker says is what the pool hears. In place of logins there is a server that lets in, refuses, or is not there.
final class PoolScene {
    enum Server {
        case up
        case refuses
        case unreachable
    }

    let scene: SimulatedScene
    private(set) var pool: LinkPool
    private var dice: Dice
    var server = Server.up
    /// A login takes up to this long.
    var loginTime = Tick.Span.milliseconds(300)

    /// The far end of every link that logged in, by its name.
    private(set) var fars: [LinkID: FarEnd] = [:]
    private(set) var delivered: [LinkID] = []
    private(set) var dropped: [LinkID] = []
    private(set) var begun: [LinkID] = []
    private(set) var news: [PoolNews] = []
    private(set) var told: [TunnelNews] = []
    private(set) var posted: [WorkerOrder] = []
    private(set) var answers: [ChangeID: ForwardAnswer] = [:]
    private(set) var ending: Ending?
    private var ready: [LinkID: ReadyLink] = [:]
    /// Logins that are over, and when.
    private var logins: [(id: LinkID, due: Tick)] = []
    private var following: [PoolEvent] = []
    private var heard = 0
    private var hasToldOfStop = false

    init(_ plan: PoolPlan, _ script: Script, faults: Faults = .none) throws {
        scene = try SimulatedScene.simulated(script, faults: faults)
        pool = LinkPool(plan)
        dice = Dice(seed: script.seed)
        try handle(.begun)
    }

    var now: Tick { scene.worker.driver.now }

    /// The link that the pool has at that place.
    func standing(_ place: Int = 0) -> LinkID? { pool.places[place].link?.id }
    func far(_ place: Int = 0) throws -> FarEnd {
        guard let id = standing(place), let far = fars[id] else { throw Missed("no link stands at \(place)") }
        return far
    }
    var allServe: Bool { pool.places.allSatisfy(\.isServing) }

    // MARK: Turns

    func turn() throws {
        try scene.turn()
        for message in scene.said[heard...] { try hear(message) }
        heard = scene.said.count
        let due = logins.filter { $0.due <= now }
        logins.removeAll { $0.due <= now }
        for login in due { try finishLogin(login.id) }
        if scene.worker.hasStopped, !hasToldOfStop {
            hasToldOfStop = true
            try handle(.workerStopped(WorkerID(0)))
        }
        if let next = pool.nextMoment, next <= now { try handle(.timePassed) }
    }

    func run(_ what: String, within patience: Tick.Span = .seconds(20), until isSo: () throws -> Bool) throws {
        let begun = now
        while now - begun < patience {
            if try isSo() { return }
            try turn()
        }
        throw Missed("not in \(formatSeconds(patience)): \(what)\n\(scene.worker.report())\n\(news.suffix(5))")
    }

    func run(for span: Tick.Span) throws {
        let end = now + span
        try run("time passes", within: .seconds(span.seconds + 20)) { now >= end }
    }

    private func hear(_ message: ControlMessage) throws {
        switch message {
        case .linkLost(let id, let reason, let life): try handle(.linkLost(id, reason: reason, life: life))
        case .linkSuspect(let id): try handle(.linkSuspect(id))
        case .linkRecovered(let id): try handle(.linkRecovered(id))
        case .reverseAnswered(let id, let forward, let answer):
            try handle(.reverseAnswered(id, forward: forward, answer))
        case .nodelayRefused: try handle(.nodelayRefused)
        case .questionsUnanswered: try handle(.questionsUnanswered)
        case .connectionWaits: try handle(.connectionWaits)
        case .streamsEnded(let cleanly): try handle(.streamsEnded(cleanly: cleanly))
        case .reported(let worker, let report): try handle(.reported(worker, report))
        case .listenersClosed(let forward): try handle(.listenersClosed(forward))
        case .loggedIn, .loginFailed, .loginSilent, .listenersOpened, .stopped, .failed, .order, .change,
            .handedOver, .report:
            throw Missed("no worker says \(message)")
        }
    }

    private func finishLogin(_ id: LinkID) throws {
        switch server {
        case .up:
            let (far, link) = try scene.readyLink()
            fars[id] = far
            ready[id] = link
            try handle(.loggedIn(id, summary: link.summary))
        case .refuses: try handle(.loginFailed(id, SSHError(.authentication, "refused")))
        case .unreachable: try handle(.loginFailed(id, SSHError(.transport, "no route")))
        }
    }

    func handle(_ event: PoolEvent) throws {
        following.append(event)
        while !following.isEmpty {
            let next = following.removeFirst()
            for action in pool.handle(next, now: now, dice: &dice) { try perform(action) }
        }
        guard ready.isEmpty else { throw Missed("\(event) left a link undecided") }
    }

    private func perform(_ action: PoolAction) throws {
        guard ending == nil else { throw Missed("\(action) after the end") }
        switch action {
        case .beginLogin(let id, _, _):
            begun.append(id)
            let span = Tick.Span(nanoseconds: Int64.random(in: 0...loginTime.nanoseconds, using: &dice))
            logins.append((id, now + span))
        case .deliver(let id, let reverse):
            guard let link = ready.removeValue(forKey: id) else { throw Missed("\(id) has not logged in") }
            delivered.append(id)
            link.deliver(as: id, reverse: reverse)
        case .drop(let id):
            ready[id] = nil
            dropped.append(id)
        // The scene listens already.
        case .openListeners(let forwards): following.append(.listenersOpened(PoolBench.opened(forwards)))
        case .carryStreams: throw Missed("no streams are carried here")
        case .countFlows: throw Missed("it stays until it is told to end")
        case .post(let order):
            posted.append(order)
            scene.tell(WorkerMessage(order))
        case .settled, .unsettled, .doubtLogin, .report: break
        case .answer(let id, let answer): answers[id] = answer
        case .tell(let news): told.append(news)
        case .say(let news): self.news.append(news)
        case .end(let ending): self.ending = ending
        }
    }

    /// It is told to end, and does, with nothing kept.
    func expectEnd() throws {
        try handle(.stopOrdered)
        try run("it ends") { ending != nil }
        guard ending == .asAsked else { throw Missed("it ended otherwise") }
        // A link that was dropped has closed its number with the kernel, which does not have it.
        let left = scene.network.openDescriptors - dropped.count
        guard scene.worker.links.count == 0, left == 0 else {
            throw Missed("\(left) descriptors are left")
        }
    }
}
