import CulvertPlan
import Testing

@testable import CulvertSSH

/// Two native ends over a network that cuts and holds back bytes as chance has it: eight channels that send both ways, one
/// reader on either side that takes nothing, echoes that half close, resets from either side, while keys are exchanged
/// again and again. Nothing may be lost, stand still, or take more memory than the windows promise.
@Suite struct LivenessTests {
    /// What the two ends of a channel do.
    enum Part: CaseIterable {
        /// Both send all they have, and end.
        case both
        /// The same, and one end reads nothing.
        case deafServer, deafClient
        /// The server sends back what comes and ends when the client has.
        case echo
        /// One end closes in the middle.
        case resetByClient, resetByServer
        /// Both do, at about the same time.
        case resetByBoth
        case second
    }

    /// Bytes on their way in one direction, no more than a network holds.
    private struct Wire {
        static let capacity = 100_000
        var bytes: [UInt8] = []
        var room: Int { Self.capacity - bytes.count }
    }

    private final class World {
        let client: LiveEnd<ClientLogin>
        let server: LiveEnd<WelcomingLogin>
        var random: SplitMix
        private var toServer = Wire()
        private var toClient = Wire()
        private let piece: Int
        private(set) var idleSteps = 0

        /// `piece`: no more bytes than this arrive at once.
        init(_ client: NativeSettings, _ server: NativeSettings, seed: UInt64, piece: Int) throws {
            self.client = LiveEnd(try ClientEnd(settings: client)) { $0.invariants() }
            self.server = LiveEnd(try ServerEnd(settings: server)) { engine in
                engine.invariants()
                // What the peer may make us answer, and one message for each channel of what we do ourselves.
                let waiting = engine.deferredBytes
                precondition(waiting < 4096, "messages that wait are few")
            }
            random = SplitMix(seed)
            self.piece = piece
        }

        /// One thing after another happens, in any order, each to any extent.
        func step() throws {
            var moved = false
            for action in (0..<6).shuffled(using: &random) {
                switch action {
                case 0: moved = send(client, &toServer) || moved
                case 1: moved = send(server, &toClient) || moved
                case 2: moved = try deliver(&toServer, server) || moved
                case 3: moved = try deliver(&toClient, client) || moved
                case 4: moved = try client.serve(&random) || moved
                default: moved = try server.serve(&random) || moved
                }
            }
            idleSteps = moved ? 0 : idleSteps + 1
        }

        private func send<Way: ~Copyable>(_ end: LiveEnd<Way>, _ wire: inout Wire) -> Bool {
            guard wire.room > 0 else { return false }
            let taken = end.take(Int.random(in: 0...wire.room, using: &random))
            wire.bytes += taken
            return !taken.isEmpty
        }

        private func deliver<Engine: ~Copyable>(_ wire: inout Wire, _ end: LiveEnd<Engine>) throws -> Bool {
            let count = min(wire.bytes.count, Int.random(in: 0...piece, using: &random))
            guard count > 0 else { return false }
            try end.feed(wire.bytes[..<count])
            wire.bytes.removeFirst(count)
            // No more than a part of one packet is ever kept.
            try #require(end.inbox.count < PacketOpener.maximumPacketLength + 20)
            return true
        }

        private func describe() -> [String] {
            [Array(client.channels.values), Array(server.channels.values)].flatMap { $0 }.map {
                "\($0.number.value): \($0.sent)/\($0.outgoing.count) \($0.received.count) \($0.hasFinished) \($0.sawEnd)"
            }
        }

        func run(_ what: String, until isSo: () -> Bool) throws {
            while !isSo() {
                try step()
                // By chance nothing happens now and then; a hundred times in a row it is the ends that stand still.
                try #require(idleSteps < 100, "it stands still: \(what) \(describe())")
            }
        }
    }

    private func noise(_ count: Int, _ random: inout SplitMix) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func settings(_ cipher: String, window: UInt32, rekey: UInt64?) -> NativeSettings {
        var settings = NativeSettings.curve
        settings.protect(cipher)
        settings.connection.initialWindow = window
        settings.connection.maximumWindow = window * 4
        if let rekey { settings.rekeyLimits.bytes = rekey }
        return settings
    }

    /// The whole of one channel: both ends, and what each must have in the end.
    private struct Flow {
        let part: Part
        let client: LiveChannel
        let server: LiveChannel
        let toServer: [UInt8]
        let toClient: [UInt8]
    }

