/// What the libssh2 engine has, by the names on the wire, what it uses only when it is named included: libssh2 1.10 with
/// OpenSSL 3. So the advice to use it is given only where it would help. The tests of that engine compare it with the
/// library.
public enum OlderEngine {
    public static let keyExchange = [
        "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1",
    ]
    public static let hostKey = [
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
    ]
    public static let ciphers = [
        "aes256-ctr", "aes192-ctr", "aes128-ctr", "aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc",
    ]
    public static let macs = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha1", "hmac-md5"]

    static func names(_ kind: AlgorithmKind) -> [String] {
        switch kind {
        case .keyExchange: keyExchange
        case .hostKey: hostKey
        case .cipher: ciphers
        case .mac: macs
        // It asks nobody: a key signs as it can.
        case .publicKey: []
        }
    }

    /// What has to be said for it to get on with this server: options for what it uses only when it is named, of each kind
    /// where nothing better is shared. nil: something of one kind is not shared at all.
    static func options(for server: KeyExchangeInit) -> String? {
        var options = "--engine libssh2"
        let lists: [(AlgorithmKind, [[String]])] = [
            (.keyExchange, [server.keyExchange]), (.hostKey, [server.hostKey]),
            (.cipher, [server.ciphersClientToServer, server.ciphersServerToClient]),
            (.mac, [server.macsClientToServer, server.macsServerToClient]),
        ]
        for (kind, offers) in lists {
            var named: [String] = []
            for offered in offers {
                let shared = names(kind).filter(offered.contains)
                guard let first = shared.first else { return nil }
                if !shared.contains(where: kind.known.contains), !named.contains(first) { named.append(first) }
            }
            if !named.isEmpty { options += " -o \(kind.option)=+\(named.joined(separator: ","))" }
        }
        return options
    }
}
