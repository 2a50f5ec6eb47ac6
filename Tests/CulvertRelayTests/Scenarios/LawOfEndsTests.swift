import CulvertIO
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// The law of ends, clause by clause: a clean end means complete.
@Suite struct LawOfEndsTests {
    private static let window = 256 * 1024

    private func scene(_ seed: UInt64 = 1, _ script: Script = Script(forwards: 1)) throws -> SimulatedScene {
        var script = script
        script.seed = seed
        return try SimulatedScene.simulated(script, bufferLength: 16 * 1024)
    }

    /// A flow that stands.
    private func flow(_ scene: SimulatedScene, _ far: FarEnd) throws -> (client: SimulatedPeer, stream: FarStream) {
        let before = far.streams.count
        let client = try scene.client()
        try scene.run("the channel stands") { far.streams.count > before }
        guard let peer = client as? SimulatedPeer else { throw Missed("the world is simulated") }
        return (peer, far.streams[before])
    }

    // MARK: A failed send

    /// The client has said everything and closed; a word of the target's meets its closed socket. What the same socket
    /// still holds is the target's.
    private func failedSend(_ scene: SimulatedScene, _ far: FarEnd, _ bytes: [UInt8]) throws -> FarStream {
        let (client, stream) = try flow(scene, far)
        stream.isReading = false
        client.write(bytes)
        try scene.run("it has said everything") { client.unsent == 0 }
        client.close()
        stream.write([1])
        try scene.run("the first word is answered by a reset") { stream.unsent == 0 }
        try scene.run(for: .milliseconds(10))
        stream.write([2, 3])
        try scene.run("the send has failed") { scene.worker.flows[0].ends.sink == .failed }
        return stream
    }

