internal import Glibc

/// What may stand as the name or address of a host.
enum HostName {
    /// Whether it can be handed to a resolver, a log and a helper command: no blank, control character, format character
    /// (which hides or reverses what is read) or character that a shell reads (OpenSSH refuses those too), and no dash
    /// in front, which would make it an option. A slash is in what is no name to a resolver, but to a ProxyCommand
    /// (`unix/path`, `vsock/3`).
    static func isWellFormed(_ host: String) -> Bool {
        guard let first = host.unicodeScalars.first, first != "-" else { return false }
        return host.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7f && !"'\"`$\\;&<>|(){}@[],*?!".unicodeScalars.contains(scalar)
                && !scalar.properties.isWhitespace
                && ![.control, .format, .unassigned, .privateUse].contains(scalar.properties.generalCategory)
        }
    }

    /// Whether it can stand as the end of a forward: whoever looks it up judges it, and no command is made of it. What
    /// cannot be seen would falsify what is told of it.
    static func isPrintable(_ host: String) -> Bool {
        !host.isEmpty
            && host.unicodeScalars.allSatisfy { scalar in
                ![.control, .format, .lineSeparator, .paragraphSeparator, .surrogate].contains(
                    scalar.properties.generalCategory)
            }
    }

    /// Whether a shell may be given a command that names the host key's alias (`%k`): it is no name of a host by itself.
    static func mayStand(alias: String, in command: String) -> Bool {
        isWellFormed(alias) || !PathExpansion.uses("k", in: command)
    }

    /// An IPv6 literal, with or without a zone (`fe80::1%eth0`, RFC 4007 §11).
    static func isIPv6(_ text: String) -> Bool {
        let address = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let digits = address.first, address.count == 1 || address.last?.isEmpty == false else { return false }
        var parsed = in6_addr()
        return unsafe inet_pton(AF_INET6, String(digits), &parsed) == 1
    }

    /// A domain as CanonicalDomains takes one, in lower case and without a dot at its end; nil: it is none.
    static func domain(_ text: String) -> String? {
        let bytes = Array(text.lowercased().utf8)
        func isWord(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) }
        guard let first = bytes.first, isWord(first), !text.contains(".."),
            bytes.allSatisfy({ isWord($0) || [0x2d, 0x2e, 0x5f].contains($0) })
        else { return nil }
        return String(decoding: bytes.last == 0x2e ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    /// An address as the system writes it (`127.1` is `127.0.0.1`); nil: a name.
    static func canonicalAddress(_ text: String) -> String? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(text, nil, &hints, &found) == 0, let first = unsafe found else { return nil }
        defer { unsafe freeaddrinfo(first) }
        return unsafe numeric(first.pointee.ai_addr, first.pointee.ai_addrlen)
    }

    /// An address as the system writes it.
    static func numeric(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> String? {
        // NI_MAXHOST.
        var name = [CChar](repeating: 0, count: 1025)
        guard unsafe getnameinfo(address, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
        }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
