import CulvertPlan
import Testing

@testable import CulvertSSH

/// A server that breaks the rules of a group exchange (RFC 4419), in each of its steps.
@Suite struct GroupExchangeTests {
    private static let method = "diffie-hellman-group-exchange-sha256"

    /// A client that has asked for a group.
    private func asked(drips: Bool = false, later: Bool = false, cipher: String = "aes128-gcm@openssh.com") throws
        -> ScriptedServer
    {
        var settings = NativeSettings()
        settings.keyExchange = AlgorithmList(Self.method)
        let peer = try ScriptedServer(drips: drips, settings)
        peer.names.keyExchange = [Self.method]
        peer.names.ciphers = [cipher]
        if later { try peer.lead(to: .later) } else { try peer.sayInit() }
        #expect(peer.heard.last?.first == 34)
        return peer
    }

    private func refused(
        _ kind: SSHError.Kind = .protocolViolation, _ words: String = "is not what the key exchange waits for",
        sourceLocation: SourceLocation = #_sourceLocation, _ body: (ScriptedServer) throws -> Void
    ) throws {
        for later in [false, true] {
            for drips in [false, true] {
                let peer = try asked(drips: drips, later: later)
                let said = peer.expect(kind, reason: kind == .keyExchange ? 3 : 2, sourceLocation: sourceLocation) {
                    try body(peer)
                }
                #expect(said.contains(words), "\(said)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test(arguments: [
        ("aes128-gcm@openssh.com", 3072), ("aes256-gcm@openssh.com", 8192), ("chacha20-poly1305@openssh.com", 8192),
    ])
    func whatIsAskedFor(_ cipher: String, _ bits: Int) throws {
        let peer = try asked(cipher: cipher)
        #expect(peer.heard.last == [34] + Script.u32(2048) + Script.u32(bits) + Script.u32(8192))
        peer.group = DiffieHellmanGroup(bits: bits)
        try peer.sayNewKeys(try peer.sayReply())
        try peer.say([6] + Script.string("ssh-userauth"), [52])
        #expect(peer.client.isLoggedIn)
        // The client's number, in the order in which RFC 4419 has the messages.
        #expect(peer.heard.map { $0[0] }.prefix(4) == [20, 34, 32, 21])
    }

    /// The group twice, and after the client's part.
    @Test func twoGroups() throws {
        try refused { peer in
            try peer.sayGroup()
            try peer.sayGroup()
        }
    }

    /// The answer before the group: whatever is in it, and by the number that other methods have for it.
    @Test func answersBeforeTheGroup() throws {
        for number in [30, 32, 33, 34, 35, 49] as [UInt8] {
            try refused { try $0.say([number] + Script.string("x") + Script.string("y") + Script.string("z")) }
        }
        // 31 is the group there.
        try refused(.protocolViolation, "SSH_MSG_KEX_DH_GEX_GROUP") {
            try $0.say([31] + Script.string("x") + Script.string("y") + Script.string("z"))
        }
        try refused(.protocolViolation, "SSH_MSG_NEWKEYS") { try $0.say([21]) }
    }

    /// Behind the group only the answer has a turn.
    @Test func otherMessagesBehindTheGroup() throws {
        for number in [30, 31, 32, 34, 40] as [UInt8] {
            try refused { peer in
                try peer.sayGroup()
                try peer.say([number] + Script.string("x"))
            }
        }
        try refused(.protocolViolation, "SSH_MSG_NEWKEYS") { peer in
            try peer.sayGroup()
            try peer.say([21])
        }
    }

    @Test func twoAnswers() throws {
        try refused { peer in
            _ = try peer.sayReply()
            try peer.say(#require(peer.reply))
        }
    }

    /// A server of another method answers by that method's numbers.
    @Test func anAnswerOfAGroupExchangeToAnotherMethod() throws {
        for method in ["diffie-hellman-group14-sha256", "ecdh-sha2-nistp256", "mlkem768nistp256-sha256"] {
            for number in [30, 32, 33, 34] as [UInt8] {
                var settings = NativeSettings()
                settings.keyExchange = AlgorithmList(method)
                let peer = try ScriptedServer(settings)
                peer.names.keyExchange = [method]
                try peer.sayInit()
                peer.expect(.protocolViolation, reason: 2) {
                    try peer.say([number] + Script.string("x") + Script.string("y") + Script.string("z"))
                }
            }
        }
    }

    @Test func groupsThatAreNone() throws {
        let right = DiffieHellmanGroup(bits: 2048)
        func message(_ prime: [UInt8], _ generator: [UInt8]) -> [UInt8] {
            [31]
                + [prime, generator].flatMap { number in
                    Script.string(number.withUnsafeBytes { MPInt.content($0) })
                }
        }
        try refused(.keyExchange, "has 2040 bits, 2048 to 8192 are taken") {
            try $0.say(message(Array(right.prime.dropFirst()), [2]))
        }
        try refused(.keyExchange, "has 8200 bits") {
            try $0.say(message([0xff] + DiffieHellmanGroup(bits: 8192).prime, [2]))
        }
        try refused(.keyExchange, "the server's group is none") {
            try $0.say(message(right.prime.dropLast() + [0xfe], [2]))
        }
        for generator in [[], [1], right.prime, right.prime.dropLast() + [0xfe]] as [[UInt8]] {
            try refused(.keyExchange, "the server's group is none") { try $0.say(message(right.prime, generator)) }
        }
        try refused(.keyExchange, "the group gives the secret away") {
            try $0.say(message([UInt8](repeating: 0xff, count: 256), [2]))
        }
        // Numbers that are no `mpint`, cut short, and with something behind.
        for wrong in [
            [31] + Script.string(right.prime) + Script.string([2]),
            [31] + Script.string([0, 0] + right.prime) + Script.string([2]),
            [31] + Script.string([0] + right.prime) + Script.string([0, 2]),
            [31] + Script.string([0] + right.prime) + Script.string([0x82]),
            [31] + Script.string([0x7f] + [UInt8](repeating: 0xff, count: 3000)) + Script.string([2]),
            right.bytes + [0], Array(right.bytes.dropLast()), [31],
        ] { try refused(.protocolViolation, "SSH_MSG_KEX_DH_GEX_GROUP is malformed") { try $0.say(wrong) } }
    }

    /// The signature covers what was asked for and what was given.
    @Test func anotherGroupThanWasSigned() throws {
        // A shorter prime than the server calculates with.
        try refused(.keyExchange, "gives the secret away") { peer in
            peer.group = DiffieHellmanGroup(bits: 3072)
            try peer.sayGroup { _ in DiffieHellmanGroup(bits: 2048).bytes }
            _ = try peer.sayReply()
        }
        // Another generator of the same prime.
        try refused(.keyExchange, "the server's signature is not its host key's") { peer in
            try peer.sayGroup { $0.dropLast() + [3] }
            _ = try peer.sayReply()
        }
    }

    /// RFC 4253 §7: exactly one packet is dropped after a wrong guess.
    @Test(arguments: [false, true])
    func guesses(_ drips: Bool) throws {
        for method in PairTests.furtherMethods {
            var settings = NativeSettings()
            settings.keyExchange = AlgorithmList(method)
            let peer = try ScriptedServer(drips: drips, settings)
            peer.names.follows = true
            peer.names.keyExchange = ["curve25519-sha256", method]
            peer.names.ciphers = ["aes128-gcm@openssh.com"]
            try peer.sayInit()
            try peer.say([31] + Script.string("a guess"))
            try peer.sayNewKeys(try peer.sayReply())
            try peer.say([6] + Script.string("ssh-userauth"), [52])
            #expect(peer.client.isLoggedIn)
        }
    }
}
