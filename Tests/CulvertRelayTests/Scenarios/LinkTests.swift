import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// What becomes of flows, waiting connections and reverse forwards when links go, fall silent and come back.
@Suite struct LinkTests {
    private func pairing(_ scene: SimulatedScene, _ far: FarEnd, _ dice: inout Dice, forward: Int = 0) throws -> Pairing
    {
        let before = far.streams.count
        let client = try scene.client(forward)
        try scene.run("the far end is asked") { far.streams.count > before }
        return Pairing(client, far.streams[before], &dice, upTo: 50_000)
    }

    @Test(arguments: UInt64(1)...10)
    func connectionsWaitForALinkAndAreServed(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let scene = try SimulatedScene.simulated(Script(forwards: 1, seed: seed), faults: .all)
        let clients = try (0..<5).map { _ in try scene.client() }
        try scene.run("they wait") { scene.worker.held.count == 5 }
        #expect(scene.said.contains { if case .connectionWaits = $0 { true } else { false } })
        try scene.run(for: .seconds(20))
        let far = try scene.addLink()
        try scene.run("each has its channel") { far.streams.count == 5 }
        // In the order in which they came.
        let pairings = zip(clients, far.streams).map { Pairing($0, $1, &dice, upTo: 9000) }
        try scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test func anyNumberOfForwardsIsListenedOn() throws {
        var limits = RelayLimits()
        limits.descriptors = 4096
        let scene = try SimulatedScene.simulated(Script(forwards: 1100, limits: limits))
        try scene.run("each has its listener") { scene.worker.listeners.slab.count == 1100 }
        try scene.expectNothingAfterStop()
    }

    @Test func aConnectionThatWaitsTooLongIsReset() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let client = try scene.client()
        try scene.run("it waits") { scene.worker.held.count == 1 }
        let began = scene.worker.driver.now
        try scene.run("it is given up", within: .seconds(100)) { client.sawReset }
        let waited = scene.worker.driver.now - began
        #expect(waited >= .seconds(29.9) && waited < .seconds(31))
        #expect(scene.lines.count("no link within 30 s") == 1)
        try scene.expectNothingAfterStop()
    }

