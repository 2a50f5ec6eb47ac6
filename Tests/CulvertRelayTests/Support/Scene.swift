import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Synchronization

@testable import CulvertRelay

/// What the journal was told.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
    func count(_ words: String) -> Int { all.count { $0.contains(words) } }
}

/// One thread for all names of all tests: a resolver never ends.
let sharedResolver: Resolver = {
    do { return try Resolver() } catch { fatalError("no thread for names: \(error)") }
}()

/// What a worker is told to serve.
struct Script {
    var forwards = 0
    /// Where plain connections of each forward go, when there is no link.
    var targets: [Target] = []
    var reverse: [ReverseForward] = []
    var links = 1
    var workers = 1
    var memory = 64 * 1024 * 1024
    var limits = RelayLimits()
    var alive = KeepAlive()
    /// Windows keep their size, so that what may lie around is known exactly.
    var window: UInt32 = 256 * 1024
    var windowsGrow = false
    /// The far end goes beyond its windows, and at most so much of that is held, bytes.
    var excess = 0
    /// The far end sends and credits in pieces of any size.
    var pieces = false
    /// Of an engine that has keys: which cipher, and after how many bytes they are exchanged again.
    var cipher: String?
    var rekeyBytes: UInt64?
    /// Of an engine that has none: which exchange of keys it says is under way.
    var keyExchange: Int?
    var seed: UInt64 = 1

    var settings: ConnectionSettings {
        var settings = ConnectionSettings()
        settings.initialWindow = window
        if !windowsGrow { settings.maximumWindow = window }
        return settings
    }
}

/// A worker under test, what it was given, and what it said.
final class Scene<Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable> {
    let place: any Place
    let script: Script
    let lines = Lines()
    let context: WorkerContext<Engine>
    var worker: Worker<Driver, Engine>
    /// Where each local forward is listened on.
    private(set) var addresses: [SocketAddress] = []
    private(set) var said: [ControlMessage] = []
    /// Links of the pool that were made.
    private var linksMade: UInt64 = 0

    /// Of the budget, by the test itself.
    var takenElsewhere = 0

    init(_ place: any Place, _ script: Script, driver: consuming Driver) throws {
        self.place = place
        self.script = script
        var limits = script.limits
        if place is SimulatedPlace { limits.descriptors += Int(SimulatedNetwork.firstDescriptor) }
        let forwards = (0..<script.forwards).map { number in
            LocalForward(
                listen: .loopback(port: 0),
                target: number < script.targets.count ? script.targets[number] : .unix(path: "/far"),
                text: "forward \(number)")
        }
        let lines = lines
        context = WorkerContext(
            forwards: forwards, reverse: script.reverse,
            links: (0..<script.links).map { LinkStatus(worker: WorkerID($0 % script.workers)) },
            mailboxes: try (0..<script.workers).map { _ in try Mailbox() }, control: try Mailbox(),
            budget: MemoryBudget(ceiling: script.memory, workers: script.workers), resolver: sharedResolver,
            requestResolver: sharedResolver,
            journal: Journal(level: .error) { lines.add($0.text) }, limits: limits, alive: script.alive)
        worker = Worker(WorkerID(0), driver: driver, context: context)
        for number in 0..<script.forwards {
            let (descriptor, address) = try place.listen()
            addresses.append(address)
            tell(.listen(descriptor, forward: DirectID(index: number)))
        }
    }

    func tell(_ message: WorkerMessage<Engine>) { context.mailboxes[0].post(message) }

    /// A link at that place of the pool; the far end of it.
    func addLink(_ index: Int = 0, reverse: [ReverseID] = [], worker: Int = 0, keyExchange: Int? = nil) throws -> FarEnd
    {
        linksMade += 1
        let (far, link) = try readyLink(worker: worker, keyExchange: keyExchange)
        link.deliver(as: LinkID(place: index, serial: linksMade), reverse: reverse)
        return far
    }

    /// A link that has logged in and is not delivered; the far end of it.
    func readyLink(worker: Int = 0, keyExchange: Int? = nil) throws -> (FarEnd, ReadyLink) {
        let (descriptor, wire) = try place.link()
        var script = script
        script.keyExchange = keyExchange
        let pair = try Engine.paired(script)
        let far = FarEnd(wire, pair.far, seed: script.seed, pieces: script.pieces)
        place.drive { far.step() }
        let link = LoggedInLink(
            socket: BlockingSocket(adopting: descriptor), engine: pair.near,
            ring: try MirroredRing(capacity: 1024 * 1024), summary: "")
        return (far, ReadyLink(link, for: context.mailboxes[worker]))
    }

    func client(_ forward: Int = 0) throws -> any Peer { try place.client(to: addresses[forward]) }

    // MARK: Turns

    func turn() throws {
        place.pump()
        // The far ends live on this thread or in this world: no turn may wait for long. The timer finds nothing to do.
        let now = place is KernelPlace ? Tick.current() : worker.driver.now
        let longest = now + place.longestTurn
        if worker.timers.soonest.map({ $0 > longest }) ?? true {
            worker.timers.add(longest, Token(.heldExpiry))
        }
        try worker.turnOnce()
        said += context.control.takeAll()
        try check()
    }

