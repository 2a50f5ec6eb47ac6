import Crypto
import CulvertPlan
import Testing

@testable import CulvertSSH

/// A server, or somebody on the way, that breaks the rules of packets and of their order: each case ends in a typed error
/// and the right word to the server.
@Suite struct HostileServerTests {
    /// Each way to protect packets, in the words of `PacketCipher.words`.
    static let protections = [
        "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr with hmac-sha2-512-etm@openssh.com",
        "aes192-ctr with hmac-sha2-256",
    ]

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
    @Test(arguments: Self.protections)
    func aPacketTakenAwayIsSeen(_ cipher: String) throws {
        let peer = try ScriptedServer()
        peer.names.protect(cipher)
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
            try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 68))
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
        // What is offered is not safe with everybody, so the client lets the server speak first.
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
            (chaCha, [chaCha, "aes256-cbc"], "--engine libssh2 -o Ciphers=+aes256-cbc knows older ones"),
            (chaCha, [chaCha, "aes256-ctr"], "-o Ciphers=aes256-ctr accepts it"),
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

    /// What becomes of a client's lists, nil being all that it has, at a server's with or without strict key exchange.
    private func protection(
        _ ciphers: String?, _ macs: String?, at peerCiphers: [String], _ peerMACs: [String], strict: Bool = false
    ) throws -> String {
        var settings = NativeSettings.curve
        settings.ciphers = ciphers.flatMap { AlgorithmList($0) }
        settings.macs = macs.flatMap { AlgorithmList($0) }
        let peer = try ScriptedServer(settings)
        peer.names.isStrict = strict
        (peer.names.ciphers, peer.names.macs) = (peerCiphers, peerMACs)
        do { try peer.sayInit() } catch let error as SSHError {
            #expect(error.kind == .keyExchange)
            return error.description
        }
        try peer.sayNewKeys(try peer.sayReply())
        // The keys are right in both directions: it is asked for a service, and what is said is heard.
        #expect(peer.heard.contains([5] + Script.string("ssh-userauth")))
        try peer.say([6] + Script.string("ssh-userauth"), [52])
        #expect(peer.client.isLoggedIn)
        return try #require(peer.algorithms).clientToServer.words
    }

    /// MACs over the ciphertext fall out like ChaCha20, so that a MAC over the plaintext is taken, or AES-GCM where none is
    /// shared; with strict key exchange they do not.
    @Test func withoutStrictExchangeNoMACOverTheCiphertext() throws {
        let (chaCha, gcm) = ("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com")
        let (over, plain) = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")
        for (found, expected) in [
            (try protection(nil, nil, at: [chaCha, "aes128-ctr"], [over, plain]), "aes128-ctr with \(plain)"),
            (
                try protection(nil, nil, at: ["aes256-ctr"], ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-512"]),
                "aes256-ctr with hmac-sha2-512"
            ),
            (try protection(nil, nil, at: [chaCha, "aes192-ctr", gcm], [over, plain]), gcm),
            (try protection("aes128-ctr,\(gcm)", nil, at: ["aes128-ctr", gcm], [over]), gcm),
            (
                try protection("aes128-ctr,\(gcm)", plain, at: ["aes128-ctr", gcm], [over, plain]),
                "aes128-ctr with \(plain)"
            ),
            (
                try protection(nil, nil, at: [chaCha, "aes128-ctr"], [over, plain], strict: true),
                CipherAlgorithm.preference().map(\.rawValue).first { [chaCha, "aes128-ctr"].contains($0) } ?? ""
            ),
            (try protection(nil, nil, at: ["aes128-ctr"], [over, plain], strict: true), "aes128-ctr with \(over)"),
        ] { #expect(found == expected) }
    }

    /// Nothing is left: refused, with what would help.
    @Test func withoutStrictExchangeAndWithoutAnythingSafe() throws {
        let (over, plain) = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")
        let none = try protection("aes128-ctr", over, at: ["aes128-ctr"], [over])
        #expect(
            none == "the peer has no strict key exchange, without which aes128-ctr with \(over) can be tampered with "
                + "(CVE-2023-48795): we offer \(over), the peer offers \(over); only a newer version of the peer helps")
        let mac = try protection("aes128-ctr", over, at: ["aes128-ctr", "aes256-gcm@openssh.com"], [over, plain])
        #expect(mac.hasSuffix("; -o Ciphers=aes256-gcm@openssh.com,aes128-ctr -o MACs=\(plain) accepts it"))
        let chaCha = try protection(nil, nil, at: ["chacha20-poly1305@openssh.com", "aes128-ctr"], [over])
        #expect(chaCha.contains("without which chacha20-poly1305@openssh.com can be tampered with"))
        #expect(chaCha.hasSuffix("; only a newer version of the peer helps"))
        let older = try protection("aes256-ctr", over, at: ["aes256-ctr", "aes256-cbc"], [over, "hmac-sha1"])
        #expect(older.hasSuffix("; --engine libssh2 -o MACs=+hmac-sha1 knows older ones"))
    }

    /// Each direction has its own.
    @Test func theDirectionsMayDiffer() throws {
        for (toServer, toClient) in [
            ("aes128-ctr with hmac-sha2-512", "aes256-gcm@openssh.com"),
            ("aes256-gcm@openssh.com", "aes192-ctr with hmac-sha2-256-etm@openssh.com"),
            ("aes256-ctr with hmac-sha2-256-etm@openssh.com", "aes128-ctr with hmac-sha2-512"),
        ] {
            let peer = try ScriptedServer()
            peer.names.protect(toClient)
            let names = (peer.names.ciphers, peer.names.macs)
            peer.names.protect(toServer)
            peer.names.toClient = names
            try peer.lead(to: .connection)
            #expect(peer.client.end.summary.hasSuffix(", \(toServer) out, \(toClient) in"))
            try peer.say([200])
            #expect(peer.heard.last?.first == 3)
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

    /// A length that is ciphered with the rest is changed into another without knowing the key: what is no length is told as
    /// any alteration, as soon as its block has come. One in the clear is judged from its four bytes.
    @Test(arguments: [0, 11, 13, 29, 262141, 262156, 0x7fff_fffc, 0xffff_ffff], [false, true])
    func falseLengthsUnderAESCTR(_ length: Int, _ drips: Bool) throws {
        let plain = try ScriptedServer(drips: drips)
        plain.names.protect("aes128-ctr with hmac-sha2-256")
        try plain.lead(to: .connection)
        var packet = plain.seal([2] + Script.string("abc"))
        let mask = Script.u32((packet.count - 4 - 32) ^ length)
        for index in 0..<4 { packet[index] ^= mask[index] }
        #expect(try plain.raw(Array(packet[..<15])).isEmpty)
        plain.expect(.integrity, reason: 5) { try plain.raw([packet[15]]) }
        let over = try ScriptedServer(drips: drips)
        over.names.protect("aes256-ctr with hmac-sha2-512-etm@openssh.com")
        try over.lead(to: .connection)
        over.expect(.protocolViolation, reason: 2) { try over.raw(Script.u32(length)) }
    }

    /// A bit changed at every offset behind the length, which says itself how much is waited for.
    @Test(arguments: Self.protections)
    func everyChangedBitIsSeen(_ cipher: String) throws {
        for offset in 4..<(4 + 16 + 16) {
            let peer = try ScriptedServer()
            peer.names.protect(cipher)
            try peer.lead(to: .connection)
            var packet = peer.seal([2] + Script.string("abc"))
            #expect(packet.count >= 36 || cipher.hasPrefix("chacha"))
            guard offset < packet.count else { continue }
            packet[offset] ^= 1 << (offset % 8)
            peer.expect(.integrity, reason: 5) { try peer.raw(packet) }
        }
    }

    /// A changed length is a false one, or makes the tag false once as much has come as it says: at most one packet.
    @Test(arguments: Self.protections)
    func everyChangedLengthIsSeen(_ cipher: String) throws {
        for bit in 0..<32 {
            let peer = try ScriptedServer()
            peer.names.protect(cipher)
            try peer.lead(to: .connection)
            var packet = peer.seal([2] + Script.string("abc"))
            packet[bit / 8] ^= 1 << (bit % 8)
            let error = #expect(throws: SSHError.self) {
                try peer.raw(packet)
                try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 68))
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
            try peer.raw([UInt8](repeating: 0, count: PacketOpener.maximumPacketLength + 68))
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
