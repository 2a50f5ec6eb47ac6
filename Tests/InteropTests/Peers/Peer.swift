import Foundation

/// A server that others wrote, and what it and culvert both have: everything here is tested, and the table in README.md
/// says the same.
enum Peer: String, CaseIterable, CustomStringConvertible, Codable {
    case openSSH, newestOpenSSH, asyncSSH, paramiko, conch, xCrypto, erlang, libssh, dropbear, tinySSH

    /// How the server's identification begins (RFC 4253 §4.2), behind `SSH-2.0-`. Debian 12 and
    /// Scripts/requirements.txt settle it.
    var identification: String {
        switch self {
        case .openSSH: "OpenSSH_9.2"
        // Not Debian 12's: `OPENSSH` names a source tree in which it was built.
        case .newestOpenSSH: "OpenSSH_10.5"
        case .asyncSSH: "AsyncSSH_2.24.1"
        case .paramiko: "paramiko_5.1.0"
        case .conch: "Twisted_26.10.0"
        // golang.org/x/crypto, which tells no version: Debian's is of December 2022.
        case .xCrypto: "Go"
        case .erlang: "Erlang/4.15.2"
        case .libssh: "libssh_0.10.6"
        case .dropbear: "dropbear_2022.83"
        case .tinySSH: "tinyssh_20230101"
        }
    }

    /// What both have; nil for a server that culvert refuses: tinyssh before 20240101 has ChaCha20 alone, and no strict
    /// key exchange, without which ChaCha20 is not safe (CVE-2023-48795).
    var shared: Shared? {
        switch self {
        case .openSSH:
            Shared(
                keyExchanges: Shared.sntrup + Shared.curve25519 + Shared.ecdh + Shared.groups,
                certificates: Shared.allCertificates)
        case .newestOpenSSH: Shared(certificates: Shared.allCertificates)
        case .asyncSSH:
            // It has more with a library that is not on PyPI.
            Shared(
                keyExchanges: Shared.allKeyExchanges.filter { !Shared.sntrup.contains($0) },
                certificates: Shared.allCertificates)
        case .paramiko:
            // An exchange that paramiko begins stops it for good when CHANNEL_CLOSE comes meanwhile: the thread that
            // reads then waits to answer until that exchange is over, which it should itself bring to its end.
            Shared(
                keyExchanges: ["mlkem768x25519-sha256", "curve25519-sha256@libssh.org"] + Shared.ecdh
                    + ["diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"],
                ciphers: Shared.allCiphers.filter { $0 != "chacha20-poly1305@openssh.com" }, renewers: [.culvert])
        case .conch:
            // No strict key exchange, and no MAC over what is encrypted; and no cipher without MAC, with which either end
            // alone would renew the keys (`Renewing.all`).
            Shared(
                keyExchanges: ["mlkem768x25519-sha256"] + Shared.curve25519 + Shared.ecdh
                    + ["diffie-hellman-group-exchange-sha256"],
                ciphers: Shared.counter, macs: ["hmac-sha2-256", "hmac-sha2-512"], renewers: [.both])
        case .erlang:
            // It looks once a minute only how much it has carried, and then begins an exchange.
            Shared(keyExchanges: Shared.curve25519 + Shared.ecdh + Shared.groups, renewers: [.culvert])
        case .libssh:
            Shared(keyExchanges: Shared.curve25519 + Shared.ecdh + Shared.groups)
        case .xCrypto:
            // This version has no strict key exchange, so that ChaCha20 and MACs over what is encrypted fall out.
            Shared(
                keyExchanges: Shared.curve25519 + Shared.ecdh + ["diffie-hellman-group14-sha256"],
                ciphers: ["aes128-gcm@openssh.com"] + Shared.counter, macs: ["hmac-sha2-256"],
                certificates: Shared.allCertificates)
        case .dropbear:
            Shared(
                keyExchanges: Shared.curve25519 + Shared.ecdh + ["diffie-hellman-group14-sha256"],
                ciphers: ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"], macs: ["hmac-sha2-256"],
                hostKeys: Shared.allHostKeys.filter { $0 != "rsa-sha2-512" }, renewers: [.culvert])
        case .tinySSH: nil
        }
    }

    var description: String { identification }

    /// That one direction ends before the other is not known to these: they end a connection whole when either end
    /// does. And Erlang's begins to listen to its client too late behind `-R`: what comes before is lost.
    var needsCare: Bool { self == .conch || self == .erlang }

