import Foundation

/// A server that others wrote, and what it and culvert both have: everything here is tested, and the table in README.md
/// says the same.
enum Peer: String, CaseIterable, CustomStringConvertible, Codable {
    case openSSH, asyncSSH, paramiko, dropbear, tinySSH

    /// How the server's identification begins (RFC 4253 §4.2), behind `SSH-2.0-`. Debian 12 and
    /// Scripts/requirements.txt settle it.
    var identification: String {
        switch self {
        case .openSSH: "OpenSSH_9.2"
        case .asyncSSH: "AsyncSSH_2.24.1"
        case .paramiko: "paramiko_5.1.0"
        case .dropbear: "dropbear_2022.83"
        case .tinySSH: "tinyssh_20230101"
        }
    }

    /// What both have; nil for a server that culvert refuses: tinyssh before 20240101 has ChaCha20 alone, and no strict
    /// key exchange, without which ChaCha20 is not safe (CVE-2023-48795).
    var shared: Shared? {
        switch self {
        case .openSSH: Shared(keyExchanges: Shared.curve25519 + Shared.ecdh + Shared.groups)
        case .asyncSSH: Shared()
        case .paramiko:
            // An exchange that paramiko begins stops it for good when CHANNEL_CLOSE comes meanwhile: the thread that
            // reads then waits to answer until that exchange is over, which it should itself bring to its end.
            Shared(
                keyExchanges: ["mlkem768x25519-sha256", "curve25519-sha256@libssh.org"] + Shared.ecdh
                    + ["diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"],
                ciphers: ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com"], renewers: [.culvert])
        case .dropbear:
            Shared(
                keyExchanges: Shared.curve25519 + Shared.ecdh + ["diffie-hellman-group14-sha256"],
                ciphers: ["chacha20-poly1305@openssh.com"],
                hostKeys: Shared.allHostKeys.filter { $0 != "rsa-sha2-512" }, renewers: [.culvert])
        case .tinySSH: nil
        }
    }

    var description: String { identification }

    static var accepted: [Peer] { allCases.filter { $0.shared != nil } }

    /// Who begins the key exchanges after the first one.
    enum Renewer: String, Codable, CaseIterable {
        case culvert, server, both
    }

    struct Shared: Equatable {
        static let curve25519 = ["curve25519-sha256", "curve25519-sha256@libssh.org"]
        static let ecdh = ["ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"]
        static let groups = [
            "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
            "diffie-hellman-group14-sha256",
        ]
        static let allKeyExchanges =
            ["mlkem768x25519-sha256"] + curve25519 + ecdh + groups + ["mlkem768nistp256-sha256"]
        static let allCiphers = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
        static let allHostKeys = [
            "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
            "rsa-sha2-256",
        ]

        var keyExchanges = allKeyExchanges
        var ciphers = allCiphers
        var hostKeys = allHostKeys
        var renewers = Renewer.allCases

        /// Every combination in full (`make interop`), otherwise so many that every pair of algorithms is in one.
        func combinations(full: Bool) -> [Combination] {
            let lists = [keyExchanges, ciphers, hostKeys]
            return (full ? Pairwise.product(lists) : Pairwise.cover(lists)).map(Combination.init)
        }
    }
}

/// One choice of each kind of algorithm.
struct Combination: Hashable, Codable, CustomStringConvertible {
    let keyExchange: String
    let cipher: String
    let hostKey: String

    /// From a key exchange, a cipher and a host key algorithm, in this order.
    init(_ names: [String]) {
        precondition(names.count == 3, "a combination has three algorithms")
        (keyExchange, cipher, hostKey) = (names[0], names[1], names[2])
    }

    /// What a user gives to have this and nothing else.
    var options: [String] {
        ["-o", "KexAlgorithms=\(keyExchange)", "-c", cipher, "-o", "HostKeyAlgorithms=\(hostKey)"]
    }

    /// What culvert says once it has this.
    var description: String { "\(keyExchange), \(hostKey), \(cipher)" }
}
