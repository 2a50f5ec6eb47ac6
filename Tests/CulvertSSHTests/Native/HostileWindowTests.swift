import Testing

@testable import CulvertSSH

/// Windows and packet sizes that a server does not keep to, or that nobody could keep to, under keys.
@Suite struct HostileWindowTests {
    private func server(
        _ cipher: String, drips: Bool, window: UInt32 = 3000, maximumPacket: UInt32 = 32768, theirs: [UInt8]? = nil
    ) throws -> ScriptedServer {
        var settings = NativeSettings.curve
        settings.connection.initialWindow = window
        settings.connection.maximumPacket = maximumPacket
        let peer = try ScriptedServer(drips: drips, settings)
        peer.names.protect(cipher)
        try peer.lead(to: .connection)
        _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        #expect(try peer.say(theirs ?? Script.confirm(0, sender: 7)).map(\.words) == ["opened 0"])
        return peer
    }

    enum Moment: CaseIterable {
        case open, closedByUs, exchanging
    }

    private let grace = Int(ReceiveWindow.minimumGrace)

    /// A little more than the window, in one packet or behind others: it arrives, and is granted again when it is read.
    @Test(arguments: PairTests.protections, [1, 300, 27_000, 204_800])
    func aLittleMoreThanTheWindowArrives(_ cipher: String, _ over: Int) throws {
        for drips in over > 27_000 ? [false] : [false, true] {
            for (before, isExchanging) in [(0, false), (2999, false), (3000, false), (0, true), (2999, true)] {
                let peer = try server(cipher, drips: drips)
                peer.client.credits = false
                if isExchanging { peer.client.engine.beginKeyExchange() }
                if before > 0 { try peer.say(Script.data(0, before)) }
                #expect(try peer.say(Script.data(0, 3000 - before + over)).isEmpty)
                #expect(peer.client.received.count == 3000 + over)
                #expect(peer.last(93) == nil)
                // Nothing is granted before what is too much is read, then all of it.
                peer.client.engine.credit(ChannelNumber(0), count: over - 1)
                peer.listen()
                #expect(peer.last(93) == nil)
                peer.client.engine.credit(ChannelNumber(0), count: 1)
                peer.listen()
                if isExchanging {
                    #expect(peer.last(93) == nil)
                    try peer.sayInit()
                    try peer.sayNewKeys(try peer.sayReply())
                }
                #expect(peer.last(93) == Script.adjust(7, over))
            }
        }
    }

