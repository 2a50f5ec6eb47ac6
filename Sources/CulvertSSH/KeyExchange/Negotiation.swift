/// What the two KEXINITs agree on (RFC 4253 §7.1). A MAC is part of the cipher, where that needs one.
struct NegotiatedAlgorithms: Equatable {
    var method: KeyAgreementMethod
    var hostKey: HostKeyAlgorithm
    var clientToServer: PacketCipher
    var serverToClient: PacketCipher
    /// The peer's guess about the first packet of the exchange is wrong: that packet is dropped.
    var peerGuessedWrong: Bool
}

/// The rules by which the two lists of each choice become one algorithm: the client's first that the server has too.
enum Negotiation {
    /// Names among the key exchange methods that are none (RFC 8308 §2.1; PROTOCOL of OpenSSH §1.9).
    static let extInfoClient = "ext-info-c"
    static let extInfoServer = "ext-info-s"
    static let strictClient = "kex-strict-c-v00@openssh.com"
    static let strictServer = "kex-strict-s-v00@openssh.com"

    /// `strict`: both ends keep to strict key exchange.
    static func agree(
        own: KeyExchangeInit, peer: KeyExchangeInit, role: ConnectionRole, strict: Bool
    ) throws(SSHError) -> NegotiatedAlgorithms {
        let client = role == .client ? own : peer
        let server = role == .client ? peer : own
        let older = role == .client ? OlderEngine.options(for: peer) : nil
        func choose(
            _ kind: AlgorithmKind, _ list: (KeyExchangeInit) -> [String]
        ) throws(SSHError) -> String {
            let offered = list(server)
            for name in list(client) where offered.contains(name) {
                // Offered names that are no methods must not match each other.
                if kind != .keyExchange || KeyAgreementMethod(rawValue: name) != nil { return name }
            }
            throw noCommon(kind, own: list(own), peer: list(peer), older: older) { usable in
                kind == .cipher ? macs(for: usable, own: own, peer: peer) : []
            }
        }
        func protection(
            _ ciphers: (KeyExchangeInit) -> [String], _ macs: (KeyExchangeInit) -> [String]
        ) throws(SSHError) -> PacketCipher {
            guard let cipher = CipherAlgorithm(rawValue: try choose(.cipher, ciphers)) else {
                preconditionFailure("only what the engine has is offered")
            }
            return try cipher.protection { () throws(SSHError) in
                guard let mac = PacketMAC(rawValue: try choose(.mac, macs)) else {
                    preconditionFailure("only what the engine has is offered")
                }
                return mac
            }
        }
        // What is chosen stands in our own list, and we know what we offer.
        guard
            let method = KeyAgreementMethod(rawValue: try choose(.keyExchange) { $0.keyExchange }),
            let hostKey = HostKeyAlgorithm(name: try choose(.hostKey) { $0.hostKey })
        else { preconditionFailure("only what the engine has is offered") }
        let clientToServer = try protection({ $0.ciphersClientToServer }, { $0.macsClientToServer })
        let serverToClient = try protection({ $0.ciphersServerToClient }, { $0.macsServerToClient })
        // Compression is chosen like the rest; "none" is all that we offer.
        _ = try choosePlain(client.compressionClientToServer, server.compressionClientToServer)
        _ = try choosePlain(client.compressionServerToClient, server.compressionServerToClient)
        if !strict, let unsafe = [clientToServer, serverToClient].first(where: \.needsStrictExchange) {
            throw notStrict(unsafe, own: own, peer: peer, older: older)
        }
        return NegotiatedAlgorithms(
            method: method, hostKey: hostKey, clientToServer: clientToServer, serverToClient: serverToClient,
            peerGuessedWrong: peer.firstPacketFollows
                && (client.keyExchange.first != server.keyExchange.first
                    || client.hostKey.first != server.hostKey.first)
        )
    }

