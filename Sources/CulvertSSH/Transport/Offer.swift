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
            preferred: preferred.flatMap { HostKeyAlgorithm.named($0).map(\.name) })
        if let signer { hostKey = signer.algorithms.map(\.name).filter(hostKey.contains) }
    }

    /// Whether our KEXINIT must wait for the peer's: what is offered would be chosen otherwise with a peer that does not keep
    /// to strict key exchange, and a list cannot be taken back.
    var waitsForPeer: Bool {
        ciphers.contains { name in
            guard let cipher = CipherAlgorithm(rawValue: name) else { return false }
            return cipher.needsStrictExchange
                || cipher.needsMAC && macs.contains { PacketMAC(rawValue: $0)?.needsStrictExchange ?? false }
        }
    }

    /// Leaves out what is safe only with strict key exchange, as long as something else is shared with the peer: a cipher
    /// and, where it needs one, a MAC.
    mutating func dropWhatNeedsStrict(_ peer: KeyExchangeInit) {
        func isShared(_ names: [String], _ toServer: [String], _ toClient: [String]) -> Bool {
            names.contains(where: toServer.contains) && names.contains(where: toClient.contains)
        }
        let safeMACs = macs.filter { !(PacketMAC(rawValue: $0)?.needsStrictExchange ?? false) }
        let hasMAC = isShared(safeMACs, peer.macsClientToServer, peer.macsServerToClient)
        let safe = ciphers.filter { name in
            CipherAlgorithm(rawValue: name).map { !$0.needsStrictExchange && (hasMAC || !$0.needsMAC) } ?? false
        }
        guard isShared(safe, peer.ciphersClientToServer, peer.ciphersServerToClient) else { return }
        ciphers = safe
        if hasMAC { macs = safeMACs }
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
