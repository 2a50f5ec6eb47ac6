import Crypto
import CulvertPlan
import Testing

@testable import CulvertSSH

/// One of the two ends of a link, which says whatever a test wants, in the steps of a key exchange that it keeps to.
protocol ScriptedEnd: AnyObject {
    /// What the engine has said, in the clear.
    var heard: [[UInt8]] { get }
    /// Payload that the engine has shown.
    var arrived: [UInt8] { get }
    /// The engine begins a key exchange.
    func beginByEngine()
    /// Messages, under the keys in use; the events that they led to, but for payload.
    @discardableResult func tell(_ messages: [[UInt8]]) throws -> [String]
    /// Our SSH_MSG_KEXINIT; our part of the exchange; our SSH_MSG_NEWKEYS.
    func sayInit() throws
    func sayPart() throws
    func sayNewKeys() throws
    /// The engine sends what it may of this on channel 0.
    func engineSends(_ bytes: ArraySlice<UInt8>) throws -> Int
}

/// A client that says whatever a test wants, and a native server that hears it: strict, with X25519 and AES-GCM.
final class ScriptedClient: ScriptedEnd {
    private var end: ServerEnd
    private let authority = NativeAuthority()
    private let drips: Bool
    private var inbox: [UInt8] = []
    private(set) var arrived: [UInt8] = []
    private var sealer = PacketSealer()
    private var opener = PacketOpener()
    private var heardBytes: [UInt8] = []
    private var heardVersion: [UInt8]?
    private(set) var heard: [[UInt8]] = []
    private var ownInit: [UInt8] = []
    private var agreement: KeyAgreement?
    private var agreed: NegotiatedAlgorithms?
    private var sessionIdentifier: [UInt8] = []
    private var keys: KeyDerivation?

    /// Logged in.
    init(drips: Bool = false) throws {
        self.drips = drips
        end = try ServerEnd(settings: .curve, signer: TestHostKey().signer)
        listen()
        try raw(Array("SSH-2.0-scripted\r\n".utf8))
        try sayInit()
        try sayPart()
        try sayNewKeys()
        try tell([[5] + Script.string("ssh-userauth"), [50] + Script.string("")])
        #expect(end.isLoggedIn && heard.last == [52])
    }

    var engine: NativeEngine {
        _read { yield end.engine }
        _modify { yield &end.engine }
    }

    // MARK: Bytes

    @discardableResult private func raw(_ bytes: [UInt8]) throws -> [String] {
        defer { listen() }
        if !drips { return try feed(bytes) }
        return try bytes.flatMap { try feed([$0]) }
    }

    private func feed(_ bytes: [UInt8]) throws -> [String] {
        inbox += bytes
        var words: [String] = []
        let used = try inbox.withUnsafeMutableBytes { buffer in
            try end.receive(buffer, authority) { engine, event in
                if case .payload(let channel, let payload) = event {
                    arrived += UnsafeRawBufferPointer(start: payload.start, count: payload.count)
                    engine.credit(channel, count: payload.count)
                } else {
                    words.append(event.words)
                }
            }
        }
        inbox.removeFirst(used)
        end.invariants()
        return words
    }

    @discardableResult
    func tell(_ messages: [[UInt8]]) throws -> [String] { try raw(messages.flatMap { sealer.packet($0) }) }

