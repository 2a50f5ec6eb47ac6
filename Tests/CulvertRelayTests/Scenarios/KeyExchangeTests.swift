import CulvertIO
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// How long the keys of a link may take to be exchanged.
@Suite struct KeyExchangeTests {
    /// The server goes on talking and answers every question, so that nothing but the exchange's own time ends the link.
    @Test(arguments: [false, true])
    func oneThatDoesNotEndEndsTheLink(_ isRough: Bool) throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1), faults: isRough ? .all : .none)
        let began = scene.worker.driver.now
        let far = try scene.addLink(keyExchange: 7)
        let client = try scene.client()
        try scene.run("the far end is asked") { far.streams.count == 1 }
        while scene.worker.driver.now - began < .seconds(29) {
            #expect(scene.lostLinks.isEmpty && !client.sawReset)
            far.streams[0].write([1])
            try scene.run(for: .seconds(2))
        }
        try scene.run("the link is given up", within: .seconds(5)) { !scene.lostLinks.isEmpty }
        #expect(scene.worker.driver.now - began < .seconds(33))
        #expect(scene.lostLinks == ["the server did not finish a key exchange within 30.0 s"])
        try scene.run("the client is told") { client.sawReset }
        // The server is told, too, where the socket takes it.
        if !isRough { try scene.run("the server is told") { far.error?.kind == .disconnected } }
        #expect(scene.worker.links.count == 0)
        try scene.expectNothingAfterStop()
    }

    /// A server may have much in line before its part of the exchange, over a slow path: while that comes, the exchange
    /// has time.
    @Test func whatStoodInLineGivesItTime() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1, windowsGrow: true))
        let began = scene.worker.driver.now
        let far = try scene.addLink(keyExchange: 7)
        let client = try scene.client()
        try scene.run("the far end is asked") { far.streams.count == 1 }
        while scene.worker.driver.now - began < .seconds(150) {
            far.streams[0].write([UInt8](repeating: 7, count: 20 * 1024))
            try scene.run(for: .seconds(20))
            #expect(scene.lostLinks.isEmpty && !client.sawReset)
        }
        try scene.run("silence ends it", within: .seconds(65)) { !scene.lostLinks.isEmpty }
        try scene.expectNothingAfterStop()
    }

    /// Any number of exchanges, each within its time, end nothing.
    @Test func eachHasItsOwnTime() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let far = try scene.addLink(keyExchange: 0)
        let client = try scene.client()
        try scene.run("the far end is asked") { far.streams.count == 1 }
        // From one straight into the next, and with a pause.
        for exchange in [1, 2, nil, 3, nil, 4] as [Int?] {
            try scene.run(for: .seconds(20))
            scene.worker.links[0].engine.keyExchange = exchange
            let before = client.received.count
            far.streams[0].write([1])
            try scene.run("it is heard") { client.received.count > before }
        }
        try scene.run(for: .seconds(20))
        #expect(scene.lostLinks.isEmpty)
        // The last one has no end.
        try scene.run("the link is given up", within: .seconds(15)) { !scene.lostLinks.isEmpty }
        try scene.expectNothingAfterStop()
    }

    @Test("a server that begins one exchange after the other is left, with what is wrong")
    func withoutPause() throws {
        let scene = try SimulatedScene.simulated(Script(forwards: 1))
        let far = try scene.addLink()
        let client = try scene.client()
        try scene.run("the far end is asked") { far.streams.count == 1 }
        for begun in [900, 1900] as [UInt64] {
            #expect(scene.lostLinks.isEmpty && !client.sawReset)
            scene.worker.links[0].engine.keyExchangesOfPeer = begun
            far.streams[0].write([1])
            try scene.run(for: .seconds(1))
        }
        try scene.run("the link is given up") { !scene.lostLinks.isEmpty }
        #expect(scene.lostLinks == ["the server begins one key exchange after the other"])
        try scene.run("the client is told") { client.sawReset }
        try scene.expectNothingAfterStop()
    }
}
