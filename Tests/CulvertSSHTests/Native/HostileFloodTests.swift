import Testing

@testable import CulvertSSH

/// A server that says too much: what it costs is bounded, and its words are safe to show.
@Suite struct HostileFloodTests {
    // MARK: Floods

    @Test func floodsTakeNoMemory() throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .connection)
        // Not read: what is answered stays bounded, then the link ends.
        let ping = [192] + Script.string([UInt8](repeating: 1, count: 1000))
        var packets: [UInt8] = []
        for _ in 0..<100 { packets += peer.seal(ping) }
        try peer.client.feed(packets)
        let once = peer.client.end.output.count
        for _ in 0..<20 {
            packets = []
            for _ in 0..<100 { packets += peer.seal(ping) }
            try peer.client.feed(packets)
        }
        #expect(peer.client.end.output.count >= once && peer.client.end.output.count <= OutputBlock.capacity)
        peer.listen()
        #expect(peer.last(193) == [193] + ping.dropFirst())
        // In an exchange nothing is answered, then or later (CVE-2025-26466).
        peer.client.engine.beginKeyExchange()
        peer.listen()
        let before = peer.heard.count
        for _ in 0..<1000 { try peer.say([192] + Script.string("x")) }
        #expect(peer.heard.count == before)
        try peer.sayInit()
        try peer.sayNewKeys(try peer.sayReply())
        #expect(peer.last(193) == [193] + ping.dropFirst())
        // A ping that is too long to be one is not answered, and does no harm.
        try peer.say([192] + Script.string([UInt8](repeating: 1, count: 30_000)))
        #expect(peer.last(193) == [193] + ping.dropFirst())
    }

    /// What nobody asked for, as long as a packet may be and without end: it costs nothing, and changes nothing.
    @Test(arguments: [
        [81] + [UInt8](repeating: 0x78, count: 34_000), [82] + [UInt8](repeating: 0x78, count: 34_000),
        [131] + [UInt8](repeating: 0x78, count: 34_000), [2] + Script.string([UInt8](repeating: 0, count: 34_000)),
        [4, 1] + Script.string([UInt8](repeating: 0x1b, count: 34_000)) + Script.string(""),
        [3] + Script.u32(1) + [UInt8](repeating: 0, count: 34_000), [99] + Script.u32(0), [100] + Script.u32(0),
        Script.global("hostkeys-00@openssh.com", wantsReply: false, [UInt8](repeating: 7, count: 34_000)),
        [90] + Script.string("auth-agent@openssh.com") + Script.u32(1) + Script.u32(1 << 20) + Script.u32(32768)
            + [UInt8](repeating: 0x78, count: 30_000),
    ])
    func whatNobodyAskedFor(_ message: [UInt8]) throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .connection)
        for _ in 0..<300 { #expect(try peer.say(message).isEmpty) }
        #expect(peer.client.engine.channelCount == 0 && peer.client.engine.heldBytes() == 0)
        #expect(peer.client.end.output.isEmpty)
        // The link is as it was.
        _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        #expect(try peer.say(Script.confirm(0, sender: 7)).map(\.words) == ["opened 0"])
    }

    /// Unknown messages in the login are answered, in the end too often.
    @Test(arguments: [ScriptedServer.Place.service, .authentication])
    func unknownMessagesInTheLogin(_ place: ScriptedServer.Place) throws {
        let peer = try ScriptedServer()
        try peer.lead(to: place)
        let message = [131] + [UInt8](repeating: 0x78, count: 2000)
        var count = 0
        peer.expect(.protocolViolation, reason: 2) {
            while count < 100_000 {
                try peer.say(message)
                count += 1
            }
        }
        #expect(count <= Transport.maximumTalk / message.count)
        #expect(!peer.client.isLoggedIn && peer.heard.count { $0[0] == 3 } == count)
    }

    /// Channels that begin and end without end use the same number again.
    @Test func channelsWithoutEnd() throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .connection)
        _ = try peer.client.engine.requestForward(.tcp(address: "", port: 80))
        try peer.say([81])
        for sender in 0..<2000 {
            let events = try peer.say(Script.openForwarded(sender: sender, address: "", port: 80)).map(\.words)
            #expect(events == ["requested 0"])
            peer.client.engine.accept(ChannelNumber(0))
            peer.listen()
            #expect(try peer.say(Script.close(0)).map(\.words) == ["closed 0 cut"])
            peer.client.engine.close(ChannelNumber(0))
            peer.listen()
            #expect(peer.heard.last == Script.close(sender))
        }
        #expect(peer.client.engine.channelCount == 0)
    }

    @Test func listsAreBounded() throws {
        let peer = try ScriptedServer()
        // As many names as a packet holds.
        peer.names.hostKey = [String](repeating: "a", count: 8000) + ["ssh-ed25519"]
        peer.names.ciphers.append(String(repeating: "x", count: 8000))
        try peer.sayInit()
        #expect(peer.last(30) != nil)

        let info = try ScriptedServer()
        try info.lead(to: .service)
        info.expect(.protocolViolation, reason: 2) { try info.say([7] + Script.u32(0xffff_ffff)) }
        let many = try ScriptedServer()
        try many.lead(to: .service)
        let extensions = (0..<1024).flatMap { _ in Script.string("a@b") + Script.string("") }
        try many.say([7] + Script.u32(1024) + extensions)
        many.expect(.protocolViolation, reason: 2) {
            try many.say([7] + Script.u32(1025) + extensions + Script.string("") + Script.string(""))
        }
    }

    // MARK: Words

    @Test func theServersReasonIsEscaped() throws {
        for place in ScriptedServer.Place.allCases {
            let peer = try ScriptedServer()
            try peer.lead(to: place)
            var words = ""
            peer.expect(.disconnected, reason: nil) {
                do {
                    try peer.say(
                        [1] + Script.u32(12)
                            + Script.string("too many\u{1b}[2J\r\n" + String(repeating: "y", count: 20_000))
                            + Script.string(""))
                } catch {
                    words = "\(error)"
                    throw error
                }
            }
            #expect(
                words.contains("the server disconnected (reason 12); the server says: too many\\u{1b}[2J / y")
                    && words.count < 500)
        }
    }
}
