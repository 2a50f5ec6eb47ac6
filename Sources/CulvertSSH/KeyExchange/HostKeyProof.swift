/// A server's signatures with keys that it says are its own, over this session: the answer to
/// hostkeys-prove-00@openssh.com (OpenSSH's PROTOCOL §2.5).
///
/// They are judged by `proven()` alone, which calculates: not on a thread that carries payload.
public struct HostKeyProof: Sendable {
    let keys: [[UInt8]]
    /// One for each key.
    let signatures: [[UInt8]]
    /// The exchange hash of the first key exchange.
    let sessionID: [UInt8]
    /// How RSA keys sign, where the one of the key exchange is one; else each signature names it.
    let agreedRSA: SignatureScheme?

    /// The keys whose signatures are right. nil: one is false, so that nothing of this server's is to be believed. A key that
    /// signs in a way that is unknown here, or by SHA-1, is left out, as by ssh.
    public func proven() -> [[UInt8]]? {
        precondition(keys.count == signatures.count, "each key has a signature")
        var proven: [[UInt8]] = []
        for (key, signature) in zip(keys, signatures) {
            guard let name = Self.name(signature), let type = Self.name(key) else { return nil }
            var scheme = SignatureScheme(rawValue: name)
            if type == "ssh-rsa", let agreedRSA { scheme = agreedRSA }
            guard let scheme, scheme.keyType == type else { continue }
            do throws(SSHError) {
                try HostKey(blob: key, scheme: scheme).verify(signature: signature, over: signedData(key))
            } catch {
                return nil
            }
            proven.append(key)
        }
        return proven
    }

    private func signedData(_ key: [UInt8]) -> [UInt8] {
        var data = WireBytes()
        data.string("\(ProtocolName.hostKeysProve)")
        data.string(sessionID)
        data.string(key)
        return data.bytes
    }

    /// The name that a key or a signature begins with.
    private static func name(_ blob: [UInt8]) -> String? {
        try? blob.read("a host key's proof") { reader throws(SSHError) in
            let name = try reader.name()
            _ = unsafe try reader.string()
            return name
        }
    }
}
