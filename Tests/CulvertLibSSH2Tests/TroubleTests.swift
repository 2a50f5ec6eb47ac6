import CulvertLibSSH2
import CulvertSSH
import Foundation
import TestSupport
import Testing

/// Key re-exchange under load, altered bytes, and ends of every kind.
@Suite(.serialized) struct TroubleTests {
    @Test(arguments: [("32K", 2 << 20), ("1M", 24 << 20)]) func rekeyUnderLoad(_ limit: String, _ count: Int) throws {
        let server = try TestServer.withEveryKey("RekeyLimit \(limit)")
        let service = try Service.echo()
        let link = try TestLink(server)
        let channels = try (0..<4).map { _ in try link.openNow(service.port) }
        try ChannelTests.echo(link, channels, count / 4, within: 120)
        // The keys were exchanged while payload was on its way.
        #expect(link.allSendable > 0)
    }

    @Test func rekeyWithOpensAndForwards() throws {
        let server = try TestServer.withEveryKey("RekeyLimit 32K")
        let service = try Service.echo()
        let link = try TestLink(server)
        for round in 0..<20 {
            let forward = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
            let channels = try (0..<3).map { _ in try link.open(service.port) }
            try link.turns(until: "all are open") { channels.allSatisfy { link.seen[$0.value]?.opened == true } }
            try ChannelTests.echo(link, channels, 20_000 + round)
            try link.turns(until: "the forward stands") { link.answers[forward.value]?.accepted == true }
            link.engine.cancelForward(forward)
        }
    }

    @Test(arguments: [16, 1000, 5000, 20_000]) func oneBitFromTheServer(_ position: Int) throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        var passed = 0
        link.tamper = { bytes in
            if passed <= position, position < passed + bytes.count { bytes[position - passed] ^= 0x10 }
            passed += bytes.count
        }
        var expected = Pattern(seed: 5)
        var outgoing = expected
        var altered = false
        link.onPayload = { _, bytes in
            if !expected.matches(bytes) { altered = true }
            return bytes.count
        }
        let error = #expect(throws: SSHError.self) {
            try link.turns(until: "the altered packet is found") {
                _ = try link.push(channel, 100_000) { outgoing.fill($0) }
                return false
            }
        }
        #expect(error?.kind == .integrity)
        #expect(!altered)
        #expect(throws: SSHError.self) { _ = try link.engine.nextEvent() }
    }

    @Test func oneBitToTheServer() throws {
        let server = try TestServer.withEveryKey()
        let got = Collected()
        let service = try Service { connection in
            while let bytes = connection.read() { got.append(bytes) }
            got.end()
        }
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        link.tamperOutput = { $0[$0.count / 2] ^= 1 }
        try link.push(channel, String(repeating: "x", count: 3000))
        let deadline = Date().addingTimeInterval(10)
        while !link.isOver, Date() < deadline { try link.turn(50) }
        #expect(link.isOver)
        try waitUntil("the service has the end") { got.isEnded }
        #expect(!got.text.contains { $0 != "x" })
    }

    @Test func serverKilled() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        let channels = try (0..<10).map { _ in try link.openNow(service.port) }
        for channel in channels { try link.push(channel, "some") }
        _ = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
        server.kill()
        let deadline = Date().addingTimeInterval(10)
        while !link.isOver, Date() < deadline { try link.turn(50) }
        #expect(link.isOver)
        // The engine goes with the link, with channels open and an answer outstanding.
    }

    /// Whatever is under way, an engine can be dropped.
    @Test func droppedAtAnyMoment() throws {
        let server = try TestServer.withEveryKey("RekeyLimit 32K")
        let service = try Service.echo()
        for turns in 0..<12 {
            let authority = TestAuthority([try keyFile("id_ed25519")])
            let link = try TestLink(port: server.port, authority: authority)
            if turns < 2 { continue }
            try link.login()
            let channels = try (0..<5).map { _ in try link.open(service.port) }
            _ = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
            for _ in 0..<turns {
                try link.turn(20)
                for channel in channels where link.seen[channel.value]?.opened == true {
                    _ = try link.push(channel, 200_000) { $0.initializeMemory(as: UInt8.self, repeating: 1) }
                }
            }
            if turns % 2 == 0 { for channel in channels { link.engine.close(channel) } }
        }
    }

    /// With no channel there is only a probe to read by, and its answer is no reason for another one.
    @Test func anIdleLinkIsQuiet() throws {
        let server = try TestServer.withEveryKey("LogLevel DEBUG")
        let link = try TestLink(server)
        let end = Date().addingTimeInterval(1)
        while Date() < end { try link.turn(50) }
        let before = link.received
        #expect(server.logged.components(separatedBy: "ctype keepalive@culvert.invalid").count < 4)
        link.engine.probe()
        try link.turns(until: "the probe is answered") { link.received > before }
        #expect(link.received - before < 200)
    }

    @Test func outputStopsAtItsLimit() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service { connection in
            while connection.read() != nil {}
        }
        let link = try TestLink(server)
        let channels = try (0..<3).map { _ in try link.openNow(service.port) }
        // Nothing is sent: reserve and commit until no channel may send.
        var committed = 0
        var last = -1
        while committed != last {
            last = committed
            for channel in channels {
                let slots = link.engine.reserve(channel, maximum: 1 << 20)
                try link.engine.commit(channel, count: slots.totalLength)
                committed += slots.totalLength
            }
        }
        // Packets are a little longer than their payload.
        #expect(committed >= 1000 << 10)
        #expect(link.engine.output.count <= (1 << 20) + (64 << 10))
        let before = link.allSendable
        try link.turns(until: "there is room again") { link.allSendable > before }
        #expect(channels.contains { link.engine.sendable($0) > 0 })
    }
}