    /// Far more than the window, in one packet or behind others, in either kind of data: none of what is too much
    /// arrives, not even the part that had room, and the channel ends. The link goes on.
    @Test(arguments: PairTests.protections, Moment.allCases)
    func farMoreThanTheWindowEndsTheChannel(_ cipher: String, _ moment: Moment) throws {
        for (before, isExtended) in [(0, false), (0, true), (3000, false), (3000 + 204_800, false)] {
            let peer = try server(cipher, drips: false)
            let count = 3000 + grace - before + 1
            peer.client.credits = false
            switch moment {
            case .open: break
            case .closedByUs: peer.client.engine.close(ChannelNumber(0))
            case .exchanging: peer.client.engine.beginKeyExchange()
            }
            if before > 0 { try peer.say(Script.data(0, before)) }
            let events = try peer.say(isExtended ? Script.extended(0, count) : Script.data(0, count)).map(\.words)
            #expect(events == (moment == .closedByUs ? [] : ["violated 0"]))
            // However long it goes on.
            for _ in 0..<20 { #expect(try peer.say(Script.data(0, 30_000)).isEmpty) }
            #expect(peer.client.received.count == (moment == .closedByUs ? 0 : before))
            if moment == .exchanging {
                #expect(peer.last(97) == nil)
                try peer.sayInit()
                try peer.sayNewKeys(try peer.sayReply())
            }
            #expect(peer.heard.filter { $0[0] == 97 } == [Script.close(7)])
            #expect(peer.last(93) == nil)
            #expect(peer.client.engine.channelCount == 1)
            try peer.say(Script.close(0), Script.global("keepalive@openssh.com", wantsReply: true))
            #expect(peer.heard.last == [82] && peer.client.engine.channelCount == 0)
        }
    }

    /// In a key exchange what no window bounds is counted, so that it ends.
    @Test func payloadWithoutEndInAnExchangeEndsTheLink() throws {
        let peer = try server(PairTests.protections[0], drips: false)
        peer.client.engine.beginKeyExchange()
        #expect(try peer.say(Script.data(0, 250_000)).map(\.words) == ["violated 0"])
        let most = Transport.maximumTalk / 250_000
        for _ in 0..<most - 1 { try peer.say(Script.data(0, 250_000)) }
        peer.expect(.protocolViolation, reason: 2) { for _ in 0..<2 { try peer.say(Script.data(0, 250_000)) } }
    }

    /// Packets longer than we asked for, in either kind of data, up to OpenSSH's limit.
    @Test(arguments: PairTests.protections, [256, 1000, 32768] as [UInt32])
    func aPacketGreaterThanWeTakeIsTaken(_ cipher: String, _ maximum: UInt32) throws {
        for count in [Int(maximum) + 1, 100_000, 262_000] {
            let peer = try server(cipher, drips: count < 1002, window: 1 << 20, maximumPacket: maximum)
            #expect(try peer.say(Script.extended(0, count), Script.data(0, count)).isEmpty)
            #expect(peer.client.received.count == count)
        }
        let peer = try server(cipher, drips: false, window: 1 << 20, maximumPacket: maximum)
        // A length that is ciphered with the rest may be anything until the rest is checked.
        let hidesLength = cipher.contains("-ctr") && !cipher.contains("-etm@")
        peer.expect(hidesLength ? .integrity : .protocolViolation, reason: hidesLength ? 5 : 2) {
            try peer.say(Script.data(0, 262_144))
        }
    }

    /// RFC 4254 §5.2: a window has 2^32 - 1 bytes at most.
    @Test(arguments: [
        [0xffff_ffff, 1], [0xffff_fffe, 1, 1], [0x8000_0000, 0x8000_0000], [0, 0xffff_ffff, 0xffff_ffff],
        [1, 0xffff_ffff],
    ])
    func aWindowThatOverflowsEndsTheChannel(_ grants: [Int]) throws {
        for (drips, cipher) in [false, true].flatMap({ drip in PairTests.protections.map { (drip, $0) } }) {
            let peer = try server(cipher, drips: drips, theirs: Script.confirm(0, sender: 7, window: grants[0]))
            for grant in grants[1...].dropLast() { try peer.say(Script.adjust(0, grant)) }
            #expect(try peer.say(Script.adjust(0, grants[grants.count - 1])).map(\.words) == ["violated 0"])
            #expect(peer.heard.last == Script.close(7))
        }
    }

    /// What was spent may be granted again, up to the last byte.
    @Test func aWindowMayBeFull() throws {
        let peer = try server(
            PairTests.protections[0], drips: false, theirs: Script.confirm(0, sender: 7, window: 0xffff_ffff))
        #expect(try peer.client.send(ChannelNumber(0), [1, 2, 3]) == 3)
        try peer.say(Script.adjust(0, 3), Script.adjust(0, 0))
        #expect(try peer.say(Script.adjust(0, 1)).map(\.words) == ["violated 0"])
    }

    /// Packets of less than 256 bytes are refused, at our channels and at theirs; greater ones than ours are not used.
    @Test(arguments: [0, 1, 255, 256, 0x7fff_ffff, 0xffff_ffff], [false, true])
    func packetsOfEverySize(_ maximum: Int, _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        try peer.lead(to: .connection)
        _ = try peer.client.engine.requestForward(.tcp(address: "", port: 80))
        try peer.say([81])
        let events = try peer.say(
            Script.openForwarded(sender: 9, address: "", port: 80, window: 100_000, maximumPacket: maximum))
        if maximum < 256 {
            #expect(events.isEmpty)
            #expect(peer.heard.last.map { Array($0.prefix(9)) } == [92] + Script.u32(9) + Script.u32(4))
        } else {
            #expect(events.map(\.words) == ["requested 0"])
            peer.client.engine.refuse(ChannelNumber(0), .connectFailed, words: "")
        }
        _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        let confirmation = Script.confirm(0, sender: 7, window: 100_000, maximumPacket: maximum)
        guard maximum >= 256 else {
            peer.expect(.protocolViolation, reason: 2) { try peer.say(confirmation) }
            return
        }
        #expect(try peer.say(confirmation).map(\.words) == ["opened 0"])
        let before = peer.heard.count
        var sent = 0
        let bytes = [UInt8](repeating: 3, count: 100_000)
        while sent < bytes.count {
            sent += try peer.client.send(ChannelNumber(0), bytes[sent...])
            peer.listen()
        }
        let sizes = peer.heard[before...].filter { $0[0] == 94 }.map { $0.count - 9 }
        let most = min(maximum, 32768)
        #expect(sizes.reduce(0, +) == 100_000 && sizes.allSatisfy { $0 <= most } && sizes.contains(most))
    }

    /// A server that never grants anything costs nothing: its channel waits, others do not, and it ends like any other.
    @Test(arguments: PairTests.protections) func aWindowOfNothingForEver(_ cipher: String) throws {
        let peer = try server(cipher, drips: false, theirs: Script.confirm(0, sender: 7, window: 0))
        let other = try peer.client.engine.open(.directStreamLocal(path: "/y"))
        try peer.say(Script.confirm(1, sender: 8))
        for _ in 0..<1000 {
            #expect(try peer.say(Script.adjust(0, 0)).isEmpty)
            #expect(peer.client.engine.sendable(ChannelNumber(0)) == 0)
            #expect(peer.client.engine.reserve(ChannelNumber(0), maximum: 10).count == 0)
        }
        #expect(try peer.client.send(other, [1, 2, 3]) == 3)
        peer.listen()
        #expect(peer.heard.last == [94] + Script.u32(8) + Script.string([1, 2, 3]))
        // Keys are exchanged again, and it still has nothing.
        peer.client.engine.beginKeyExchange()
        peer.listen()
        try peer.sayInit()
        try peer.sayNewKeys(try peer.sayReply())
        #expect(peer.client.engine.sendable(ChannelNumber(0)) == 0 && peer.client.engine.sendable(other) > 0)
        peer.client.engine.finish(ChannelNumber(0))
        peer.client.engine.close(ChannelNumber(0))
        peer.listen()
        #expect(peer.heard.suffix(2) == [Script.eof(7), Script.close(7)])
        try peer.say(Script.close(0))
        #expect(peer.client.engine.heldBytes() == 0)
    }
}
