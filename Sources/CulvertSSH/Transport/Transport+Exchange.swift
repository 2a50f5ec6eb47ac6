/// Where our side of a key exchange is (RFC 4253 §7). What the peer may send is another question: `MessageGate`.
enum ExchangePhase: BitwiseCopyable {
    case idle
    /// Our SSH_MSG_KEXINIT is out, the peer's has not come.
    case sentInit
    /// Of a group exchange (RFC 4419 §3). Client: the request is out, the server's group is awaited. Server: the request is
    /// awaited.
    case awaitsGroup
    /// Client: our part is out, the server's answer is awaited. Server: the client's part is awaited.
    case awaitsPart
    /// Client: the server's answer is right, and somebody decides whether its key is trusted.
    case awaitsTrust
    /// Our SSH_MSG_NEWKEYS is out, the peer's has not come.
    case awaitsNewKeys
}

/// What a key exchange needs until its end.
struct ExchangeState {
    var ownInit: [UInt8] = []
    var ownOffer = KeyExchangeInit()
    var peerInit: [UInt8] = []
    /// The next message 30 to 49 is the peer's wrong guess (RFC 4253 §7).
    var skipsGuess = false
    /// Of a group exchange, once its request is known.
    var group: GroupExchange?
    var agreement: KeyAgreement?
    var derivation: KeyDerivation?
}

/// The steps of a key exchange, the first and every later one, for both roles (RFC 4253 §7 to §9, RFC 4419 §3, RFC 5656 §4).
extension Transport {
    private var isFirst: Bool { sessionIdentifier.isEmpty }

    /// Our SSH_MSG_KEXINIT: from here on nothing of the connection goes out.
    mutating func sendInit(_ output: inout PacketOutput) {
        exchange = ExchangeState()
        exchange.ownOffer = offer.message(role: role, isFirst: isFirst)
        exchange.ownInit = exchange.ownOffer.bytes(cookie: random.bytes(KeyExchangeInit.cookieLength))
        phase = .sentInit
        output.hold()
        output.sendExchange(exchange.ownInit)
    }

    mutating func receiveInit(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) {
        let peer = try KeyExchangeInit(packet.reader("SSH_MSG_KEXINIT"))
        if isFirst { try judgeFirstInit(peer, packet) }
        if phase == .idle {
            if !isFirst { exchangesOfPeer += 1 }
            sendInit(&output)
        }
        precondition(phase == .sentInit, "the table lets no second SSH_MSG_KEXINIT pass")
        exchange.peerInit = unsafe Array(UnsafeRawBufferPointer(start: packet.message, count: packet.count))
        peerExchange = isFirst ? (isStrict ? .firstStrict : .first) : .later
        let agreed = try Negotiation.agree(own: exchange.ownOffer, peer: peer, role: role, strict: isStrict)
        algorithms = agreed
        exchange.skipsGuess = agreed.peerGuessedWrong
        if agreed.method.kind == .groupExchange {
            phase = .awaitsGroup
            if role == .client { requestGroup(agreed, &output) }
        } else {
            phase = .awaitsPart
            if role == .client { try sendClientPart(agreed.method, &output) }
        }
    }

    private mutating func sendClientPart(_ method: KeyAgreementMethod, _ output: inout PacketOutput) throws(SSHError) {
        let agreement = try KeyAgreement(method, in: exchange.group?.group, &random)
        output.sendExchange(KeyExchangeClientPart.bytes(agreement.publicPart, number: method.initNumber))
        exchange.agreement = agreement
    }

    /// Whether both ends keep to strict key exchange is settled by the first SSH_MSG_KEXINIT alone.
    private mutating func judgeFirstInit(_ peer: KeyExchangeInit, _ packet: OpenedPacket) throws(SSHError) {
        isStrict = peer.keyExchange.contains(role == .client ? Negotiation.strictServer : Negotiation.strictClient)
        guard !isStrict || packet.sequenceNumber == 0 else {
            throw .violation("it asks for strict key exchange, and sent something before SSH_MSG_KEXINIT")
        }
        if phase == .idle && !isStrict { offer.dropWhatNeedsStrict(peer) }
    }

    /// Messages 30 to 49: what they mean is the method's matter.
    mutating func receivePart(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) -> Step {
        if exchange.skipsGuess {
            exchange.skipsGuess = false
            return .nothing
        }
        guard let method = algorithms?.method, packet.number == awaitedNumber(method) else {
            throw .violation("message \(packet.number) is not what the key exchange waits for")
        }
        switch (role, phase == .awaitsGroup) {
        case (.client, true): try receiveGroup(packet, method, &output)
        case (.client, false): return try receiveServerPart(packet, &output)
        case (.server, true): try receiveGroupRequest(packet, &output)
        case (.server, false): try receiveClientPart(packet, &output)
        }
        return .nothing
    }

    /// Of the messages 30 to 49 the one whose turn it is; nil: none's.
    private func awaitedNumber(_ method: KeyAgreementMethod) -> UInt8? {
        switch phase {
        case .awaitsGroup:
            role == .client ? MessageNumber.groupExchangeGroup : MessageNumber.groupExchangeRequest
        case .awaitsPart: role == .client ? method.replyNumber : method.initNumber
        case .idle, .sentInit, .awaitsTrust, .awaitsNewKeys: nil
        }
    }

    // MARK: A group exchange

    /// Client: the group is to be as strong as the keys of the connection.
    private mutating func requestGroup(_ agreed: NegotiatedAlgorithms, _ output: inout PacketOutput) {
        let keyLength = max(agreed.clientToServer.keyLength, agreed.serverToClient.keyLength)
        let request = GroupExchange.Request(keyLength: keyLength, peerVersion: peerVersion)
        exchange.group = GroupExchange(request: request)
        output.sendExchange(request.bytes)
    }

