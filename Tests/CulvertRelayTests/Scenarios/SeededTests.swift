import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// Many flows of both kinds at once, in a world where everything goes wrong that may. Each seed is another order of
/// events, and the same one again.
@Suite struct SeededTests {
    struct Trial: CustomTestStringConvertible {
        let engine: EngineKind
        let seed: UInt64
        var testDescription: String { "\(engine), seed \(seed)" }

        /// Most of what may go wrong is the relay's: the engines with keys, slow in a debug build, get fewer seeds.
        static func all(_ count: UInt64) -> [Trial] {
            EngineKind.allCases.flatMap { engine in
                (1...(engine == .null ? count : count / 8)).map { Trial(engine: engine, seed: $0) }
            }
        }
    }

    /// One seed's world: a link, two local forwards, two reverse ones.
    private final class Storm<Engine: PairedEngine & ~Copyable> {
        let scene: Scene<SimulatedDriver, Engine>
        let far: FarEnd
        let targets: [any Destination]
        var dice: Dice

        init(_ engine: EngineKind, seed: UInt64) throws {
            dice = Dice(seed: seed)
            let buffers = [512, 4096, 16 * 1024, 64 * 1024].randomElement(using: &dice)!
            let place = SimulatedPlace(seed: seed, faults: .all, bufferLength: buffers)
            targets = [try place.target(.collect), try place.target(.collect)]
            var script = Script(forwards: 2, pieces: true, seed: seed)
            script.reverse = targets.enumerated().map { number, target in
                ReverseForward(
                    listen: .tcp(address: "localhost", port: UInt16(7000 + number)),
                    target: .tcp(host: "127.0.0.1", port: target.address.port), text: "reverse \(number)")
            }
            // Small windows are used up often.
            script.window = [2048, 16 * 1024, 256 * 1024].randomElement(using: &dice)!
            script.windowsGrow = Bool.random(using: &dice)
            scene = try Scene(place, engine.applied(to: script), driver: SimulatedDriver(place.network))
            far = try scene.addLink(reverse: [0, 1])
            try scene.run("the reverse forwards stand") { [scene] in
                scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 2
            }
        }

        /// A new connection to a local forward, with its channel's far end.
        func direct(upTo limit: Int) throws -> Pairing {
            let before = far.streams.count
            let client = try scene.client(Int.random(in: 0...1, using: &dice))
            try scene.run("the far end is asked") { [far] in far.streams.count > before }
            return Pairing(client, far.streams[before], &dice, upTo: limit)
        }

        /// A new connection at the server, with the target's end of it.
        func reverse(upTo limit: Int) throws -> Pairing {
            let number = Int.random(in: 0...1, using: &dice)
            let before = targets[number].connections.count
            let stream = try far.open(port: UInt16(7000 + number))
            try scene.run("the target is connected to") { [targets] in targets[number].connections.count > before }
            return Pairing(targets[number].connections[before], stream, &dice, upTo: limit)
        }
    }

    @Test(arguments: Trial.all(40))
    func everyByteArrivesOnceAndInOrder(_ trial: Trial) throws {
        switch trial.engine {
        case .null: try everyByteArrivesOnceAndInOrder(NullCipherEngine.self, trial)
        case .native, .rekeying: try everyByteArrivesOnceAndInOrder(NativeEngine.self, trial)
        }
    }

    private func everyByteArrivesOnceAndInOrder<Engine: PairedEngine & ~Copyable>(_ engine: Engine.Type, _ trial: Trial)
        throws
    {
        let storm = try Storm<Engine>(trial.engine, seed: trial.seed)
        var pairings: [Pairing] = []
        for _ in 0..<12 {
            let limit = [10, 3000, 200_000].randomElement(using: &storm.dice)!
            pairings.append(
                Bool.random(using: &storm.dice) ? try storm.direct(upTo: limit) : try storm.reverse(upTo: limit))
        }
        try storm.scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try storm.scene.expectNoFlows()
        #expect(storm.far.error == nil)
        #expect(storm.scene.lostLinks.isEmpty)
        #expect(storm.scene.lines.all.isEmpty)
        try storm.scene.expectNothingAfterStop()
    }

