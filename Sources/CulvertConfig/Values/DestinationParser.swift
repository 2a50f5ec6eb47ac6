/// The destination as it was typed: `[user@]host` or `ssh://[user@]host[:port][/]`.
struct DestinationText: Hashable, Sendable {
    var user: String?
    /// Without brackets.
    var host: String
    var port: UInt16?

    /// The last `@` parts user and host, as in ssh: a user's name may hold one.
    static func parse(_ text: String) throws(ConfigurationError) -> DestinationText {
        var destination: DestinationText
        if text.lowercased().hasPrefix("ssh://") {
            destination = try parseURI(text)
        } else {
            let (user, host) = try splitUser(text[...], in: text)
            destination = DestinationText(user: user, host: unbracketed(host), port: nil)
            if destination.host.contains(":"), !HostName.isIPv6(destination.host) {
                throw portFault(text, destination)
            }
        }
        if destination.host.isEmpty { throw fault(text, "no host: give [user@]host") }
        guard HostName.isWellFormed(destination.host) else {
            throw fault(text, "'\(destination.host)' is not a name or an address")
        }
        if let user = destination.user { try UserName.checkTyped(user, origin: "destination \(text)") }
        return destination
    }

    private static func fault(_ text: String, _ cause: String) -> ConfigurationError {
        ConfigurationError("destination \(text): \(cause)")
    }

    private static func portFault(_ text: String, _ destination: DestinationText) -> ConfigurationError {
        let parts = destination.host.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let host = parts.first, let port = parts.last, PortNumber.parse(String(port)) != nil
        else { return fault(text, "'\(destination.host)' is not a name or an address") }
        return fault(text, "the port is given with -p: \(destination.user.map { $0 + "@" } ?? "")\(host) -p \(port)")
    }

    private static func splitUser(_ rest: Substring, in text: String) throws(ConfigurationError) -> (String?, Substring)
    {
        guard let at = rest.lastIndex(of: "@") else { return (nil, rest) }
        let user = rest[..<at]
        if user.isEmpty { throw fault(text, "no user before '@'") }
        return (String(user), rest[rest.index(after: at)...])
    }

    private static func unbracketed(_ host: Substring) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    /// draft-ietf-secsh-scp-sftp-ssh-uri, as far as ssh reads it: parameters after `;` are dropped, a path is refused.
    private static func parseURI(_ text: String) throws(ConfigurationError) -> DestinationText {
        var rest = text.dropFirst("ssh://".count)
        if rest.hasSuffix("/") { rest.removeLast() }
        let (userText, authority) = try splitUser(rest, in: text)
        var user = userText
        if let given = userText {
            let name = given.prefix { $0 != ";" }
            guard let decoded = percentDecoded(name) else { throw fault(text, "'%' without two hexadecimal digits") }
            if decoded.isEmpty { throw fault(text, "no user before '@'") }
            user = decoded
        }
        if authority.contains("/") { throw fault(text, "a path means nothing here: end it after host or port") }
        var host = authority
        var port: UInt16?
        let afterHost = host.hasPrefix("[") ? (host.firstIndex(of: "]") ?? host.startIndex) : host.startIndex
        if let colon = host[afterHost...].firstIndex(of: ":") {
            let digits = String(host[host.index(after: colon)...])
            guard let number = PortNumber.parse(digits), number > 0 else {
                throw fault(text, "'\(digits)' is \(PortNumber.cause)")
            }
            port = number
            host = host[..<colon]
        }
        let name = unbracketed(host)
        if name.contains(":"), !HostName.isIPv6(name) { throw fault(text, "'\(name)' is not an IPv6 address") }
        return DestinationText(user: user, host: name, port: port)
    }

    /// RFC 3986 §2.1; nil when an escape is cut or is not UTF-8.
    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// What may stand as a user's name.
enum UserName {
    static func check(_ name: String, origin: String) throws(ConfigurationError) {
        let fits =
            !name.isEmpty && !name.hasPrefix("-")
            && name.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        if !fits { throw ConfigurationError("\(origin): '\(name)' is not a user's name") }
    }

    /// The same where it was typed, or made of tokens: as in ssh, which lets only files name any user, none of the characters
    /// with which a shell makes another command, and nothing that could become an option.
    static func checkTyped(_ name: String, origin: String) throws(ConfigurationError) {
        try check(name, origin: origin)
        let pairs = zip(name.unicodeScalars, name.unicodeScalars.dropFirst())
        guard !name.unicodeScalars.contains(where: { "'`\";&<>|(){}".unicodeScalars.contains($0) }),
            !name.hasSuffix("\\"),
            !pairs.contains(where: { $0.properties.isWhitespace && $1 == "-" })
        else { throw ConfigurationError("\(origin): '\(name)' has characters that a shell reads") }
    }

    /// Whether a shell may be given a command that names the user (`%r`): who may choose the user's name, in a link that
    /// opens a terminal for example, may not thereby choose commands.
    static func mayStand(_ name: String, in command: String) -> Bool {
        isPlain(name) || !PathExpansion.uses("r", in: command)
    }

    /// Whether it can stand in a command: no character there that a shell reads (OpenSSH refuses those).
    static func isPlain(_ name: String) -> Bool {
        name.unicodeScalars.allSatisfy { scalar in
            !"'\"`$\\;&<>|(){}*?[]!#~".unicodeScalars.contains(scalar) && !scalar.properties.isWhitespace
        }
    }
}