    /// What had a channel is lost with its link; what had none is served by the next one.
    @Test(arguments: UInt64(1)...10)
    func flowsThatNeverBeganSurviveTheirLink(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let scene = try SimulatedScene.simulated(Script(forwards: 2, seed: seed), faults: .all)
        let first = try scene.addLink()
        first.answer = { [unowned first] request in
            if case .directStreamLocal = request, first.streams.isEmpty { .accept } else { .silence }
        }
        let open = try scene.client()
        try scene.run("one is open") { first.streams.count == 1 && scene.worker.flows[0].phase == .open }
        let opening = try (0..<3).map { _ in try scene.client(1) }
        try scene.run("three are asked for") { scene.worker.flows.count == 4 }
        first.cut()
        try scene.run("they wait") { scene.worker.held.count == 3 && scene.worker.links.count == 0 }
        try scene.run("the open one is reset") { open.sawReset }
        #expect(opening.allSatisfy { !$0.sawReset && !$0.sawEnd })
        let second = try scene.addLink()
        try scene.run("they are served") { second.streams.count == 3 }
        // A link's flows are held in no promised order: the first bytes tell who is who.
        for (number, client) in opening.enumerated() { client.write([UInt8(number)]) }
        try scene.run("each says who it is") { second.streams.allSatisfy { $0.received.count == 1 } }
        #expect(Set(second.streams.map { $0.received[0] }) == [0, 1, 2])
        for client in opening { client.finish() }
        let answers = second.streams.map { stream in
            let answer = [stream.received[0]] + dice.bytes(5000)
            stream.write(answer)
            stream.finish()
            return answer
        }
        try scene.run("they end") { opening.allSatisfy(\.sawEnd) }
        for (number, client) in opening.enumerated() {
            #expect(client.received == answers.first { $0[0] == UInt8(number) })
        }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// In a pool of two, what waits for a lost link goes to the other one at once, not to the lost one's successor.
    @Test func whatNeverBeganMovesToAnotherLinkOfThePool() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, links: 2))
        let first = try scene.addLink(0)
        try scene.run("the first link stands") { scene.context.links[0].isOpen }
        first.answer = { _ in .silence }
        let client = try scene.client()
        try scene.run("the first is asked") { scene.worker.flows.count == 1 }
        let second = try scene.addLink(1)
        try scene.run("the second link stands") { scene.context.links[1].isOpen }
        let lost = scene.worker.driver.now
        first.cut()
        try scene.run("the second is asked") { second.streams.count == 1 }
        #expect(scene.worker.driver.now - lost < .seconds(1))
        #expect(!client.sawReset)
    }

    @Test func aSilentLinkIsSuspectedAndReplaced() throws {
        var dice = Dice(seed: 5)
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let first = try scene.addLink()
        let old = try pairingLeftOpen(scene, first)
        first.isFrozen = true
        let began = scene.worker.driver.now
        let opening = try scene.client()
        try scene.run("the link is suspected") {
            scene.said.contains { if case .linkSuspect = $0 { true } else { false } }
        }
        // A channel that is not opened for a second has the link asked; two more without an answer make it suspect.
        let suspected = scene.worker.driver.now - began
        #expect(suspected > .seconds(2.5) && suspected < .seconds(5), "\(suspected.seconds) s")
        #expect(!scene.context.links[0].isOpen)
        #expect(scene.worker.held.count == 1, "what was opening waits again")
        let later = try scene.client()
        try scene.run("a new one waits too") { scene.worker.held.count == 2 }
        let second = try scene.addLink()
        try scene.run("both are served") { second.streams.count == 2 }
        #expect(scene.worker.links.count == 2, "the old link may still end its flow")
        // It was only slow: it speaks again, its flow ends on it, and it goes.
        first.isFrozen = false
        old.client.write([1, 2, 3])
        old.client.finish()
        old.stream.finish()
        try scene.run("the old flow ends whole", within: .seconds(40)) { old.client.sawEnd && old.stream.sawEnd }
        #expect(old.stream.received == [1, 2, 3])
        try scene.run("the replaced link ends", within: .seconds(40)) { scene.worker.links.count == 1 }
        #expect(scene.lostLinks.isEmpty, "nobody is told of a link that was replaced")
        let third = try pairing(scene, second, &dice)
        for (client, stream) in zip([opening, later], second.streams) {
            client.finish()
            stream.finish()
        }
        try scene.run("the rest ends") { third.isDone && opening.sawEnd && later.sawEnd }
        try third.verify()
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    private func pairingLeftOpen(_ scene: SimulatedScene, _ far: FarEnd) throws -> (client: any Peer, stream: FarStream)
    {
        let client = try scene.client()
        try scene.run("a flow stands") { far.streams.count == 1 && scene.worker.flows.count == 1 }
        return (client, far.streams[0])
    }

    @Test func aSuspectLinkThatSpeaksTakesConnectionsAgain() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let far = try scene.addLink()
        try scene.run("the link stands, and has answered") { scene.worker.serverHabit == .answers }
        far.isFrozen = true
        let client = try scene.client()
        try scene.run("the link is suspected") { !scene.context.links[0].isOpen }
        far.isFrozen = false
        try scene.run("it is asked again and answers", within: .seconds(40)) { scene.context.links[0].isOpen }
        #expect(scene.said.contains { if case .linkRecovered = $0 { true } else { false } })
        // The channel that was given up is closed again by the far end's first word about it.
        try scene.run("the connection is served") { far.streams.count == 2 }
        client.finish()
        far.streams.last?.finish()
        try scene.run("it ends") { client.sawEnd }
        try scene.expectNoFlows()
        #expect(far.error == nil)
        try scene.expectNothingAfterStop()
    }

    @Test func aLinkThatNeverAnswersIsGivenUp() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let far = try scene.addLink()
        let flow = try pairingLeftOpen(scene, far)
        far.isFrozen = true
        let began = scene.worker.driver.now
        try scene.run("it is given up", within: .seconds(100)) { !scene.lostLinks.isEmpty }
        #expect(scene.lostLinks[0].contains("timeout, server not responding"))
        let after = scene.worker.driver.now - began
        #expect(
            after > .seconds(45) && after < .seconds(75), "silence, then three unanswered questions: \(after.seconds)")
        try scene.run("its flow is reset") { flow.client.sawReset }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// Silence of a server that has never answered a question is no sign: one question after the login would show its
    /// habit, and until it has none is suspect.
    @Test func aServerThatNeverAnsweredIsNotSuspected() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let far = try scene.addLink()
        far.isFrozen = true
        let client = try scene.client()
        try scene.run(for: .seconds(120))
        #expect(scene.context.links[0].isOpen && scene.worker.links.count == 1 && !client.sawReset)
        #expect(scene.said.count { if case .questionsUnanswered = $0 { true } else { false } } == 1, "told once")
        #expect(!scene.said.contains { if case .linkSuspect = $0 { true } else { false } })
        far.isFrozen = false
        try scene.run("it is served") { far.streams.count == 1 }
        #expect(scene.worker.serverHabit == .answers)
    }

    /// A reverse forward to a target that echoes.
    private func echoing(port: UInt16) throws -> SimulatedScene {
        let place = SimulatedPlace(seed: 1)
        let target = try place.target(.echo)
        var script = Script()
        script.reverse = [
            ReverseForward(
                listen: .tcp(address: "localhost", port: port),
                target: .tcp(host: "127.0.0.1", port: target.address.port), text: "reverse")
        ]
        return try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
    }

    @Test func aRefusedReverseForwardIsAskedForAgain() throws {
        let scene = try echoing(port: 7000)
        var refusals = 3
        let far = try scene.addLink(reverse: [0])
        far.grant = { _ in
            refusals -= 1
            return refusals >= 0 ? 0 : 7000
        }
        var answers: [Bool] {
            scene.said.compactMap {
                if case .reverseAnswered(_, _, let answer) = $0 { answer != .refused } else { nil }
            }
        }
        let began = scene.worker.driver.now
        try scene.run("it stands") { answers.last == true }
        #expect(answers == [false, false, false, true])
        // 1 s, 2 s, 4 s: asked more and more seldom.
        let after = scene.worker.driver.now - began
        #expect(after >= .seconds(7) && after < .seconds(9))
        let stream = try far.open(port: 7000)
        stream.write([9, 8, 7])
        stream.finish()
        try scene.run("it works") { stream.sawEnd }
        #expect(stream.received == [9, 8, 7])
        try scene.expectNoFlows()
        // On the way out it is cancelled.
        try scene.expectNothingAfterStop()
        try scene.run("it is cancelled") { far.forwardRequests.last?.action == .cancel }
    }

    /// The server chooses a port once; later logins ask for it first, and leave the choice to the server if it is taken.
    @Test func aPortThatTheServerChoseIsAskedForAgain() throws {
        let scene = try echoing(port: 0)
        func asked(_ far: FarEnd) -> [ForwardRequest] {
            far.forwardRequests.filter { $0.action == .listen }.map(\.request)
        }
        let first = try scene.addLink(reverse: [0])
        first.grant = { _ in 41_000 }
        try scene.run("it stands") { scene.reversePorts == [41_000] }
        #expect(asked(first) == [.tcp(address: "localhost", port: 0)])
        first.cut()
        try scene.run("the link is lost") { !scene.lostLinks.isEmpty }
        let second = try scene.addLink(reverse: [0])
        second.grant = { if case .tcp(_, let port) = $0 { port } else { 0 } }
        try scene.run("it stands again") { scene.reversePorts == [41_000, 41_000] }
        #expect(asked(second) == [.tcp(address: "localhost", port: 41_000)])
        second.cut()
        try scene.run("the link is lost") { scene.lostLinks.count == 2 }
        let third = try scene.addLink(reverse: [0])
        third.grant = { $0.leavesPortToPeer ? 41_001 : 0 }
        try scene.run("it stands elsewhere") { scene.reversePorts == [41_000, 41_000, 41_001] }
        #expect(asked(third) == [.tcp(address: "localhost", port: 41_000), .tcp(address: "localhost", port: 0)])
        try scene.expectNothingAfterStop()
    }

    /// What the server listens on for a silent link stays with it until it is dead, and longer if it speaks again: who
    /// connects there meanwhile is served. Only then is its successor's turn.
    @Test(arguments: [false, true])
    func aSilentLinkKeepsItsReverseForwards(speaksAgain: Bool) throws {
        let scene = try echoing(port: 7000)
        let first = try scene.addLink(reverse: [0])
        try scene.run("it stands") { scene.reversePorts == [7000] && scene.worker.serverHabit == .answers }
        first.isFrozen = true
        try scene.run("it is suspected", within: .seconds(30)) { !scene.context.links[0].isOpen }
        let second = try scene.addLink(reverse: [0])
        try scene.run(for: .seconds(5))
        #expect(scene.context.links[0].isOpen && second.forwardRequests.isEmpty)
        #expect(scene.reversePorts == [7000, 7000], "under the name of the second it is known to stand")
        if speaksAgain {
            first.isFrozen = false
            try scene.run(for: .seconds(100))
            let stream = try first.open(port: 7000)
            stream.write([9, 8, 7])
            stream.finish()
            try scene.run("it works") { stream.sawEnd }
            #expect(stream.received == [9, 8, 7] && second.forwardRequests.isEmpty)
            #expect(first.forwardRequests.map(\.action) == [.listen])
            first.cut()
        }
        try scene.run("it stands on the second", within: .seconds(90)) {
            scene.reversePorts == [7000, 7000, 7000]
        }
        #expect(second.forwardRequests.map(\.action) == [.listen])
        try scene.run("the first has gone", within: .seconds(60)) { scene.worker.links.count == 1 }
        #expect(second.forwardRequests.count == 1, "asked for once")
        try scene.expectNothingAfterStop()
    }

    /// A server that listens before it answers: somebody connects in between. What nobody asked for is told of.
    @Test func aConnectionThatComesBeforeTheAnswerIsServed() throws {
        let scene = try echoing(port: 7000)
        let far = try scene.addLink(reverse: [0])
        far.answersForwards = false
        try scene.run("it is asked") { far.forwardRequests.count == 1 }
        let early = try far.open(port: 7000)
        early.write([1, 2, 3])
        early.finish()
        try scene.run("it works") { early.sawEnd }
        #expect(early.received == [1, 2, 3])
        let unasked = try far.open(port: 7001)
        try scene.run("it is refused") { unasked.refusal == .administrativelyProhibited }
        #expect(scene.lines.count("localhost:7001 from 127.0.0.1:7: no forward of ours listens there") == 1)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// RFC 4254 §7.1: forwards on one port and different addresses are different forwards.
    @Test func theAddressTellsForwardsOfOnePortApart() throws {
        let place = SimulatedPlace(seed: 1)
        let targets = [try place.target(.collect), try place.target(.collect)]
        var script = Script()
        script.reverse = ["127.0.0.1", "192.0.2.7"].enumerated().map { number, address in
            ReverseForward(
                listen: .tcp(address: address, port: 7000),
                target: .tcp(host: "127.0.0.1", port: targets[number].address.port), text: "reverse \(number)")
        }
        let scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        let far = try scene.addLink(reverse: [0, 1])
        try scene.run("both stand") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 2
        }
        let second = try far.open(port: 7000, address: "192.0.2.7")
        try scene.run("it is connected") { second.isOpen }
        #expect(targets.map(\.connections.count) == [0, 1])
        let first = try far.open(port: 7000, address: "127.0.0.1")
        try scene.run("it is connected") { first.isOpen }
        #expect(targets.map(\.connections.count) == [1, 1])
    }

    /// Two workers: the one that accepts hands the connection to the one that has the link.
    @Test func aConnectionGoesToTheWorkerOfItsLink() throws {
        let place = SimulatedPlace(seed: 3, faults: .all)
        let scene = try SimulatedScene(
            place, Script(forwards: 1, links: 2, workers: 2), driver: SimulatedDriver(place.network))
        var other = Worker(WorkerID(1), driver: SimulatedDriver(place.network), context: scene.context)
        let far = try scene.addLink(1, worker: 1)
        func run(_ what: String, _ isSo: () -> Bool) throws {
            for _ in 0..<20_000 {
                if isSo() { return }
                other.timers.add(
                    other.driver.now + .milliseconds(1),
                    Token(.heldExpiry))
                try other.turnOnce()
                try scene.turn()
            }
            throw Missed(what)
        }
        try run("the other worker has its link") { other.links.count == 1 }
        var dice = Dice(seed: 3)
        let client = try scene.client()
        try run("the far end is asked") { far.streams.count == 1 }
        #expect(scene.worker.flows.count == 0 && other.flows.count == 1)
        let pairing = Pairing(client, far.streams[0], &dice, upTo: 100_000)
        try run("it ends") { pairing.isDone && other.flows.count == 0 }
        try pairing.verify()
        // The link goes: its worker has it no more, and what comes then waits where it was accepted.
        far.cut()
        try run("the link is lost") { other.links.count == 0 }
        _ = try scene.client()
        try run("a new connection waits") { scene.worker.held.count == 1 }
    }
}
