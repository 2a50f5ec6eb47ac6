internal import CulvertPlan

/// The names that may stand in a list of algorithms: those of any OpenSSH up to 10.5 and of its distributors, which a list
/// may name for ssh's sake, and those of the two engines. Any other is a mistake of typing.
enum KnownAlgorithms: CaseIterable {
    case cipher, mac, keyExchange
    /// Of host keys and of keys to log in with, certificates included.
    case signature
    case plainSignature

    /// What one of them is called.
    var words: String {
        switch self {
        case .cipher: "cipher"
        case .mac: "MAC"
        case .keyExchange: "key exchange"
        case .signature, .plainSignature: "algorithm"
        }
    }

    /// The key of ssh_config(5) for them.
    var keyword: String {
        switch self {
        case .cipher: "Ciphers"
        case .mac: "MACs"
        case .keyExchange: "KexAlgorithms"
        case .signature, .plainSignature: "HostKeyAlgorithms"
        }
    }

    /// The same without what libssh2 alone has: a name that is mistyped was meant for ssh.
    var namesOfSSH: [String] {
        let others = Self.ciphersOfLibSSH2 + Self.macsOfLibSSH2
        return names.filter { !others.contains($0) }
    }

    var names: [String] {
        switch self {
        case .cipher: Self.ciphers + Self.ciphersOfLibSSH2
        case .mac: Self.macs + Self.macsOfLibSSH2
        case .keyExchange: Self.keyExchanges
        case .signature: Self.signatures
        case .plainSignature: Self.plainSignatures
        }
    }

    /// What ssh says before a list that it does not take.
    var refusal: String {
        switch self {
        case .cipher: "Bad SSH2 cipher spec"
        case .mac: "Bad SSH2 MAC spec"
        case .keyExchange: "Bad SSH2 KexAlgorithms"
        case .signature, .plainSignature: "Bad key types"
        }
    }

    /// Names of earlier and later versions than the one whose `-G` is printed, and of distributors': they mean something
    /// to those, and stand for nothing here.
    var fromOtherVersions: [String] {
        switch self {
        case .cipher: Self.otherCiphers
        case .mac: Self.otherMACs
        case .keyExchange: Self.otherKeyExchanges
        case .signature, .plainSignature: Self.otherSignatures
        }
    }

    /// Only those of keys may be patterns, as in ssh.
    func has(_ name: String) -> Bool {
        if fromOtherVersions.contains(name) { return true }
        return switch self {
        case .cipher, .mac, .keyExchange: names.contains(name)
        case .signature, .plainSignature: names.contains { Wildcard.matches($0, pattern: name) }
        }
    }

    /// Ciphers that authenticate by themselves (AEAD), for which no MAC is chosen.
    static let authenticatedCiphers: Set<String> = [
        "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
    ]

    private static func list(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

    private static let ciphers = list(
        """
        aes256-gcm@openssh.com aes128-gcm@openssh.com chacha20-poly1305@openssh.com aes256-ctr aes192-ctr aes128-ctr
        aes256-cbc aes192-cbc aes128-cbc 3des-cbc
        """)

    private static let ciphersOfLibSSH2 = list(
        "rijndael-cbc@lysator.liu.se blowfish-cbc cast128-cbc arcfour128 arcfour")

    private static let macs = list(
        """
        hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha2-256 hmac-sha2-512
        umac-64-etm@openssh.com umac-128-etm@openssh.com umac-64@openssh.com umac-128@openssh.com
        hmac-sha1-etm@openssh.com hmac-sha1-96-etm@openssh.com hmac-sha1 hmac-sha1-96
        hmac-md5-etm@openssh.com hmac-md5-96-etm@openssh.com hmac-md5 hmac-md5-96
        """)

    private static let macsOfLibSSH2 = list("hmac-ripemd160 hmac-ripemd160@openssh.com")

    private static let keyExchanges = list(
        """
        mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com
        curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384 ecdh-sha2-nistp521
        diffie-hellman-group-exchange-sha256 diffie-hellman-group16-sha512 diffie-hellman-group18-sha512
        diffie-hellman-group14-sha256 diffie-hellman-group14-sha1 diffie-hellman-group-exchange-sha1
        diffie-hellman-group1-sha1 mlkem768nistp256-sha256
        """)

    private static let otherCiphers = list("acss@openssh.org arcfour256")

    private static let otherMACs = list(
        """
        hmac-ripemd160-etm@openssh.com hmac-sha2-256-96 hmac-sha2-512-96
        """)

    // The last lines: of Debian's and Fedora's.
    private static let otherKeyExchanges = list(
        """
        mlkem768nistp256-sha256 mlkem1024nistp384-sha384 sntrup4591761x25519-sha512@tinyssh.org
        gss-gex-sha1- gss-group1-sha1- gss-group14-sha1- gss-group14-sha256- gss-group16-sha512-
        gss-nistp256-sha256- gss-curve25519-sha256-
        """)

    private static let otherSignatures = list(
        """
        ssh-rsa-cert-v00@openssh.com ssh-dss-cert-v00@openssh.com ssh-xmss@openssh.com ssh-xmss-cert-v01@openssh.com
        webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com
        ssh-mldsa44-ed25519@openssh.com ssh-mldsa44-ed25519-cert-v01@openssh.com
        """)

    private static let signatures = DefaultAlgorithms.knownSignatures.split(separator: ",").map(String.init)
    private static let plainSignatures = DefaultAlgorithms.knownPlainSignatures.split(separator: ",").map(String.init)
}
