/// A key exchange method by its name on the wire, best first, as OpenSSH 10 has them: this is the one place that says which
/// there are, and all that a method is made of.
enum KeyAgreementMethod: String, CaseIterable {
    /// RFC 10042: ML-KEM-768 and X25519, against whoever records today and has a quantum computer tomorrow.
    case mlkem768x25519 = "mlkem768x25519-sha256"
    /// RFC 9941: Streamlined NTRU Prime 761 and X25519, for the same.
    case sntrup761x25519 = "sntrup761x25519-sha512"
    /// The name of the same before it was a standard: OpenSSH 8.5 to 9.8 have no other.
    case sntrup761x25519openssh = "sntrup761x25519-sha512@openssh.com"
    /// RFC 8731.
    case curve25519 = "curve25519-sha256"
    /// The name of the same before it was a standard.
    case curve25519libssh = "curve25519-sha256@libssh.org"
    /// RFC 5656 §4.
    case ecdh256 = "ecdh-sha2-nistp256"
    case ecdh384 = "ecdh-sha2-nistp384"
    case ecdh521 = "ecdh-sha2-nistp521"
    /// RFC 4419, RFC 8270.
    case groupExchange = "diffie-hellman-group-exchange-sha256"
    /// RFC 8268.
    case group16 = "diffie-hellman-group16-sha512"
    case group18 = "diffie-hellman-group18-sha512"
    case group14 = "diffie-hellman-group14-sha256"
    /// RFC 10042: ML-KEM-768 for who may use nothing but NIST's curves. OpenSSH has it only for whoever names it.
    case mlkem768p256 = "mlkem768nistp256-sha256"

    /// What is offered unless the user says otherwise.
    static let standard = allCases.filter { $0 != .mlkem768p256 }

    /// What each end brings to an exchange.
    enum Kind: Equatable {
        /// A point; the secret is an `mpint`.
        case curve(KeyCurve)
        /// What a lattice has, and a point behind it; the secret is a `string` of a hash of both.
        case hybrid(Lattice, KeyCurve)
        /// A number in RFC 3526's group of so many bits; the secret is an `mpint`.
        case group(bits: Int)
        /// The same in a group that the server chooses.
        case groupExchange
    }

    var kind: Kind {
        switch self {
        case .mlkem768x25519: .hybrid(.mlkem768, .x25519)
        case .sntrup761x25519, .sntrup761x25519openssh: .hybrid(.sntrup761, .x25519)
        case .curve25519, .curve25519libssh: .curve(.x25519)
        case .ecdh256: .curve(.p256)
        case .ecdh384: .curve(.p384)
        case .ecdh521: .curve(.p521)
        case .groupExchange: .groupExchange
        case .group16: .group(bits: 4096)
        case .group18: .group(bits: 8192)
        case .group14: .group(bits: 2048)
        case .mlkem768p256: .hybrid(.mlkem768, .p256)
        }
    }

    /// The hash of the exchange, of a hybrid's secrets, and of the keys that follow (RFC 5656 §6.2.1 for the curves).
    var digest: ExchangeDigest {
        switch self {
        case .mlkem768x25519, .mlkem768p256, .curve25519, .curve25519libssh, .ecdh256, .groupExchange, .group14: .sha256
        case .ecdh384: .sha384
        case .sntrup761x25519, .sntrup761x25519openssh, .ecdh521, .group16, .group18: .sha512
        }
    }

    /// The message with the client's part, and the one with the server's.
    var initNumber: UInt8 {
        kind == .groupExchange ? MessageNumber.groupExchangeInit : MessageNumber.exchangeInit
    }
    var replyNumber: UInt8 {
        kind == .groupExchange ? MessageNumber.groupExchangeReply : MessageNumber.exchangeReply
    }
}
