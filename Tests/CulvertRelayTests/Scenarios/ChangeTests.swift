import CulvertIO
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Forwards that come and go on a worker that runs.
@Suite struct ChangeTests {
    private static func forward(_ text: String) -> LocalForward {
        LocalForward(listen: .loopback(port: 0), target: .unix(path: "/\(text)"), text: text)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func aListenerIsAddedAndClosedAndItsConnectionsGoOn(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let scene = try SimulatedScene.simulated(Script(forwards: 1, seed: seed), faults: .all)
        let far = try scene.addLink()
        scene.tell(.learnDirect(1, Self.forward("added")))
        let (descriptor, address) = try scene.place.listen()
        scene.tell(.listen(descriptor, forward: 1))
        let (old, new) = (try scene.client(), try scene.place.client(to: address))
        old.write([1])
        new.write([2])
        try scene.run("both are served") { far.streams.count == 2 && far.streams.allSatisfy { $0.received.count == 1 } }
        let added = try #require(far.streams.first { $0.received == [2] })
        #expect(scene.worker.report().listeners.map(\.forward).contains(1))

        scene.tell(.closeListeners(1))
        try scene.run("it says so") {
            scene.said.contains { if case .listenersClosed(1) = $0 { true } else { false } }
        }
        #expect(!scene.worker.report().listeners.map(\.forward).contains(1))
        scene.tell(.closeListeners(1))
        try scene.run(for: .seconds(1))
        #expect(scene.said.count { if case .listenersClosed = $0 { true } else { false } } == 1)
        let text = dice.bytes(40_000)
        added.write(text)
        added.finish()
        try scene.run("what it had goes on") { new.received.count == text.count && new.sawEnd }
        #expect(new.received == text)
        new.finish()
        old.finish()
        for stream in far.streams { stream.finish() }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>) func aReverseForwardIsAskedForAndCancelled(seed: UInt64) throws {
        let scene = try SimulatedScene.simulated(Script(seed: seed), faults: .all)
        let far = try scene.addLink()
        let id = LinkID(place: 0, serial: 1)
        scene.tell(
            .learnReverse(
                0, ReverseForward(listen: .tcp(address: "localhost", port: 7), target: .unix(path: "/t"), text: "added")
            ))
        scene.tell(.askReverse(LinkID(place: 0, serial: 9), 0))
        try scene.run(for: .seconds(1))
        #expect(scene.reversePorts.isEmpty, "there is no such link")
        scene.tell(.askReverse(id, 0))
        try scene.run("it stands") { scene.reversePorts.count == 1 }
        let port = scene.reversePorts[0]
        scene.tell(.cancelReverse(0))
        try scene.run(for: .seconds(1))
        // The far end thinks that it listens: nobody here wants what comes.
        let stream = try far.open(port: port)
        try scene.run("it is refused") { stream.refusal == .administrativelyProhibited }
        scene.tell(.askReverse(id, 0))
        try scene.run("it stands again") { scene.reversePorts.count == 2 }
        // Cancelled before it is answered.
        scene.tell(.cancelReverse(0))
        scene.tell(.askReverse(id, 0))
        scene.tell(.cancelReverse(0))
        try scene.run(for: .seconds(2))
        let actions = far.forwardRequests.map(\.action)
        #expect(actions == [.listen, .cancel, .listen, .cancel, .listen, .cancel])
        try scene.expectNothingAfterStop()
    }
}
