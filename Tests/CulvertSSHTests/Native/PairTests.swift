import CulvertPlan
import Foundation
import Testing

@testable import CulvertSSH

/// Two ends of ours against each other: every algorithm, whole and byte by byte, and keys renewed all the time.
@Suite struct PairTests {
    static let methods = ["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org"]
    /// With these a cipher or two are enough: the packets do not know what their keys come from.
    static let furtherMethods = [
        "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
        "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "mlkem768nistp256-sha256",
    ]
    /// Those that authenticate by themselves.
    static let ciphers = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
    /// In the words of `PacketCipher.words`: each MAC with one cipher, too.
    static let protections = ciphers + CipherCase.counter.map(\.cipher.words)

    private func settings(_ method: String? = nil, _ cipher: String? = nil, rekey: UInt64? = nil) throws
        -> NativeSettings
    {
        var settings = NativeSettings()
        settings.keyExchange = method.flatMap { AlgorithmList($0) }
        if let cipher { settings.protect(cipher) }
        if let rekey { settings.rekeyLimits.bytes = rekey }
        return settings
    }

    @Test(arguments: methods, protections)
    func logsInAndCarriesData(_ method: String, _ cipher: String) throws {
        for cut in NativeCut.allCases {
            let pair = try NativePair(cut, client: settings(method, cipher))
            try pair.settle()
            #expect(pair.client.isLoggedIn)
            #expect(pair.client.engine.summary == "culvert, \(method), ssh-ed25519, \(cipher)")
            let isStrict = pair.server.end.engine.transport.isStrict
            #expect(isStrict)
            #expect(pair.client.authority.hostKeys.count == 1)
            try carry(pair, 10_000)
            #expect(pair.server.exchanges == 0)
        }
    }

    @Test func everyMethodIsTested() {
        #expect(Set(Self.methods + Self.furtherMethods) == Set(KeyAgreementMethod.allCases.map(\.rawValue)))
    }

    /// Each of the others, and renewed by either end and by both.
    @Test(arguments: furtherMethods)
    func furtherMethodsCarryData(_ method: String) throws {
        for cut in NativeCut.allCases {
            let pair = try NativePair(
                cut, client: settings(method, "aes128-gcm@openssh.com"), server: settings(method))
            try pair.settle()
            #expect(pair.client.isLoggedIn)
            #expect(pair.client.engine.summary == "culvert, \(method), ssh-ed25519, aes128-gcm@openssh.com")
            try carry(pair, 10_000)
            for (ours, theirs) in [(true, false), (false, true), (true, true)] {
                let before = pair.server.exchanges
                if ours { pair.client.engine.beginKeyExchange() }
                if theirs { pair.server.end.engine.beginKeyExchange() }
                try carry(pair, 20_000)
                try pair.settle()
                #expect(pair.server.exchanges == before + 1)
            }
            #expect(pair.client.authority.hostKeys.count == 1)
        }
    }

    /// Sends `total` bytes on a new channel and waits for all of them to come back.
    private func carry(_ pair: NativePair, _ total: Int, eachStep: () -> Void = {}) throws {
        let channel = try pair.client.engine.open(
            .directTCPIP(host: "db", port: 5432, originator: "127.0.0.1", originatorPort: 1))
        while !pair.takeEvents().contains(where: { $0.words == "opened \(channel.value)" }) {
            try #require(try pair.step())
        }
        let bytes = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var sent = 0
        pair.client.received = []
        while pair.client.received.count < total {
            eachStep()
            if sent < total { sent += try pair.client.send(channel, bytes[sent...].prefix(20_000)) }
            let moved = try pair.step()
            try #require(moved || sent < total, "\(sent) sent, \(pair.client.received.count) came back")
        }
        #expect(pair.client.received == bytes)
    }

    /// Both begin at once, one begins, the other begins: in turn, with data under way.
    @Test(arguments: NativeCut.allCases, protections)
    func keysAreRenewedUnderData(_ cut: NativeCut, _ cipher: String) throws {
        let pair = try NativePair(cut, seed: 7, client: settings("curve25519-sha256", cipher))
        try pair.settle()
        var turn = 0
        try carry(pair, cut == .oneByte ? 300_000 : 1_500_000) {
            turn += 1
            if turn % 3 != 1 { pair.client.engine.beginKeyExchange() }
            if turn % 3 != 2 { pair.server.end.engine.beginKeyExchange() }
        }
        try pair.settle()
        #expect(pair.server.exchanges >= 10)
        #expect(pair.server.wasHeld == pair.server.exchanges)
        #expect(pair.client.allSendable == pair.server.exchanges)
    }

    /// 50 exchanges at each end's own limit, the two limits alike, so that both begin at the same time, too.
    @Test(arguments: NativeCut.allCases)
    func limitsRenewKeys(_ cut: NativeCut) throws {
        for (own, theirs) in [(8192, nil), (nil, 8192), (8192, 8192)] as [(UInt64?, UInt64?)] {
            let pair = try NativePair(
                cut, seed: 3, client: settings("curve25519-sha256", rekey: own),
                server: settings("curve25519-sha256", rekey: theirs))
            try pair.settle()
            // What is sealed ahead when the limit is reached goes first, so a round has more bytes than limits.
            var rounds = 0
            while pair.server.exchanges < 50 {
                rounds += 1
                try #require(rounds <= 30, "\(pair.server.exchanges) exchanges")
                try carry(pair, 300_000)
            }
        }
    }

    @Test func nothingIsSentWhileKeysAreExchanged() throws {
        let pair = try NativePair(.whole, client: settings("mlkem768x25519-sha256"))
        try pair.settle()
        try carry(pair, 1000)
        let channel = ChannelNumber(0)
        #expect(pair.client.engine.sendable(channel) > 0)
        pair.client.engine.beginKeyExchange()
        #expect(pair.client.engine.sendable(channel) == 0)
        #expect(pair.client.engine.reserve(channel, maximum: 10).count == 0)
        let length = pair.client.end.output.count
        // What the connection wants to say waits.
        pair.client.engine.probe()
        #expect(pair.client.end.output.count == length)
        try pair.settle()
        #expect(pair.takeEvents().map(\.words) == ["all sendable", "probe answered"])
        #expect(pair.client.engine.sendable(channel) > 0)
    }
}

extension NativeSettings {
    /// Offers nothing but this, in the words of `PacketCipher.words`.
    mutating func protect(_ words: String) {
        let names = words.components(separatedBy: " with ")
        ciphers = AlgorithmList(names[0])
        if names.count > 1 { macs = AlgorithmList(names[1]) }
    }
}
