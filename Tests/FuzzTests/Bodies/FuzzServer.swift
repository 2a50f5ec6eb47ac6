@testable import CulvertSSH

/// The peer of a client engine: it frames, ciphers and exchanges keys rightly, and says what an input wants. What it hears
/// must always be right.
final class FuzzServer {
    private var sealer = PacketSealer()
    private var opener = PacketOpener()
    private var random = RandomSource.reproducible(seed: 2)
    private var heardBytes: [UInt8] = []
    private var heardVersion: [UInt8]?
    private let isBare: Bool

    // MARK: The exchange under way

    private var clientInit: [UInt8]?
    private var clientPart: [UInt8]?
    /// Of a group exchange: what was asked for.
    private var request: [UInt8]?
    private static let group = DiffieHellmanGroup(bits: 2048)
    private var ownInit: [UInt8]?
    private var derivation: KeyDerivation?
    private var algorithms: NegotiatedAlgorithms?
    private var sessionIdentifier: [UInt8] = []
    private var isStrict = false
    /// The reply was the right one, to the last bit.
    private(set) var isHonest = false
    /// Our SSH_MSG_NEWKEYS is said.
    var isSecured: Bool { exchangeCount > 0 }
    private(set) var exchangeCount = 0

    /// `isBare`: there is no version and no key exchange, only packets that nothing protects.
    init(isBare: Bool) { self.isBare = isBare }

    static let version = "SSH-2.0-fuzz"

    // MARK: Hearing

    /// The messages in the client's bytes. A client that says anything else than whole packets is wrong.
    func hear(_ bytes: [UInt8]) -> [[UInt8]] {
        heardBytes += bytes
        if !isBare && heardVersion == nil {
            guard let end = heardBytes.firstIndex(of: 10) else { return [] }
            heardVersion = Array(heardBytes[..<(end - 1)])
            heardBytes.removeFirst(end + 1)
        }
        var messages: [[UInt8]] = []
        while let message = nextMessage() {
            messages.append(message)
            switch message[0] {
            case 20: clientInit = message
            case 30, 32: clientPart = Array(message.dropFirst(5))
            case 34: request = Array(message.dropFirst())
            case 21:
                guard let derivation, let algorithms,
                    let key = try? derivation.packetKey(algorithms.clientToServer, towardServer: true, .opening)
                else { fatalError("a client's SSH_MSG_NEWKEYS follows an exchange") }
                opener.setKey(key, resetsSequence: isStrict)
            default: break
            }
        }
        return messages
    }

