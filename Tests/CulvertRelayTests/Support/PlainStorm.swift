import CulvertIO
import Simulation

@testable import CulvertRelay

/// One seed's storm over `culvert relay`.
final class PlainStorm {
    enum Weather: CaseIterable { case calm, rough, stopped }

    let scene: PlainScene<SimulatedDriver>
    let place: SimulatedPlace
    let weather: Weather
    private(set) var parties: [Party] = []
    private let target: any Destination
    private var dice: Dice
    private let span: Tick.Span
    private var clientsToCome = 0
    private var met = 0

    init(_ weather: Weather, seed: UInt64) throws {
        self.weather = weather
        dice = Dice(seed: seed)
        var faults = Faults.all
        faults.wouldBlock = [0, 20, 60].randomElement(using: &dice)!
        place = SimulatedPlace(
            seed: seed, faults: faults, bufferLength: [512, 4096, 64 * 1024].randomElement(using: &dice)!)
        target = try place.target(.collect)
        let memory = weather == .calm ? 64 << 20 : [16 * 1024, 96 * 1024, 64 << 20].randomElement(using: &dice)!
        span = .milliseconds([1, 5, 20].randomElement(using: &dice)!)
        scene = try PlainScene(
            place, targets: [.tcp(host: "127.0.0.1", port: target.address.port)], memory: memory,
            driver: SimulatedDriver(place.network))
    }

    func run() throws -> Judgement {
        for _ in 0..<12 { comeAtSomeMoment() }
        if weather == .stopped {
            let drain = Tick.Span.milliseconds([0, 5, 50, 5000].randomElement(using: &dice)!)
            let moment = Tick.Span.seconds(span.seconds * Double.random(in: 0...1.5, using: &dice))
            place.network.schedule(after: moment) { [self] in scene.tell(.stop(drain: drain)) }
        }
        let over = scene.worker.driver.now + .seconds(span.seconds * 8)
        try scene.run("every flow ends", within: .seconds(60)) {
            meet()
            return scene.worker.driver.now > over && clientsToCome == 0 && scene.worker.flows.count == 0
                && scene.worker.deliveries.isEmpty
        }
        if weather == .stopped {
            try scene.run("the worker stops") { scene.worker.hasStopped }
            try scene.expectNoFlows()
            guard place.network.openDescriptors == 0 else {
                throw Missed("\(place.network.openDescriptors) descriptors are left")
            }
        } else {
            try scene.expectNothingAfterStop()
        }
        try scene.expectEverySlotBack()
        try scene.run("all are told") { parties.allSatisfy(\.isTold) }
        var judgement = Judgement()
        try judgement.judge(parties)
        return judgement
    }

    private func comeAtSomeMoment() {
        clientsToCome += 1
        let moment = Double.random(in: 0...1, using: &dice)
        place.network.schedule(after: .seconds(span.seconds * moment)) { [self] in
            clientsToCome -= 1
            // Nobody listens any more: the storm has stopped.
            guard let client = try? scene.client() else { return }
            join(client, isNear: true)
        }
    }

    private func join(_ peer: any Peer, isNear: Bool) {
        let party = Party(peer, number: parties.count, isNear: isNear)
        parties.append(party)
        party.act(in: place.network, within: span, mayBreak: weather != .calm, &dice)
    }

    private func meet() {
        for connection in target.connections.dropFirst(met) { join(connection, isNear: false) }
        met = target.connections.count
    }
}
