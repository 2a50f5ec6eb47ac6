import CulvertIO
import CulvertPlan
import CulvertSSH
import Glibc
import Testing

@testable import CulvertRelay

/// The same relay over the kernel's sockets, with each of its drivers, and with engines that differ in what they put
/// between relay and link: nothing, keys, keys that change all the time. (libssh2 shares no cipher with our own server's
/// side, so it has no far end here: InteropTests run with it as well.)
@Suite struct DriverTests {
    struct Setup: CustomTestStringConvertible {
        let driver: DriverKind
        let engine: EngineKind
        var testDescription: String { "\(driver), \(engine)" }
        static let all = DriverKind.allCases.flatMap { driver in
            EngineKind.allCases.map { Setup(driver: driver, engine: $0) }
        }
    }

    private func play(
        _ setup: Setup, _ script: Script, at place: KernelPlace = KernelPlace(), _ body: some Scenario
    ) throws {
        let script = setup.engine.applied(to: script)
        switch setup.engine {
        case .null: try play(setup.driver, NullCipherEngine.self, script, place, body)
        case .native, .rekeying: try play(setup.driver, NativeEngine.self, script, place, body)
        }
    }

    private func play<Engine: PairedEngine & ~Copyable>(
        _ kind: DriverKind, _ engine: Engine.Type, _ script: Script, _ place: KernelPlace, _ body: some Scenario
    ) throws {
        let limit = script.limits.descriptors
        switch kind {
        case .epoll:
            try body.play(Scene<EpollDriver, Engine>(place, script, driver: EpollDriver(descriptorLimit: limit)))
        case .uring:
            try body.play(Scene<UringDriver, Engine>(place, script, driver: UringDriver(descriptorLimit: limit)))
        }
    }

    private func reverse(to target: any Destination) -> [ReverseForward] {
        [
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000),
                target: .tcp(host: "127.0.0.1", port: target.address.port), text: "reverse")
        ]
    }

    @Test(arguments: Setup.all)
    func tunnelledFlowsBothWays(_ setup: Setup) throws {
        let place = KernelPlace()
        let target = try place.target(.collect)
        var script = Script(forwards: 1, pieces: true)
        script.reverse = reverse(to: target)
        try play(setup, script, at: place, BothWays(target: target))
    }

    /// No engine has a part in it.
    @Test(arguments: DriverKind.allCases)
    func plainFlows(_ kind: DriverKind) throws {
        switch kind {
        case .uring: try playPlain(try UringDriver(descriptorLimit: 20_000))
        case .epoll: try playPlain(try EpollDriver(descriptorLimit: 20_000))
        }
    }

    private func playPlain<Driver: IODriver & ~Copyable>(_ driver: consuming Driver) throws {
        let place = KernelPlace()
        let target = try place.target(.collect)
        let scene = try PlainScene(
            place, targets: [.tcp(host: "127.0.0.1", port: target.address.port)], driver: driver)
        var dice = Dice(seed: 2)
        let slots = scene.worker.driver.freeSlots
        var pairings: [Pairing] = []
        for number in 0..<6 {
            let client = try scene.client()
            try scene.run("the target is connected to") { target.connections.count == number + 1 }
            pairings.append(Pairing(client, target.connections[number], &dice, upTo: 3_000_000))
            // Two begin with a reader that does not read.
            if number < 2 { target.connections[number].isReading = false }
        }
        try scene.run("the rest end") { pairings.dropFirst(2).allSatisfy(\.isDone) }
        for pairing in pairings { pairing.far.isReading = true }
        try scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try scene.expectNoFlows()
        let free = scene.worker.driver.freeSlots
        #expect(free == slots, "every slot is given back")
        try scene.expectNothingAfterStop()
    }

    @Test(arguments: Setup.all)
    func manyFlows(_ setup: Setup) throws {
        let place = KernelPlace()
        let target = try place.target(.collect)
        var script = Script(forwards: 1, pieces: true)
        script.reverse = reverse(to: target)
        try play(setup, script, at: place, Many(target: target))
    }

    @Test(arguments: Setup.all)
    func halfCloses(_ setup: Setup) throws { try play(setup, Script(forwards: 1), HalfCloses()) }

    @Test(arguments: Setup.all)
    func resets(_ setup: Setup) throws { try play(setup, Script(forwards: 1), Resets()) }

    /// A socket that is not read, because its channel has no window, and is reset: the sweep finds it.
    @Test(arguments: Setup.all)
    func aResetWhileTheWindowIsUsedUp(_ setup: Setup) throws {
        var script = Script(forwards: 1)
        // What the socket still holds is waited for, and nobody takes it.
        script.limits.rest = .milliseconds(100)
        try play(setup, script, ResetUnread())
    }

    @Test(arguments: Setup.all)
    func aStalledReaderHoldsUpNobody(_ setup: Setup) throws { try play(setup, Script(forwards: 1), Stalled()) }

    @Test(arguments: Setup.all)
    func windowsGrowWithUse(_ setup: Setup) throws {
        try play(setup, Script(forwards: 1, windowsGrow: true), WindowGrowth())
    }

    @Test(arguments: Setup.all)
    func aLostLinkAndTheNextOne(_ setup: Setup) throws { try play(setup, Script(forwards: 1), LostLink()) }

    @Test(arguments: Setup.all)
    func refusals(_ setup: Setup) throws {
        let place = KernelPlace()
        let target = try place.target(.refuse)
        var script = Script(forwards: 1)
        script.reverse = reverse(to: target)
        try play(setup, script, at: place, Refusals())
    }
}

