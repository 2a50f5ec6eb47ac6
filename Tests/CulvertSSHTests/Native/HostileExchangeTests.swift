import CulvertPlan
import Testing

@testable import CulvertSSH

/// A server that breaks the rules of the key exchange, or says something out of turn: each case ends in a typed error and
/// the right word to the server.
@Suite struct HostileExchangeTests {
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

    @Test(arguments: ["curve25519-sha256", "mlkem768x25519-sha256", "sntrup761x25519-sha512"])
    func forgedAnswers(_ method: String) throws {
        let name = Script.string("ssh-ed25519")
        try forged(method) { $0.signature = { $0.dropLast() + [$0[$0.count - 1] ^ 1] } }
        try forged(method) { $0.signature = { _ in name + Script.string([UInt8](repeating: 0, count: 64)) } }
        try forged(method) { $0.signature = { _ in name + Script.string([1, 2, 3]) } }
        try forged(method) { $0.signature = { _ in [] } }
        try forged(method) { $0.signature = { $0 + [0x78] } }
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
        // Another key than the one that signs.
        try forged(method) { $0.hostKey = { _ in name + Script.string([UInt8](repeating: 1, count: 32)) } }
        // Parts of a wrong length; the all-zero point, and another of small order.
        try forged(method) { $0.part = { Array($0.dropLast()) } }
        try forged(method) { $0.part = { $0 + [0] } }
        try forged(method) { $0.part = { _ in [] } }
        try forged(method) { $0.part = { $0.dropLast(32) + [UInt8](repeating: 0, count: 32) } }
        try forged(method) { $0.part = { $0.dropLast(32) + [1] + [UInt8](repeating: 0, count: 31) } }
        for point in Self.pointsOfSmallOrder { try forged(method) { $0.part = { $0.dropLast(32) + point } } }
    }

    /// RFC 7748 §6.1: they make the secret 0, whatever the other side's part is. Of order 8, p - 1, p and p + 1.
    private static let pointsOfSmallOrder: [[UInt8]] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
            0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f], [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [0xee] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
    ]

    /// What is shown of a key's type, or of a service, is safe to show.
    @Test func namesAreEscaped() throws {
        let name = "\u{1b}[31mred\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\r\nculvert: connected"
        let peer = try ScriptedServer()
        try peer.sayInit()
        var forgery = ScriptedServer.Forgery()
        forgery.hostKey = { Script.string(name) + $0.dropFirst(15) }
        let words = peer.expect(.keyExchange, reason: 3) { _ = try peer.sayReply(forgery) }
        let other = try ScriptedServer()
        try other.lead(to: .service)
        let others = other.expect(.protocolViolation, reason: 2) { try other.say([6] + Script.string(name)) }
        for text in [words, others] {
            #expect(!text.isEmpty && text.unicodeScalars.allSatisfy { (0x20...0x7e).contains($0.value) }, "\(text)")
        }
    }

    /// A whole second SSH_MSG_KEXINIT, before the answer, behind it, and in a later exchange.
    @Test(arguments: [ScriptedServer.Place.first, .firstStrict, .afterReply, .later], [false, true])
    func twoKexInits(_ place: ScriptedServer.Place, _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        try peer.lead(to: place)
        peer.expect(.protocolViolation, reason: 2) { try peer.sayInit() }
        #expect(peer.client.isLoggedIn == (place == .later))
    }

    /// The answer twice, or the answer of an exchange that nobody began.
    @Test(arguments: [ScriptedServer.Place.first, .firstStrict, .later], [false, true])
    func twoAnswers(_ place: ScriptedServer.Place, _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips)
        try peer.lead(to: place)
        _ = try peer.sayReply()
        let answer = try #require(peer.reply)
        peer.expect(.protocolViolation, reason: 2) { try peer.say(answer) }
        let idle = try ScriptedServer(drips: drips)
        try idle.lead(to: .connection)
        idle.expect(.protocolViolation, reason: 2) { try idle.say(answer) }
    }

    @Test func aCiphertextThatIsNoneGivesOtherKeys() throws {
        // They reject implicitly: the secret differs, and so does what was signed.
        for method in ["mlkem768x25519-sha256", "sntrup761x25519-sha512"] {
            try forged(method) { $0.part = { [$0[0] ^ 1] + $0.dropFirst() } }
        }
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
            }.hasSuffix("; --engine libssh2 -o KexAlgorithms=+diffie-hellman-group1-sha1 knows older ones"))
        var settings = NativeSettings.curve
        settings.ciphers = AlgorithmList("-chacha*,aes256*")
        let mend = try refused({ $0.ciphers = ["chacha20-poly1305@openssh.com"] }, settings)
        #expect(mend.hasSuffix("-o Ciphers=+chacha20-poly1305@openssh.com accepts it"))
        // A cipher that needs a MAC is of no use where a list of MACs was in its way.
        settings.ciphers = AlgorithmList("aes256-gcm@openssh.com")
        let counter: (inout ScriptedServer.Names) -> Void = { $0.ciphers = ["aes128-ctr"] }
        let both = try refused(
            {
                counter(&$0); $0.macs = ["umac-64@openssh.com", "hmac-sha2-256"]
            }, settings)
        #expect(both.hasSuffix("; -o Ciphers=+aes128-ctr -o MACs=+hmac-sha2-256 accepts it"), "\(both)")
        let neither = try refused(
            {
                counter(&$0); $0.macs = ["umac-64@openssh.com"]
            }, settings)
        #expect(neither.hasSuffix("; only another version of the peer helps"), "\(neither)")
        #expect(try refused { $0.keyExchange = ["diffie-hellman-group1-sha1"] }.contains("no key exchange is shared"))
        #expect(try refused { $0.keyExchange = [] }.contains("the peer offers none"))
        #expect(try refused { $0.hostKey = ["ssh-rsa", "ssh-dss"] }.contains("no host key algorithm is shared"))
        #expect(try refused { $0.compression = ["zlib"] }.contains("no compression"))
        #expect(
            try refused {
                $0.ciphers = ["aes128-ctr"]; $0.macs = ["umac-64@openssh.com"]
            }.contains("no MAC is shared: we offer hmac-sha2-256-etm@openssh.com,"))
        // With a cipher that authenticates by itself MACs are of no use, so that an empty list is as good as any.
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

        // Of the host key's algorithm too the first must be the same.
        var settings = NativeSettings.curve
        settings.hostKeyAlgorithms = AlgorithmList("ssh-ed25519")
        let right = try ScriptedServer(drips: drips, settings)
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
}
