internal import Glibc

/// What may stand as the name or address of a host.
enum HostName {
    /// Whether it can be handed to a resolver, a log and a helper command: no blank, control character or character
    /// that a shell reads (OpenSSH refuses those too), and no dash in front, which would make it an option.
    static func isWellFormed(_ host: String) -> Bool {
        guard let first = host.unicodeScalars.first, first != "-" else { return false }
        return host.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7f && !"'\"`$\\;&<>|(){}/@[],*?!".unicodeScalars.contains(scalar)
                && !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
        }
    }

    /// An IPv6 literal, with or without a zone (`fe80::1%eth0`, RFC 4007 §11).
    static func isIPv6(_ text: String) -> Bool {
        let address = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let digits = address.first, address.count == 1 || address.last?.isEmpty == false else { return false }
        var parsed = in6_addr()
        return unsafe inet_pton(AF_INET6, String(digits), &parsed) == 1
    }
}
