import Testing

@testable import CulvertSSH

/// Two engines back to back, over bytes that are cut in every way.
@Suite struct TunnelTests {
    private func noise(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var random = SplitMix(seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// One direction of one channel: what is to be sent and how far it is.
    private final class Flow {
        let from: Node
        let channel: ChannelNumber
        let to: Node
        let target: ChannelNumber
        let bytes: [UInt8]
        var sent = 0
        var finished = false
        init(_ from: Node, _ channel: ChannelNumber, _ to: Node, _ target: ChannelNumber, _ bytes: [UInt8]) {
            self.from = from
            self.channel = channel
            self.to = to
            self.target = target
            self.bytes = bytes
        }
    }

    /// Both directions of several channels at once, each in pieces of its own; then both ends end and close.
    private func transfer(_ cut: Link.Cut, channels: Int, bytes: Int, seed: UInt64) throws {
        var settings = ConnectionSettings()
        settings.initialWindow = 64 * 1024
        let link = Link(cut, seed: seed, settings)
        var random = SplitMix(seed)
        var flows: [Flow] = []
        for index in 0..<channels {
            let (own, theirs) = try link.openChannel()
            flows.append(Flow(link.client, own, link.server, theirs, noise(bytes + index * 13, seed &+ UInt64(index))))
            flows.append(
                Flow(link.server, theirs, link.client, own, noise(bytes + index * 7, seed &* 31 &+ UInt64(index))))
        }
        var rounds = 0
        while flows.contains(where: { !$0.finished }) {
            for flow in flows where !flow.finished {
                let piece = Int.random(in: 1...300_000, using: &random)
                let room = flow.from.engine.sendable(flow.channel)
                let end = min(flow.bytes.count, flow.sent + piece)
                let less = Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: 0...1000, using: &random) : 0
                let count = try flow.from.send(flow.channel, flow.bytes[flow.sent..<end], commitLess: less)
                #expect(count <= room)
                flow.sent += count
                if flow.sent == flow.bytes.count {
                    flow.from.engine.finish(flow.channel)
                    flow.from.engine.finish(flow.channel)
                    #expect(flow.from.engine.sendable(flow.channel) == 0)
                    flow.finished = true
                }
            }
            _ = try link.step()
            rounds += 1
            try #require(rounds < 100_000, "it does not go on")
        }
        try link.settle()
        for flow in flows {
            #expect(flow.to.received[flow.target] == flow.bytes)
            #expect(flow.to.events.contains { $0.words == "ended \(flow.target.value)" })
        }
        for flow in flows where flow.from === link.client { flow.from.engine.close(flow.channel) }
        try link.settle()
        for flow in flows where flow.from === link.server {
            #expect(link.server.events.contains { $0.words == "closed \(flow.channel.value) after end" })
            flow.from.engine.close(flow.channel)
        }
        try link.settle()
        #expect(link.client.engine.channelCount == 0 && link.server.engine.channelCount == 0)
        #expect(link.client.engine.deferredBytes == 0 && link.server.engine.deferredBytes == 0)
    }

    @Test func dataArrivesWhole() throws { try transfer(.whole, channels: 5, bytes: 700_000, seed: 3) }

    @Test func dataArrivesByteByByte() throws { try transfer(.oneByte, channels: 3, bytes: 40_000, seed: 4) }

    @Test(arguments: UInt64(1)...6)
    func dataArrivesCutAtRandom(_ seed: UInt64) throws {
        try transfer(.random, channels: Int(seed) * 2, bytes: 300_000, seed: seed)
    }

    @Test func manyChannelsAtOnce() throws { try transfer(.whole, channels: 200, bytes: 3_000, seed: 9) }

    @Test(arguments: Link.Cut.allCases)
    func eitherEndMayEndFirstAndTheOtherGoesOn(_ cut: Link.Cut) throws {
        let link = Link(cut)
        let (own, theirs) = try link.openChannel()
        try link.client.send(own, Array("request".utf8)[...])
        link.client.engine.finish(own)
        #expect(try link.settle().server == ["payload 0 7", "ended 0"])
        #expect(link.server.engine.sendable(theirs) > 0)
        try link.server.send(theirs, Array("response".utf8)[...])
        link.server.engine.finish(theirs)
        link.server.engine.close(theirs)
        #expect(try link.settle().client == ["payload 0 8", "ended 0", "closed 0 after end"])
        link.client.engine.close(own)
        try link.settle()
        #expect(link.client.engine.channelCount == 0 && link.server.engine.channelCount == 0)
    }

    /// Every order in which both ends may end and close, and both at once: no EOF after CLOSE, each number freed once.
    @Test(arguments: 0..<16, Link.Cut.allCases)
    func everyOrderOfEndingEnds(_ order: Int, _ cut: Link.Cut) throws {
        let link = Link(cut)
        let (own, theirs) = try link.openChannel()
        if order & 1 != 0 { link.client.engine.finish(own) }
        if order & 2 != 0 { link.server.engine.finish(theirs) }
        if order & 4 != 0 { try link.settle() }
        let clientFirst = order & 8 != 0
        if clientFirst { link.client.engine.close(own) } else { link.server.engine.close(theirs) }
        // Before the other's CLOSE is seen, both directions still carry credit, EOF and data, all without effect.
        if order & 4 != 0 {
            if clientFirst {
                try link.server.send(theirs, [1, 2, 3])
                link.server.engine.finish(theirs)
            } else {
                try link.client.send(own, [1, 2, 3])
                link.client.engine.finish(own)
            }
        }
        let events = try link.settle()
        let cutOff = (order & (clientFirst ? 1 : 2)) == 0
        let word = "closed 0 \(cutOff ? "cut" : "after end")"
        #expect((clientFirst ? events.server : events.client).last == word)
        #expect(!(clientFirst ? events.client : events.server).contains { $0.hasPrefix("closed") })
        if clientFirst {
            #expect(link.server.engine.sendable(theirs) == 0)
            link.server.engine.finish(theirs)
            link.server.engine.close(theirs)
        } else {
            link.client.engine.finish(own)
            link.client.engine.close(own)
        }
        try link.settle()
        #expect(link.client.engine.channelCount == 0 && link.server.engine.channelCount == 0)
        // The number is used again, and nothing of the old channel clings to it.
        let again = try link.openChannel()
        #expect(again == (own, theirs))
        try link.client.send(own, [9])
        #expect(try link.settle().server == ["payload 0 1"])
    }

    @Test func bothMayCloseAtOnce() throws {
        let link = Link(.whole)
        let (own, theirs) = try link.openChannel()
        link.client.engine.close(own)
        link.server.engine.close(theirs)
        let events = try link.settle()
        #expect(events.client.isEmpty && events.server.isEmpty)
        #expect(link.client.engine.channelCount == 0 && link.server.engine.channelCount == 0)
    }

    @Test func aChannelThatIsClosedBeforeItOpensIsClosedQuietly() throws {
        for accepts in [true, false] {
            let link = Link(.whole)
            let own = try link.client.engine.open(.directStreamLocal(path: "/run/x"))
            link.client.engine.close(own)
            #expect(try link.settle().server == ["requested 0"])
            #expect(link.server.engine.openRequest(ChannelNumber(0)) == .directStreamLocal(path: "/run/x"))
            if accepts {
                link.server.engine.accept(ChannelNumber(0))
            } else {
                link.server.engine.refuse(ChannelNumber(0), .connectFailed, words: "refused")
            }
            let events = try link.settle()
            #expect(events.client.isEmpty && events.server == (accepts ? ["closed 0 cut"] : []))
            if accepts { link.server.engine.close(ChannelNumber(0)) }
            try link.settle()
            #expect(link.client.engine.channelCount == 0 && link.server.engine.channelCount == 0)
        }
    }

    @Test func aRefusalTellsItsReasonAndFreesTheNumber() throws {
        let link = Link(.whole)
        let request = ChannelOpenRequest.directTCPIP(
            host: "no.such.host", port: 1, originator: "::1", originatorPort: 65535)
        let own = try link.client.engine.open(request)
        try link.settle()
        #expect(link.server.engine.openRequest(ChannelNumber(0)) == request)
        link.server.engine.refuse(ChannelNumber(0), .connectFailed, words: "no such host")
        #expect(try link.settle().client == ["refused 0 2"])
        #expect(link.client.engine.takeRefusal(own).description == "no such host")
        #expect(link.client.engine.takeRefusal(own).description == "")
        #expect(try link.client.engine.open(request) == own)
    }

    /// Without credit the peer stops at the window, and what waits is what the window allows; credit lets it go on.
    @Test(arguments: Link.Cut.allCases)
    func withoutCreditThePeerStopsAtTheWindow(_ cut: Link.Cut) throws {
        var settings = ConnectionSettings()
        settings.initialWindow = 100_000
        settings.maximumWindow = 100_000
        let link = Link(cut, settings)
        let (own, theirs) = try link.openChannel()
        let other = try link.openChannel()
        link.server.creditsAtOnce = false
        let bytes = noise(200_000, 5)
        var sent = 0
        for _ in 0..<20 {
            sent += try link.client.send(own, bytes[sent...])
            try link.settle()
        }
        #expect(sent == 100_000 && link.client.engine.sendable(own) == 0)
        #expect(link.server.received[theirs]?.count == 100_000)
        #expect(link.client.engine.reserve(own, maximum: 10).count == 0)
        // The other channel has a window of its own.
        #expect(try link.client.send(other.client, bytes[..<1000]) == 1000)
        let before = link.client.events.count
        link.server.engine.credit(theirs, count: 1)
        try link.settle()
        #expect(link.client.events[before...].map(\.words) == ["sendable 0"])
        #expect(link.client.engine.sendable(own) == 1)
        link.server.engine.credit(theirs, count: 99_999)
        try link.settle()
        #expect(link.client.engine.sendable(own) == 100_000)
    }

    /// A full output takes no payload; control still passes; and after some has been sent payload does too.
    @Test func aFullOutputTakesNoPayloadUntilItIsSent() throws {
        var settings = ConnectionSettings()
        settings.initialWindow = 4 << 20
        let link = Link(.whole, settings)
        let (own, theirs) = try link.openChannel()
        let bytes = noise(2 << 20, 6)
        var sent = 0
        while case let count = try link.client.send(own, bytes[sent...]), count > 0 { sent += count }
        #expect(sent >= 16 * 32768 && sent < 20 * 32768)
        #expect(link.client.engine.sendable(own) == 0)
        for _ in 0..<100 { link.client.engine.probe() }
        #expect(link.client.engine.deferredBytes == 0)
        while sent < bytes.count {
            try link.settle()
            let count = try link.client.send(own, bytes[sent...])
            try #require(count > 0)
            sent += count
        }
        try link.settle()
        #expect(link.server.received[theirs] == bytes)
    }

    /// Bulk makes the windows grow toward their cap, and not past it.
    @Test func windowsGrowWithUse() throws {
        var settings = ConnectionSettings()
        settings.maximumWindow = 1 << 20
        let link = Link(.whole, settings)
        let (own, theirs) = try link.openChannel()
        let bytes = [UInt8](repeating: 5, count: 500_000)
        for _ in 0..<16 {
            var sent = 0
            while sent < bytes.count {
                sent += try link.client.send(own, bytes[sent...])
                try link.settle()
                link.server.received[theirs] = []
            }
        }
        // Up to an eighth may be credited and not yet told.
        #expect(link.observer.largestSize > 7 << 17 && link.observer.largestSize <= 1 << 20)
        #expect(link.client.engine.sendable(own) > 0)
    }

    @Test func memoryStaysSmallWhenChannelsComeAndGo() throws {
        let link = Link(.whole)
        for _ in 0..<2000 {
            let (own, theirs) = try link.openChannel()
            try link.client.send(own, [1, 2, 3])
            link.client.engine.close(own)
            try link.settle()
            link.server.engine.close(theirs)
            try link.settle()
            link.server.received = [:]
        }
        #expect(link.client.engine.highestChannelCount == 1 && link.server.engine.highestChannelCount == 1)
    }

    @Test func aByeIsHeard() throws {
        let link = Link(.whole)
        link.client.engine.disconnect()
        let error = #expect(throws: SSHError.self) { try link.settle() }
        #expect(error?.kind == .disconnected)
        #expect(error?.description == "the client disconnected (reason 11); the client says: closed")
        // Nothing is said to a peer that has left.
        #expect(link.server.takeAllOutput().isEmpty)
    }
}