    @Test func afterAFailedSendWhatTheSocketHoldsIsReadToItsEnd() throws {
        let scene = try scene()
        let far = try scene.addLink()
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(Self.window + 12_000)
        let stream = try failedSend(scene, far, bytes)
        // Payload for it is dropped and credited: the far side is not held up.
        stream.write(dice.bytes(3 * Self.window))
        try scene.run("what nobody takes any more goes away") { stream.unsent == 0 }
        #expect(scene.worker.flows.count == 1 && scene.context.budget.inUse == 0)
        stream.isReading = true
        try scene.run("the far side learns that the end was not clean") { stream.peerClosed }
        #expect(stream.received == bytes)
        #expect(stream.sawReset && !stream.sawEnd)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test func aRestThatNobodyTakesIsCutAfterThirtySeconds() throws {
        let scene = try scene()
        let far = try scene.addLink()
        var dice = Dice(seed: 1)
        let stream = try failedSend(scene, far, dice.bytes(Self.window + 12_000))
        let began = scene.worker.driver.now
        try scene.run("it is cut", within: .seconds(40)) { stream.peerClosed }
        let waited = scene.worker.driver.now - began
        #expect(waited >= .seconds(29.5) && waited < .seconds(31), "\(waited.seconds) s")
        #expect(stream.sawReset && !stream.sawEnd && stream.received.count == Self.window)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// As long as some of it is taken in each half minute.
    @Test func aRestThatIsTakenSlowlyIsNot() throws {
        var script = Script(forwards: 1)
        script.window = 2048
        let scene = try scene(1, script)
        let far = try scene.addLink()
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(2048 + 14_000)
        let stream = try failedSend(scene, far, bytes)
        stream.creditLimit = 300
        for _ in 0..<3 {
            try scene.run(for: .seconds(25))
            #expect(scene.worker.flows.count == 1 && !stream.peerClosed)
            let before = stream.received.count
            stream.isReading = true
            try scene.run("some is taken") { stream.received.count > before }
            stream.isReading = false
        }
        stream.isReading = true
        try scene.run("then all of it") { stream.peerClosed }
        #expect(stream.received == bytes && stream.sawReset)
        try scene.expectNothingAfterStop()
    }

    // MARK: What has come whole stays

    /// A slow client whose answer has come whole.
    private func wholeAnswer(_ scene: SimulatedScene, _ far: FarEnd, _ bytes: [UInt8]) throws -> SimulatedPeer {
        let (client, stream) = try flow(scene, far)
        client.isReading = false
        stream.write(bytes)
        stream.finish()
        try scene.run("all of it has come") { stream.hasFinished && !scene.worker.flows[0].spill.isEmpty }
        try scene.run("and its end") { scene.worker.flows[0].ends.peer == .ended }
        return client
    }

    /// The worker learns of the link's end by a send or by a receive, whichever the seed has first. What the server had
    /// said by then lies in the socket, whole.
    @Test(arguments: 1...60)
    func aWholeAnswerThatLiesInALostLinksSocketIsRead(seed: Int) throws {
        var dice = Dice(seed: UInt64(seed))
        let bytes = dice.bytes(9000)
        let scene = try scene(UInt64(seed))
        let far = try scene.addLink()
        let (client, stream) = try flow(scene, far)
        let other = try flow(scene, far)
        scene.network.faults.delayed = 512
        other.client.write(dice.bytes(100_000))
        stream.write(bytes)
        stream.finish()
        // Without a turn of the worker's between the last packet and the reset.
        while !stream.hasFinished || far.wire.unsent > 0 {
            _ = far.step()
            scene.network.step()
        }
        far.cut()
        try scene.run("the link is lost") { !scene.lostLinks.isEmpty }
        try scene.run("the answer has come") { client.sawEnd || client.sawReset }
        #expect(client.received == bytes && client.sawEnd)
        try scene.run("the other is reset") { other.client.sawReset }
        try scene.expectNothingAfterStop()
    }

    /// The slow reader is the only one whom its link's death does not end.
    @Test func aWholeAnswerStaysAcrossALostLink() throws {
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(200_000)
        let scene = try scene()
        let far = try scene.addLink()
        let whole = try wholeAnswer(scene, far, bytes)
        let other = try flow(scene, far)
        other.client.isReading = false
        other.stream.write(bytes)
        try scene.run("the other's has come, without its end") { other.stream.unsent == 0 }
        far.cut()
        try scene.run("the link is lost") { !scene.lostLinks.isEmpty }
        other.client.isReading = true
        try scene.run("what is not whole is reset") { other.client.sawReset }
        #expect(!other.client.sawEnd)
        // What it says now nobody will hear; it is read all the same, since it would reset the connection.
        whole.write(dice.bytes(100_000))
        try scene.run("it is read") { whole.unsent == 0 }
        try scene.run(for: .seconds(120))
        #expect(scene.worker.flows.count == 0 && scene.worker.deliveries.count == 1)
        whole.isReading = true
        try scene.run("it has everything") { whole.sawEnd }
        #expect(whole.received == bytes && !whole.sawReset)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: [true, false])
    func afterASignalItStaysUntilTheDrainIsOver(_ readsInTime: Bool) throws {
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(200_000)
        let scene = try scene()
        let far = try scene.addLink()
        let whole = try wholeAnswer(scene, far, bytes)
        let other = try flow(scene, far)
        other.stream.write([1, 2, 3])
        try scene.run("the other has some") { other.client.received.count == 3 }
        let began = scene.worker.driver.now
        scene.tell(.stop(drain: .seconds(5)))
        try scene.run("what is not whole is reset at once") { other.client.sawReset }
        #expect(scene.worker.driver.now - began < .milliseconds(200) && !other.client.sawEnd)
        try scene.run("the far side learns it") { other.stream.peerClosed }
        #expect(other.stream.sawReset && !other.stream.sawEnd)
        try scene.run(for: .seconds(4))
        #expect(!whole.sawReset && !scene.worker.hasStopped)
        whole.isReading = readsInTime
        try scene.run("the worker stops", within: .seconds(2)) { scene.worker.hasStopped }
        whole.isReading = true
        try scene.run("the client is told") { whole.sawEnd || whole.sawReset }
        #expect(whole.sawEnd == readsInTime && (whole.received == bytes) == readsInTime)
        #expect(bytes.starts(with: whole.received))
        #expect(scene.network.openDescriptors == 0 && scene.context.budget.inUse == 0)
    }

    /// CLOSE while the client still speaks: a close over its unread words would reset it, and take the answer with it.
    @Test func aChannelThatIsClosedLingers() throws {
        let scene = try scene()
        scene.network.faults.lostByReset = 1024
        let far = try scene.addLink()
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(100_000)
        let (client, stream) = try flow(scene, far)
        client.isReading = false
        stream.write(bytes)
        try scene.run("all of it has come") { stream.unsent == 0 }
        stream.reset()
        try scene.run("the channel is closed") { scene.worker.flows[0].ends.peer == .closed }
        client.write(dice.bytes(500_000))
        try scene.run(for: .seconds(60))
        #expect(!client.sawReset && client.received.isEmpty)
        client.isReading = true
        try scene.run("it has everything") { client.sawEnd }
        #expect(client.received == bytes && stream.received.count < 500_000)
        client.close()
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    // MARK: Links that nobody needs any more

    /// Both directions of its last flow have ended, and the server has not closed the channel: it may still be handing
    /// on what it was sent. Looked at without questions whether it lives too.
    @Test(arguments: [15.0, 0])
    func aReplacedLinkEndsWhenBothSidesHaveClosed(_ interval: Double) throws {
        var script = Script(forwards: 1)
        script.alive.serverAliveInterval = interval > 0 ? .seconds(interval) : nil
        let scene = try scene(1, script)
        let first = try scene.addLink()
        let flows = try (0..<3).map { _ in try overHere(try flow(scene, first), [1, 2, 3]) }
        let second = try scene.addLink()
        try scene.run("they are over here") { scene.worker.flows.count == 0 && flows.allSatisfy(\.client.sawEnd) }
        // As long as the server says something of them, and half a minute more.
        for flow in flows {
            try scene.run(for: .seconds(25))
            #expect(scene.worker.links.count == 2 && !first.hasEnded)
            flow.stream.isHandingOn = false
        }
        try scene.run("it ends", within: .seconds(1)) { scene.worker.links.count == 1 }
        #expect(flows.allSatisfy { $0.stream.received == [1, 2, 3] && $0.stream.isOver })
        #expect(!second.hasEnded && scene.lostLinks.isEmpty, "nobody is told of a link that was replaced")
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: [15.0, 0])
    func aReplacedLinkIsGivenUpAfterItsServersLastWord(_ interval: Double) throws {
        var script = Script(forwards: 1)
        script.alive.serverAliveInterval = interval > 0 ? .seconds(interval) : nil
        let scene = try scene(1, script)
        let first = try scene.addLink()
        let over = try overHere(try flow(scene, first), [1, 2, 3])
        _ = try scene.addLink()
        try scene.run("it is over here") { scene.worker.flows.count == 0 && over.client.sawEnd }
        let began = scene.worker.driver.now
        try scene.run("it is given up", within: .seconds(40)) { scene.worker.links.count == 1 }
        let waited = scene.worker.driver.now - began
        #expect(waited >= .seconds(29.5) && waited < .seconds(31), "\(waited.seconds) s")
        #expect(scene.lostLinks.isEmpty)
        try scene.expectNothingAfterStop()
    }

    /// Both ends have said all, and the server has not handed it on.
    private func overHere(_ flow: (client: SimulatedPeer, stream: FarStream), _ bytes: [UInt8]) throws -> (
        client: SimulatedPeer, stream: FarStream
    ) {
        flow.stream.isHandingOn = true
        flow.stream.finish()
        flow.client.write(bytes)
        flow.client.finish()
        return flow
    }

    // MARK: Held connections

    /// A close and a half-close cannot be told apart there: nothing is carried out for somebody who may have gone.
    @Test func heldConnectionsWhoseClientsMayHaveGoneAreDropped() throws {
        let scene = try scene()
        let clients = try (0..<5).map { _ in try scene.client() }
        for (number, client) in clients.enumerated() { client.write([UInt8(number)]) }
        try scene.run("they wait") { scene.worker.held.count == 5 }
        clients[1].finish()
        clients[3].reset()
        try scene.run("those are dropped") { scene.worker.held.count == 3 }
        try scene.run("the one that can hear it is reset") { clients[1].sawReset }
        #expect(!clients[1].sawEnd)
        let far = try scene.addLink()
        try scene.run("the others are served, in order") { far.streams.filter { !$0.received.isEmpty }.count == 3 }
        #expect(far.streams.map(\.received) == [[0], [2], [4]])
        try scene.expectNothingAfterStop()
    }

    /// In the moment in which a link stands, too: before anybody has looked.
    @Test func whoGoesJustBeforeTheLinkStandsIsDropped() throws {
        let scene = try scene()
        let client = try scene.client()
        client.write([7])
        try scene.run("it waits") { scene.worker.held.count == 1 }
        client.finish()
        let far = try scene.addLink()
        try scene.run("it is reset") { client.sawReset }
        #expect(far.streams.isEmpty && scene.worker.held.isEmpty)
        try scene.expectNothingAfterStop()
    }

    /// From the asking on a half-close is carried.
    @Test func aHalfCloseIsCarriedOnceTheChannelIsAskedFor() throws {
        let scene = try scene()
        let far = try scene.addLink()
        try scene.run("the link stands") { scene.context.links[0].isOpen }
        let client = try scene.client()
        client.write([7, 8])
        client.finish()
        try scene.run("it is carried") { far.streams.first?.sawEnd == true }
        #expect(far.streams[0].received == [7, 8])
        far.streams[0].write([9])
        far.streams[0].finish()
        try scene.run("the answer comes") { client.sawEnd }
        #expect(client.received == [9] && !client.sawReset)
        try scene.expectNothingAfterStop()
    }

    /// What lost its link before its channel was open stands before what came later.
    @Test func connectionsThatLostTheirLinkAreServedFirst() throws {
        let scene = try scene()
        let first = try scene.addLink()
        first.answer = { _ in .silence }
        let asked = try (0..<3).map { _ in try scene.client() }
        for (number, client) in asked.enumerated() { client.write([UInt8(number)]) }
        try scene.run("three are asked for") { scene.worker.flows.count == 3 }
        first.cut()
        try scene.run("they wait") { scene.worker.held.count == 3 }
        let later = try (3..<5).map { number in
            let client = try scene.client()
            client.write([UInt8(number)])
            return client
        }
        try scene.run("all wait") { scene.worker.held.count == 5 }
        let second = try scene.addLink()
        try scene.run("all are served") { second.streams.filter { !$0.received.isEmpty }.count == 5 }
        #expect(second.streams.map(\.received) == [[0], [1], [2], [3], [4]])
        #expect(later.allSatisfy { !$0.sawReset })
        try scene.expectNothingAfterStop()
    }

    // MARK: What a client is told, it is to get

    /// Payload behind the request lies unread when the server refuses: a close would reset the answer away.
    @Test(arguments: [false, true])
    func aRefusedClientGetsItsAnswer(_ isRubbish: Bool) throws {
        let scene = try scene(1, Script(forwards: 1, targets: [.requested]))
        scene.network.faults.lostByReset = 1024
        let far = try scene.addLink()
        far.answer = { _ in .refuse(.connectFailed) }
        let client = try scene.client()
        client.isReading = false
        client.write(
            (isRubbish ? [5, 1, 0, 5, 9, 0, 1, 10, 0, 0, 1, 0, 9] : SocksTests.toName)
                + [UInt8](repeating: 1, count: 100_000))
        try scene.run("it is refused") { scene.lines.all.count == 1 }
        try scene.run(for: .seconds(5))
        client.isReading = true
        try scene.run("it is told") { client.sawEnd || client.sawReset }
        #expect(client.received.count == 12 && client.received[3] != 0)
        #expect(client.sawEnd)
        (client as? SimulatedPeer)?.close()
        try scene.expectNothingAfterStop()
    }

    // MARK: Memory

    /// One receive brings a little for so many slow readers that their blocks alone pass what there may be. Those who
    /// hold nearly nothing are not the ones to go.
    @Test func manySmallReadersDoNotGoForAHoarder() throws {
        let place = SimulatedPlace(seed: 1, bufferLength: 512)
        place.linkBufferLength = 1024 * 1024
        var script = Script(forwards: 1, memory: 2 * 1024 * 1024)
        script.window = 2 * 1024 * 1024
        let scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        let far = try scene.addLink()
        let hoarder = try flow(scene, far)
        hoarder.client.isReading = false
        hoarder.stream.write([UInt8](repeating: 9, count: 1_900_000))
        try scene.run("it hoards") { scene.worker.flows[0].spill.count > 1_890_000 }
        let small = try (0..<330).map { _ in try scene.client() }
        try scene.run("all have channels") { far.streams.count == 331 }
        for client in small { client.isReading = false }
        // In one go.
        for stream in far.streams.dropFirst() { stream.write([UInt8](repeating: 1, count: 700)) }
        try scene.run("all have theirs") { far.streams.allSatisfy { $0.unsent == 0 || $0.peerClosed } }
        try scene.run(for: .seconds(1))
        #expect(scene.lines.count("the memory ceiling is reached") == 1)
        for client in small { client.isReading = true }
        try scene.run("they read on") { small.allSatisfy { $0.received.count == 700 || $0.sawReset } }
        let gone = small.count { $0.sawReset }
        #expect(gone == 0, "nobody goes who is within its floor")
        hoarder.client.isReading = true
        try scene.run("who held most has gone") { hoarder.client.sawReset }
        try scene.expectNothingAfterStop()
    }
}
