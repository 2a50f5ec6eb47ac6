import Testing

@testable import CulvertSSH

/// A peer that says what no peer should: each fault ends the connection with code 2 or has no effect, in bounded
/// memory, whether it comes whole or byte by byte.
@Suite struct ScriptedPeerTests {
    // MARK: Malformed

    /// Each message of the peer that our end reads, well formed, after channel 0 is open and port 0 was asked for.
    static let wellFormed: [[UInt8]] = [
        Script.global("keepalive@openssh.com", wantsReply: true),
        Script.global("tcpip-forward", wantsReply: true, Script.string("localhost") + Script.u32(80)),
        Script.global("streamlocal-forward@openssh.com", wantsReply: true, Script.string("/run/x")),
        [81] + Script.u32(8080),
        Script.openForwarded(sender: 3, address: "", port: 80),
        Script.openDirect(sender: 3),
        [90] + Script.string("direct-streamlocal@openssh.com") + Script.u32(1) + Script.u32(1) + Script.u32(1)
            + Script.string("/x") + Script.string("") + Script.u32(0),
        [90] + Script.string("forwarded-streamlocal@openssh.com") + Script.u32(1) + Script.u32(1) + Script.u32(1)
            + Script.string("/x") + Script.string(""),
        Script.adjust(0, 100), Script.data(0, 100), Script.extended(0, 100), Script.eof(0), Script.close(0),
        Script.request(0, wantsReply: true), [99] + Script.u32(0), [100] + Script.u32(0),
    ]

    private func node() throws -> Node {
        let node = try Node.clientWithChannel()
        _ = try node.engine.requestForward(.tcp(address: "", port: 0))
        _ = node.takeAllOutput()
        return node
    }

    @Test(arguments: wellFormed.indices)
    func everyCutMessageIsRefused(_ index: Int) throws {
        let message = Self.wellFormed[index]
        try node().hear(message)
        for length in 1..<message.count {
            try node().refuses(Array(message.prefix(length)), drip: length.isMultiple(of: 7))
        }
    }

    /// Messages whose fields end somewhere say no more than that. (The others may: a type may add what we do not read.)
    @Test(arguments: wellFormed.indices.filter { ![0, 3].contains($0) && wellFormed[$0][0] != 98 })
    func bytesTooManyAreRefused(_ index: Int) throws {
        try node().refuses(Self.wellFormed[index] + [0])
    }

    /// Every length field of every message, with values that do not fit.
    @Test(arguments: wellFormed.indices)
    func everyFalseLengthIsRefusedOrHarmless(_ index: Int) throws {
        let message = Self.wellFormed[index]
        for offset in stride(from: 1, through: max(1, message.count - 4), by: 1) {
            for value in [0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 35000] {
                var altered = message
                guard altered.count >= offset + 4 else { continue }
                altered.replaceSubrange(offset..<offset + 4, with: Script.u32(value))
                let node = try node()
                do {
                    try node.hear(altered)
                } catch let error as SSHError {
                    #expect(error.kind == .protocolViolation)
                }
                #expect(node.engine.channelCount <= 2)
            }
        }
    }