    private func run(_ cipher: String, seed: UInt64, bytes: Int, piece: Int, window: UInt32, rekey: UInt64) throws {
        // Either end has a limit, or both have.
        let world = try World(
            settings(cipher, window: window, rekey: seed % 3 == 0 ? nil : rekey),
            settings(cipher, window: window, rekey: seed % 3 == 1 ? nil : rekey), seed: seed, piece: piece)
        var idle = 0
        while try !world.client.isReady() {
            try world.step()
            idle = world.idleSteps
            try #require(idle < 100, "the login stands still")
        }

        var flows: [Flow] = []
        var promised: [Int: LiveChannel] = [:]
        var made: [Int: LiveChannel] = [:]
        world.server.accept = { request, number in
            guard case .directTCPIP(_, let port, _, _) = request, let part = promised[Int(port)] else { return nil }
            let channel = LiveChannel(number, part.outgoing)
            channel.reads = part.reads
            channel.echoes = part.echoes
            channel.resetsAfter = part.resetsAfter
            made[Int(port)] = channel
            return channel
        }
        for (index, part) in Part.allCases.shuffled(using: &world.random).enumerated() {
            let length = bytes / 2 + Int.random(in: 0...bytes, using: &world.random)
            let toServer = noise(length, &world.random)
            let toClient = part == .echo ? toServer : noise(bytes / 2 + index * 7, &world.random)
            let plan = LiveChannel(ChannelNumber(0), part == .echo ? [] : toClient)
            plan.echoes = part == .echo
            plan.reads = part != .deafServer
            let number = try world.client.engine.open(
                .directTCPIP(host: "x", port: UInt16(index), originator: "", originatorPort: 0))
            let own = LiveChannel(number, toServer)
            own.reads = part != .deafClient
            // Both ends are given more than they come to send.
            let middle = Int.random(in: 0...bytes / 2, using: &world.random)
            if part == .resetByClient || part == .resetByBoth { own.resetsAfter = middle }
            if part == .resetByServer || part == .resetByBoth { plan.resetsAfter = middle }
            promised[index] = plan
            world.client.add(own)
            try world.run("channel \(index) opens") { own.isOpen }
            let there = try #require(made[index])
            flows.append(Flow(part: part, client: own, server: there, toServer: toServer, toClient: toClient))
        }

        try world.run("channels end") {
            flows.allSatisfy { flow in
                switch flow.part {
                case .both, .second, .echo, .resetByClient, .resetByServer, .resetByBoth:
                    flow.client.isOver && flow.server.isOver
                case .deafServer:
                    flow.client.received.count == flow.toClient.count
                        && flow.server.uncredited == min(flow.toServer.count, Int(window))
                case .deafClient:
                    flow.server.received.count == flow.toServer.count
                        && flow.client.uncredited == min(flow.toClient.count, Int(window))
                }
            }
        }
        for flow in flows { verify(flow, window) }

        // Those that nobody reads end as a reset does, and then nothing is left.
        for flow in flows where flow.part == .deafServer { flow.server.resetsAfter = 0 }
        for flow in flows where flow.part == .deafClient { flow.client.resetsAfter = 0 }
        try world.run("every channel is over") { flows.allSatisfy { $0.client.isOver && $0.server.isOver } }
        var quiet = 0
        while quiet < 50 {
            try world.step()
            quiet = world.idleSteps
        }
        let left = world.server.engine.channelCount
        #expect(left == 0)
        let again = try world.client.engine.open(.directStreamLocal(path: "/x"))
        #expect(again.value < 8, "every number is free again")
        let carried = flows.reduce(0) { $0 + $1.client.sent + $1.client.received.count }
        #expect(
            world.client.exchanges >= carried / Int(rekey) / 4 && world.client.exchanges >= 2,
            "\(world.client.exchanges)")
    }

    private func verify(_ flow: Flow, _ window: UInt32) {
        let (client, server) = (flow.client, flow.server)
        switch flow.part {
        case .both, .second, .echo:
            #expect(client.received == flow.toClient && server.received == flow.toServer)
            #expect(client.sawEnd && server.sawEnd && !client.wasCut && !server.wasCut)
        // A window that nobody empties never grows.
        case .deafServer:
            #expect(client.received == flow.toClient)
            #expect(server.received.elementsEqual(flow.toServer.prefix(Int(window))))
        case .deafClient:
            #expect(server.received == flow.toServer)
            #expect(client.received.elementsEqual(flow.toClient.prefix(Int(window))))
        case .resetByClient, .resetByServer, .resetByBoth:
            #expect(flow.toClient.starts(with: client.received) && flow.toServer.starts(with: server.received))
        }
    }

    @Test(arguments: PairTests.protections, UInt64(1)...6)
    func nothingStandsStill(_ cipher: String, _ seed: UInt64) throws {
        try run(cipher, seed: seed, bytes: 150_000, piece: 40_000, window: 40_000, rekey: 60_000)
    }

    /// The same, byte by byte and in crumbs.
    @Test(arguments: PairTests.protections, [1, 50])
    func nothingStandsStillInCrumbs(_ cipher: String, _ piece: Int) throws {
        try run(cipher, seed: 11, bytes: 6000, piece: piece, window: 2000, rekey: 4000)
    }
}
