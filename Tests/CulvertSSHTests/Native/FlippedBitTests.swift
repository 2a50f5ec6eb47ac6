import CulvertPlan
import Testing

@testable import CulvertSSH

/// One bit turned over at every byte of every kind of packet that a server sends: the link ends there, and what was
/// delivered is what came before.
@Suite struct FlippedBitTests {
    /// A conversation under way: its server, and what the client made of it.
    private final class Play {
        let peer: ScriptedServer
        var derivation: KeyDerivation?
        var events: [String] = []
        /// The packet in which a bit is turned over, and where.
        let flip: (packet: Int, offset: Int)?
        /// Packets as they were sealed.
        private(set) var packets: [[UInt8]] = []

        init(_ cipher: String, flip: (packet: Int, offset: Int)? = nil) throws {
            peer = try ScriptedServer(version: nil)
            peer.names.protect(cipher)
            // Shorter, so that fewer places take less time.
            peer.names.keyExchange = ["curve25519-sha256", "ext-info-s"]
            self.flip = flip
            let authority = peer.client.authority
            let signer = Credential.signer(name: "signer", publicKey: FlippedBitTests.userKey) { _ in
                Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 4, count: 64))
            }
            authority.credentials = [signer, .keyboardInteractive]
            authority.answers = [secret([1, 2, 3])]
            peer.alters = { [unowned self] bytes in
                packets.append(bytes)
                guard let flip, packets.count == flip.packet + 1 else { return bytes }
                var altered = bytes
                altered[flip.offset] ^= FlippedBitTests.bit(flip.packet, flip.offset)
                return altered
            }
        }

        func say(_ message: [UInt8]) throws { events += try peer.say(message).map(\.words) }

        /// The server's last word: that it was understood is what comes of it.
        func sayDisconnect() throws {
            do {
                try say([1] + Script.u32(11) + Script.string("bye") + Script.string(""))
            } catch let error as SSHError where error.kind == .disconnected {
                events.append(error.description)
            }
        }

        /// All that came of it, in words that can be compared.
        var outcome: [String] {
            let authority = peer.client.authority
            return events + authority.banners + ["\(authority.hostKeys.count) host keys", "\(peer.client.received)"]
                + authority.reasons.map { "\($0 ?? "-")" }
        }
    }

    private static let userKey = Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 3, count: 32))

    /// As much as any length can wait for.
    private static let filler = [UInt8](repeating: 0x55, count: PacketOpener.maximumPacketLength + 64)

    /// Which bit: a different one at each place, and the same in each run.
    private static func bit(_ packet: Int, _ offset: Int) -> UInt8 {
        var random = SplitMix(UInt64(packet << 16 | offset))
        return 1 << UInt8.random(in: 0..<8, using: &random)
    }

    /// One packet each, every kind that a client may hear.
    private static let acts: [(kind: String, say: @Sendable (Play) throws -> Void)] = [
        ("version line", { try $0.peer.raw(Array("SSH-2.0-scripted\r\n".utf8)) }),
        ("KEXINIT", { try $0.peer.sayInit() }),
        ("KEX_ECDH_REPLY", { $0.derivation = try $0.peer.sayReply() }),
        ("NEWKEYS", { try $0.peer.sayNewKeys($0.derivation!) }),
        (
            "EXT_INFO",
            { try $0.say([7] + Script.u32(1) + Script.string("server-sig-algs") + Script.string("ssh-ed25519")) }
        ),
        ("SERVICE_ACCEPT", { try $0.say([6] + Script.string("ssh-userauth")) }),
        ("USERAUTH_BANNER", { try $0.say(Script.banner(Array("hello".utf8))) }),
        ("USERAUTH_FAILURE", { try $0.say(Script.failure("publickey,keyboard-interactive")) }),
        ("USERAUTH_PK_OK", { try $0.say(Script.publicKeyOK("ssh-ed25519", userKey)) }),
        ("partial success", { try $0.say(Script.failure("keyboard-interactive", partial: true)) }),
        ("USERAUTH_INFO_REQUEST", { try $0.say(Script.infoRequest("", "", [("Code:", false)])) }),
        ("USERAUTH_SUCCESS", { try $0.say(Script.success) }),
        (
            "GLOBAL_REQUEST",
            { try $0.say(Script.global("hostkeys-00@openssh.com", wantsReply: false, Script.string(userKey))) }
        ),
        ("keepalive", { try $0.say(Script.global("keepalive@openssh.com", wantsReply: true)) }),
        (
            "CHANNEL_OPEN_CONFIRMATION",
            {
                for path in ["/x", "/y"] { _ = try $0.peer.client.engine.open(.directStreamLocal(path: path)) }
                try $0.say(Script.confirm(0, sender: 7))
            }
        ),
        ("CHANNEL_OPEN_FAILURE", { try $0.say(Script.fail(1, words: "no such host")) }),
        ("CHANNEL_DATA", { try $0.say([94] + Script.u32(0) + Script.string("some payload")) }),
        ("CHANNEL_EXTENDED_DATA", { try $0.say(Script.extended(0, 9)) }),
        ("CHANNEL_WINDOW_ADJUST", { try $0.say(Script.adjust(0, 1000)) }),
        ("CHANNEL_REQUEST", { try $0.say(Script.request(0, wantsReply: true)) }),
        ("CHANNEL_SUCCESS", { try $0.say([99] + Script.u32(0)) }),
        ("CHANNEL_FAILURE", { try $0.say([100] + Script.u32(0)) }),
        (
            "REQUEST_SUCCESS",
            {
                for port in [UInt16(0), 80] {
                    _ = try $0.peer.client.engine.requestForward(.tcp(address: "", port: port))
                }
                try $0.say([81] + Script.u32(4000))
            }
        ),
        ("REQUEST_FAILURE", { try $0.say([82]) }),
        ("CHANNEL_OPEN", { try $0.say(Script.openForwarded(sender: 9, address: "", port: 4000)) }),
        ("IGNORE", { try $0.say([2] + Script.string("ignored")) }),
        ("DEBUG", { try $0.say([4, 1] + Script.string("words") + Script.string("")) }),
        ("UNIMPLEMENTED", { try $0.say([3] + Script.u32(1)) }),
        ("PING", { try $0.say([192] + Script.string("ping")) }),
        ("PONG", { try $0.say([193] + Script.string("pong")) }),
        ("an unknown one", { try $0.say([200] + Script.string("what")) }),
        ("a later KEXINIT", { try $0.peer.sayInit() }),
        ("a later KEX_ECDH_REPLY", { $0.derivation = try $0.peer.sayReply() }),
        ("a later NEWKEYS", { try $0.peer.sayNewKeys($0.derivation!) }),
        ("CHANNEL_DATA under new keys", { try $0.say([94] + Script.u32(0) + Script.string("more of it")) }),
        ("CHANNEL_EOF", { try $0.say(Script.eof(0)) }),
        ("CHANNEL_CLOSE", { try $0.say(Script.close(0)) }),
        ("DISCONNECT", { try $0.sayDisconnect() }),
    ]

    /// The packets in the clear: what of them a peer may choose at will is in no hash, and means nothing (RFC 4253 §6).
    private static func isPadding(_ packet: Int, _ offset: Int, _ bytes: [UInt8]) -> Bool {
        (1...3).contains(packet) && offset >= bytes.count - Int(bytes[4])
    }

    private static func play(_ cipher: String, until last: Int, flip: (packet: Int, offset: Int)? = nil) throws -> Play
    {
        let play = try Play(cipher, flip: flip)
        for act in acts[...last] { try act.say(play) }
        return play
    }

    @Test(arguments: [
        "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr with hmac-sha2-256-etm@openssh.com",
        "aes256-ctr with hmac-sha2-256",
    ])
    func everyByteOfEveryPacket(_ cipher: String) throws {
        let whole = try Self.play(cipher, until: Self.acts.count - 1)
        #expect(whole.packets.count == Self.acts.count)
        #expect(whole.peer.client.received == Array("some payloadmore of it".utf8))
        #expect(whole.events.last == "the server disconnected (reason 11); the server says: bye")
        for (packet, act) in Self.acts.enumerated() {
            // What comes in the clear is the same for all of them.
            if packet <= 3 && !cipher.hasPrefix("aes256-gcm") { continue }
            // What had come of it when this packet came.
            let before = packet == 0 ? [] : try Self.play(cipher, until: packet - 1).outcome
            for offset in whole.packets[packet].indices {
                let place = "byte \(offset) of \(act.kind)"
                if Self.isPadding(packet, offset, whole.packets[packet]) {
                    let play = try Self.play(cipher, until: Self.acts.count - 1, flip: (packet, offset))
                    #expect(play.outcome == whole.outcome, "\(place)")
                } else {
                    try lost(cipher, packet, offset, place, before)
                }
            }
        }
    }

    /// The link is lost, by the latest where the server proves itself, and nothing came of the packet.
    private func lost(_ cipher: String, _ packet: Int, _ offset: Int, _ place: String, _ before: [String]) throws {
        let play = try Play(cipher, flip: (packet, offset))
        var next = 0
        let error = #expect(throws: SSHError.self, "\(place)") {
            // What is in the clear is judged with the answer in the key exchange; all else at once, or when enough has come
            // for a length that is false.
            while next <= max(packet, 2) {
                // It still waits for what it takes for a whole packet, or another one.
                if next == 2, play.peer.last(30) == nil { break }
                try Self.acts[next].say(play)
                next += 1
            }
            try play.peer.raw(Self.filler)
        }
        let kinds: [SSHError.Kind] =
            packet <= 2 ? [.keyExchange, .protocolViolation] : [.integrity, .protocolViolation]
        #expect(error.map { kinds.contains($0.kind) } == true, "\(place): \(String(describing: error))")
        if packet > 2 {
            #expect(play.outcome == before, "\(place)")
        } else {
            #expect(play.outcome.dropLast() == ["0 host keys"] && play.peer.client.received.isEmpty, "\(place)")
        }
        #expect(play.peer.client.isLoggedIn == (packet > 11), "\(place)")
    }
}
