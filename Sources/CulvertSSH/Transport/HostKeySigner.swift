/// Server: what proves that it is this server. The keys may live anywhere; only signatures are asked for.
struct HostKeySigner {
    /// The public key's blob (RFC 4253 §6.6), or its certificate's.
    var blob: [UInt8]
    /// With which algorithms it signs, best first.
    var algorithms: [HostKeyAlgorithm]
    /// The signature's blob over the exchange hash, by the given algorithm.
    var sign: (_ scheme: SignatureScheme, _ exchangeHash: [UInt8]) throws(SSHError) -> [UInt8]
}
