import CulvertIO
import Glibc
import Simulation
import Testing

/// A small relay over the simulated driver, enough to try the world: what comes at a listener goes to a target.
private struct SmallRelay: ~Copyable {
    private struct Direction {
        var unsent: [UInt8] = []
        var hasEnded = false
        var isWriting = false
    }
    private var driver: SimulatedDriver
    private let listener: Descriptor
    private let target: SocketAddress
    private var ends: [[Descriptor]] = []
    private var directions: [[Direction]] = []
    private var isConnected: [Bool] = []
    private var isOpen: [Bool] = []
    /// Everything that was told, in order: the trace of the run.
    private(set) var trace: [UInt64] = []

    init(_ network: SimulatedNetwork, at address: SocketAddress, to target: SocketAddress) {
        driver = SimulatedDriver(network)
        listener = network.listen(at: address)
        self.target = target
        driver.awaitReadable(listener, Token(operation: 1, slot: 0, generation: 1))
    }

    var now: Tick { driver.now }

    mutating func turn(until deadline: Tick?) throws {
        try driver.turn(until: deadline)
        while let completion = driver.next() {
            trace += [completion.token.raw, UInt64(bitPattern: Int64(completion.result)), driver.now.nanoseconds]
            try handle(completion)
        }
    }

    private func token(_ operation: UInt8, _ flow: Int, _ end: Int) -> Token {
        Token(operation: operation, slot: flow * 2 + end, generation: 1)
    }

    private mutating func handle(_ completion: Completion) throws {
        let flow = completion.token.slot / 2
        let end = completion.token.slot % 2
        switch completion.token.operation {
        case 1: accept()
        case 2: received(flow, end, completion)
        default:
            guard isOpen[flow] else { return }
            if end == 1 && !isConnected[flow] {
                guard driver.connectionError(ends[flow][1]) == 0 else { return cut(flow) }
                connected(flow)
            } else {
                directions[flow][end].isWriting = false
                flush(flow, toward: end)
            }
        }
    }

    private mutating func accept() {
        var from = SocketAddress()
        while true {
            let near = driver.accept(listener, peer: &from)
            if near < 0 { break }
            var pending = false
            let far = driver.connect(to: target, from: nil, pending: &pending)
            guard far >= 0 else {
                driver.resetOnClose(Descriptor(near))
                driver.close(Descriptor(near))
                continue
            }
            ends.append([Descriptor(near), Descriptor(far)])
            directions.append([Direction(), Direction()])
            isConnected.append(false)
            isOpen.append(true)
            let flow = ends.count - 1
            if pending { driver.awaitWritable(Descriptor(far), token(3, flow, 1)) } else { connected(flow) }
        }
        driver.awaitReadable(listener, Token(operation: 1, slot: 0, generation: 1))
    }

    private mutating func connected(_ flow: Int) {
        isConnected[flow] = true
        for end in 0..<2 { driver.receive(ends[flow][end], token(2, flow, end)) }
    }

    private mutating func received(_ flow: Int, _ end: Int, _ completion: Completion) {
        guard isOpen[flow] else {
            if completion.result > 0 { driver.release(completion.slot) }
            return
        }
        let other = 1 - end
        if completion.result > 0 {
            directions[flow][other].unsent += UnsafeRawBufferPointer(
                start: completion.slot.start!, count: completion.result)
            driver.release(completion.slot)
        } else if completion.result == 0 {
            directions[flow][other].hasEnded = true
        } else {
            return cut(flow)
        }
        flush(flow, toward: other)
    }

    /// Sends what waits for this end; reads more from the other end once nothing does.
    private mutating func flush(_ flow: Int, toward end: Int) {
        while !directions[flow][end].unsent.isEmpty {
            let sent = directions[flow][end].unsent.withUnsafeBytes { [end = ends[flow][end]] in
                driver.send(end, $0.baseAddress!, count: $0.count)
            }
            if sent == -Int(EAGAIN) {
                guard !directions[flow][end].isWriting else { return }
                directions[flow][end].isWriting = true
                return driver.awaitWritable(ends[flow][end], token(3, flow, end))
            }
            if sent < 0 { return cut(flow) }
            directions[flow][end].unsent.removeFirst(sent)
        }
        if directions[flow][end].hasEnded {
            driver.shutdownWriting(ends[flow][end])
            let isOver = directions[flow].allSatisfy { $0.hasEnded && $0.unsent.isEmpty }
            if isOver { close(flow) }
        } else {
            driver.receive(ends[flow][1 - end], token(2, flow, 1 - end))
        }
    }

    private mutating func cut(_ flow: Int) {
        for end in ends[flow] { driver.resetOnClose(end) }
        close(flow)
    }

    private mutating func close(_ flow: Int) {
        isOpen[flow] = false
        for end in ends[flow] { driver.close(end) }
    }
}

@Suite struct SimulationTests {
    private let door: SocketAddress
    private let house: SocketAddress

    init() throws {
        door = try SocketAddress.resolve(host: "192.0.2.1", port: 1, numeric: true)[0]
        house = try SocketAddress.resolve(host: "192.0.2.2", port: 2, numeric: true)[0]
    }