    /// Turns until it is so. What takes longer, on the worker's clock, is a failure.
    func run(_ what: String, within patience: Tick.Span = .seconds(20), until isSo: () -> Bool) throws {
        let begun = worker.driver.now
        while worker.driver.now - begun < patience {
            if isSo() { return }
            try turn()
        }
        throw Missed("not in \(formatSeconds(patience)): \(what)\n\(worker.report())\n\(lines.all.suffix(5))")
    }

    /// Turns for some time of the worker's clock.
    func run(for span: Tick.Span) throws {
        let end = worker.driver.now + span
        try run("time passes", within: .seconds(span.seconds + 20)) { worker.driver.now >= end }
    }

    // MARK: What must always hold

    private func check() throws {
        worker.invariants()
        // Another worker's spill is not seen from here.
        guard script.workers == 1 else { return }
        var held = 0
        var next = worker.flows.first()
        while let flow = next {
            next = worker.flows.next(after: flow)
            let count = worker.flows[flow].spill.count
            held += count
            guard count <= Int(script.settings.maximumWindow) + script.excess else {
                throw Missed("\(count) bytes are spilled for a window of \(script.settings.maximumWindow)")
            }
        }
        var delivery = worker.deliveries.slab.first()
        while let id = delivery {
            delivery = worker.deliveries.slab.next(after: id)
            held += worker.deliveries.slab[id].rest.count
        }
        try context.budget.check(holding: held, takenElsewhere: takenElsewhere)
    }

    /// After everything has ended: nothing is kept of any flow.
    func expectNoFlows() throws {
        try run("every flow is gone", within: .seconds(40)) {
            worker.flows.count == 0 && worker.deliveries.isEmpty && worker.held.isEmpty && worker.dials.count == 0
        }
        guard context.budget.inUse == 0 else {
            throw Missed("\(context.budget.inUse) bytes of spill were not given back")
        }
        for status in context.links where status.flowCount != 0 {
            throw Missed("\(status.flowCount) flows are still counted")
        }
    }

    /// Stops the worker: nothing is kept of anything.
    func expectNothingAfterStop() throws {
        tell(.stop(drain: .seconds(5)))
        try run("the worker stops") { worker.hasStopped }
        try expectNoFlows()
        guard worker.links.count == 0, worker.listeners.slab.count == 0 else {
            throw Missed("links or listeners are left")
        }
        if let simulated = place as? SimulatedPlace, simulated.network.openDescriptors != 0 {
            throw Missed("\(simulated.network.openDescriptors) descriptors are left")
        }
    }

    /// Where the server said that it listens, in order.
    var reversePorts: [UInt16] {
        said.compactMap { if case .reverseAnswered(_, _, .standing(let port)) = $0 { port } else { nil } }
    }

    var lostLinks: [String] {
        said.compactMap { if case .linkLost(_, let reason, _) = $0 { reason } else { nil } }
    }
}

typealias SimulatedScene = Scene<SimulatedDriver, NullCipherEngine>

extension MemoryBudget {
    /// What is spilled is taken from the budget, and little more.
    func check(holding held: Int, takenElsewhere: Int) throws {
        let used = inUse - takenElsewhere
        guard held <= used, used <= limit, (held > 0) == (used > 0) else {
            throw Missed("\(held) bytes are spilled, \(used) are taken of \(ceiling)")
        }
    }
}

extension Scene where Driver == SimulatedDriver, Engine: ~Copyable {
    /// A worker in a simulated world.
    static func simulated(
        _ script: Script, faults: Faults = .none, bufferLength: Int = 64 * 1024,
        linkReader: SimulatedPeer.Behaviour? = nil
    ) throws -> Scene {
        let place = SimulatedPlace(seed: script.seed, faults: faults, bufferLength: bufferLength)
        if let linkReader { place.linkReader = linkReader }
        return try Scene(place, script, driver: SimulatedDriver(place.network))
    }

    var network: SimulatedNetwork { (place as! SimulatedPlace).network }

}

/// Two peers that one flow joins, and what each must read from the other.
struct Pairing {
    let near: any Peer
    let far: any Peer
    let toFar: [UInt8]
    let toNear: [UInt8]

    /// Both sides write, then end their direction.
    init(_ near: any Peer, _ far: any Peer, _ dice: inout Dice, upTo limit: Int) {
        self.near = near
        self.far = far
        toFar = dice.bytes(Int.random(in: 0...limit, using: &dice))
        toNear = dice.bytes(Int.random(in: 0...limit, using: &dice))
        near.write(toFar)
        near.finish()
        far.write(toNear)
        far.finish()
    }

    var isDone: Bool { near.sawEnd && far.sawEnd }

    /// Every byte once, in order, in both directions, and both ends told.
    func verify() throws {
        guard near.received == toNear else { throw Missed(Self.difference("near", near.received, toNear)) }
        guard far.received == toFar else { throw Missed(Self.difference("far", far.received, toFar)) }
        guard !near.sawReset, !far.sawReset else { throw Missed("a stream that ended was reset") }
    }

    /// What came is the beginning of what was sent.
    func verifyPrefixes() throws {
        guard toNear.starts(with: near.received) else { throw Missed(Self.difference("near", near.received, toNear)) }
        guard toFar.starts(with: far.received) else { throw Missed(Self.difference("far", far.received, toFar)) }
    }

    static func difference(_ side: String, _ came: [UInt8], _ sent: [UInt8]) -> String {
        let first = zip(came, sent).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        return
            "\(side): \(came.count) bytes of \(sent.count) came, the first wrong one at \(first.map(String.init) ?? "the end")"
    }
}
