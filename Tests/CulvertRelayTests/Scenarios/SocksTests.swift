import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// Dynamic forwards at both ends: what clients are told and when, and what becomes of those that do not finish.
@Suite struct SocksTests {
    static let toName: [UInt8] = [5, 1, 0, 5, 1, 0, 3, 2] + Array("db".utf8) + [0, 9]
    static let granted: [UInt8] = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    static func refused(_ code: UInt8) -> [UInt8] { [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0] }

    /// An answer that does not fit into an empty socket is no case: everything else goes wrong that may.
    static var faults: Faults {
        var faults = Faults.all
        faults.shortWrite = 0
        faults.wouldBlock = 0
        return faults
    }

    private func scene(_ seed: UInt64 = 1, faults: Faults = .none) throws -> SimulatedScene {
        try SimulatedScene.simulated(Script(forwards: 1, targets: [.requested], seed: seed), faults: faults)
    }

    // MARK: -D

    /// Payload behind the request, in the same write, is the target's.
    @Test(arguments: UInt64(1)...20)
    func everyVersionIsServedAndNoByteIsLost(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let scene = try scene(seed, faults: Self.faults)
        let far = try scene.addLink()
        let clients: [([UInt8], [UInt8], String)] = [
            (Self.toName, Self.granted, "db"),
            ([4, 1, 0, 9, 0, 0, 0, 5, 0x75, 0x73, 0] + Array("db".utf8) + [0], [0, 0x5a, 0, 0, 0, 0, 0, 0], "db"),
            ([4, 1, 0, 9, 10, 0, 0, 1, 0], [0, 0x5a, 0, 0, 0, 0, 0, 0], "10.0.0.1"),
            (
                [5, 1, 2, 1, 1, 0x75, 1, 0x70, 5, 1, 0, 1, 10, 0, 0, 1, 0, 9],
                [5, 2, 1, 0] + Self.granted.dropFirst(2), "10.0.0.1"
            ),
        ]
        for (number, (words, answers, host)) in clients.enumerated() {
            let client = try scene.client()
            let payload = dice.bytes(Int.random(in: 0...40_000, using: &dice))
            client.write(words + payload)
            client.finish()
            try scene.run("the far end is asked") { far.streams.count > number }
            let stream = far.streams[number]
            guard case .directTCPIP(host, 9, _, _) = stream.request else {
                Issue.record("\(stream.request)")
                continue
            }
            let answer = dice.bytes(Int.random(in: 0...40_000, using: &dice))
            stream.write(answer)
            stream.finish()
            try scene.run("both ends are told") { client.sawEnd && stream.sawEnd }
            #expect(client.received == answers + answer && stream.received == payload && !client.sawReset)
        }
        try scene.expectNoFlows()
        #expect(scene.lines.all.isEmpty)
        try scene.expectNothingAfterStop()
    }

