import Crypto
import CulvertPlan
import Testing

@testable import CulvertSSH

/// A server, or somebody on the way, that breaks the rules of packets and of their order: each case ends in a typed error
/// and the right word to the server.
@Suite struct HostileServerTests {
    // MARK: Terrapin (CVE-2023-48795) and strict key exchange

    /// Something before KEXINIT is found when KEXINIT asks to be strict.
    @Test(
        arguments: [[2] + Script.string("x"), [4, 0] + Script.string("x") + Script.string(""), [3] + Script.u32(0)],
        [false, true])
    func strictWantsKexInitFirst(_ message: [UInt8], _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        try peer.say(message)
        peer.expect(.protocolViolation, reason: 2) { try peer.sayInit() }
    }

    /// What an attacker would put in, or what is put in twice, in the first exchange.
    @Test(
        arguments: [
            [2] + Script.string("x"), [4, 0] + Script.string("x") + Script.string(""), [3] + Script.u32(0),
            [7] + Script.u32(0), [20], [192] + Script.string(""), [200],
        ], [ScriptedServer.Place.firstStrict, .afterReply])
    func strictTakesNothingElse(_ message: [UInt8], _ place: ScriptedServer.Place) throws {
        for drips in [false, true] {
            let peer = try ScriptedServer(drips: drips)
            try peer.lead(to: place)
            peer.expect(.protocolViolation, reason: 2) { try peer.say(message) }
        }
    }

