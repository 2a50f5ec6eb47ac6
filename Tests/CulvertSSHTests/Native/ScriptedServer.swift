import Crypto
import CulvertPlan
import Foundation
import Testing

@testable import CulvertSSH

/// A server that says whatever a test wants, and a native client that hears it. It frames and ciphers rightly unless it is
/// told not to; everything else is the test's.
final class ScriptedServer {
    /// What of a right answer to the client's part is changed.
    struct Forgery {
        var hostKey: ([UInt8]) -> [UInt8] = { $0 }
        var part: ([UInt8]) -> [UInt8] = { $0 }
        var signature: ([UInt8]) -> [UInt8] = { $0 }
        init() {}
    }

    let client: NativeNode
    var key = TestHostKey()
    /// A hardware key in its place.
    var device: TestDevice?
    /// What the device says of who touched it.
    var deviceFlags: UInt8 = 1
    let drips: Bool
    var sealer = PacketSealer()
    private var opener = PacketOpener()
    private var heardBytes: [UInt8] = []
    private var heardVersion: [UInt8]?
    /// What the client has said, in the clear.
    private(set) var heard: [[UInt8]] = []
    private var nextOpening: (algorithms: NegotiatedAlgorithms, derivation: KeyDerivation)?

    var names = Names()
    /// The lists of this server's KEXINIT.
    struct Names {
        var keyExchange = ["curve25519-sha256", "mlkem768x25519-sha256", "ext-info-s"]
        var hostKey = ["ssh-ed25519"]
        var ciphers = ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"]
        var macs = ["hmac-sha2-256"]
        /// Toward the client; nil: the same as toward the server.
        var toClient: (ciphers: [String], macs: [String])?
        var compression = ["none"]
        var isStrict = true
        var follows = false
        init() {}

        /// What packets are to be protected with, in the words of `PacketCipher.words`, and nothing else.
        mutating func protect(_ words: String) {
            let names = words.components(separatedBy: " with ")
            ciphers = [names[0]]
            if names.count > 1 { macs = [names[1]] }
        }

        var bytes: [UInt8] {
            let methods = keyExchange + (isStrict ? ["kex-strict-s-v00@openssh.com"] : [])
            var message: [UInt8] = [20] + [UInt8](repeating: 7, count: 16)
            let toClient = toClient ?? (ciphers, macs)
            for list in [
                methods, hostKey, ciphers, toClient.ciphers, macs, toClient.macs, compression, compression, [], [],
            ] {
                message += Script.string(list.joined(separator: ","))
            }
            return message + [follows ? 1 : 0] + Script.u32(0)
        }
    }

    private var ownInit: [UInt8] = []
    /// The last answer to the client's part, and what the keys come from.
    private(set) var reply: [UInt8]?
    private(set) var derivation: KeyDerivation?
    private(set) var sessionIdentifier: [UInt8] = []
    private(set) var algorithms: NegotiatedAlgorithms?

    init(drips: Bool = false, _ settings: NativeSettings = .curve, version: String? = "SSH-2.0-scripted\r\n") throws {
        self.drips = drips
        client = try NativeNode(settings)
        try client.start()
        listen()
        if let version { try raw(Array(version.utf8)) }
    }

    /// What happens to bytes on their way.
    var alters: ([UInt8]) -> [UInt8] = { $0 }

    /// Bytes as they are, whole or one by one.
    @discardableResult
    func raw(_ original: [UInt8]) throws -> [EngineEvent] {
        defer { listen() }
        let bytes = alters(original)
        if !drips { return try client.feed(bytes) }
        return try bytes.flatMap { try client.feed([$0]) }
    }

    /// Messages, under the keys in use.
    @discardableResult
    func say(_ messages: [UInt8]...) throws -> [EngineEvent] {
        try raw(messages.flatMap { seal($0) })
    }

    func seal(_ message: [UInt8]) -> [UInt8] {
        let length = sealer.wireLength(messageLength: message.count)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
        defer { memory.deallocate() }
        (memory + 5).copyMemory(from: message, byteCount: message.count)
        let count = sealer.seal(at: memory, messageLength: message.count)
        return Array(UnsafeRawBufferPointer(start: memory, count: count))
    }

    /// A packet as it is before it is sealed, length and padding included, under the right tag (AES-GCM).
    func sealPacket(_ packet: [UInt8]) throws -> [UInt8] {
        let agreed = try #require(algorithms)
        let keys = try #require(derivation)
        let key = try keys.packetKey(agreed.serverToClient, towardServer: false, .sealing)
        // The key counts for itself: as many packets as were said under it.
        for _ in 0..<sealer.sequenceNumber { _ = Self.sealed(Script.packet([2]), key) }
        return Self.sealed(packet, key)
    }

    private static func sealed(_ packet: [UInt8], _ key: borrowing PacketKey) -> [UInt8] {
        var bytes = packet + [UInt8](repeating: 0, count: key.cipher.tagLength)
        bytes.withUnsafeMutableBytes { key.seal($0.baseAddress!, length: packet.count - 4, sequenceNumber: 0) }
        return bytes
    }