    /// What culvert says when the server's target refuses a connection; nil for a server that does not tell it, and
    /// ends the channel that it had opened before.
    var refusal: [String]? {
        switch self {
        case .conch: nil
        // Whatever the reason is, this is the only answer that the library gives.
        case .libssh: ["forbids"]
        default: Wording.targetRefused
        }
    }

    /// Those that have one host key of a kind at most, or a few: a server is started for each algorithm.
    var takesFewHostKeys: Bool { self == .dropbear || self == .libssh }

    var isOpenSSH: Bool { self == .openSSH || self == .newestOpenSSH }

    /// Whether it is on this machine: everything that `make tools` brings is.
    var isHere: Bool { self != .newestOpenSSH || Tools.openSSH != nil }

    static var accepted: [Peer] { allCases.filter { $0.shared != nil && $0.isHere } }

    /// Those with certificates of users and hosts.
    static var certifying: [Peer] { accepted.filter { $0.shared?.certificates.isEmpty == false } }

    /// Who begins the key exchanges after the first one.
    enum Renewer: String, Codable, CaseIterable {
        case culvert, server, both
    }

    struct Shared: Equatable {
        static let sntrup = ["sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"]
        static let curve25519 = ["curve25519-sha256", "curve25519-sha256@libssh.org"]
        static let ecdh = ["ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"]
        static let groups = [
            "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
            "diffie-hellman-group14-sha256",
        ]
        static let allKeyExchanges =
            ["mlkem768x25519-sha256"] + sntrup + curve25519 + ecdh + groups + ["mlkem768nistp256-sha256"]
        static let counter = ["aes128-ctr", "aes192-ctr", "aes256-ctr"]
        static let allCiphers =
            ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"] + counter
        /// For ciphers that need one.
        static let allMACs = [
            "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
        ]
        static let allHostKeys = [
            "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
            "rsa-sha2-256",
        ]
        /// The same keys with a certificate (PROTOCOL.certkeys).
        static let allCertificates = allHostKeys.map { "\($0)-cert-v01@openssh.com" }

        var keyExchanges = allKeyExchanges
        var ciphers = allCiphers
        var macs = allMACs
        var hostKeys = allHostKeys
        /// Of a host as of a user.
        var certificates: [String] = []
        var renewers = Renewer.allCases

        /// Every combination in full (`make interop`), otherwise so many that every pair of algorithms is in one.
        func combinations(full: Bool) -> [Combination] {
            var found: [Combination] = []
            // Those that differ in a MAC that is not needed are one.
            for names in full ? Pairwise.product(lists) : Pairwise.cover(lists) {
                let combination = Combination(names)
                if !found.contains(combination) { found.append(combination) }
            }
            return found
        }

        /// Of each kind of algorithm, in the order in which a `Combination` is made of them.
        var lists: [[String]] { [keyExchanges, ciphers, hostKeys + certificates, macs] }

        /// Ciphers and MACs that are used together: all of them, or so many that each is in one.
        func counterModes(full: Bool) -> [(cipher: String, mac: String)] {
            let counter = ciphers.filter(Combination.needsMAC)
            guard !full, !counter.isEmpty else { return counter.flatMap { cipher in macs.map { (cipher, $0) } } }
            return (0..<max(counter.count, macs.count)).map { (counter[$0 % counter.count], macs[$0 % macs.count]) }
        }
    }
}

/// One choice of each kind of algorithm.
struct Combination: Hashable, Codable, CustomStringConvertible {
    let keyExchange: String
    let cipher: String
    let hostKey: String
    /// Nil where the cipher authenticates by itself.
    let mac: String?

    static func needsMAC(_ cipher: String) -> Bool { cipher.hasSuffix("-ctr") }

    /// From a key exchange, a cipher, a host key algorithm and a MAC, in this order.
    init(_ names: [String]) {
        precondition(names.count == 4, "a combination has four algorithms")
        (keyExchange, cipher, hostKey) = (names[0], names[1], names[2])
        mac = Self.needsMAC(cipher) ? names[3] : nil
    }

    /// What a user gives to have this and nothing else.
    var options: [String] {
        ["-o", "KexAlgorithms=\(keyExchange)", "-c", cipher, "-o", "HostKeyAlgorithms=\(hostKey)"]
            + (mac.map { ["-m", $0] } ?? [])
    }

    /// What culvert says once it has this.
    var description: String { "\(keyExchange), \(hostKey), \(cipher)" + (mac.map { " with \($0)" } ?? "") }
}
