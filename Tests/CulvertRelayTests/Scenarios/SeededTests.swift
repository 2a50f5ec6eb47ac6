import CulvertIO
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// Many flows of both kinds at once, in a world where everything goes wrong that may. Each seed is another order of
/// events, and the same one again.
@Suite struct SeededTests {
    /// One seed's world: a link, two local forwards, two reverse ones.
    private final class Storm {
        let scene: SimulatedScene
        let far: FarEnd
        let targets: [any Destination]
        var dice: Dice

        init(seed: UInt64) throws {
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
            scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
            far = try scene.addLink(reverse: [0, 1])
            try scene.run("the reverse forwards stand") { [scene] in
                scene.worker.links.isUsed(0) && scene.worker.links[0].standing.count == 2
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

    @Test(arguments: UInt64(1)...40)
    func everyByteArrivesOnceAndInOrder(_ seed: UInt64) throws {
        let storm = try Storm(seed: seed)
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
    @Test(arguments: UInt64(1)...30)
    func resetsEndOnlyTheirOwnFlow(_ seed: UInt64) throws {
        let storm = try Storm(seed: seed &+ 1000)
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
            pairings.allSatisfy { $0.cut || $0.pairing.isDone } && storm.scene.worker.tunnelFlows.count == 0
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
    @Test(arguments: UInt64(1)...20)
    func aLostLinkTakesItsFlowsWithIt(_ seed: UInt64) throws {
        let storm = try Storm(seed: seed &+ 2000)
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
        try storm.scene.run("what had not ended is told that it was cut") { open.allSatisfy(\.near.sawReset) }
        try storm.scene.expectNothingAfterStop()
    }
}
