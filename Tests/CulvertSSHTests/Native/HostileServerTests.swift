import Crypto
import CulvertPlan
import Testing

@testable import CulvertSSH

/// A server that breaks the rules of the transport: each case ends in a typed error and the right word to the server.
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

    // MARK: The exchange

    private func forged(
        _ method: String, _ kind: SSHError.Kind = .keyExchange, reason: Int = 3,
        sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout ScriptedServer.Forgery) -> Void
    ) throws {
        for drips in [false, true] {
            let peer = try ScriptedServer(drips: drips)
            peer.names.keyExchange = [method]
            try peer.sayInit()
            var forgery = ScriptedServer.Forgery()
            change(&forgery)
            peer.expect(kind, reason: reason, sourceLocation: sourceLocation) { _ = try peer.sayReply(forgery) }
            // Nobody is asked about a key that proved nothing.
            #expect(peer.client.authority.hostKeys.isEmpty, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: ["curve25519-sha256", "mlkem768x25519-sha256"])
    func forgedAnswers(_ method: String) throws {
        let name = Script.string("ssh-ed25519")
        try forged(method) { $0.signature = { $0.dropLast() + [$0[$0.count - 1] ^ 1] } }
        try forged(method) { $0.signature = { _ in name + Script.string([UInt8](repeating: 0, count: 64)) } }
        try forged(method) { $0.signature = { _ in name + Script.string([1, 2, 3]) } }
        try forged(method) { $0.signature = { _ in [] } }
        // Another algorithm's name in the signature, and in the key.
        try forged(method) { $0.signature = { Script.string("rsa-sha2-512") + $0.dropFirst(15) } }
        try forged(method) { $0.signature = { Script.string("ssh-rsa") + $0.dropFirst(15) } }
        try forged(method) { $0.hostKey = { Script.string("ssh-rsa") + $0.dropFirst(15) } }
        try forged(method) {
            $0.hostKey = { Script.string("ssh-ed25519-cert-v01@openssh.com") + $0.dropFirst(15) }
        }
        try forged(method) { $0.hostKey = { Array($0.dropLast()) } }
        try forged(method) { $0.hostKey = { $0 + [0] } }
        try forged(method) { $0.hostKey = { _ in [] } }
        // Parts of a wrong length; the all-zero point, and another of small order.
        try forged(method) { $0.part = { Array($0.dropLast()) } }
        try forged(method) { $0.part = { $0 + [0] } }
        try forged(method) { $0.part = { _ in [] } }
        try forged(method) { $0.part = { $0.dropLast(32) + [UInt8](repeating: 0, count: 32) } }
        try forged(method) { $0.part = { $0.dropLast(32) + [1] + [UInt8](repeating: 0, count: 31) } }
    }

    @Test func aCiphertextThatIsNoneGivesOtherKeys() throws {
        // ML-KEM rejects implicitly: the secret differs, and so does what was signed.
        try forged("mlkem768x25519-sha256") { $0.part = { [$0[0] ^ 1] + $0.dropFirst() } }
    }

    @Test func anotherHostKeyLaterEndsTheLink() throws {
        let forged = try ScriptedServer()
        try forged.lead(to: .later)
        forged.expect(.keyExchange, reason: 3) {
            var forgery = ScriptedServer.Forgery()
            forgery.hostKey = { _ in TestHostKey().blob }
            _ = try forged.sayReply(forgery)
        }
        // One that proves itself is still another one.
        let other = try ScriptedServer()
        try other.lead(to: .later)
        other.key = TestHostKey()
        other.expect(.hostKey, reason: 9) { _ = try other.sayReply() }
        #expect(other.client.authority.hostKeys.count == 1)
    }

    @Test func anUntrustedHostKeyEndsTheLogin() throws {
        let peer = try ScriptedServer()
        peer.client.authority.trusts = false
        try peer.sayInit()
        peer.expect(.hostKey, reason: 9) { _ = try peer.sayReply() }
        #expect(peer.client.authority.hostKeys == [peer.key.blob])
        // Nothing was said under keys of that server.
        #expect(peer.last(21) == nil)
    }

    @Test func noCommonAlgorithm() throws {
        func refused(_ change: (inout ScriptedServer.Names) -> Void, _ settings: NativeSettings = .curve) throws
            -> String
        {
            let peer = try ScriptedServer(settings)
            change(&peer.names)
            var words = ""
            peer.expect(.keyExchange, reason: 3) {
                do { try peer.sayInit() } catch {
                    words = "\(error)"
                    throw error
                }
            }
            return words
        }
        let cipher = try refused { $0.ciphers = ["aes256-cbc", "3des-cbc\u{1b}[2J"] }
        #expect(cipher.contains("no cipher is shared") && cipher.contains("aes256-gcm@openssh.com"))
        #expect(cipher.contains("the peer offers aes256-cbc,3des-cbc\\u{1b}[2J; --engine libssh2"))
        // The other engine is named only where it would get on.
        for change in [
            { $0.ciphers = ["blowfish-cbc"] }, { $0.keyExchange = ["sntrup4591761x25519-sha512@tinyssh.org"] },
            {
                $0.ciphers = ["aes256-cbc"]; $0.macs = ["umac-64@openssh.com"]
            },
            {
                $0.ciphers = ["aes256-cbc"]; $0.hostKey = ["x"]
            },
        ] as [(inout ScriptedServer.Names) -> Void] {
            #expect(try refused(change).hasSuffix("; only another version of the peer helps"))
        }
        #expect(
            try refused {
                $0.ciphers.append("aes128-ctr")
                $0.keyExchange = ["diffie-hellman-group1-sha1"]
            }.hasSuffix("; --engine libssh2 knows older ones"))
        var settings = NativeSettings.curve
        settings.ciphers = AlgorithmList("-chacha*,aes256*")
        let mend = try refused({ $0.ciphers = ["chacha20-poly1305@openssh.com"] }, settings)
        #expect(mend.hasSuffix("-o Ciphers=+chacha20-poly1305@openssh.com accepts it"))
        #expect(try refused { $0.keyExchange = ["diffie-hellman-group1-sha1"] }.contains("no key exchange is shared"))
        #expect(try refused { $0.keyExchange = [] }.contains("the peer offers none"))
        #expect(try refused { $0.hostKey = ["ssh-rsa", "ssh-dss"] }.contains("no host key algorithm is shared"))
        #expect(try refused { $0.compression = ["zlib"] }.contains("no compression"))
        // MACs are of no use here, so that an empty list is as good as any.
        let peer = try ScriptedServer()
        peer.names.macs = []
        try peer.sayInit()
        #expect(peer.last(30) != nil)
    }

    /// RFC 4253 §7: exactly one packet is dropped after a wrong guess, none after a right one.
    @Test(arguments: [false, true])
    func guesses(_ drips: Bool) throws {
        let wrong = try ScriptedServer(drips: drips)
        wrong.names.follows = true
        wrong.names.keyExchange = ["mlkem768x25519-sha256", "curve25519-sha256"]
        try wrong.sayInit()
        try wrong.say([31] + Script.string("a guess"))
        try wrong.sayNewKeys(try wrong.sayReply())
        try wrong.say([6] + Script.string("ssh-userauth"), [52])
        #expect(wrong.client.isLoggedIn)

        let two = try ScriptedServer(drips: drips)
        two.names.follows = true
        two.names.keyExchange = ["mlkem768x25519-sha256", "curve25519-sha256"]
        try two.sayInit()
        try two.say([31] + Script.string("a guess"))
        two.expect(.protocolViolation, reason: 2) { try two.say([31] + Script.string("another")) }

        let right = try ScriptedServer(drips: drips)
        right.names.follows = true
        try right.sayInit()
        try right.sayNewKeys(try right.sayReply())
        try right.say([6] + Script.string("ssh-userauth"), [52])
        #expect(right.client.isLoggedIn)
    }

    // MARK: Out of turn

    @Test func outOfTurn() throws {
        func refused(_ place: ScriptedServer.Place, _ messages: [UInt8]..., at: SourceLocation = #_sourceLocation)
            throws
        {
            for drips in [false, true] {
                let peer = try ScriptedServer(drips: drips)
                try peer.lead(to: place)
                peer.expect(.protocolViolation, reason: 2, sourceLocation: at) {
                    for message in messages { try peer.say(message) }
                }
                #expect(peer.client.isLoggedIn == (place == .connection || place == .later))
            }
        }
        let accept = [6] + Script.string("ssh-userauth")
        let info = [7] + Script.u32(0)
        for place in [ScriptedServer.Place.beforeFirst, .firstStrict, .afterReply, .service] {
            try refused(place, [52])
        }
        try refused(.authentication, accept)
        try refused(.service, [6] + Script.string("ssh-connection"))
        try refused(.service, [21])
        try refused(.connection, [21])
        try refused(.firstStrict, [21])
        try refused(.service, info, info, info)
        try refused(.connection, info)
        try refused(.authentication, Script.confirm(0, sender: 1))
        // In a later exchange nothing but the connection's messages comes behind its KEXINIT.
        for message in [[50], [52], [192] + Script.string(""), [200], accept, info] { try refused(.later, message) }
        try refused(.later, [20] + [UInt8](repeating: 0, count: 16))
    }

    /// RFC 4253 §9: at any time, so in the login, too. What the login wants to say waits.
    @Test(arguments: [ScriptedServer.Place.service, .authentication])
    func keysAreRenewedInTheLogin(_ place: ScriptedServer.Place) throws {
        for drips in [false, true] {
            let peer = try ScriptedServer(drips: drips)
            try peer.lead(to: place)
            try peer.sayInit()
            try peer.sayNewKeys(try peer.sayReply())
            if place == .service { try peer.say([6] + Script.string("ssh-userauth")) }
            try peer.say([52])
            #expect(peer.client.isLoggedIn)
            #expect(peer.client.authority.hostKeys.count == 1)
            #expect(peer.client.allSendable == 0)
        }
    }

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
            #expect(words.contains("(reason 12): too many\\u{1b}[2J\\u{d}\\u{a}y") && words.count < 500)
        }
    }
}