/// What happens in a scene, on any driver and with any engine.
protocol Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable
}

private struct BothWays: Scenario {
    let target: any Destination

    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        var dice = Dice(seed: 1)
        let far = try scene.addLink(reverse: [0])
        try scene.run("the forward stands") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1
        }
        var pairings: [Pairing] = []
        for number in 0..<4 {
            let client = try scene.client()
            try scene.run("the far end is asked") { far.streams.count == 2 * number + 1 }
            pairings.append(Pairing(client, far.streams[2 * number], &dice, upTo: 2_000_000))
            let stream = try far.open(port: 7000)
            try scene.run("the target is connected to") { target.connections.count == number + 1 }
            pairings.append(Pairing(target.connections[number], stream, &dice, upTo: 2_000_000))
        }
        try scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try scene.expectNoFlows()
        #expect(scene.lines.all.isEmpty)
        #expect((far.exchanges > 0) == (scene.script.rekeyBytes != nil))
        try scene.expectNothingAfterStop()
        #expect(far.error == nil || far.hasEnded)
    }
}

private struct Many: Scenario {
    let target: any Destination

    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        var dice = Dice(seed: 4)
        let far = try scene.addLink(reverse: [0])
        try scene.run("the forward stands") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1
        }
        var pairings: [Pairing] = []
        for number in 0..<32 {
            let client = try scene.client()
            try scene.run("the far end is asked") { far.streams.count == 2 * number + 1 }
            pairings.append(Pairing(client, far.streams[2 * number], &dice, upTo: 100_000))
            let stream = try far.open(port: 7000)
            try scene.run("the target is connected to") { target.connections.count == number + 1 }
            pairings.append(Pairing(target.connections[number], stream, &dice, upTo: 100_000))
        }
        try scene.run("every flow ends") { pairings.allSatisfy(\.isDone) }
        for pairing in pairings { try pairing.verify() }
        try scene.expectNoFlows()
        #expect(scene.lines.all.isEmpty && scene.lostLinks.isEmpty)
        try scene.expectNothingAfterStop()
    }
}

/// Either end ends its direction first; the other one goes on for as long as it likes.
private struct HalfCloses: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        var dice = Dice(seed: 5)
        let far = try scene.addLink()
        for clientIsFirst in [true, false] {
            let before = far.streams.count
            let client = try scene.client()
            try scene.run("the channel") { far.streams.count == before + 1 }
            let stream = far.streams[before]
            let (first, second): (any Peer, any Peer) = clientIsFirst ? (client, stream) : (stream, client)
            let some = dice.bytes(10_000)
            first.write(some)
            first.finish()
            try scene.run("the end arrives behind the bytes") { second.sawEnd }
            #expect(second.received == some && !first.sawEnd)
            let more = dice.bytes(2_000_000)
            second.write(more)
            try scene.run("the other direction goes on") { first.received.count == more.count }
            #expect(!first.sawEnd && !first.sawReset)
            second.finish()
            try scene.run("it ends too") { first.sawEnd }
            #expect(first.received == more && !first.sawReset && !second.sawReset)
        }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}

private struct WindowGrowth: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        var dice = Dice(seed: 6)
        let far = try scene.addLink()
        let clients = try (0..<2).map { _ in try scene.client() }
        try scene.run("two channels") { far.streams.count == 2 }
        let bytes = dice.bytes(6_000_000)
        let window = Int(scene.script.window)
        // The one that is used grows, the one beside it does not.
        far.streams[0].write(bytes)
        try scene.run("all is read") { clients.contains { $0.received.count == bytes.count } }
        #expect(clients.contains { $0.received == bytes })
        func promised(_ stream: FarStream) -> Int { (far.granted[stream.channel.value] ?? 0) + window }
        #expect(promised(far.streams[0]) - bytes.count >= 3 * window, "a window of \(window) has grown")
        #expect(promised(far.streams[1]) == window)
        for client in clients { client.finish() }
        for stream in far.streams { stream.finish() }
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}