    @Test func noiseIsRefusedOrHarmless() throws {
        var random = SplitMix(77)
        for _ in 0..<3000 {
            let node = try node()
            for _ in 0..<8 {
                var message = Self.wellFormed.randomElement(using: &random)!
                for _ in 0..<Int.random(in: 0...3, using: &random) {
                    message[Int.random(in: 0..<message.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                }
                guard (try? node.hear(message)) != nil else { break }
            }
        }
    }

    // MARK: Windows

    /// Beyond its window by what is forgiven: it arrives. One byte more ends the channel, and neither the link nor
    /// another channel.
    @Test(arguments: [false, true])
    func farOverTheWindowEndsTheChannel(_ drip: Bool) throws {
        var settings = ConnectionSettings()
        settings.initialWindow = 5000
        let most = 5000 + Int(ReceiveWindow.minimumGrace)
        let node = try Node.clientWithChannel(settings)
        _ = try node.engine.open(.directStreamLocal(path: "/x"))
        _ = node.said()
        try node.hear(Script.confirm(1, sender: 8))
        node.creditsAtOnce = false
        #expect(try node.hear(Script.data(0, 3000), drip: drip) == ["payload 0 3000"])
        #expect(try node.hear(Script.data(0, most - 3000), drip: drip) == ["payload 0 \(most - 3000)"])
        #expect(try node.hear(Script.data(0, 1), drip: drip) == ["violated 0"])
        #expect(node.said() == [Script.close(7)])
        #expect(node.received[ChannelNumber(0)]?.count == most)
        // It goes on until it hears of that, and is heard no more.
        let late = [Script.data(0, 30_000), Script.adjust(0, 1), Script.extended(0, 9), Script.eof(0)]
        for message in late { #expect(try node.hear(message, drip: drip) == []) }
        #expect(try node.hear(Script.data(1, 5), drip: drip) == ["payload 1 5"])
        #expect(node.engine.channelCount == 2)
        #expect(try node.hear(Script.close(0), drip: drip) == [])
        #expect(node.engine.channelCount == 1 && node.said().isEmpty)
        // What its owner hands over late is nobody's.
        node.engine.credit(ChannelNumber(0), count: 100)
    }

    /// The same at a server, and with data that nobody reads.
    @Test(arguments: [false, true]) func farOverTheWindowEndsTheChannelAtAServer(_ isExtended: Bool) throws {
        var settings = ConnectionSettings()
        settings.initialWindow = 5000
        let node = Node(.server, settings)
        try node.hear(Script.openDirect(sender: 4))
        node.engine.accept(ChannelNumber(0))
        _ = node.said()
        let far = 5000 + Int(ReceiveWindow.minimumGrace) + 1
        #expect(try node.hear(isExtended ? Script.extended(0, far) : Script.data(0, far)) == ["violated 0"])
        #expect(node.said() == [Script.close(4)] && node.received.isEmpty)
        #expect(try node.hear(Script.close(0)) == [])
        #expect(node.engine.channelCount == 0)
    }

    /// A packet longer than we asked for is like several, up to what may be framed.
    @Test func dataLongerThanTheGreatestPacketIsTaken() throws {
        for length in [32769, 100_000, 262_100] {
            let node = try Node.clientWithChannel()
            #expect(try node.hear(Script.data(0, length)) == ["payload 0 \(length)"])
            #expect(node.received[ChannelNumber(0)]?.count == length)
            #expect(try Node.clientWithChannel().hear(Script.extended(0, length)) == [])
        }
        try Node.clientWithChannel().refuses(Script.data(0, 262_144))
    }

    @Test func aWindowBeyondItsLastValueEndsTheChannel() throws {
        let node = try Node.clientWithChannel(window: 0xffff_ffff)
        try node.hear(Script.adjust(0, 0))
        #expect(try node.hear(Script.adjust(0, 1)) == ["violated 0"])
        #expect(try node.hear(Script.adjust(0, 1)) == [])
        #expect(node.said() == [Script.close(7)])
        let other = try Node.clientWithChannel(window: 5)
        try other.hear(Script.adjust(0, 0xffff_fffa))
        #expect(try other.hear(Script.adjust(0, 1)) == ["violated 0"])
        #expect(try other.send(ChannelNumber(0), [1, 2, 3]) == 0)
    }

    @Test func aWindowOfNothingForEverSendsNothing() throws {
        let node = try Node.clientWithChannel(window: 0)
        #expect(node.engine.sendable(ChannelNumber(0)) == 0)
        #expect(try node.send(ChannelNumber(0), [1, 2, 3]) == 0)
        #expect(try node.hear(Script.adjust(0, 2)) == ["sendable 0"])
        #expect(try node.hear(Script.adjust(0, 1)) == [])
        #expect(try node.send(ChannelNumber(0), [1, 2, 3]) == 3)
        #expect(node.said() == [[94] + Script.u32(7) + Script.string([1, 2, 3])])
    }

    @Test func packetsAreNoGreaterThanThePeerTakes() throws {
        let node = try Node.clientWithChannel(maximumPacket: 1000)
        #expect(try node.send(ChannelNumber(0), [UInt8](repeating: 1, count: 4500)[...]) == 4500)
        #expect(node.said().map { $0.count - 9 } == [1000, 1000, 1000, 1000, 500])
        let great = try Node.clientWithChannel(maximumPacket: 0xffff_ffff)
        #expect(try great.send(ChannelNumber(0), [UInt8](repeating: 1, count: 40000)[...]) == 40000)
        #expect(great.said().map { $0.count - 9 } == [32768, 7232])
    }

    @Test(arguments: [0, 1, 255])
    func packetsOfNextToNothingAreRefused(_ maximumPacket: Int) throws {
        let node = Node(.client)
        _ = try node.engine.open(.directTCPIP(host: "a", port: 1, originator: "", originatorPort: 0))
        _ = node.takeAllOutput()
        node.refuses(Script.confirm(0, sender: 1, maximumPacket: maximumPacket))
        let server = Node(.server)
        #expect(try server.hear(Script.openDirect(sender: 5, maximumPacket: maximumPacket)) == [])
        #expect(server.said().map { Array($0.prefix(9)) } == [[92] + Script.u32(5) + Script.u32(4)])
        #expect(server.engine.channelCount == 0)
    }

    /// Extended data is dropped, and granted again: a flood of it neither arrives nor closes the window.
    @Test func extendedDataIsDroppedWithCredit() throws {
        let node = try Node.clientWithChannel()
        var granted = 256 * 1024
        for _ in 0..<100 {
            #expect(try node.hear(Script.extended(0, 20_000, type: 99)) == [])
            granted -= 20_000
            for message in node.said() {
                #expect(message[0] == 93 && Script.number(message, 1) == 7)
                granted += Script.number(message, 5)
            }
            #expect(granted >= 32768)
        }
        #expect(node.received.isEmpty)
    }

    /// While nothing can be sent, what is credited is gathered: one message a channel when there is room again,
    /// none for a channel that is closed by then, and nothing is lost.
    @Test func creditThatCannotBeSentIsGathered() throws {
        var settings = ConnectionSettings()
        settings.maximumWindow = settings.initialWindow
        let node = try Node.clientWithChannel(settings, window: 1 << 24)
        for number in 1...3 {
            _ = try node.engine.open(.directStreamLocal(path: "/x"))
            _ = node.takeAllOutput()
            try node.hear(Script.confirm(number, sender: 7 + number))
        }
        let payload = [UInt8](repeating: 1, count: 1 << 20)
        while try node.send(ChannelNumber(0), payload[...]) > 0 {}
        while node.engine.deferredBytes == 0 { node.engine.probe() }
        let deferred = node.engine.deferredBytes
        var received = [0, 0, 0, 0]
        for round in 0..<20 {
            for number in 0..<4 where received[number] + 20_000 <= Int(settings.initialWindow) {
                try node.hear(Script.data(number, 20_000 + round))
                received[number] += 20_000 + round
            }
        }
        #expect(node.engine.deferredBytes == deferred)
        node.engine.close(ChannelNumber(3))
        node.engine.close(ChannelNumber(1))
        try node.hear(Script.close(1))
        // The number is in use again before the old channel's credit could be told.
        #expect(try node.engine.open(.directStreamLocal(path: "/y")).value == 1)
        let adjusts = node.said().filter { $0[0] == 93 }
        #expect(adjusts == [Script.adjust(7, received[0]), Script.adjust(9, received[2])])
        try node.hear(Script.confirm(1, sender: 20))
        for _ in 0..<4 { try node.hear(Script.data(1, 20_000)) }
        #expect(node.said() == [Script.adjust(20, 80_000)])
    }

    // MARK: Channels that are not there

    /// Every message about a channel, for one that is free, never was, is being opened or awaits our answer.
    @Test(arguments: [0, 1, 0xffff_ffff], [false, true])
    func messagesForNoChannelAreRefused(_ number: Int, _ drip: Bool) throws {
        let messages = [
            Script.data(number, 1), Script.extended(number, 1), Script.eof(number), Script.close(number),
            Script.request(number, wantsReply: true), Script.request(number, wantsReply: false),
            Script.confirm(number, sender: 1), Script.fail(number),
        ]
        for message in messages {
            // Nothing was ever opened.
            Node(.client).refuses(message, drip: drip)
            // Closed by both.
            let closed = try Node.clientWithChannel()
            closed.engine.close(ChannelNumber(0))
            try closed.hear(Script.close(0))
            closed.refuses(message, drip: drip)
        }
        #expect(try Node(.client).hear(Script.adjust(number, 1)) == [])
        for messageNumber in [99, 100] as [UInt8] {
            #expect(try Node(.client).hear([messageNumber] + Script.u32(number)) == [])
        }
    }

    @Test func messagesForAChannelThatIsNotOpenYetAreRefused() throws {
        let messages = [
            Script.data(0, 1), Script.extended(0, 1), Script.eof(0), Script.close(0), Script.adjust(0, 1),
            Script.request(0, wantsReply: true),
        ]
        for message in messages {
            let opening = Node(.client)
            _ = try opening.engine.open(.directTCPIP(host: "a", port: 1, originator: "", originatorPort: 0))
            _ = opening.takeAllOutput()
            opening.refuses(message)
            let requested = Node(.server)
            #expect(try requested.hear(Script.openDirect(sender: 3)) == ["requested 0"])
            requested.refuses(message)
        }
        // Nor is a channel that the peer asked for its own to confirm.
        for message in [Script.confirm(0, sender: 1), Script.fail(0)] {
            let requested = Node(.server)
            try requested.hear(Script.openDirect(sender: 3))
            requested.refuses(message)
        }
    }

    @Test func aChannelIsConfirmedOrRefusedOnce() throws {
        try Node.clientWithChannel().refuses(Script.confirm(0, sender: 7))
        try Node.clientWithChannel().refuses(Script.fail(0))
    }

    /// Data behind EOF is nobody's, as at OpenSSH: it is dropped and granted again, and the stream has ended where EOF
    /// stands.
    @Test func dataBehindEOFIsDroppedWithCredit() throws {
        let node = try Node.clientWithChannel()
        #expect(try node.hear(Script.data(0, 10), Script.eof(0)) == ["payload 0 10", "ended 0"])
        #expect(try node.hear(Script.eof(0), Script.adjust(0, 1)) == [])
        var granted = 256 * 1024 - 10
        for _ in 0..<100 {
            #expect(try node.hear(Script.data(0, 20_000), Script.extended(0, 1000)) == [])
            granted -= 21_000
            for message in node.said() {
                #expect(message[0] == 93 && Script.number(message, 1) == 7)
                granted += Script.number(message, 5)
            }
            #expect(granted >= 32768)
        }
        #expect(node.received[ChannelNumber(0)]?.count == 10)
        #expect(try node.send(ChannelNumber(0), [1, 2, 3]) == 3)
        #expect(try node.hear(Script.close(0)) == ["closed 0 after end"])
    }

    @Test func nothingFollowsCLOSE() throws {
        let messages = [
            Script.data(0, 1), Script.extended(0, 1), Script.eof(0), Script.close(0),
            Script.request(0, wantsReply: true),
        ]
        for message in messages {
            let node = try Node.clientWithChannel()
            #expect(try node.hear(Script.close(0), Script.adjust(0, 1)) == ["closed 0 cut"])
            node.refuses(message)
        }
    }

    /// What crosses our CLOSE on the way has no effect and gets no answer, until the peer's CLOSE frees the number.
    @Test func whatCrossesOurCLOSEHasNoEffect() throws {
        let node = try Node.clientWithChannel()
        node.engine.close(ChannelNumber(0))
        node.engine.close(ChannelNumber(0))
        node.engine.finish(ChannelNumber(0))
        #expect(node.said() == [Script.close(7)])
        let events = try node.hear(
            Script.data(0, 32768), Script.extended(0, 5), Script.adjust(0, 5), Script.request(0, wantsReply: true),
            Script.eof(0))
        #expect(events == [] && node.said().isEmpty)
        #expect(try node.engine.open(.directTCPIP(host: "a", port: 1, originator: "", originatorPort: 0)).value == 1)
        _ = node.takeAllOutput()
        #expect(try node.hear(Script.close(0)) == [])
        #expect(node.said().isEmpty)
        #expect(try node.engine.open(.directTCPIP(host: "a", port: 1, originator: "", originatorPort: 0)).value == 0)
        // Credit that comes late, for a channel that is over, is nobody's.
        node.engine.credit(ChannelNumber(0), count: 10)
    }
}
