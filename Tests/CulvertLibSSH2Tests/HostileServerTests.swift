import Crypto
import CulvertPlan
import Foundation
import TestSupport
import Testing

@testable import CulvertLibSSH2
@testable import CulvertSSH

/// What no server should say, and what comes of it: before and during the login, and in later key exchanges.
@Suite(.serialized) struct HostileServerTests {
    private func failure(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> SSHError? {
        do { try body() } catch let error as SSHError { return error } catch {
            Issue.record(error, sourceLocation: sourceLocation)
            return nil
        }
        Issue.record("nothing ended the link", sourceLocation: sourceLocation)
        return nil
    }

    @Test func anHonestOneIsUnderstood() throws {
        let talk = try Conversation.loggedIn()
        #expect(talk.engine.summary.contains("curve25519-sha256, ssh-ed25519, aes256-ctr, hmac-sha2-256"))
        let channel = try talk.open()
        #expect(try talk.push(channel, 1000) == 1000)
        talk.server.say([94] + ScriptedServer.u32(0) + ScriptedServer.string([UInt8](repeating: 1, count: 3000)))
        try talk.talk()
        #expect(talk.takeEvents().contains("payload 0 3000"))
    }

    // MARK: Before and during the login

    @Test(arguments: [1, 8000]) func linesInsteadOfAVersion(_ length: Int) throws {
        let server = ScriptedServer(greets: false)
        let talk = try Conversation(server)
        let line = [UInt8](repeating: 0x78, count: length) + [13, 10]
        for _ in 0..<(600_000 / line.count) { server.say(raw: line) }
        let error = failure { try talk.login() }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.description == "the server said more than 256 KiB before it showed its host key")
    }