    private static func choosePlain(_ client: [String], _ server: [String]) throws(SSHError) -> String {
        for name in client where server.contains(name) { return name }
        throw SSHError(.keyExchange, "no compression is shared, not even none")
    }

    /// `older`: what has the libssh2 engine get on with this peer; nil: nothing.
    /// `macs`: what those ciphers take beside them; nil: it is not to be had.
    private static func noCommon(
        _ kind: AlgorithmKind, own: [String], peer: [String], older: String?, macs: ([String]) -> [String]?
    ) -> SSHError {
        let usable = kind.known.filter { peer.contains($0) }
        let mend: String
        if !usable.isEmpty, let macs = macs(usable) {
            let more = macs.isEmpty ? "" : " -o \(AlgorithmKind.mac.option)=+\(macs.joined(separator: ","))"
            mend = "-o \(kind.option)=+\(usable.joined(separator: ","))\(more) accepts it"
        } else {
            mend = Self.mend(older: older, otherwise: "another")
        }
        return SSHError(
            .keyExchange,
            "no \(kind.words) is shared: we offer \(quoted(own)), the peer offers \(quoted(peer)); \(mend)")
    }

    /// What has to be added to our MACs for one of these ciphers, which only the peer offers. We may offer none that takes a
    /// MAC because no MAC was left: then the list of MACs is in the way, whatever we offer now.
    private static func macs(for ciphers: [String], own: KeyExchangeInit, peer: KeyExchangeInit) -> [String]? {
        func needsMAC(_ name: String) -> Bool { CipherAlgorithm(rawValue: name)?.needsMAC ?? false }
        guard ciphers.allSatisfy(needsMAC) else { return [] }
        let shared = PacketMAC.allCases.map(\.rawValue).filter(peer.macsClientToServer.contains)
        if shared.isEmpty { return nil }
        let isOffered =
            own.ciphersClientToServer.contains(where: needsMAC)
            && shared.contains(where: own.macsClientToServer.contains)
        return isOffered ? [] : shared
    }

    private static func mend(older: String?, otherwise version: String) -> String {
        older.map { "\($0) knows older ones" } ?? "only \(version) version of the peer helps"
    }

    /// What is wrong with `chosen` is its MAC, where it has one.
    private static func notStrict(
        _ chosen: PacketCipher, own: KeyExchangeInit, peer: KeyExchangeInit, older: String?
    ) -> SSHError {
        let macs = PacketMAC.allCases.filter {
            !$0.needsStrictExchange && peer.macsClientToServer.contains($0.rawValue)
        }
        let ciphers = CipherAlgorithm.preference().filter {
            !$0.needsStrictExchange && (!$0.needsMAC || !macs.isEmpty)
                && peer.ciphersClientToServer.contains($0.rawValue)
        }
        var options: [String] = []
        if !ciphers.isEmpty { options.append("-o Ciphers=" + ciphers.map(\.rawValue).joined(separator: ",")) }
        if ciphers.contains(where: \.needsMAC)
            && !macs.contains(where: { own.macsClientToServer.contains($0.rawValue) })
        {
            options.append("-o MACs=" + macs.map(\.rawValue).joined(separator: ","))
        }
        let mend =
            !options.isEmpty
            ? options.joined(separator: " ") + " accepts it" : mend(older: older, otherwise: "a newer")
        let list = { (offer: KeyExchangeInit) in
            quoted(chosen.mac == nil ? offer.ciphersClientToServer : offer.macsClientToServer)
        }
        return SSHError(
            .keyExchange,
            "the peer has no strict key exchange, without which \(chosen.words) can be tampered with "
                + "(CVE-2023-48795): we offer \(list(own)), the peer offers \(list(peer)); \(mend)")
    }

    /// Names that mean something else are left out: they would only puzzle.
    private static func quoted(_ names: [String]) -> String {
        let shown = names.filter { ![extInfoClient, extInfoServer, strictClient, strictServer].contains($0) }
        return shown.isEmpty ? "none" : PeerText(shown.joined(separator: ",")).description
    }
}
