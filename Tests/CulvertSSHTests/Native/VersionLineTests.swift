import CulvertPlan
import Testing

@testable import CulvertSSH

/// The lines before the packets (RFC 4253 §4.2).
@Suite struct VersionLineTests {
    private func logsIn(_ version: String, drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips, version: nil)
        // Ours is there before a byte has come. What is offered depends on the server's KEXINIT.
        #expect(peer.hasVersion && peer.heard.isEmpty)
        try peer.raw(Array(version.utf8))
        #expect(peer.heard.isEmpty)
        try peer.sayInit()
        #expect(peer.heard.map(\.first) == [20, 30])
    }

    /// Where nothing depends on the server, KEXINIT comes right behind the version.
    @Test(arguments: [("aes256-gcm@openssh.com", true), ("aes128-gcm@openssh.com,aes128-ctr", false)])
    func keyExchangeBeginsAtOnce(_ ciphers: String, _ isSafe: Bool) throws {
        for (macs, begins) in [(nil, isSafe), ("hmac-sha2-256,hmac-sha2-512", true)] as [(String?, Bool)] {
            var settings = NativeSettings.curve
            settings.ciphers = AlgorithmList(ciphers)
            settings.macs = macs.flatMap { AlgorithmList($0) }
            let peer = try ScriptedServer(settings, version: nil)
            #expect(peer.hasVersion && peer.heard.map(\.first) == (begins ? [20] : []))
        }
    }

    @Test(
        arguments: [
            "SSH-2.0-x\r\n", "SSH-2.0-x\n", "SSH-1.99-x\r\n", "SSH-2.0-x a comment\r\n",
            "hello\r\nthere\nSSH-2.0-x\r\n",
            "\r\n\nSSH-2.0-x\r\n", "SSH-2.0-\r\n", "SSH-2.0-" + String(repeating: "x", count: 245) + "\r\n",
            String(repeating: "a\n", count: 1024) + "SSH-2.0-x\r\n",
        ], [false, true])
    func taken(_ version: String, _ drips: Bool) throws { try logsIn(version, drips: drips) }

    @Test(
        arguments: [
            "SSH-1.5-x\r\n", "SSH-2.1-x\r\n", "SSH-3.0-x\n", "SSH-2.0-a\0b\r\n", "SSH-2.0-a\rb\r\n", "SSH-2.0\n",
            "SSH-2.0-" + String(repeating: "x", count: 246) + "\r\n", "SSH-2.0-" + String(repeating: "x", count: 300),
            String(repeating: "a\n", count: 1025) + "SSH-2.0-x\r\n", String(repeating: "a", count: 9000),
        ], [false, true])
    func refused(_ version: String, _ drips: Bool) throws {
        let peer = try ScriptedServer(drips: drips, version: nil)
        peer.expect(.protocolViolation, reason: 2) { try peer.raw(Array(version.utf8)) }
    }

    /// Long lines without end, and one that is not text.
    @Test func linesWithoutEnd() throws {
        let line = [UInt8](repeating: 0x78, count: 8000) + [13, 10]
        let peer = try ScriptedServer(version: nil)
        for _ in 0..<1024 { #expect(try peer.raw(line).isEmpty) }
        peer.expect(.protocolViolation, reason: 2) { try peer.raw(line) }
        let noise = try ScriptedServer(version: nil)
        try noise.raw([0x1b, 0x5b, 0x33, 0x31, 0x6d, 0, 0xff, 0xfe, 10] + Array("SSH-2.0-scripted\r\n".utf8))
        try noise.sayInit()
        #expect(noise.last(30) != nil)
    }

    @Test func whatIsNoVersionIsEscaped() throws {
        let peer = try ScriptedServer(version: nil)
        let words = peer.expect(.protocolViolation, reason: 2) {
            try peer.raw(Array("SSH-1.5-\u{1b}[31mRED\u{1b}]0;T\u{7}\u{202e}\r\n".utf8))
        }
        #expect(words.contains("SSH-1.5-\\u{1b}[31mRED\\u{1b}]0;T\\u{7}\\u{202e}"))
    }

    /// A server takes nothing before the version; a line break as the first byte is no version either.
    @Test(arguments: ["\n", "\r\nSSH-2.0-x\r\n", "GET / HTTP/1.1\r\n", "x", "SSX", "SSH-1.0-x\r\n"])
    func aServerTakesNoOtherLine(_ line: String) throws {
        let server = try EchoServer()
        let error = #expect(throws: SSHError.self) { try server.feed(Array(line.utf8)) }
        #expect(error?.kind == .protocolViolation)
        let clean = try EchoServer()
        for byte in Array("SSH-2.0-x\r\n".utf8) { try clean.feed([byte]) }
        let version = clean.end.peerVersion
        #expect(version == Array("SSH-2.0-x".utf8))
    }
}
