import CulvertIO
import Simulation
import Testing

@testable import CulvertRelay

/// Socket to socket, without SSH.
@Suite struct PlainTests {
    private func scene(
        seed: UInt64, faults: Faults, bufferLength: Int = 4096, _ answers: [TargetAnswer],
        memory: Int = 64 * 1024 * 1024
    ) throws -> (PlainScene<SimulatedDriver>, [any Destination]) {
        let place = SimulatedPlace(seed: seed, faults: faults, bufferLength: bufferLength)
        let targets = try answers.map { try place.target($0) }
        let scene = try PlainScene(
            place, targets: targets.map { .tcp(host: "127.0.0.1", port: $0.address.port) }, memory: memory,
            driver: SimulatedDriver(place.network))
        return (scene, targets)
    }

    @Test(arguments: UInt64(1)...40)
    func everyByteArrivesOnceAndInOrder(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let (scene, targets) = try scene(
            seed: seed, faults: .all, bufferLength: [512, 4096, 64 * 1024].randomElement(using: &dice)!, [.collect])
        var pairings: [Pairing] = []
        for number in 0..<10 {
            let client = try scene.client()
            try scene.run("the target is connected to") { targets[0].connections.count > number }
            pairings.append(Pairing(client, targets[0].connections[number], &dice, upTo: 60_000))
        }
        try scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try scene.expectNoFlows()
        try scene.expectEverySlotBack()
        #expect(scene.lines.all.isEmpty)
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: UInt64(1)...20)
    func resetsReachTheOtherEnd(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let (scene, targets) = try scene(seed: seed, faults: .all, [.collect])
        var cuts: [(cut: any Peer, told: any Peer, pairing: Pairing)] = []
        for number in 0..<8 {
            let client = try scene.client()
            try scene.run("the target is connected to") { targets[0].connections.count > number }
            let far = targets[0].connections[number]
            let pairing = Pairing(client, far, &dice, upTo: 200_000)
            let isNear = Bool.random(using: &dice)
            cuts.append((isNear ? client : far, isNear ? far : client, pairing))
            let side = cuts[number].cut
            scene.network.schedule(after: Tick.Span(nanoseconds: Int64.random(in: 0...2_000_000, using: &dice))) {
                side.reset()
            }
        }
        try scene.run("every flow is gone") { scene.worker.flows.count == 0 }
        try scene.run("each other end knows") { cuts.allSatisfy { $0.told.sawReset || $0.told.sawEnd } }
        for cut in cuts { try cut.pairing.verifyPrefixes() }
        try scene.expectNoFlows()
        try scene.expectEverySlotBack()
        try scene.expectNothingAfterStop()
    }

    /// More slow readers than the driver has slots: everybody else is served, and each costs a read's worth.
    @Test func slowReadersCostOneReadEach() throws {
        let (scene, targets) = try scene(seed: 3, faults: .none, [.collect])
        var clients: [any Peer] = []
        var dice = Dice(seed: 3)
        let bytes = dice.bytes(50_000)
        for number in 0..<8 {
            clients.append(try scene.client())
            try scene.run("the target is connected to") { targets[0].connections.count > number }
            if number < 7 { targets[0].connections[number].isReading = false }
            clients[number].write(bytes)
            clients[number].finish()
        }
        try scene.run("the eighth is served") { targets[0].connections[7].sawEnd }
        #expect(targets[0].connections[7].received == bytes)
        #expect(scene.context.budget.inUse <= 7 * SpillPool.largeLength)
        for connection in targets[0].connections {
            connection.isReading = true
            connection.finish()
        }
        try scene.run("they read on") { targets[0].connections.allSatisfy(\.sawEnd) && clients.allSatisfy(\.sawEnd) }
        #expect(targets[0].connections.allSatisfy { $0.received == bytes })
        try scene.expectNoFlows()
        try scene.expectEverySlotBack()
        try scene.expectNothingAfterStop()
    }

