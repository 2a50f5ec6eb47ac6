import CulvertIO
import CulvertPlan
import Simulation

@testable import CulvertRelay

/// A worker of `culvert relay` under test, what it was given, and what it said.
final class PlainScene<Driver: IODriver & ~Copyable> {
    let place: any Place
    let lines = Lines()
    let context: PlainContext
    var worker: PlainWorker<Driver>
    /// Where each forward is listened on.
    private(set) var addresses: [SocketAddress] = []
    /// Of the budget, by the test itself.
    var takenElsewhere = 0

    /// A forward for each target.
    init(
        _ place: any Place, targets: [Target], memory: Int = 64 * 1024 * 1024,
        limits given: RelayLimits = RelayLimits(),
        driver: consuming Driver
    ) throws {
        self.place = place
        var limits = given
        if place is SimulatedPlace { limits.descriptors += Int(SimulatedNetwork.firstDescriptor) }
        let lines = lines
        context = PlainContext(
            forwards: targets.enumerated().map { number, target in
                LocalForward(listen: .loopback(port: 0), target: target, text: "forward \(number)")
            },
            mailboxes: [try Mailbox()], control: try Mailbox(), loads: [LinkStatus(worker: WorkerID(0), isOpen: true)],
            budget: MemoryBudget(ceiling: memory), resolver: sharedResolver,
            journal: Journal(level: .error) { lines.add($0.text) }, limits: limits)
        worker = PlainWorker(WorkerID(0), driver: driver, context: context)
        for number in targets.indices {
            let (descriptor, address) = try place.listen()
            addresses.append(address)
            tell(.listen(descriptor, forward: DirectID(index: number)))
        }
    }

    func tell(_ message: PlainMessage) { context.mailboxes[0].post(message) }

    func client(_ forward: Int = 0) throws -> any Peer { try place.client(to: addresses[forward]) }

    func turn() throws {
        place.pump()
        // The far ends live on this thread or in this world: no turn may wait for long. The timer finds nothing to do.
        let now = place is KernelPlace ? Tick.current() : worker.driver.now
        let longest = now + place.longestTurn
        if worker.timers.soonest.map({ $0 > longest }) ?? true { worker.timers.add(longest, Token(.drainEnd)) }
        try worker.turnOnce()
        worker.invariants()
        try check()
    }

    private func check() throws {
        var held = 0
        var next = worker.flows.first()
        while let flow = next {
            next = worker.flows.next(after: flow)
            for end in 0...1 { held += worker.flows[flow].ends[end].spill.count }
        }
        var delivery = worker.deliveries.slab.first()
        while let id = delivery {
            delivery = worker.deliveries.slab.next(after: id)
            held += worker.deliveries.slab[id].rest.count
        }
        try context.budget.check(holding: held, takenElsewhere: takenElsewhere)
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

    func run(for span: Tick.Span) throws {
        let end = worker.driver.now + span
        try run("time passes", within: .seconds(span.seconds + 20)) { worker.driver.now >= end }
    }

    /// After everything has ended: nothing is kept of any flow.
    func expectNoFlows() throws {
        try run("every flow is gone", within: .seconds(40)) {
            worker.flows.count == 0 && worker.deliveries.isEmpty && worker.dials.count == 0
        }
        guard context.budget.inUse == takenElsewhere else {
            throw Missed("\(context.budget.inUse) bytes of spill were not given back")
        }
        guard context.loads[0].flowCount == 0 else { throw Missed("\(context.loads[0].flowCount) flows are counted") }
    }

    /// Stops the worker: nothing is kept of anything.
    func expectNothingAfterStop() throws {
        tell(.stop(drain: .seconds(5)))
        try run("the worker stops") { worker.hasStopped }
        try expectNoFlows()
        guard worker.listeners.slab.count == 0 else { throw Missed("listeners are left") }
        if let simulated = place as? SimulatedPlace, simulated.network.openDescriptors != 0 {
            throw Missed("\(simulated.network.openDescriptors) descriptors are left")
        }
    }
}

extension PlainScene where Driver == SimulatedDriver {
    var network: SimulatedNetwork { (place as! SimulatedPlace).network }

    /// The driver's slots too.
    func expectEverySlotBack() throws {
        guard worker.driver.freeSlots == 4 else { throw Missed("\(4 - worker.driver.freeSlots) slots are still lent") }
    }
}