    /// The first packet under the new keys is taken away: with sequence numbers from 0 nobody can hide that.
    @Test(arguments: ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
    func aPacketTakenAwayIsSeen(_ cipher: String) throws {
        let peer = try ScriptedServer()
        peer.names.ciphers = [cipher]
        let service = try { () throws -> [UInt8] in
            try peer.sayInit()
            let derivation = try peer.sayReply()
            try peer.sayNewKeys(derivation)
            _ = peer.seal([7] + Script.u32(0))
            return peer.seal([6] + Script.string("ssh-userauth"))
        }()
        // ChaCha20 deciphers the length with the wrong number, too: it is a false one, or the tag is.
        let error = #expect(throws: SSHError.self) {
            try peer.raw(service)
            try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 20))
        }
        peer.listen()
        let kinds: [SSHError.Kind] = cipher.hasPrefix("aes") ? [.integrity] : [.integrity, .protocolViolation]
        #expect(error.map { kinds.contains($0.kind) } == true)
        #expect(peer.last(1).map { Script.number($0, 1) } == (error?.kind == .integrity ? 5 : 2))
        #expect(!peer.client.isLoggedIn)
    }

    /// Without strict key exchange AES-GCM is chosen, whatever the client likes best; where there is only ChaCha20, none.
    @Test func withoutStrictExchangeNoChaCha() throws {
        var settings = NativeSettings.curve
        settings.ciphers = AlgorithmList("chacha20-poly1305@openssh.com,aes128-gcm@openssh.com")
        let peer = try ScriptedServer(settings)
        // What is liked best is not safe with everybody, so the client lets the server speak first.
        #expect(peer.heard.isEmpty)
        peer.names.isStrict = false
        try peer.sayInit()
        try peer.sayNewKeys(try peer.sayReply())
        #expect(peer.algorithms?.clientToServer == .aes128GCM)
        #expect(peer.client.end.summary.hasSuffix("aes128-gcm@openssh.com"))

        let strict = try ScriptedServer(settings)
        try strict.sayInit()
        try strict.sayNewKeys(try strict.sayReply())
        #expect(strict.algorithms?.clientToServer == .chaCha20Poly1305)

        let chaCha = "chacha20-poly1305@openssh.com"
        for (ciphers, peerCiphers, mend) in [
            (chaCha, [chaCha], "only a newer version of the peer helps"),
            ("aes128-gcm@openssh.com,\(chaCha)", [chaCha], "only a newer version of the peer helps"),
            (chaCha, [chaCha, "aes256-ctr"], "--engine libssh2 knows older ones"),
            (chaCha, [chaCha, "aes128-gcm@openssh.com"], "-o Ciphers=aes128-gcm@openssh.com accepts it"),
        ] {
            settings.ciphers = AlgorithmList(ciphers)
            let only = try ScriptedServer(settings)
            only.names.isStrict = false
            only.names.ciphers = peerCiphers
            var words = ""
            only.expect(.keyExchange, reason: 3) {
                do { try only.sayInit() } catch let error as SSHError {
                    words = error.description
                    throw error
                }
            }
            #expect(words.contains("no strict key exchange") && words.contains("we offer \(ciphers)"))
            #expect(words.hasSuffix("the peer offers \(peerCiphers.joined(separator: ",")); \(mend)"), "\(words)")
        }
    }

    /// Names of strict key exchange in a later KEXINIT say nothing.
    @Test func strictNamesComeTooLate() throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .first)
        try peer.sayNewKeys(try peer.sayReply())
        try peer.say([6] + Script.string("ssh-userauth"), [52])
        #expect(peer.client.isLoggedIn)
        let before = peer.sealer.sequenceNumber
        peer.names.keyExchange.append("kex-strict-s-v00@openssh.com")
        try peer.sayInit()
        let later = try #require(peer.last(20))
        #expect(!String(decoding: later, as: UTF8.self).contains("kex-strict"))
        // IGNORE may come in it, and the numbers run on.
        try peer.say([2] + Script.string("x"))
        try peer.sayNewKeys(try peer.sayReply())
        #expect(peer.sealer.sequenceNumber == before + 4)
        try peer.say([200])
        #expect(peer.heard.last == [3] + Script.u32(Int(before) + 4))
    }

    // MARK: Packets

    @Test(arguments: [0, 1, 11, 13, 65537, 65540, 0x7fff_ffff, 0xffff_ffff], [false, true])
    func falseLengthsBeforeKeys(_ length: Int, _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        peer.expect(.protocolViolation, reason: 2) { try peer.raw(Script.u32(length)) }
    }

    @Test(arguments: [0, 15, 17, 262145, 262160, 0xffff_ffff], ScriptedServer.Place.allCases.dropFirst(4))
    func falseLengthsUnderAESGCM(_ length: Int, _ place: ScriptedServer.Place) throws {
        let peer = try ScriptedServer()
        try peer.lead(to: place)
        peer.expect(.protocolViolation, reason: 2) { try peer.raw(Script.u32(length)) }
    }

    /// A bit changed at every offset behind the length, which says itself how much is waited for.
    @Test(arguments: ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
    func everyChangedBitIsSeen(_ cipher: String) throws {
        for offset in 4..<(4 + 16 + 16) {
            let peer = try ScriptedServer()
            peer.names.ciphers = [cipher]
            try peer.lead(to: .connection)
            var packet = peer.seal([2] + Script.string("abc"))
            #expect(packet.count >= 36 || cipher.hasPrefix("chacha"))
            guard offset < packet.count else { continue }
            packet[offset] ^= 1 << (offset % 8)
            peer.expect(.integrity, reason: 5) { try peer.raw(packet) }
        }
    }

    /// A changed length is a false one, or makes the tag false once as much has come as it says: at most one packet.
    @Test(arguments: ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
    func everyChangedLengthIsSeen(_ cipher: String) throws {
        for bit in 0..<32 {
            let peer = try ScriptedServer()
            peer.names.ciphers = [cipher]
            try peer.lead(to: .connection)
            var packet = peer.seal([2] + Script.string("abc"))
            packet[bit / 8] ^= 1 << (bit % 8)
            let error = #expect(throws: SSHError.self) {
                try peer.raw(packet)
                try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 20))
            }
            peer.listen()
            #expect(error?.kind == .integrity || error?.kind == .protocolViolation)
            #expect(peer.last(1).map { Script.number($0, 1) } == (error?.kind == .integrity ? 5 : 2))
        }
    }

    /// The right tag over a packet that is none: its padding leaves no message, or is less than there must be.
    @Test(arguments: [0, 3, 15, 16, 255], [ScriptedServer.Place.service, .connection])
    func falsePaddingUnderTheRightTag(_ padding: UInt8, _ place: ScriptedServer.Place) throws {
        let peer = try ScriptedServer()
        try peer.lead(to: place)
        peer.expect(.protocolViolation, reason: 2) { try peer.raw(peer.sealPacket(Self.padded(padding))) }
        // With as much as leaves one byte, it is SSH_MSG_IGNORE.
        let other = try ScriptedServer()
        try other.lead(to: place)
        #expect(try other.raw(other.sealPacket(Self.padded(14))).isEmpty)
    }

    private static func padded(_ padding: UInt8) -> [UInt8] {
        Script.u32(16) + [padding] + [UInt8](repeating: 2, count: 15)
    }

    /// A server that takes strict key exchange and then goes on counting is one whose first packets somebody took away.
    @Test func numbersThatDoNotBeginAgain() throws {
        let peer = try ScriptedServer()
        peer.names.ciphers = ["chacha20-poly1305@openssh.com"]
        try peer.lead(to: .afterReply)
        try peer.say([21])
        peer.names.isStrict = false
        try peer.useKeys(try #require(peer.derivation))
        let error = #expect(throws: SSHError.self) {
            try peer.say([6] + Script.string("ssh-userauth"))
            try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 20))
        }
        #expect(error?.kind == .integrity || error?.kind == .protocolViolation)
        #expect(!peer.client.isLoggedIn)
    }

    /// Duplicated and swapped packets.
    @Test func packetsHaveTheirOrder() throws {
        let twice = try ScriptedServer()
        try twice.lead(to: .connection)
        let packet = twice.seal([2] + Script.string("abc"))
        try twice.raw(packet)
        twice.expect(.integrity, reason: 5) { try twice.raw(packet) }

        let swapped = try ScriptedServer()
        try swapped.lead(to: .connection)
        _ = swapped.seal([2] + Script.string("abc"))
        let second = swapped.seal([2] + Script.string("abc"))
        swapped.expect(.integrity, reason: 5) { try swapped.raw(second) }
    }
}
