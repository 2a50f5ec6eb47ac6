import CulvertIO
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// A server that does not keep to a channel's window: a little is carried, much ends that flow and nothing else.
@Suite struct ExceededWindowTests {
    private func flow(_ scene: SimulatedScene, _ far: FarEnd) throws -> (client: SimulatedPeer, stream: FarStream) {
        let before = far.streams.count
        guard let client = try scene.client() as? SimulatedPeer else { throw Missed("the world is simulated") }
        try scene.run("the channel stands") { far.streams.count > before }
        return (client, far.streams[before])
    }

    private static let grace = 200 * 1024
    private static var script: Script {
        var script = Script(forwards: 1)
        script.excess = grace
        return script
    }

    @Test(arguments: [1, 30_000, 200 * 1024] as [Int])
    func aLittleTooMuchIsCarried(_ over: Int) throws {
        let scene = try SimulatedScene.simulated(Self.script, bufferLength: 16 * 1024)
        let far = try scene.addLink()
        let (client, stream) = try flow(scene, far)
        var dice = Dice(seed: UInt64(over))
        let bytes = dice.bytes(3_000_000)
        client.isReading = false
        far.exceedWindow(stream, by: over)
        stream.write(bytes)
        let window = Int(scene.script.window)
        // What is too much lies in the spill, where the memory ceiling counts it.
        try scene.run("all that it sends is held") {
            scene.worker.flows[0].spill.count + 3 * 16 * 1024 >= window + over
        }
        client.isReading = true
        stream.finish()
        try scene.run("all arrives") { client.sawEnd }
        #expect(client.received == bytes)
        client.finish()
        try scene.expectNoFlows()
        #expect(scene.context.budget.inUse == 0)
        try scene.expectNothingAfterStop()
    }

    @Test func farTooMuchEndsTheFlowAlone() throws {
        let scene = try SimulatedScene.simulated(Self.script, bufferLength: 16 * 1024)
        let far = try scene.addLink()
        let (client, stream) = try flow(scene, far)
        let (other, otherStream) = try flow(scene, far)
        var dice = Dice(seed: 1)
        let bytes = dice.bytes(500_000)
        client.isReading = false
        otherStream.write(bytes)
        far.exceedWindow(stream, by: 4 * Self.grace)
        stream.write(dice.bytes(3_000_000))
        try scene.run("its channel is closed, without EOF") { stream.peerClosed || stream.sawReset }
        client.isReading = true
        try scene.run("its client is told") { client.sawReset }
        #expect(!client.sawEnd)
        otherStream.finish()
        try scene.run("the other is served whole") { other.sawEnd }
        #expect(other.received == bytes)
        other.finish()
        try scene.expectNoFlows()
        #expect(scene.worker.links.count == 1 && scene.context.budget.inUse == 0)
        #expect(scene.lines.count("the server does not keep to the window of its channel") == 1)
        try scene.expectNothingAfterStop()
    }
}