    @Test func successIsToldAfterTheServerHasSaidIt() throws {
        let scene = try scene()
        let far = try scene.addLink()
        far.answer = { _ in .silence }
        let client = try scene.client()
        client.write(Self.toName)
        try scene.run("the channel is asked for") { scene.worker.flows.count == 1 }
        try scene.run(for: .milliseconds(300))
        #expect(client.received == [5, 0] && !client.sawEnd && !client.sawReset)
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: [
        (OpenFailure.administrativelyProhibited, UInt8(2)), (.connectFailed, 1), (.resourceShortage, 1),
    ])
    func aRefusalIsToldAndTheClientIsClosed(_ reason: OpenFailure, _ code: UInt8) throws {
        let scene = try scene(faults: Self.faults)
        let far = try scene.addLink()
        far.answer = { _ in .refuse(reason) }
        let five = try scene.client()
        five.write(Self.toName)
        let four = try scene.client()
        four.write([4, 1, 0, 9, 10, 0, 0, 1, 0])
        try scene.run("they are closed") { five.sawEnd && four.sawEnd }
        #expect(five.received == Self.refused(code) && !five.sawReset)
        #expect(four.received == [0, 0x5b, 0, 0, 0, 0, 0, 0] && !four.sawReset)
        #expect(scene.lines.count("forward 0 to db:9: channel open failed") == 1)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// Silent from the start, in the middle, or a byte a second.
    @Test(arguments: [0, 1, 5, 9]) func aClientThatNeverFinishesIsClosed(_ length: Int) throws {
        let scene = try scene()
        _ = try scene.addLink()
        let silent = try scene.client()
        silent.write(Array(Self.toName.prefix(length)))
        let slow = try scene.client()
        func drip(_ index: Int) {
            scene.network.schedule(after: .seconds(1)) {
                guard index < 255, !slow.sawEnd, !slow.sawReset else { return }
                slow.write([[5, 255] + [UInt8](repeating: 1, count: 255)][0][index...index].map { $0 })
                drip(index + 1)
            }
        }
        drip(0)
        let began = scene.worker.driver.now
        try scene.run("they are closed", within: .seconds(30)) {
            (silent.sawEnd || silent.sawReset) && (slow.sawEnd || slow.sawReset)
        }
        let waited = scene.worker.driver.now - began
        #expect(waited >= .seconds(9.9) && waited < .seconds(12))
        #expect(scene.lines.count("did not say in SOCKS where to go within 10 s") == 2)
        #expect(scene.worker.greetings.count == 0 && scene.worker.flows.count == 0)
        try scene.expectNothingAfterStop()
    }

    @Test func whoeverSpeaksNoSocksIsTold() throws {
        let scene = try scene()
        _ = try scene.addLink()
        let client = try scene.client()
        client.write(Array("GET http://db/ HTTP/1.1\r\n\r\n".utf8))
        try scene.run("it is closed") { client.sawEnd || client.sawReset }
        #expect(scene.lines.count("speaks no SOCKS (its first byte is 71)") == 1)
        let gone = try scene.client()
        gone.write([5, 1])
        gone.finish()
        try scene.run("it is dropped") { gone.sawReset }
        #expect(scene.worker.greetings.count == 0 && scene.lines.all.count == 1)
        try scene.expectNothingAfterStop()
    }

    /// `--hold`: clients wait for a link before they are greeted, and after it when theirs has gone.
    @Test(arguments: UInt64(1)...10) func clientsWaitForALink(_ seed: UInt64) throws {
        let scene = try scene(seed, faults: Self.faults)
        let early = try scene.client()
        early.write(Self.toName + [1, 2, 3])
        try scene.run("it waits") { scene.worker.held.count == 1 }
        try scene.run(for: .seconds(15))
        #expect(early.received.isEmpty)
        let first = try scene.addLink()
        var asked = 0
        first.answer = { _ in
            asked += 1
            return .silence
        }
        try scene.run("the channel is asked for") { asked == 1 }
        first.cut()
        try scene.run("it waits again") { scene.worker.held.count == 1 && scene.worker.links.count == 0 }
        #expect(early.received == [5, 0] && !early.sawReset)
        let second = try scene.addLink()
        try scene.run("it is served") { early.received == Self.granted && second.streams.first?.received == [1, 2, 3] }
        early.finish()
        second.streams[0].finish()
        try scene.run("it ends") { early.sawEnd && second.streams[0].sawEnd }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    // MARK: -R without a target

    private func reverseScene(
        _ seed: UInt64, _ answer: TargetAnswer, permitted: ((UInt16) -> [PermittedTarget])? = nil,
        window: UInt32 = 256 * 1024
    ) throws -> (SimulatedScene, FarEnd, any Destination) {
        let place = SimulatedPlace(seed: seed, faults: .all)
        let target = try place.target(answer)
        var script = Script(pieces: true, seed: seed)
        script.window = window
        script.reverse = [
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000), target: .requested, text: "reverse",
                permitted: permitted?(target.address.port))
        ]
        let scene = try SimulatedScene(place, script, driver: SimulatedDriver(place.network))
        let far = try scene.addLink(reverse: [0])
        try scene.run("it stands") { scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1 }
        return (scene, far, target)
    }

    private func request(_ target: any Destination) -> [UInt8] {
        [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, UInt8(target.address.port >> 8), UInt8(target.address.port & 0xff)]
    }

