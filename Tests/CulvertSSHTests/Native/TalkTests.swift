import Testing

@testable import CulvertSSH

/// A server that says much and gets nowhere: in a login and in a key exchange all that it may say is bounded, payload by
/// the windows, the rest by `Transport.maximumTalk`.
@Suite struct TalkTests {
    private let payload = 32 * 1024

    /// A connection with channel 0 open, in a key exchange that the client has begun.
    private func exchanging(_ settings: NativeSettings = .curve) throws -> ScriptedServer {
        let peer = try ScriptedServer(settings)
        try peer.lead(to: .connection)
        _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        #expect(try peer.say(Script.confirm(0, sender: 7)).count == 1)
        peer.client.engine.beginKeyExchange()
        peer.listen()
        return peer
    }

    /// Until the client has had enough; how many messages it took.
    private func flood(
        _ peer: ScriptedServer, _ message: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) -> Int {
        var count = 0
        peer.expect(.protocolViolation, reason: 2, sourceLocation: sourceLocation) {
            while count < 1_000_000 {
                try peer.say(message)
                count += 1
            }
        }
        return count
    }

    private static let words: [[UInt8]] = [
        [2] + Script.string([UInt8](repeating: 0, count: 30_000)),
        [4, 1] + Script.string([UInt8](repeating: 0, count: 30_000)) + Script.string(""),
        [3] + Script.u32(0) + [UInt8](repeating: 0, count: 30_000),
    ]

    /// Wherever nothing else has to come first.
    @Test(
        arguments: words,
        [ScriptedServer.Place.beforeFirst, .first, .service, .authentication, .ownExchange, .later])
    func idleWordsAreBounded(_ message: [UInt8], _ place: ScriptedServer.Place) throws {
        let peer = try ScriptedServer()
        try peer.lead(to: place)
        let count = flood(peer, message)
        let most = Transport.maximumTalk / (message.count + Transport.packetCost)
        #expect(count <= most && count >= most - 2)
        #expect(peer.client.end.output.count < 1000)
    }

    /// Between the two SSH_MSG_KEXINITs messages of the connection may come; those that spend no window are counted.
    @Test(arguments: [
        [94] + Script.u32(0) + Script.string(""), Script.extended(0, 0), Script.adjust(0, 0),
        Script.global("hostkeys-00@openssh.com", wantsReply: false, [UInt8](repeating: 7, count: 30_000)),
        Script.request(0, wantsReply: false), [192] + Script.string(""), [99] + Script.u32(0), [82],
    ])
    func wordsOfTheConnectionAreBounded(_ message: [UInt8]) throws {
        let peer = try exchanging()
        // Most of it in one piece, and not heard: these are a hundred thousand packets.
        let most = Transport.maximumTalk / (message.count + Transport.packetCost)
        var left = most - 10
        while left > 0 {
            let count = min(left, 1000)
            #expect(try peer.client.feed((0..<count).flatMap { _ in peer.seal(message) }).isEmpty)
            left -= count
        }
        #expect(flood(peer, message) <= 10)
        peer.client.end.invariants()
    }

    /// What was under way when the client began is taken, all that the window lets come, in packets of any size.
    @Test(arguments: [1, 100, 32 * 1024])
    func payloadIsBoundedByTheWindow(_ size: Int) throws {
        var settings = NativeSettings.curve
        settings.connection.initialWindow = size == 1 ? 20_000 : 1 << 20
        let window = Int(settings.connection.initialWindow)
        let peer = try exchanging(settings)
        var left = window
        while left > 0 {
            var packets: [UInt8] = []
            for _ in 0..<min(1000, (left + size - 1) / size) {
                packets += peer.seal(Script.data(0, min(size, left)))
                left -= min(size, left)
            }
            try peer.client.feed(packets)
        }
        // The reader has taken all of it, and the server is not told before the exchange is over.
        #expect(peer.client.received.count == window)
        peer.listen()
        #expect(peer.last(93) == nil)
        let over = try exchanging(settings)
        for _ in 0..<window / payload { try over.say(Script.data(0, payload)) }
        if window % payload > 0 { try over.say(Script.data(0, window % payload)) }
        // And a little more.
        let grace = Int(ReceiveWindow.minimumGrace)
        try over.say(Script.data(0, grace))
        #expect(try over.say(Script.data(0, 1)).map(\.words) == ["violated 0"])
        #expect(over.client.received.count == window + grace)

        try peer.sayInit()
        try peer.sayNewKeys(try peer.sayReply())
        #expect(peer.last(93).map { Script.number($0, 5) >= window } == true)
    }

    /// Each exchange is counted by itself, and the login apart from them.
    @Test func eachExchangeHasItsOwn() throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .authentication)
        let word = [2] + Script.string([UInt8](repeating: 0, count: 30_000))
        func talk() throws {
            for _ in 0..<Transport.maximumTalk * 3 / 4 / word.count { try peer.say(word) }
        }
        try talk()
        try peer.say([52])
        for _ in 0..<3 {
            try talk()
            peer.client.engine.beginKeyExchange()
            peer.listen()
            try talk()
            try peer.sayInit()
            try peer.sayNewKeys(try peer.sayReply())
        }
        // Renewed in the login, the login's talk goes on.
        let other = try ScriptedServer()
        try other.lead(to: .authentication)
        for _ in 0..<Transport.maximumTalk * 3 / 4 / word.count { try other.say(word) }
        try other.sayInit()
        try other.sayNewKeys(try other.sayReply())
        #expect(flood(other, word) < Transport.maximumTalk / 3 / word.count)
    }

    /// Who watches how long one takes can tell them apart.
    @Test(arguments: [false, true]) func exchangesHaveNumbers(_ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        try peer.lead(to: .connection)
        var numbers: [Int] = []
        for isOurs in [true, false, true, false] {
            #expect(peer.client.keyExchange == nil)
            if isOurs { peer.client.engine.beginKeyExchange() }
            peer.listen()
            if !isOurs { try peer.sayInit() }
            let number = try #require(peer.client.keyExchange)
            if isOurs { try peer.sayInit() }
            let keys = try peer.sayReply()
            #expect(peer.client.keyExchange == number)
            // We have sent our SSH_MSG_NEWKEYS; the exchange lasts until theirs.
            #expect(peer.heard.last == [21])
            try peer.say([2] + Script.string(""))
            #expect(peer.client.keyExchange == number)
            try peer.sayNewKeys(keys)
            numbers.append(number)
        }
        #expect(peer.client.keyExchange == nil)
        #expect(Set(numbers).count == 4)
    }
}