    @Test func atTheCeilingAPlainFlowIsEnded() throws {
        let (scene, targets) = try scene(seed: 3, faults: .none, [.collect], memory: 16 * 1024)
        #expect(scene.context.budget.take(16 * 1024), "somebody else has it all")
        scene.takenElsewhere = 16 * 1024
        var clients: [any Peer] = []
        for number in 0..<6 {
            clients.append(try scene.client())
            try scene.run("the target is connected to") { targets[0].connections.count > number }
            targets[0].connections[number].isReading = false
            clients[number].write([UInt8](repeating: 1, count: 20_000))
        }
        try scene.run("some are ended") { scene.lines.count("ceiling") > 0 && clients.contains { $0.sawReset } }
        scene.context.budget.give(back: 16 * 1024)
        scene.takenElsewhere = 0
        try scene.expectNothingAfterStop()
        try scene.expectEverySlotBack()
    }

    @Test(arguments: UInt64(1)...10)
    func aRefusedDialResetsItsClient(_ seed: UInt64) throws {
        let (scene, _) = try scene(seed: seed, faults: .all, [.refuse])
        let client = try scene.client()
        try scene.run("it is reset") { client.sawReset }
        #expect(scene.lines.count("Connection refused") == 1)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test func aDialThatNobodyAnswersIsGivenUp() throws {
        let (scene, _) = try scene(seed: 1, faults: .none, [.silent])
        let client = try scene.client()
        let began = scene.worker.driver.now
        try scene.run("it is reset", within: .seconds(70)) { client.sawReset }
        #expect(scene.worker.driver.now - began >= .seconds(60))
        #expect(scene.lines.count("timed out") == 1)
        try scene.expectNoFlows()
    }

    /// The first address refuses, or loses packets; the next one is tried.
    @Test(arguments: UInt64(1)...10)
    func theNextAddressIsTried(_ seed: UInt64) throws {
        let place = SimulatedPlace(seed: seed, faults: .all)
        let targets = [try place.target(.refuse), try place.target(.refuse), try place.target(.echo)]
        let scene = try PlainScene(
            place, targets: [.tcp(host: "127.0.0.1", port: targets[0].address.port)],
            driver: SimulatedDriver(place.network))
        // As a name with three addresses.
        try scene.turn()
        scene.worker.targets[0] = TargetCache(.tcp(host: "db.invalid", port: 1))
        _ = scene.worker.targets[0].learn(targets.map(\.address), now: scene.worker.driver.now + .seconds(100))
        let client = try scene.client()
        client.write([1, 2, 3])
        client.finish()
        try scene.run("the third echoes") { client.sawEnd }
        #expect(client.received == [1, 2, 3])
        #expect(scene.lines.all.isEmpty)
        try scene.expectNothingAfterStop()
    }

    /// Descriptors run out: the connections wait in the backlog, one line says so, and they are served later.
    @Test(arguments: UInt64(1)...10)
    func withoutDescriptorsConnectionsWait(_ seed: UInt64) throws {
        let (scene, targets) = try scene(seed: seed, faults: .all, [.collect])
        try scene.run("it listens") { scene.worker.listeners.slab.count == 1 }
        let first = try scene.client()
        try scene.run("a flow stands") { targets[0].connections.count == 1 }
        scene.network.descriptorLimit = scene.network.openDescriptors
        let second = try scene.client()
        try scene.run("the listener pauses") { scene.lines.count("not accepting on forward 0 for now") == 1 }
        try scene.run(for: .seconds(3))
        #expect(scene.lines.all.count == 1, "told once, not at each try")
        #expect(!second.sawReset)
        first.finish()
        targets[0].connections[0].finish()
        try scene.run("the first ends") { first.sawEnd }
        try scene.run("the second is served") { targets[0].connections.count == 2 }
        second.write([5])
        second.finish()
        targets[0].connections[1].finish()
        try scene.run("it ends") { second.sawEnd && targets[0].connections[1].sawEnd }
        #expect(targets[0].connections[1].received == [5])
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}
