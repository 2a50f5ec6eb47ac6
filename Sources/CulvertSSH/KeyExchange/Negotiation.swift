/// What the two KEXINITs agree on (RFC 4253 §7.1). No MAC: every cipher here has its own.
struct NegotiatedAlgorithms: Equatable {
    var method: KeyAgreementMethod
    var hostKey: SignatureScheme
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
        let older = role == .client && OlderEngine.suits(peer)
        func choose(
            _ kind: AlgorithmKind, _ list: (KeyExchangeInit) -> [String]
        ) throws(SSHError) -> String {
            let offered = list(server)
            for name in list(client) where offered.contains(name) {
                // Offered names that are no methods must not match each other.
                if kind != .keyExchange || KeyAgreementMethod(rawValue: name) != nil { return name }
            }
            throw noCommon(kind, own: list(own), peer: list(peer), older: older)
        }
        // What is chosen stands in our own list, and we know what we offer.
        guard
            let method = KeyAgreementMethod(rawValue: try choose(.keyExchange) { $0.keyExchange }),
            let hostKey = SignatureScheme(rawValue: try choose(.hostKey) { $0.hostKey }),
            let clientToServer = PacketCipher(name: try choose(.cipher) { $0.ciphersClientToServer }),
            let serverToClient = PacketCipher(name: try choose(.cipher) { $0.ciphersServerToClient })
        else { preconditionFailure("only what the engine has is offered") }
        // Compression is chosen like the rest; "none" is all that we offer.
        _ = try choosePlain(client.compressionClientToServer, server.compressionClientToServer)
        _ = try choosePlain(client.compressionServerToClient, server.compressionServerToClient)
        if !strict && (clientToServer.needsStrictExchange || serverToClient.needsStrictExchange) {
            throw notStrict(
                own: own.ciphersClientToServer,
                peer: role == .client ? peer.ciphersClientToServer : peer.ciphersServerToClient, older: older)
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

    /// `older`: the libssh2 engine would get on with this peer.
    private static func noCommon(_ kind: AlgorithmKind, own: [String], peer: [String], older: Bool) -> SSHError {
        let usable = kind.known.filter { peer.contains($0) }
        let mend =
            !usable.isEmpty
            ? "-o \(kind.option)=+\(usable.joined(separator: ",")) accepts it"
            : mend(older: older, otherwise: "another")
        return SSHError(
            .keyExchange,
            "no \(kind.words) is shared: we offer \(quoted(own)), the peer offers \(quoted(peer)); \(mend)")
    }

    private static func mend(older: Bool, otherwise version: String) -> String {
        older ? "--engine libssh2 knows older ones" : "only \(version) version of the peer helps"
    }

    private static func notStrict(own: [String], peer: [String], older: Bool) -> SSHError {
        let safe = PacketCipher.preference().filter { !$0.needsStrictExchange && peer.contains($0.name) }.map(\.name)
        let mend =
            !safe.isEmpty
            ? "-o Ciphers=\(safe.joined(separator: ",")) accepts it" : mend(older: older, otherwise: "a newer")
        return SSHError(
            .keyExchange,
            "the peer has no strict key exchange, without which \(PacketCipher.chaCha20Poly1305.name) can be tampered "
                + "with (CVE-2023-48795): we offer \(quoted(own)), the peer offers \(quoted(peer)); \(mend)")
    }

    /// Names that mean something else are left out: they would only puzzle.
    private static func quoted(_ names: [String]) -> String {
        let shown = names.filter { ![extInfoClient, extInfoServer, strictClient, strictServer].contains($0) }
        return shown.isEmpty ? "none" : PeerText(shown.joined(separator: ",")).description
    }
}