    private func run(_ seed: UInt64, _ answer: SimulatedTarget.Answer) throws -> (
        trace: [UInt64], peers: [SimulatedPeer]
    ) {
        let network = SimulatedNetwork(seed: seed, faults: .all, bufferLength: 3000)
        network.addTarget(at: house, answer)
        var relay = SmallRelay(network, at: door, to: house)
        var peers: [SimulatedPeer] = []
        for client in 0..<6 {
            let peer = try #require(network.connect(to: door))
            peer.write(pattern(20_000 + client, seed: client))
            peer.finish()
            peers.append(peer)
        }
        var turns = 0
        while !peers.allSatisfy({ $0.isDone }) {
            try relay.turn(until: nil)
            turns += 1
            try #require(turns < 100_000, "seed \(seed) does not end")
        }
        while !network.isQuiet { try relay.turn(until: nil) }
        #expect(network.openDescriptors == 1, "only the listener is left")
        return (relay.trace, peers)
    }

    @Test(arguments: UInt64(0)..<40) func everyByteComesBackOnceAndInOrder(_ seed: UInt64) throws {
        let (_, peers) = try run(seed, .accept(.echo))
        for (client, peer) in peers.enumerated() {
            #expect(peer.received == pattern(20_000 + client, seed: client))
            #expect(peer.sawEnd && !peer.sawReset)
        }
    }

    @Test func theSameSeedIsTheSameRun() throws {
        let first = try run(7, .accept(.echo)).trace
        #expect(first == (try run(7, .accept(.echo)).trace))
        #expect(first != (try run(8, .accept(.echo)).trace))
    }

    @Test(arguments: UInt64(0)..<10) func aRefusedTargetIsAResetForTheClient(_ seed: UInt64) throws {
        for peer in try run(seed, .refuse).peers { #expect(peer.sawReset && !peer.sawEnd) }
    }

    @Test func aSlowSinkTakesSimulatedTime() throws {
        let network = SimulatedNetwork(seed: 3, bufferLength: 1000)
        let target = network.addTarget(at: house, .accept(.sink(bytes: 100, every: .seconds(1))))
        var relay = SmallRelay(network, at: door, to: house)
        let peer = try #require(network.connect(to: door))
        peer.write(pattern(10_000))
        peer.finish()
        let begin = network.now
        let really = Tick.current()
        while !peer.isDone { try relay.turn(until: nil) }
        #expect(target.peers[0].received == pattern(10_000))
        #expect((network.now - begin) >= .seconds(99) && (Tick.current() - really) < .seconds(20))
    }

    @Test func aSilentTargetAnswersNever() throws {
        let network = SimulatedNetwork(seed: 3)
        network.addTarget(at: house, .silent)
        var relay = SmallRelay(network, at: door, to: house)
        let peer = try #require(network.connect(to: door))
        for _ in 0..<10 { try relay.turn(until: relay.now + .seconds(60)) }
        #expect(network.isQuiet && !peer.isDone && network.openDescriptors == 3)
        let before = network.now
        try relay.turn(until: nil)
        #expect((network.now - before) < .seconds(1), "without a deadline a quiet turn returns at once")
    }

    @Test func scheduledActionsHappenInTheirOrderAndTime() throws {
        let network = SimulatedNetwork(seed: 1)
        var driver = SimulatedDriver(network)
        final class Log { var entries: [(Int, Tick)] = [] }
        let log = Log()
        let begin = network.now
        for (number, seconds) in [3, 1, 2, 1].enumerated() {
            network.schedule(after: .seconds(Double(seconds))) { log.entries.append((number, network.now)) }
        }
        while !network.isQuiet { try driver.turn(until: nil) }
        #expect(log.entries.map(\.0) == [1, 3, 2, 0])
        for (number, moment) in log.entries { #expect((moment - begin).seconds >= Double([3, 1, 2, 1][number])) }
    }

    @Test func misuseStopsTheProgram() async {
        await #expect(processExitsWith: .failure) {
            let network = SimulatedNetwork(seed: 1)
            var driver = SimulatedDriver(network)
            let (descriptor, _) = network.pair()
            driver.close(descriptor)
            driver.close(descriptor)
        }
        await #expect(processExitsWith: .failure) {
            let network = SimulatedNetwork(seed: 1)
            var driver = SimulatedDriver(network)
            let (descriptor, _) = network.pair()
            driver.receive(descriptor, Token(operation: 1, slot: 1, generation: 1))
            driver.awaitReadable(descriptor, Token(operation: 1, slot: 1, generation: 1))
        }
        await #expect(processExitsWith: .failure) {
            let network = SimulatedNetwork(seed: 1)
            var driver = SimulatedDriver(network)
            let (descriptor, peer) = network.pair()
            peer.write([1])
            driver.receive(descriptor, Token(operation: 1, slot: 1, generation: 1))
            try driver.turn(until: nil)
            let slot = driver.next()!.slot
            driver.release(slot)
            driver.release(slot)
        }
    }
}
