/// The algorithm lists that one end brings to every key exchange of a connection, resolved from the user's settings.
struct Offer {
    var keyExchange: [String]
    var hostKey: [String]
    var ciphers: [String]
    var macs: [String]

    /// `preferred`: names or key types of host keys that are known, for a client; a server offers what it can sign with.
    init(
        _ settings: NativeSettings, preferred: [String], signer: HostKeySigner?
    ) throws(SSHError) {
        keyExchange = try AlgorithmKind.keyExchange.offer(settings.keyExchange)
        ciphers = try AlgorithmKind.cipher.offer(settings.ciphers)
        macs = try AlgorithmKind.mac.offer(settings.macs)
        hostKey = try AlgorithmKind.hostKey.offer(
            settings.hostKeyAlgorithms,
            preferred: preferred.flatMap { SignatureScheme.named($0).map(\.rawValue) })
        if let signer { hostKey = signer.schemes.map(\.rawValue).filter(hostKey.contains) }
    }

    /// Whether our KEXINIT must wait for the peer's: what we like best is safe only with a peer that keeps to strict key
    /// exchange, and a list cannot be taken back.
    var waitsForPeer: Bool { ciphers.first.flatMap { PacketCipher(name: $0) }?.needsStrictExchange ?? false }

    /// Leaves out what is safe only with strict key exchange, as long as something else is shared with the peer.
    mutating func dropWhatNeedsStrict(_ peer: KeyExchangeInit) {
        let safe = ciphers.filter { !(PacketCipher(name: $0)?.needsStrictExchange ?? false) }
        let isShared =
            safe.contains { peer.ciphersServerToClient.contains($0) }
            && safe.contains { peer.ciphersClientToServer.contains($0) }
        if isShared { ciphers = safe }
    }

    /// `isFirst`: the names that are no methods go with the first KEXINIT only (OpenSSH's PROTOCOL §1.9, RFC 8308 §2.1).
    func message(role: ConnectionRole, isFirst: Bool) -> KeyExchangeInit {
        var message = KeyExchangeInit()
        message.keyExchange = keyExchange
        if isFirst {
            message.keyExchange +=
                role == .client
                ? [Negotiation.extInfoClient, Negotiation.strictClient]
                : [Negotiation.extInfoServer, Negotiation.strictServer]
        }
        message.hostKey = hostKey
        message.ciphersClientToServer = ciphers
        message.ciphersServerToClient = ciphers
        message.macsClientToServer = macs
        message.macsServerToClient = macs
        return message
    }
}