    private func nextMessage() -> [UInt8]? {
        let count = heardBytes.count
        let next: ([UInt8], Int)? = heardBytes.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return nil }
            do throws(SSHError) {
                guard let opened = try opener.open(start, available: count) else { return nil }
                let message = UnsafeRawBufferPointer(start: opened.packet.message, count: opened.packet.count)
                return (Array(message), opened.wireLength)
            } catch {
                fatalError("what a client says is right: \(error)")
            }
        }
        guard let (message, length) = next else { return nil }
        heardBytes.removeFirst(length)
        return message
    }

    // MARK: Saying

    /// A packet under the keys in use.
    func seal(_ message: [UInt8]) -> [UInt8] {
        let length = sealer.wireLength(messageLength: message.count)
        return withMemory(of: [UInt8](repeating: 0, count: length)) { memory in
            memory[5..<5 + message.count].copyBytes(from: message)
            guard let start = memory.baseAddress else { fatalError("a packet has bytes") }
            return Array(memory[..<sealer.seal(at: start, messageLength: message.count)])
        }
    }

    /// Whether an exchange is under way that the client has to go on with, or that we have.
    var exchanges: Bool { ownInit != nil || clientInit != nil }

    /// The method that is liked best, by the upper bits of a variant.
    private static let methods = [
        "curve25519-sha256", "ecdh-sha2-nistp256", "sntrup761x25519-sha512@openssh.com", "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256", "mlkem768nistp256-sha256",
        "mlkem768x25519-sha256",
    ]
    private static let macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512"

    /// SSH_MSG_KEXINIT; `variant` leaves things out or adds them, 0: nothing.
    func sayInit(variant: UInt8 = 0) -> [UInt8] {
        let method = Self.methods[Int(variant >> 5)]
        var lists = [
            variant & 1 == 0 ? method : "x,diffie-hellman-group18-sha512,\(method),curve25519-sha256",
            variant & 2 == 0 ? "ssh-ed25519" : "ssh-rsa,ssh-ed25519",
            "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr",
            "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr", Self.macs, Self.macs, "none", "none", "",
            "",
        ]
        if variant & 4 == 0 { lists[0] += ",kex-strict-s-v00@openssh.com" }
        if variant & 8 != 0 { lists[2] = "chacha20-poly1305@openssh.com" }
        let cookie = [UInt8](repeating: 7, count: 16)
        let names = lists.flatMap { Wire.string($0) }
        let message = [20] + cookie + names + [variant & 16 == 0 ? 0 : 1] + Wire.uint32(0)
        if !isSecured && ownInit == nil { isStrict = variant & 4 == 0 }
        ownInit = message
        return seal(message)
    }

    /// The answer to the client's part, or to its request for a group; nil while there is none that can be answered.
    /// `forgery` changes one byte.
    func sayReply(forgery: (place: Int, change: UInt8) = (0, 0)) -> [UInt8]? {
        guard let clientInit, let ownInit, let agreed = agree(ownInit, clientInit) else { return nil }
        let group = agreed.method == .groupExchange ? Self.group : nil
        if let group, clientPart == nil, request != nil {
            var message = group.bytes
            message[forgery.place % message.count] ^= forgery.change
            return seal(message)
        }
        guard let clientPart,
            let (part, secret) = try? KeyAgreement.answer(agreed.method, in: group, peerPart: clientPart, &random)
        else { return nil }
        let fields = group.map { (request ?? []) + $0.bytes.dropFirst() } ?? []
        let hash = ExchangeHash(
            clientVersion: heardVersion ?? [], serverVersion: Array(Self.version.utf8), clientInit: clientInit,
            serverInit: ownInit, hostKey: FuzzKeys.ed25519Blob, groupFields: fields, clientPart: clientPart,
            serverPart: part, secret: secret
        ).value(agreed.method.digest)
        // A reply that the client passed over as a wrong guess settles nothing.
        if !isSecured { sessionIdentifier = hash }
        algorithms = agreed
        derivation = KeyDerivation(
            digest: agreed.method.digest, secret: secret, exchangeHash: hash, sessionIdentifier: sessionIdentifier)
        var message = KeyExchangeServerPart(
            hostKey: FuzzKeys.ed25519Blob, part: part, signature: FuzzKeys.sign(hash)
        ).bytes(number: agreed.method.replyNumber)
        message[forgery.place % message.count] ^= forgery.change
        isHonest = forgery.change == 0
        return seal(message)
    }

    private func agree(_ own: [UInt8], _ client: [UInt8]) -> NegotiatedAlgorithms? {
        func parse(_ message: [UInt8]) throws(SSHError) -> KeyExchangeInit {
            try Array(message.dropFirst()).read("KEXINIT") { reader throws(SSHError) in try KeyExchangeInit(reader) }
        }
        return try? Negotiation.agree(own: parse(own), peer: parse(client), role: .server, strict: isStrict)
    }

    /// SSH_MSG_NEWKEYS and, from then on, the new keys; nil where none are agreed on.
    func sayNewKeys() -> [UInt8]? {
        guard let derivation, let algorithms,
            let key = try? derivation.packetKey(algorithms.serverToClient, towardServer: false, .sealing)
        else { return nil }
        let packet = seal([21])
        sealer.setKey(key, resetsSequence: isStrict)
        exchangeCount += 1
        (clientInit, clientPart, request, ownInit) = (nil, nil, nil, nil)
        return packet
    }
}

/// Trusts any key, and offers one credential of each kind.
final class FuzzAuthority: LoginAuthority {
    let userName = "user"
    private(set) var verified = 0
    private var left: [Credential]

    init() {
        left = [
            .signer(name: "agent", publicKey: FuzzKeys.ed25519Blob) { data throws(SSHError) in
                FuzzKeys.sign(Array(data))
            },
            .keyboardInteractive, .password(Self.secret("password")), .password(Self.secret("second")),
        ]
    }

    private static func secret(_ words: String) -> Secret {
        var bytes = Array(words.utf8)
        return Secret(wiping: &bytes)
    }

    func knownHostKeyAlgorithms() -> [String] { ["ssh-ed25519"] }
    func verify(hostKey key: [UInt8]) throws(SSHError) { verified += 1 }
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        for method in methods { promise(isOneSafeLine(method), "methods are printable") }
        return left.isEmpty ? nil : left.removeFirst()
    }
    func refused(reason: String?) { if let reason { promise(isOneSafeLine(reason), "a reason is one line") } }
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
        for line in challenge.prompts.flatMap(\.text.lines) + challenge.instruction.lines {
            promise(isOneSafeLine(line.description), "each line is safe to show")
        }
        return challenge.prompts.count > 3 ? nil : challenge.prompts.map { _ in Self.secret("answer") }
    }
    func show(banner: PeerText) { promise(isOneSafeLine(banner.description), "a banner is safe to show") }
}