    /// Half of the flows are cut by one of their ends, at any moment: the other end learns of it, and the flows beside
    /// it lose nothing.
    @Test(arguments: Trial.all(30))
    func resetsEndOnlyTheirOwnFlow(_ trial: Trial) throws {
        switch trial.engine {
        case .null: try resetsEndOnlyTheirOwnFlow(NullCipherEngine.self, trial)
        case .native, .rekeying: try resetsEndOnlyTheirOwnFlow(NativeEngine.self, trial)
        }
    }

    private func resetsEndOnlyTheirOwnFlow<Engine: PairedEngine & ~Copyable>(_ engine: Engine.Type, _ trial: Trial)
        throws
    {
        let storm = try Storm<Engine>(trial.engine, seed: trial.seed &+ 1000)
        var pairings: [(pairing: Pairing, cut: Bool)] = []
        for _ in 0..<10 {
            let pairing =
                Bool.random(using: &storm.dice) ? try storm.direct(upTo: 100_000) : try storm.reverse(upTo: 100_000)
            let cut = Bool.random(using: &storm.dice)
            pairings.append((pairing, cut))
            guard cut else { continue }
            let side = Bool.random(using: &storm.dice) ? pairing.near : pairing.far
            storm.scene.network.schedule(
                after: Tick.Span(nanoseconds: Int64.random(in: 0...3_000_000, using: &storm.dice))
            ) { side.reset() }
        }
        try storm.scene.run("every flow ends") {
            pairings.allSatisfy { $0.cut || $0.pairing.isDone } && storm.scene.worker.flows.count == 0
        }
        for (pairing, cut) in pairings {
            if cut { try pairing.verifyPrefixes() } else { try pairing.verify() }
        }
        try storm.scene.expectNoFlows()
        #expect(storm.far.error == nil)
        #expect(storm.scene.lostLinks.isEmpty)
        try storm.scene.expectNothingAfterStop()
    }

    /// The link dies in the middle of everything: what was open is reset, and nothing is kept.
    @Test(arguments: Trial.all(20))
    func aLostLinkTakesItsFlowsWithIt(_ trial: Trial) throws {
        switch trial.engine {
        case .null: try aLostLinkTakesItsFlowsWithIt(NullCipherEngine.self, trial)
        case .native, .rekeying: try aLostLinkTakesItsFlowsWithIt(NativeEngine.self, trial)
        }
    }

    private func aLostLinkTakesItsFlowsWithIt<Engine: PairedEngine & ~Copyable>(_ engine: Engine.Type, _ trial: Trial)
        throws
    {
        let storm = try Storm<Engine>(trial.engine, seed: trial.seed &+ 2000)
        var pairings: [Pairing] = []
        for _ in 0..<8 {
            pairings.append(
                Bool.random(using: &storm.dice) ? try storm.direct(upTo: 300_000) : try storm.reverse(upTo: 300_000))
        }
        storm.scene.network.schedule(
            after: Tick.Span(nanoseconds: Int64.random(in: 0...5_000_000, using: &storm.dice))
        ) { storm.far.cut() }
        try storm.scene.run("the link is lost") { !storm.scene.lostLinks.isEmpty }
        #expect(storm.scene.lostLinks.count == 1)
        #expect(storm.scene.worker.links.count == 0)
        try storm.scene.expectNoFlows()
        for pairing in pairings { try pairing.verifyPrefixes() }
        let open = pairings.filter { !$0.near.sawEnd }
        // One whose answer had come whole gets it and ends.
        try storm.scene.run("what had not ended is told that it was cut") {
            open.allSatisfy { $0.near.sawReset || ($0.near.sawEnd && $0.near.received == $0.toNear) }
        }
        try storm.scene.expectNothingAfterStop()
    }
}