    private mutating func receiveGroup(
        _ packet: OpenedPacket, _ method: KeyAgreementMethod, _ output: inout PacketOutput
    ) throws(SSHError) {
        guard let request = exchange.group?.request else { preconditionFailure("a group was asked for") }
        exchange.group?.group = try DiffieHellmanGroup(packet.reader("SSH_MSG_KEX_DH_GEX_GROUP"), for: request)
        phase = .awaitsPart
        try sendClientPart(method, &output)
    }

    private mutating func receiveGroupRequest(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) {
        let request = try GroupExchange.Request(packet.reader("SSH_MSG_KEX_DH_GEX_REQUEST"))
        let group = try request.choose()
        exchange.group = GroupExchange(request: request, group: group)
        phase = .awaitsPart
        output.sendExchange(group.bytes)
    }

    // MARK: Parts

    private mutating func receiveServerPart(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError)
        -> Step
    {
        let reply = try KeyExchangeServerPart(packet.reader("the answer of the key exchange"))
        guard let agreement = exchange.agreement.take(), let algorithms else {
            preconditionFailure("a client's part was made before the server's is awaited")
        }
        let secret = try agreement.secret(peerPart: reply.part)
        let hash = exchangeHash(
            hostKey: reply.hostKey, clientPart: agreement.publicPart, serverPart: reply.part, secret: secret)
        // The signature first: only who holds the key is worth a question about it.
        try HostKey(blob: reply.hostKey, algorithm: algorithms.hostKey).verify(signature: reply.signature, over: hash)
        guard isFirst else {
            guard reply.hostKey == hostKey else {
                throw SSHError(.hostKey, "the server showed another host key in a later key exchange")
            }
            derive(secret, hash)
            try sendNewKeys(&output)
            return .nothing
        }
        hostKey = reply.hostKey
        hostKeySignature = reply.signature
        sessionIdentifier = hash
        derive(secret, hash)
        phase = .awaitsTrust
        return .hostKey
    }

    /// Client: the host key is trusted; the exchange goes on.
    mutating func trustHostKey(_ output: inout PacketOutput) throws(SSHError) {
        precondition(phase == .awaitsTrust, "trust was asked for")
        // A later exchange must show the same key, so no other kind is asked for.
        if let algorithms { offer.hostKey = [algorithms.hostKey.name] }
        try sendNewKeys(&output)
    }

    private mutating func receiveClientPart(_ packet: OpenedPacket, _ output: inout PacketOutput) throws(SSHError) {
        let message = try KeyExchangeClientPart(packet.reader("the client's part of the key exchange"))
        guard let signer, let algorithms else { preconditionFailure("a server has a host key") }
        let (part, secret) = try KeyAgreement.answer(
            algorithms.method, in: exchange.group?.group, peerPart: message.part, &random)
        let hash = exchangeHash(hostKey: signer.blob, clientPart: message.part, serverPart: part, secret: secret)
        let signature = try signer.sign(algorithms.hostKey.scheme, hash)
        output.sendExchange(
            KeyExchangeServerPart(hostKey: signer.blob, part: part, signature: signature)
                .bytes(number: algorithms.method.replyNumber))
        if isFirst {
            hostKey = signer.blob
            hostKeySignature = signature
            sessionIdentifier = hash
        }
        derive(secret, hash)
        try sendNewKeys(&output)
    }

    private func exchangeHash(
        hostKey: [UInt8], clientPart: [UInt8], serverPart: [UInt8], secret: Secret
    ) -> [UInt8] {
        let own = Array(VersionLine.own.utf8)
        let isClient = role == .client
        return ExchangeHash(
            clientVersion: isClient ? own : peerVersion, serverVersion: isClient ? peerVersion : own,
            clientInit: isClient ? exchange.ownInit : exchange.peerInit,
            serverInit: isClient ? exchange.peerInit : exchange.ownInit, hostKey: hostKey,
            groupFields: exchange.group?.fields ?? [], clientPart: clientPart, serverPart: serverPart, secret: secret
        ).value(digest)
    }

    private var digest: ExchangeDigest {
        guard let algorithms else { preconditionFailure("what is hashed was agreed on") }
        return algorithms.method.digest
    }

    private mutating func derive(_ secret: Secret, _ hash: [UInt8]) {
        exchange.derivation = KeyDerivation(
            digest: digest, secret: secret, exchangeHash: hash, sessionIdentifier: sessionIdentifier)
    }

    /// Our SSH_MSG_NEWKEYS: what we send is under the new key from here on, what we receive not yet.
    private mutating func sendNewKeys(_ output: inout PacketOutput) throws(SSHError) {
        guard let derivation = exchange.derivation.take(), let algorithms else {
            preconditionFailure("keys come from a finished exchange")
        }
        let own = role == .client ? algorithms.clientToServer : algorithms.serverToClient
        let peer = role == .client ? algorithms.serverToClient : algorithms.clientToServer
        nextOpeningKey = try derivation.packetKey(peer, towardServer: role == .server, .opening)
        phase = .awaitsNewKeys
        oweResume()
        try output.sendNewKeys(
            try derivation.packetKey(own, towardServer: role == .client, .sealing), resetsSequence: isStrict)
    }

    mutating func receiveNewKeys(_ packet: OpenedPacket) throws(SSHError) -> Step {
        guard phase == .awaitsNewKeys, let key = nextOpeningKey.take() else {
            throw .violation("SSH_MSG_NEWKEYS comes before the key exchange is done")
        }
        try packet.reader("SSH_MSG_NEWKEYS").end()
        input.setKey(key, resetsSequence: isStrict)
        let wasFirst = peerExchange != .later
        endExchange()
        return wasFirst ? .secured : .nothing
    }
}