    @Test func messagesInsteadOfAHostKey() throws {
        let server = ScriptedServer()
        server.answersPart = false
        let talk = try Conversation(server)
        talk.portion = 16 << 10
        for _ in 0..<20 { server.say([131] + [UInt8](repeating: 0x78, count: 30_000)) }
        let error = failure { try talk.login() }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.description == "the server said more than 256 KiB before it showed its host key")
    }

    @Test func bannersWithoutEnd() throws {
        let server = ScriptedServer()
        server.answersLogin = false
        let talk = try Conversation(server)
        talk.portion = 64 << 10
        #expect(throws: Failed.self) { try talk.login() }
        server.say([6] + ScriptedServer.string("ssh-userauth"))
        #expect(throws: Failed.self) { try talk.login() }
        #expect(server.heard.last?.first == 50)
        let banner = [53] + ScriptedServer.string([UInt8](repeating: 0x61, count: 30_000)) + ScriptedServer.string("")
        for _ in 0..<50 { server.say(banner) }
        let error = failure { try talk.login() }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.description == "the server said more than 1024 KiB during the login")
    }

    /// After the login it is not the sum that counts, but what libssh2 keeps of it.
    @Test func whatNobodyAskedFor() throws {
        let talk = try Conversation.loggedIn()
        for _ in 0..<100 { talk.server.say([2] + ScriptedServer.string([UInt8](repeating: 0, count: 30_000))) }
        try talk.talk()
        talk.engine.wire.pointee.memory.limit = 1 << 20
        for _ in 0..<100 { talk.server.say([131] + [UInt8](repeating: 0, count: 30_000)) }
        let error = failure { try talk.talk() }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.description.contains("what nobody asked for") == true)
        #expect(talk.engine.wire.pointee.memory.held < 2 << 20)
    }

    @Test(arguments: [0, 1, 2]) func aWrongMACInTheLogin(_ answers: Int) throws {
        let server = ScriptedServer()
        server.answersLogin = false
        let talk = try Conversation(server)
        #expect(throws: Failed.self) { try talk.login() }
        // The answers to: the service, "none" with a refusal, "none" with success.
        if answers > 0 {
            server.say([6] + ScriptedServer.string("ssh-userauth"))
            #expect(throws: Failed.self) { try talk.login() }
        }
        server.spoilsNextMAC = true
        server.say(
            answers == 0
                ? [6] + ScriptedServer.string("ssh-userauth")
                : answers == 1 ? [51] + ScriptedServer.string("publickey") + [0] : [52])
        let error = failure { try talk.login() }
        #expect(error?.kind == .integrity)
        #expect(error?.description.contains("integrity check") == true)
    }

    /// Its words are shown as its own, in one line.
    @Test(arguments: [false, true]) func theServersLastWords(_ isLoggedIn: Bool) throws {
        let server = ScriptedServer()
        let talk = isLoggedIn ? try Conversation.loggedIn(server) : try Conversation(server)
        let words = "no\u{1b}[2J\r\nculvert: connected\r\n"
        server.say([1] + ScriptedServer.u32(12) + ScriptedServer.string(words) + ScriptedServer.string(""))
        let error = failure { isLoggedIn ? try talk.talk() : try talk.login() }
        #expect(error?.kind == .disconnected)
        #expect(
            error?.description
                == "the server disconnected (reason 12); the server says: no\\u{1b}[2J / culvert: connected")
    }

    /// libssh2 takes 40 000 bytes at most.
    @Test func aPacketThatIsTooLong() throws {
        let talk = try Conversation.loggedIn()
        talk.server.say([2] + ScriptedServer.string([UInt8](repeating: 0, count: 39_000)))
        try talk.talk()
        talk.server.say([2] + ScriptedServer.string([UInt8](repeating: 0, count: 40_000)))
        let error = failure { try talk.talk() }
        #expect(error?.kind == .integrity)
        #expect(error?.description.contains("or libssh2 takes none so long") == true)
    }

    // MARK: Later key exchanges

    @Test func keysAreExchangedAgain() throws {
        let talk = try Conversation.loggedIn()
        let channel = try talk.open()
        #expect(talk.engine.keyExchange == nil)
        for round in 1...3 {
            talk.server.answersPart = false
            talk.server.beginExchange()
            try talk.talk()
            #expect(talk.engine.keyExchange == round)
            // Whatever else is as long as SSH_MSG_KEXINIT is none.
            let own = try #require(talk.server.heard.last { $0[0] == 20 })
            talk.server.say([2] + [UInt8](repeating: 0, count: own.count - 1))
            try talk.talk()
            #expect(talk.engine.keyExchange == round)
            talk.server.answersPart = true
            talk.server.hearPartAgain()
            try talk.talk()
            #expect(talk.engine.keyExchange == nil)
            #expect(try talk.push(channel, 100) == 100)
            try talk.talk()
            #expect(talk.server.heard.last?.first == 94)
        }
    }

    /// An exchange counts as under way until both sides have sent SSH_MSG_NEWKEYS.
    @Test func newKeysThatNeverCome() throws {
        let talk = try Conversation.loggedIn()
        talk.server.sendsNewKeys = false
        talk.server.beginExchange()
        try talk.talk()
        #expect(talk.server.heard.last == [21])
        #expect(talk.engine.keyExchange == 1)
        talk.server.sayNewKeys()
        try talk.talk()
        #expect(talk.engine.keyExchange == nil)
    }

    @Test func anotherHostKeyInALaterExchange() throws {
        let talk = try Conversation.loggedIn()
        let channel = try talk.open()
        talk.server.hostKey = Curve25519.Signing.PrivateKey()
        talk.server.beginExchange()
        let before = talk.server.heard.count
        let error = failure { try talk.talk() }
        #expect(error?.kind == .hostKey)
        #expect(error?.description == "the server showed another host key in a later key exchange")
        // Nothing leaves under its keys, not even word that they are used.
        let output = [UInt8](talk.engine.output)
        talk.server.hear(output)
        #expect(!talk.server.heard[before...].contains([21]))
        #expect(try talk.push(channel, 10) == 0)
        #expect(throws: SSHError.self) { _ = try talk.engine.nextEvent() }
    }

    /// libssh2 1.10 frees its host key and then reads the next one; where that is malformed it frees it again.
    @Test(arguments: [[0, 0, 4, 0], [255, 255, 255, 255], [0, 0, 0, 0]] as [[UInt8]])
    func aMalformedHostKeyInALaterExchange(_ blob: [UInt8]) throws {
        let talk = try Conversation.loggedIn()
        talk.server.hostKeyBlob = blob
        talk.server.beginExchange()
        let error = failure { try talk.talk() }
        #expect(
            error?.kind == .keyExchange || error?.kind == .protocolViolation || error?.kind == .hostKey, "\(error!)")
    }

    @Test func aWrongMACInALaterExchange() throws {
        let talk = try Conversation.loggedIn()
        talk.server.answersPart = false
        talk.server.beginExchange()
        try talk.talk()
        talk.server.spoilsNextMAC = true
        talk.server.say([31, 0, 0, 0, 1, 0])
        let error = failure { try talk.talk() }
        #expect(error?.kind == .integrity)
    }

    // MARK: Channels and forwards

    @Test(arguments: [0, 65536, 70_000, 0xffff_ffff]) func aPortThatIsNone(_ port: Int) throws {
        let talk = try Conversation.loggedIn()
        _ = try talk.engine.requestForward(.tcp(address: "localhost", port: 0))
        try talk.talk()
        talk.server.say([81] + ScriptedServer.u32(port))
        let error = failure { try talk.talk() }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.description.contains("it says that it listens on port") == true)
    }

    @Test func aPortThatIsMissing() throws {
        let talk = try Conversation.loggedIn()
        _ = try talk.engine.requestForward(.tcp(address: "localhost", port: 0))
        try talk.talk()
        talk.server.say([81])
        #expect(failure { try talk.talk() }?.kind == .protocolViolation)
    }

    @Test(arguments: [0, 1, 255]) func packetsThatAreTooSmall(_ maximum: Int) throws {
        let talk = try Conversation.loggedIn()
        let small = try talk.open(maximumPacket: maximum)
        let other = try talk.open(sender: 8)
        _ = talk.takeEvents()
        #expect(try talk.push(small, 5000) == 5000)
        try talk.talk()
        #expect(talk.takeEvents() == ["violated(\(small))".replacing("CulvertSSH.", with: "")])
        #expect(talk.engine.sendable(small) == 0)
        // It is closed, and the other one is as it was.
        #expect(talk.server.heard.last == [97] + ScriptedServer.u32(7))
        #expect(try talk.push(other, 5000) == 5000)
        try talk.talk()
        #expect(talk.server.heard.last?.first == 94)
    }

    @Test func aForwardedChannelWithPacketsThatAreTooSmall() throws {
        let talk = try Conversation.loggedIn()
        _ = try talk.engine.requestForward(.tcp(address: "localhost", port: 0))
        try talk.talk()
        talk.server.say([81] + ScriptedServer.u32(4000))
        try talk.talk()
        let origin = ScriptedServer.string("10.0.0.9") + ScriptedServer.u32(1)
        talk.server.say(
            [90] + ScriptedServer.string("forwarded-tcpip") + ScriptedServer.u32(3) + ScriptedServer.u32(1 << 20)
                + ScriptedServer.u32(10) + ScriptedServer.string("localhost") + ScriptedServer.u32(4000) + origin)
        try talk.talk()
        talk.engine.accept(ChannelNumber(0))
        _ = talk.takeEvents()
        #expect(try talk.push(ChannelNumber(0), 300) == 300)
        try talk.talk()
        #expect(talk.takeEvents().first?.hasPrefix("violated") == true)
    }

    /// A window of less than 256 bytes is no small packet.
    @Test func windowsMayBeSmall() throws {
        let talk = try Conversation.loggedIn()
        let channel = try talk.open(window: 100, maximumPacket: 256)
        _ = talk.takeEvents()
        #expect(try talk.push(channel, 5000) == 100)
        try talk.talk()
        talk.server.say([93] + ScriptedServer.u32(0) + ScriptedServer.u32(1000))
        try talk.talk()
        #expect(try talk.push(channel, 5000) == 1000)
        try talk.talk()
        #expect(!talk.takeEvents().contains { $0.hasPrefix("violated") })
    }

    /// libssh2 answers these to nobody: the peer waits, and the link is none the worse.
    @Test func opensOfUnknownTypes() throws {
        let talk = try Conversation.loggedIn()
        for type in ["session", "auth-agent@openssh.com", "tun@openssh.com", ""] {
            talk.server.say(
                [90] + ScriptedServer.string(type) + ScriptedServer.u32(3) + ScriptedServer.u32(1000)
                    + ScriptedServer.u32(1000))
        }
        try talk.talk()
        let channel = try talk.open()
        #expect(try talk.push(channel, 10) == 10)
        try talk.talk()
        #expect(talk.server.heard.last?.first == 94)
    }
}
