import Testing

@testable import CulvertSSH

/// What becomes of a stream that somebody on the way has cut, doubled, thinned or put in another order, and of one that
/// is right through many changes of keys: for every cipher, whole and byte by byte.
@Suite struct BrokenStreamTests {
    private func server(_ cipher: String, drips: Bool) throws -> ScriptedServer {
        let peer = try ScriptedServer(drips: drips)
        peer.names.protect(cipher)
        try peer.lead(to: .connection)
        _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        try peer.say(Script.confirm(0, sender: 7))
        return peer
    }

    private func data(_ byte: UInt8) -> [UInt8] {
        [94] + Script.u32(0) + Script.string([byte, byte, byte, byte, byte])
    }

    /// The stream breaks at a packet: what came before it stays delivered, nothing of it or behind it is.
    private func breaks(
        _ peer: ScriptedServer, _ cipher: String, _ bytes: [UInt8], after received: [UInt8],
        lengthIsRight: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: SSHError.self, sourceLocation: sourceLocation) {
            // Behind it stands enough for any length that may be read there.
            try peer.raw(bytes)
            try peer.raw(CipherNumbers.pool)
        }
        peer.listen()
        let isIntegrity = error?.kind == .integrity
        // ChaCha20's length is deciphered with the packet's number, so that it is mostly the length that is false.
        let mayBeFalse = cipher.hasPrefix("chacha") || !lengthIsRight
        #expect(
            isIntegrity || mayBeFalse && error?.kind == .protocolViolation, "\(String(describing: error))",
            sourceLocation: sourceLocation)
        #expect(peer.last(1).map { Script.number($0, 1) } == (isIntegrity ? 5 : 2), sourceLocation: sourceLocation)
        #expect(peer.client.received == received.flatMap { Array(data($0).suffix(5)) }, sourceLocation: sourceLocation)
    }

    /// By their numbers, which way three packets come; the right part of it in front is taken.
    @Test(
        arguments: PairTests.protections,
        // Twice, left out, exchanged, and some of it together.
        [[0, 0], [1], [0, 2], [1, 0], [0, 1, 1], [0, 1, 0], [2, 1, 0], [0, 2, 1]])
    func packetsOutOfOrderEndTheLink(_ cipher: String, _ order: [Int]) throws {
        for drips in [false, true] {
            let peer = try server(cipher, drips: drips)
            let packets = (0..<3).map { peer.seal(data(UInt8($0) + 10)) }
            let good = zip(order, 0...).prefix { $0 == $1 }.map { UInt8($0.0) + 10 }
            breaks(peer, cipher, order.flatMap { packets[$0] }, after: good)
        }
    }

    /// A packet that ends too early waits for ever, and delivers nothing; with the next one behind it, it is none.
    @Test(arguments: PairTests.protections) func aTruncatedPacketDeliversNothing(_ cipher: String) throws {
        let length = try server(cipher, drips: false).seal(data(1)).count
        for cut in 0..<length {
            let peer = try server(cipher, drips: cut.isMultiple(of: 3))
            let packet = peer.seal(data(1))
            let next = peer.seal(data(2))
            // By chance the next one begins with what is missing: then nothing is.
            if next.starts(with: packet[cut...]) { continue }
            #expect(try peer.raw(Array(packet[..<cut])).isEmpty && peer.client.received.isEmpty)
            // What we have to say is said all the same.
            peer.client.engine.probe()
            peer.listen()
            #expect(peer.heard.last?.first == 80)
            breaks(peer, cipher, next, after: [], lengthIsRight: cut >= 4)
        }
    }

    /// Bytes that are put in, at a packet's begin or inside it.
    @Test(arguments: PairTests.protections, [0, 4, 5, 20])
    func bytesThatArePutInEndTheLink(_ cipher: String, _ place: Int) throws {
        for drips in [false, true] {
            let peer = try server(cipher, drips: drips)
            var packet = peer.seal(data(1))
            packet.insert(packet[place] ^ 1, at: place)
            breaks(peer, cipher, packet, after: [], lengthIsRight: place >= 4)
        }
    }

    /// A packet of an earlier key, of the other direction, or of another connection, where one is awaited.
    @Test(arguments: PairTests.protections) func packetsFromElsewhereEndTheLink(_ cipher: String) throws {
        for drips in [false, true] {
            let old = try server(cipher, drips: drips)
            let packet = old.seal(data(1))
            try old.raw(packet)
            try old.sayInit()
            try old.sayNewKeys(try old.sayReply())
            breaks(old, cipher, packet, after: [1])

            // Its own words do not come back to it: the keys of the two directions differ.
            let mirrored = try server(cipher, drips: drips)
            mirrored.client.engine.probe()
            let own = mirrored.client.takeAllOutput()
            let error = #expect(throws: SSHError.self) { try mirrored.raw(own + CipherNumbers.pool) }
            #expect(error?.kind == .integrity || cipher.hasPrefix("chacha") && error?.kind == .protocolViolation)

            let another = try server(cipher, drips: drips)
            breaks(another, cipher, try server(cipher, drips: false).seal(data(1)), after: [])
        }
    }

    // MARK: Changes of keys

    /// 50 in a row, begun by either end, with data between: under strict key exchange every number begins again at 0, and
    /// without it none does (CVE-2023-48795's cure, in a later exchange too).
    @Test(arguments: PairTests.protections, [true, false])
    func fiftyExchangesKeepTheNumbers(_ cipher: String, _ isStrict: Bool) throws {
        // Without strict exchange those are not used.
        guard isStrict || !(cipher.hasPrefix("chacha") || cipher.contains("-etm@")) else { return }
        for drips in [false, true] {
            let peer = try ScriptedServer(drips: drips)
            peer.names.isStrict = isStrict
            peer.names.protect(cipher)
            try peer.sayInit()
            try peer.sayNewKeys(try peer.sayReply())
            try peer.say([6] + Script.string("ssh-userauth"), [52])
            _ = try peer.client.engine.open(.directStreamLocal(path: "/x"))
            try peer.say(Script.confirm(0, sender: 7))
            var expected: [UInt8] = []
            var said = isStrict ? 3 : 6
            for exchange in 0..<50 {
                if exchange.isMultiple(of: 2) {
                    peer.client.engine.beginKeyExchange()
                    peer.listen()
                    // Still under the old keys.
                    try peer.say(data(UInt8(exchange)))
                    expected += data(UInt8(exchange)).suffix(5)
                    said += 1
                }
                try peer.sayInit()
                try peer.sayNewKeys(try peer.sayReply())
                said = isStrict ? 0 : said + 3
                // An unknown message is answered with its number.
                #expect(peer.sealer.sequenceNumber == UInt32(said))
                try peer.say([200])
                #expect(peer.heard.last == [3] + Script.u32(said))
                try peer.say(data(UInt8(exchange)))
                expected += data(UInt8(exchange)).suffix(5)
                said += 2
                #expect(try peer.client.send(ChannelNumber(0), [UInt8(exchange)]) == 1)
                peer.listen()
                #expect(peer.heard.last == [94] + Script.u32(7) + Script.string([UInt8(exchange)]))
            }
            #expect(peer.client.received == expected)
            #expect(peer.client.authority.hostKeys.count == 1)
        }
    }
}