    @Test(arguments: UInt64(1)...20) func clientsAtTheServerAreServed(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let (scene, far, target) = try reverseScene(seed, .collect)
        var pairs: [(stream: FarStream, payload: [UInt8], answer: [UInt8])] = []
        for number in 0..<5 {
            let stream = try far.open(port: 7000)
            let payload = dice.bytes(Int.random(in: 0...60_000, using: &dice))
            stream.write(request(target) + payload)
            stream.finish()
            try scene.run("the target is connected to") { target.connections.count > number }
            let answer = dice.bytes(Int.random(in: 0...60_000, using: &dice))
            target.connections[number].write(answer)
            target.connections[number].finish()
            pairs.append((stream, payload, answer))
        }
        try scene.run("every flow ends") {
            pairs.allSatisfy { $0.stream.sawEnd } && target.connections.allSatisfy(\.sawEnd)
        }
        for (number, pair) in pairs.enumerated() {
            #expect(pair.stream.received == Self.granted + pair.answer && !pair.stream.sawReset)
            #expect(target.connections[number].received == pair.payload)
        }
        try scene.expectNoFlows()
        #expect(scene.lines.all.isEmpty)
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: [
        (TargetAnswer.refuse, true, UInt8(5), "Connection refused"), (.collect, false, 2, "PermitRemoteOpen"),
    ])
    func clientsAtTheServerAreRefused(_ answer: TargetAnswer, _ isPermitted: Bool, _ code: UInt8, _ words: String)
        throws
    {
        let (scene, far, target) = try reverseScene(
            3, answer,
            permitted: { port in [PermittedTarget(host: "127.0.0.1", port: isPermitted ? port : port + 1)] })
        let stream = try far.open(port: 7000)
        stream.write(request(target) + [9, 9, 9])
        try scene.run("it is told and closed") { stream.isOver }
        #expect(stream.received == Self.refused(code) && stream.sawEnd && !stream.sawReset)
        #expect(scene.lines.count("reverse to 127.0.0.1:\(target.address.port)") == 1 && scene.lines.count(words) == 1)
        #expect(target.connections.isEmpty)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test func aNameIsLookedUpHere() throws {
        let (scene, far, target) = try reverseScene(4, .collect)
        let name = Array("localhost".utf8)
        let port = target.address.port
        let stream = try far.open(port: 7000)
        stream.write([5, 1, 0, 5, 1, 0, 3, UInt8(name.count)] + name + [UInt8(port >> 8), UInt8(port & 0xff)])
        try scene.run("the target is connected to") { target.connections.count == 1 }
        try scene.run("the client is told") { stream.received == Self.granted }
        let lost = try far.open(port: 7000)
        lost.write([5, 1, 0, 5, 1, 0, 3, 9] + Array("a.invalid".utf8) + [0, 1])
        try scene.run("it is told and closed", within: .seconds(200)) { lost.isOver }
        #expect(lost.received == Self.refused(4))
        try scene.expectNothingAfterStop()
    }

    /// Silent, gone in the middle, or talking rubbish: the channel ends, and nothing is kept.
    @Test func clientsAtTheServerThatDoNotFinishAreClosed() throws {
        let (scene, far, _) = try reverseScene(5, .collect)
        let silent = try far.open(port: 7000)
        silent.write([5, 1])
        let gone = try far.open(port: 7000)
        gone.write([4, 1, 0])
        gone.finish()
        let cut = try far.open(port: 7000)
        cut.write([5])
        try scene.run("the cut one is open") { cut.isOpen }
        cut.reset()
        let rubbish = try far.open(port: 7000)
        rubbish.write(Array("SSH-2.0-x\r\n".utf8))
        try scene.run("three are over") { scene.worker.flows.count == 1 }
        let began = scene.worker.driver.now
        try scene.run("the silent one is closed") { silent.isOver }
        #expect(scene.worker.driver.now - began < .seconds(11))
        #expect(scene.lines.count("did not say in SOCKS where to go") == 1)
        #expect(scene.lines.count("speaks no SOCKS") == 1)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    /// While the target is dialled the client's payload waits within its window, and the client may go.
    @Test func payloadThatComesWhileTheTargetIsDialledIsBounded() throws {
        let (scene, far, target) = try reverseScene(6, .silent, window: 64 * 1024)
        let stream = try far.open(port: 7000)
        stream.write(request(target) + [UInt8](repeating: 7, count: 300_000))
        try scene.run("it is dialled") {
            scene.worker.flows.isUsed(0) && scene.worker.flows[0].phase == .dialing
        }
        try scene.run(for: .seconds(5))
        #expect(stream.received == [5, 0] && stream.unsent > 200_000)
        #expect(scene.worker.flows[0].spill.count <= 64 * 1024)
        stream.reset()
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}