    /// Reads what the client said.
    func listen() {
        heardBytes += client.takeAllOutput()
        if heardVersion == nil, let end = heardBytes.firstIndex(of: 10) {
            heardVersion = Array(heardBytes[..<end].dropLast())
            heardBytes.removeFirst(end + 1)
        }
        while true {
            let taken: Int? = heardBytes.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress,
                    let opened = try? opener.open(start, available: buffer.count)
                else { return nil }
                heard.append(Array(UnsafeRawBufferPointer(start: opened.packet.message, count: opened.packet.count)))
                return opened.wireLength
            }
            guard let taken else { return }
            heardBytes.removeFirst(taken)
            if heard.last?.first == 21, let (algorithms, derivation) = nextOpening,
                let key = try? derivation.packetKey(algorithms.clientToServer, towardServer: true, .opening)
            {
                opener.setKey(key, resetsSequence: names.isStrict)
            }
        }
    }

    /// What the keys in use were made of: a test looks for what the client keeps of it.
    func forgetKeys() {
        nextOpening = nil
        derivation = nil
    }

    /// The client has said its version.
    var hasVersion: Bool { heardVersion != nil }

    func last(_ number: UInt8) -> [UInt8]? { heard.last { $0.first == number } }

    // MARK: A right exchange, in steps

    func sayInit() throws {
        ownInit = names.bytes
        try say(ownInit)
    }

    private func agree() throws -> NegotiatedAlgorithms {
        func parse(_ message: [UInt8]) throws -> KeyExchangeInit {
            try Array(message.dropFirst()).read("KEXINIT") { reader throws(SSHError) in
                try KeyExchangeInit(reader)
            }
        }
        let agreed = try Negotiation.agree(
            own: parse(ownInit), peer: parse(#require(last(20))), role: .server, strict: names.isStrict)
        algorithms = agreed
        return agreed
    }

    /// The group of a group exchange, and the message that gives it, changed.
    var group = DiffieHellmanGroup(bits: 2048)

    /// Answers the request of a group exchange.
    func sayGroup(_ forge: ([UInt8]) -> [UInt8] = { $0 }) throws { try say(forge(group.bytes)) }

    /// The fields of a group exchange that are hashed; none where the method is another.
    private func groupFields(_ method: KeyAgreementMethod) throws -> [UInt8] {
        guard method == .groupExchange else { return [] }
        return Array(try #require(last(34)).dropFirst()) + group.bytes.dropFirst()
    }

    /// Answers the client's part, and before it the request of a group exchange that waits for an answer; returns what the
    /// keys come from.
    func sayReply(_ forgery: Forgery = Forgery()) throws -> KeyDerivation {
        let agreed = try agree()
        if heard.last?.first == 34 { try sayGroup() }
        let clientInit = try #require(last(20))
        let clientPart = Array(try #require(last(agreed.method.initNumber)).dropFirst(5))
        var random = RandomSource()
        let (part, secret) = try KeyAgreement.answer(
            agreed.method, in: agreed.method == .groupExchange ? group : nil, peerPart: clientPart, &random)
        let hostKey = forgery.hostKey(device?.blob ?? key.blob)
        let sentPart = forgery.part(part)
        let hash = ExchangeHash(
            clientVersion: heardVersion ?? [], serverVersion: Array("SSH-2.0-scripted".utf8), clientInit: clientInit,
            serverInit: ownInit, hostKey: hostKey, groupFields: try groupFields(agreed.method), clientPart: clientPart,
            serverPart: sentPart, secret: secret
        ).value(agreed.method.digest)
        if sessionIdentifier.isEmpty { sessionIdentifier = hash }
        let derivation = KeyDerivation(
            digest: agreed.method.digest, secret: secret, exchangeHash: hash, sessionIdentifier: sessionIdentifier)
        nextOpening = (agreed, derivation)
        self.derivation = derivation
        let answer = KeyExchangeServerPart(
            hostKey: hostKey, part: sentPart,
            signature: forgery.signature(try device?.sign(hash, flags: deviceFlags) ?? key.sign(hash))
        ).bytes(number: agreed.method.replyNumber)
        reply = answer
        try say(answer)
        return derivation
    }

    func sayNewKeys(_ derivation: KeyDerivation) throws {
        try say([21])
        try useKeys(derivation)
    }

    func useKeys(_ derivation: KeyDerivation) throws {
        let agreed = try #require(algorithms)
        sealer.setKey(
            try derivation.packetKey(agreed.serverToClient, towardServer: false, .sealing),
            resetsSequence: names.isStrict)
    }

    /// How far a client is led before the test begins.
    enum Place: CaseIterable {
        case beforeFirst, first, firstStrict, afterReply, service, authentication, connection, ownExchange, later
    }

    func lead(to place: Place) throws {
        names.isStrict = place != .first
        if place == .beforeFirst { return }
        try sayInit()
        if place == .first || place == .firstStrict { return }
        let derivation = try sayReply()
        if place == .afterReply { return }
        try sayNewKeys(derivation)
        if place == .service { return }
        try say([6] + Script.string("ssh-userauth"))
        if place == .authentication { return }
        try say([52])
        #expect(client.isLoggedIn)
        if place == .connection { return }
        client.engine.beginKeyExchange()
        listen()
        if place == .ownExchange { return }
        try sayInit()
    }

    // MARK: The end

    /// The client ends with this kind of error, having told the server this reason (nil: nothing). Returns its words.
    @discardableResult
    func expect(
        _ kind: SSHError.Kind, reason: Int?, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () throws -> Void
    ) -> String {
        do {
            try body()
            Issue.record("it was taken", sourceLocation: sourceLocation)
        } catch let error as SSHError {
            listen()
            #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
            let said = last(1).map { Script.number($0, 1) }
            #expect(said == reason, "\(error)", sourceLocation: sourceLocation)
            #expect(client.authority.hostKeys.isEmpty || sessionIdentifier.isEmpty == false)
            return error.description
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
        return ""
    }
}

extension NativeSettings {
    /// The quick method first, so that tables of thousands of exchanges take seconds.
    static var curve: NativeSettings {
        var settings = NativeSettings()
        settings.keyExchange = AlgorithmList("^curve25519-sha256")
        return settings
    }
}