    /// Reads what the server said.
    private func listen() {
        while case let bytes = end.takeOutput(), !bytes.isEmpty { heardBytes += bytes }
        if heardVersion == nil, let newline = heardBytes.firstIndex(of: 10) {
            heardVersion = Array(heardBytes[..<newline].dropLast())
            heardBytes.removeFirst(newline + 1)
        }
        while true {
            let taken: Int? = heardBytes.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress, let opened = try? opener.open(start, available: buffer.count)
                else { return nil }
                heard.append(Array(UnsafeRawBufferPointer(start: opened.packet.message, count: opened.packet.count)))
                return opened.wireLength
            }
            guard let taken else { return }
            heardBytes.removeFirst(taken)
            // The reply comes before SSH_MSG_NEWKEYS, which it gives the key for.
            if heard.last?.first == 31 { derive() }
            if heard.last?.first == 21, let keys, let agreed,
                let key = try? keys.packetKey(agreed.serverToClient, towardServer: false, .opening)
            {
                opener.setKey(key, resetsSequence: true)
            }
        }
    }

    // MARK: A right exchange, in steps

    func beginByEngine() {
        engine.beginKeyExchange()
        listen()
    }

    func sayInit() throws {
        var names = ScriptedServer.Names()
        names.keyExchange = ["curve25519-sha256", "ext-info-c", "kex-strict-c-v00@openssh.com"]
        names.ciphers = ["aes256-gcm@openssh.com"]
        names.isStrict = false
        ownInit = names.bytes
        try tell([ownInit])
    }

    func sayPart() throws {
        var random = RandomSource()
        let agreement = try KeyAgreement(.curve25519, &random)
        self.agreement = agreement
        try tell([KeyExchangeClientPart.bytes(agreement.publicPart, number: 30)])
    }

    private func derive() {
        func parse(_ message: [UInt8]) throws -> KeyExchangeInit {
            try Array(message.dropFirst()).read("KEXINIT") { reader throws(SSHError) in try KeyExchangeInit(reader) }
        }
        do {
            let serverInit = try #require(heard.last { $0.first == 20 })
            let agreed = try Negotiation.agree(
                own: parse(ownInit), peer: parse(serverInit), role: .client, strict: true)
            let reply = try Array(try #require(heard.last).dropFirst()).read("the reply") { reader throws(SSHError) in
                try KeyExchangeServerPart(reader)
            }
            let agreement = try #require(agreement)
            let secret = try agreement.secret(peerPart: reply.part)
            let hash = ExchangeHash(
                clientVersion: Array("SSH-2.0-scripted".utf8), serverVersion: heardVersion ?? [],
                clientInit: ownInit, serverInit: serverInit, hostKey: reply.hostKey,
                clientPart: agreement.publicPart, serverPart: reply.part, secret: secret
            ).value(.sha256)
            if sessionIdentifier.isEmpty { sessionIdentifier = hash }
            self.agreed = agreed
            keys = KeyDerivation(
                digest: .sha256, secret: secret, exchangeHash: hash, sessionIdentifier: sessionIdentifier)
        } catch { Issue.record(error) }
    }

    func sayNewKeys() throws {
        try tell([[21]])
        let keys = try #require(keys)
        let agreed = try #require(agreed)
        sealer.setKey(
            try keys.packetKey(agreed.clientToServer, towardServer: true, .sealing), resetsSequence: true)
    }

    func engineSends(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = try fill(engine.reserve(ChannelNumber(0), maximum: bytes.count), bytes) {
            try engine.commit(ChannelNumber(0), count: $0)
        }
        listen()
        return count
    }
}

/// The same of a server: the keys of its next SSH_MSG_NEWKEYS are kept between the steps.
final class ScriptedServerSteps: ScriptedEnd {
    let peer: ScriptedServer
    private var keys: KeyDerivation?

    /// Logged in.
    init(drips: Bool = false) throws {
        peer = try ScriptedServer(drips: drips)
        try peer.lead(to: .connection)
    }

    var heard: [[UInt8]] { peer.heard }
    var arrived: [UInt8] { peer.client.received }

    func beginByEngine() {
        peer.client.engine.beginKeyExchange()
        peer.listen()
    }

    @discardableResult
    func tell(_ messages: [[UInt8]]) throws -> [String] {
        try peer.raw(messages.flatMap { peer.seal($0) }).map(\.words)
    }

    func sayInit() throws { try peer.sayInit() }
    func sayPart() throws { keys = try peer.sayReply() }
    func sayNewKeys() throws { try peer.sayNewKeys(#require(keys)) }

    func engineSends(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = try peer.client.send(ChannelNumber(0), bytes)
        peer.listen()
        return count
    }
}
