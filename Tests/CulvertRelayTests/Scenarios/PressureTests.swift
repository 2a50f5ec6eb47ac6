import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// Slow readers, full links and full tables.
@Suite struct PressureTests {
    /// Eight clients and their channels; `index` 0 is another kind in most tests.
    private struct Eight {
        let clients: [any Peer]
        let streams: [FarStream]
    }

    private func eight(_ scene: SimulatedScene, _ far: FarEnd) throws -> Eight {
        var clients: [any Peer] = []
        for number in 0..<8 {
            clients.append(try scene.client())
            try scene.run("channel \(number)") { far.streams.count == number + 1 }
        }
        return Eight(clients: clients, streams: far.streams)
    }

    @Test(arguments: UInt64(1)...6)
    func aStalledReaderHoldsUpNobody(_ seed: UInt64) throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, seed: seed), faults: .all, bufferLength: 16 * 1024)
        let far = try scene.addLink()
        let flows = try eight(scene, far)
        var dice = Dice(seed: seed)
        let bytes = dice.bytes(1_000_000)
        flows.clients[0].isReading = false
        for stream in flows.streams {
            stream.write(bytes)
            stream.finish()
        }
        try scene.run("seven are served whole") { flows.clients.dropFirst().allSatisfy(\.sawEnd) }
        #expect(flows.clients.dropFirst().allSatisfy { $0.received == bytes })
        #expect(flows.clients[0].received.isEmpty)
        // The stalled one costs its window and no more, and is granted only what its socket took.
        let window = Int(scene.script.window)
        let spilled = scene.worker.flows[0].spill.count
        #expect(spilled > window / 2 && spilled <= window)
        #expect(flows.streams[0].unsent >= bytes.count - window - 2 * 16 * 1024)
        let granted = far.granted[flows.streams[0].channel.value] ?? 0
        #expect(granted <= 16 * 1024, "\(granted) bytes are granted, at most 16384 fit into the socket")
        for client in flows.clients { client.finish() }
        flows.clients[0].isReading = true
        try scene.run("it reads on and loses nothing") { flows.clients[0].sawEnd }
        #expect(flows.clients[0].received == bytes)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test func windowCreditIsWhatTheSocketTook() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, seed: 4), faults: .all, bufferLength: 4096)
        let far = try scene.addLink()
        let client = try scene.client()
        try scene.run("the channel") { far.streams.count == 1 }
        let stream = far.streams[0]
        var dice = Dice(seed: 4)
        let bytes = dice.bytes(2_000_000)
        stream.write(bytes)
        stream.finish()
        var turns = 0
        try scene.run("everything arrives", within: .seconds(120)) {
            turns += 1
            client.isReading = turns % 400 < 200
            let granted = far.granted[stream.channel.value] ?? 0
            if granted > client.received.count + 4096 { return true }
            return client.sawEnd
        }
        #expect(client.received == bytes)
        #expect((far.granted[stream.channel.value] ?? 0) >= bytes.count - Int(scene.script.window))
        #expect((far.granted[stream.channel.value] ?? 0) <= bytes.count)
    }

    /// Whoever paused first is not the one to go, but whoever holds most.
    @Test func atTheCeilingTheFlowThatHoldsMostGoes() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, memory: 13 * 64 * 1024), bufferLength: 4096)
        let far = try scene.addLink()
        let flows = try eight(scene, far)
        var dice = Dice(seed: 8)
        var bytes: [Int: [UInt8]] = [:]
        for (number, count) in [(2, 60_000), (5, 260_000), (6, 200_000), (1, 200_000)] {
            bytes[number] = dice.bytes(count)
            flows.clients[number].isReading = false
            flows.streams[number].write(bytes[number]!)
            try scene.run("flow \(number) is stalled") {
                scene.worker.flows[number].spill.count + 4096 >= min(count, Int(scene.script.window))
            }
            try scene.run(for: .seconds(1))
        }
        #expect(scene.lines.all.isEmpty)
        flows.clients[3].isReading = false
        bytes[3] = dice.bytes(200_000)
        flows.streams[3].write(bytes[3]!)
        try scene.run("one goes") { scene.lines.count("ceiling") > 0 }
        #expect(scene.lines.count("the memory ceiling is reached") == 1)
        #expect(scene.lines.all.first?.contains("slow for 3.") == true, "\(scene.lines.all)")
        flows.clients[5].isReading = true
        try scene.run("its client is told") { flows.clients[5].sawReset }
        try scene.run("its channel is cut") { flows.streams[5].sawReset }
        for number in [2, 6, 1, 3] { flows.clients[number].isReading = true }
        try scene.run("the others have everything") {
            [2, 6, 1, 3].allSatisfy { flows.clients[$0].received.count == bytes[$0]!.count }
        }
        #expect([2, 6, 1, 3].allSatisfy { flows.clients[$0].received == bytes[$0]! })
        try scene.expectNothingAfterStop()
    }

    /// While others hold all the memory that there is, a flow keeps its floor, and its link is read no further.
    @Test func aFlowWithinItsFloorIsNeverTheOneToGo() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, memory: 64 * 1024), bufferLength: 4096)
        let far = try scene.addLink()
        let client = try scene.client()
        try scene.run("the channel") { far.streams.count == 1 }
        #expect(scene.context.budget.take(64 * 1024), "another worker has it all")
        scene.takenElsewhere = 64 * 1024
        client.isReading = false
        far.streams[0].write([UInt8](repeating: 1, count: 20_000))
        try scene.run("it is spilled") { scene.worker.flows[0].spill.count > 10_000 }
        try scene.run(for: .seconds(2))
        #expect(scene.lines.all.isEmpty && scene.worker.flows.count == 1)
        scene.context.budget.give(back: 64 * 1024)
        scene.takenElsewhere = 0
        client.isReading = true
        try scene.run("it goes on") { client.received.count == 20_000 }
        try scene.expectNothingAfterStop()
    }

    /// What is held most is another worker's: it is asked, and gives.
    @Test func anotherWorkersHoarderGoesFirst() throws {
        let place = SimulatedPlace(seed: 4, bufferLength: 4096)
        let scene = try SimulatedScene(
            place, Script(forwards: 1, links: 2, workers: 2, memory: 300 * 1024),
            driver: SimulatedDriver(place.network))
        var other = Worker(WorkerID(1), driver: SimulatedDriver(place.network), context: scene.context)
        func run(_ what: String, _ isSo: () -> Bool) throws {
            for _ in 0..<20_000 {
                if isSo() { return }
                other.timers.add(other.driver.now + .milliseconds(1), Token(.heldExpiry))
                try other.turnOnce()
                other.invariants()
                try scene.turn()
            }
            throw Missed("\(what)\n\(other.report())\n\(scene.worker.report())\n\(scene.context.budget.inUse)")
        }
        let hoarding = try scene.addLink(1, worker: 1)
        try run("the other worker has its link") { scene.context.links[1].isOpen }
        let hoarder = try scene.client()
        try run("a flow of the other") { hoarding.streams.count == 1 }
        hoarder.isReading = false
        hoarding.streams[0].write([UInt8](repeating: 1, count: 250_000))
        try run("it holds most") { other.flows.count == 1 && other.flows[0].spill.count > 230_000 }
        let far = try scene.addLink(0, worker: 0)
        try run("this worker has one too") { scene.context.links[0].isOpen }
        let client = try scene.client()
        try run("a flow of this one") { far.streams.count == 1 }
        client.isReading = false
        far.streams[0].write([UInt8](repeating: 2, count: 120_000))
        try run("the hoarder goes") { other.flows.count == 0 }
        #expect(scene.worker.flows.count == 1)
        client.isReading = true
        try run("the other has everything") { client.received.count == 120_000 }
        #expect(scene.lines.count("the memory ceiling is reached") == 1)
    }

    // MARK: Fairness

    @Test func bulkFlowsShareTheLinkEvenlyAndASparseOneIsServedFirst() throws {
        let scene = try SimulatedScene.simulated(
            Script(forwards: 1, window: 8 * 1024 * 1024), bufferLength: 256 * 1024,
            linkReader: .sink(bytes: 64 * 1024, every: .milliseconds(1)))
        let far = try scene.addLink()
        let flows = try eight(scene, far)
        var dice = Dice(seed: 9)
        let bulk = dice.bytes(6_000_000)
        for client in flows.clients { client.write(bulk) }
        let sparse = try scene.client()
        try scene.run("the sparse flow") { far.streams.count == 9 }
        try scene.run("the bulk flows run") { flows.streams.allSatisfy { $0.received.count > 300_000 } }
        var slowest = Tick.Span.zero
        for round in 1...20 {
            let asked = scene.worker.driver.now
            sparse.write([UInt8(round)])
            try scene.run("it arrives") { far.streams[8].received.count == round }
            slowest = max(slowest, scene.worker.driver.now - asked)
        }
        // What is sealed ahead of it and what the link's socket holds leave first, at the reader's 64 KiB a millisecond;
        // not a turn of each of the others, which would be 8 ms more.
        let ahead = scene.worker.links[0].sealAhead.bytes + 256 * 1024
        let longest = Tick.Span(nanoseconds: Int64(ahead) * 1_000_000 / (64 * 1024) + 5_000_000)
        #expect(slowest < longest, "\(slowest.seconds * 1000) of \(longest.seconds * 1000) ms")
        // From here on, after the beginnings: equal shares.
        let before = flows.streams.map(\.received.count)
        try scene.run("they have come far") { flows.streams.contains { $0.received.count > 5_000_000 } }
        let counts = zip(flows.streams, before).map { $0.received.count - $1 }
        #expect(counts.min()! > 2_000_000)
        #expect(counts.max()! - counts.min()! <= 2 * FlowQueue.quantum, "\(counts)")
    }

    /// A flow whose reads always come short returns to the queue again and again as a new one. It must not take the
    /// link from those that always have more.
    @Test func aFlowOfShortReadsStarvesNobody() throws {
        let place = SimulatedPlace(seed: 1, bufferLength: 128 * 1024)
        place.linkReader = .sink(bytes: 32 * 1024, every: .milliseconds(1))
        let scene = try SimulatedScene(
            place, Script(forwards: 1, window: 8 * 1024 * 1024), driver: SimulatedDriver(place.network))
        let far = try scene.addLink()
        let flows = try eight(scene, far)
        let bulk = [UInt8](repeating: 7, count: 3_000_000)
        for client in flows.clients.dropFirst() { client.write(bulk) }
        let began = scene.worker.driver.now
        while scene.worker.driver.now - began < .milliseconds(400) {
            if flows.clients[0].unsent == 0 { flows.clients[0].write([UInt8](repeating: 1, count: 60_000)) }
            try scene.turn()
        }
        let counts = flows.streams.map(\.received.count)
        let share = counts.reduce(0, +) / 8
        #expect(counts.dropFirst().allSatisfy { $0 > share / 2 }, "\(counts)")
    }

    // MARK: Full tables

    /// No more wait than may, however long it lasts.
    @Test func onlySoManyConnectionsWait() throws {
        var script = Script(forwards: 1)
        script.limits.waiting = 3
        let scene = try SimulatedScene.simulated(script)
        let clients = try (0..<10).map { _ in try scene.client() }
        try scene.run("three wait") { scene.worker.held.count == 3 }
        try scene.run(for: .seconds(5))
        #expect(scene.worker.held.count == 3)
        #expect(scene.lines.count("too many connections wait") == 1)
        let far = try scene.addLink()
        try scene.run("all are served") { far.streams.count == 10 }
        #expect(clients.allSatisfy { !$0.sawReset })
    }

    /// The reserve of descriptors stays a reserve while connections queue up. In a process of its own, since the
    /// numbers of descriptors are what counts.
    @Test func theReserveOfDescriptorsIsKept() async {
        await #expect(processExitsWith: .success) {
            let place = KernelPlace()
            var script = Script(forwards: 1)
            script.limits.descriptors = 164
            script.limits.reservedDescriptors = 64
            let scene = try Scene<EpollDriver, NullCipherEngine>(
                place, script, driver: EpollDriver(descriptorLimit: 164))
            var clients: [any Peer] = []
            for _ in 0..<70 { clients.append(try scene.client()) }
            try scene.run("the listener pauses") { scene.lines.count("nearly every descriptor") == 1 }
            let waiting = scene.worker.held.count
            try scene.run(for: .seconds(1))
            guard waiting < 60, scene.worker.held.count == waiting else {
                throw Missed("\(waiting) waited, then \(scene.worker.held.count)")
            }
            // Some go, as many come in.
            let far = try scene.addLink()
            try scene.run("those have channels") { far.streams.count == waiting }
            for number in 0..<20 { clients[number].reset() }
            try scene.run("others follow") { far.streams.count > waiting }
        }
    }

    /// Whoever connects at the server cannot use up the descriptors that culvert needs.
    @Test func dialsForTheServerRespectTheReserve() throws {
        let place = SimulatedPlace(seed: 1)
        let silent = try place.target(.silent)
        var script = Script(forwards: 0)
        script.reverse = [
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000),
                target: .tcp(host: "127.0.0.1", port: silent.address.port), text: "reverse")
        ]
        script.limits.descriptors = 64
        script.limits.reservedDescriptors = 64
        let scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        let far = try scene.addLink(reverse: [0])
        try scene.run("the forward stands") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1
        }
        let stream = try far.open(port: 7000)
        try scene.run("it is refused") { stream.refusal == .connectFailed }
        #expect(scene.lines.count("Too many open files") == 1)
        try scene.expectNoFlows()
    }

    /// A server that fills the table with channels that go nowhere: a local connection is turned away, with a line.
    @Test func aFullTableTurnsConnectionsAway() throws {
        let place = SimulatedPlace(seed: 1)
        let silent = try place.target(.silent)
        var script = Script(forwards: 1)
        script.reverse = [
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000),
                target: .tcp(host: "127.0.0.1", port: silent.address.port), text: "reverse")
        ]
        script.limits.descriptors = 8 - Int(SimulatedNetwork.firstDescriptor)
        // No dial may be refused for its descriptor: the table is what fills.
        script.limits.reservedDescriptors = -Int(Int32.max)
        let scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        let far = try scene.addLink(reverse: [0])
        try scene.run("the forward stands") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1
        }
        let streams = try (0..<17).map { _ in try far.open(port: 7000) }
        try scene.run("the last is refused") { streams[16].refusal == .resourceShortage }
        let isFull = scene.worker.flows.isFull
        #expect(isFull)
        let client = try scene.client()
        try scene.run("it is turned away") { client.sawReset }
        #expect(scene.lines.count("too many connections") == 1)
        try scene.run("the dials expire", within: .seconds(70)) { streams.allSatisfy { $0.refusal != nil } }
        #expect(streams[0].refusal == .connectFailed)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}
