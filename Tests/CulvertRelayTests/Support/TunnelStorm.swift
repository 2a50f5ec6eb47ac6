import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation

@testable import CulvertRelay

/// One seed's storm over tunnels: flows of one kind that come and end at random moments, over links that are lost,
/// replaced and stopped.
final class TunnelStorm {
    enum Kind: String, CaseIterable {
        case direct = "-L"
        case reverse = "-R"
        case socks = "-D"
        case socksAtServer = "-R without a target"
        case hop = "hops"
    }

    /// What becomes of links meanwhile.
    enum Weather: CaseIterable { case calm, rough, lost, replaced, stopped }

    let scene: SimulatedScene
    let place: SimulatedPlace
    let kind: Kind
    let weather: Weather
    private(set) var parties: [Party] = []
    private(set) var fars: [FarEnd] = []
    private var target: any Destination
    private var dice: Dice
    private let span: Tick.Span
    private var known: [ObjectIdentifier: Int] = [:]
    private var clientsToCome = 0
    private var over: Tick

    init(_ kind: Kind, _ weather: Weather, seed: UInt64) throws {
        self.kind = kind
        self.weather = weather
        dice = Dice(seed: seed)
        var faults = Faults.all
        faults.wouldBlock = [0, 20, 60].randomElement(using: &dice)!
        // An answer that does not fit into an empty socket ends its flow: too many would end so.
        if kind == .socks { faults.shortWrite = [0, 100].randomElement(using: &dice)! }
        place = SimulatedPlace(
            seed: seed, faults: faults, bufferLength: [512, 4096, 64 * 1024].randomElement(using: &dice)!)
        place.linkBufferLength = [16 * 1024, 64 * 1024, 1024 * 1024].randomElement(using: &dice)!
        target = try place.target(.collect)
        var script = Script(forwards: 1, pieces: Bool.random(using: &dice), seed: seed)
        if kind == .socks { script.targets = [.requested] }
        let reached = Target.tcp(host: "127.0.0.1", port: target.address.port)
        script.reverse = [
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000),
                target: kind == .socksAtServer ? .requested : reached, text: "reverse")
        ]
        script.window = [16 * 1024, 256 * 1024, 2 * 1024 * 1024].randomElement(using: &dice)!
        let isRough = weather != .calm
        script.memory = isRough ? [96 * 1024, 1024 * 1024, 64 << 20].randomElement(using: &dice)! : 64 << 20
        span = .milliseconds([1, 5, 20].randomElement(using: &dice)!)
        scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        over = scene.worker.driver.now
    }

    // MARK: What happens

    func run() throws -> Judgement {
        if kind != .hop {
            try addLink()
            try scene.run("the forward stands") { [fars] in !fars[0].forwardRequests.isEmpty }
        }
        for _ in 0..<10 { comeAtSomeMoment() }
        changeTheWeather()
        over = scene.worker.driver.now + .seconds(span.seconds * 8)
        try scene.run("every flow ends", within: .seconds(60)) {
            meet()
            return scene.worker.driver.now > over && isOver
        }
        for far in fars {
            if let error = far.error, error.kind != .disconnected { throw Missed("the far end found fault: \(error)") }
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
        try scene.run("all are told") { parties.allSatisfy { $0.isTold || $0.peer is FarStream } }
        if weather == .calm || weather == .rough {
            for party in parties where !party.isTold { throw Missed("\(party.name) waits for ever") }
        }
        var judgement = Judgement()
        try judgement.judge(parties)
        return judgement
    }

    private var isOver: Bool {
        clientsToCome == 0 && scene.worker.flows.count == 0 && scene.worker.deliveries.isEmpty
            && scene.worker.held.isEmpty && scene.worker.greetings.count == 0
    }

    private func addLink() throws {
        let far = try scene.addLink(reverse: [0])
        far.packetLimit = [nil, 1, 30, 300].randomElement(using: &dice)!
        var own = Dice(seed: dice.next())
        far.answer = { _ in Int.random(in: 0..<20, using: &own) == 0 ? .refuse(.connectFailed) : .accept }
        fars.append(far)
    }

    private func comeAtSomeMoment() {
        clientsToCome += 1
        let moment = Double.random(in: 0...1, using: &dice)
        place.network.schedule(after: .seconds(span.seconds * moment)) { [self] in
            clientsToCome -= 1
            // Nobody listens any more: the storm has stopped.
            do { try come() } catch { return }
        }
    }

    private func come() throws {
        switch kind {
        case .direct: join(try scene.client(), isNear: true)
        case .socks: join(try scene.client(), isNear: true, preface: [5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 9])
        // The stream is met as every other one.
        case .reverse, .socksAtServer: _ = try fars[fars.count - 1].open(port: 7000)
        case .hop: try comeByHop()
        }
    }

    private func comeByHop() throws {
        let (descriptor, wire) = try place.link()
        let pair = try NullCipherEngine.paired(scene.script)
        let far = FarEnd(wire, pair.far, seed: dice.next(), pieces: scene.script.pieces)
        far.packetLimit = [nil, 30, 300].randomElement(using: &dice)!
        place.drive { far.step() }
        fars.append(far)
        let link = LoggedInLink(
            socket: BlockingSocket(adopting: descriptor), engine: pair.near,
            ring: try MirroredRing(capacity: 1024 * 1024), summary: "")
        let (channel, peer) = place.network.pair()
        let hop = Hop(name: "hop", number: 0, host: "next", port: 22, alive: KeepAlive(), path: LinkPath())
        scene.tell(.hop(Parcel(link), hop, channel: Parcel(BlockingSocket(adopting: channel))))
        join(peer, isNear: true)
    }

    private func join(_ peer: any Peer, isNear: Bool, preface: [UInt8] = []) {
        let party = Party(peer, number: parties.count, isNear: isNear, preface: preface)
        parties.append(party)
        party.act(in: place.network, within: span, mayBreak: weather != .calm, &dice)
    }

    /// Those who came by themselves: channels at the far ends, connections at the target.
    private func meet() {
        let port = target.address.port
        let words: [UInt8] = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, UInt8(port >> 8), UInt8(port & 255)]
        for far in fars {
            for stream in far.streams.dropFirst(known[ObjectIdentifier(far)] ?? 0) {
                join(stream, isNear: false, preface: kind == .socksAtServer ? words : [])
            }
            known[ObjectIdentifier(far)] = far.streams.count
        }
        for connection in target.connections.dropFirst(known[ObjectIdentifier(target)] ?? 0) {
            join(connection, isNear: true)
        }
        known[ObjectIdentifier(target)] = target.connections.count
    }

    private func changeTheWeather() {
        let moment = Tick.Span.seconds(span.seconds * Double.random(in: 0...1.5, using: &dice))
        switch weather {
        case .calm, .rough: break
        case .lost:
            place.network.schedule(after: moment) { [self] in
                for far in fars where Bool.random(using: &dice) || kind != .hop { far.cut() }
                guard kind != .hop else { return }
                place.network.schedule(after: .milliseconds(3)) { [self] in try? addLink() }
            }
        case .replaced:
            guard kind != .hop else { return }
            for times in 1...2 {
                place.network.schedule(after: .seconds(moment.seconds * Double(times))) { [self] in try? addLink() }
            }
        case .stopped:
            let drain = Tick.Span.milliseconds([0, 5, 50, 5000].randomElement(using: &dice)!)
            place.network.schedule(after: moment) { [self] in scene.tell(.stop(drain: drain)) }
        }
    }
}