private struct Resets: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        let far = try scene.addLink()
        let clients = try (0..<3).map { _ in try scene.client() }
        try scene.run("three channels") { far.streams.count == 3 }
        for number in 0..<3 { clients[number].write([UInt8(number)]) }
        try scene.run("they are used") { far.streams.allSatisfy { $0.received.count == 1 } }
        func stream(_ number: UInt8) -> FarStream { far.streams.first { $0.received == [number] }! }
        clients[0].reset()
        try scene.run("the channel is cut") { stream(0).sawReset }
        // CLOSE without EOF, and behind bytes that the client has not read: it gets them all, and a plain end.
        let last = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        clients[1].isReading = false
        let closing = stream(1)
        closing.write(last)
        try scene.run("all of it is on its way") { closing.unsent == 0 }
        closing.reset()
        try scene.run("the worker knows that the channel is closed") {
            for slot in 0..<scene.worker.flows.highWater where scene.worker.flows.isUsed(slot) {
                if scene.worker.flows[slot].ends.peer == .closed { return true }
            }
            // Where the socket took all of it, the flow is over.
            return scene.worker.flows.count == 1
        }
        clients[1].isReading = true
        try scene.run("the client gets the rest and the end") { clients[1].sawEnd || clients[1].sawReset }
        #expect(clients[1].received == last && !clients[1].sawReset)
        clients[2].finish()
        stream(2).write([1, 2, 3])
        stream(2).finish()
        try scene.run("the third ends") { clients[2].sawEnd }
        #expect(clients[2].received == [1, 2, 3] && !clients[2].sawReset && !stream(2).sawReset)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}

private struct ResetUnread: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        let far = try scene.addLink()
        let client = try scene.client()
        try scene.run("the channel") { far.streams.count == 1 }
        far.streams[0].isReading = false
        client.write([UInt8](repeating: 1, count: 300_000))
        try scene.run("the window is used up") {
            far.streams[0].received.count == Int(scene.script.window) && scene.worker.flows[0].awaitsWindow
        }
        client.reset()
        try scene.run("the channel is cut") { far.streams[0].sawReset }
        try scene.expectNoFlows()
    }
}

private struct Stalled: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        var dice = Dice(seed: 3)
        let far = try scene.addLink()
        let bytes = dice.bytes(12_000_000)
        let stalled = try scene.client()
        try scene.run("the channel") { far.streams.count == 1 }
        stalled.isReading = false
        far.streams[0].write(bytes)
        far.streams[0].finish()
        try scene.run("it is stalled") {
            scene.worker.flows[0].spill.count > 0
                && far.streams[0].unsent + scene.worker.flows[0].spill.count > 0
                && scene.worker.flows[0].awaitsWritable
        }
        let client = try scene.client()
        try scene.run("another channel") { far.streams.count == 2 }
        far.streams[1].write(bytes)
        far.streams[1].finish()
        client.finish()
        try scene.run("it is served whole") { client.sawEnd }
        #expect(client.received == bytes)
        stalled.finish()
        stalled.isReading = true
        try scene.run("the first one too, in the end") { stalled.sawEnd }
        #expect(stalled.received == bytes)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}

private struct LostLink: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        let first = try scene.addLink()
        let open = try scene.client()
        try scene.run("a flow stands") { first.streams.count == 1 && scene.worker.flows[0].phase == .open }
        first.answer = { _ in .silence }
        let opening = try scene.client()
        try scene.run("another is asked for") { scene.worker.flows.count == 2 }
        first.disconnect()
        try scene.run("the link is lost") { scene.lostLinks.count == 1 }
        try scene.run("its flow is reset, the other waits") { open.sawReset && scene.worker.held.count == 1 }
        let second = try scene.addLink()
        try scene.run("it is served") { second.streams.count == 1 }
        opening.write([4])
        opening.finish()
        second.streams[0].write([5])
        second.streams[0].finish()
        try scene.run("it ends") { opening.sawEnd && second.streams[0].sawEnd }
        #expect(opening.received == [5] && second.streams[0].received == [4])
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}

private struct Refusals: Scenario {
    func play<Driver, Engine>(_ scene: Scene<Driver, Engine>) throws
    where Driver: IODriver & ~Copyable, Engine: PairedEngine & ~Copyable {
        let far = try scene.addLink(reverse: [0])
        try scene.run("the forward stands") {
            scene.worker.links.isUsed(0) && scene.worker.links[0].reverse.standing.count == 1
        }
        far.answer = { _ in .refuse(.connectFailed) }
        let client = try scene.client()
        try scene.run("the client is reset") { client.sawReset }
        #expect(
            scene.lines.count("channel open failed: the server could not connect to the target: as the test has it")
                == 1)
        let stream = try far.open(port: 7000)
        try scene.run("the channel is refused") { stream.refusal == .connectFailed }
        #expect(scene.lines.count("Connection refused") == 1)
        try scene.expectNoFlows()
        try scene.expectNothingAfterStop()
    }
}
