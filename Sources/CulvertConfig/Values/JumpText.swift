/// ProxyJump's value: `[user@]host[:port]` or an `ssh://` address, several with commas between them, or "none".
///
/// Only the last one is taken apart here, for `-G`; the text is kept as it was written.
struct JumpText: Hashable, Sendable {
    let user: String?
    /// Without brackets.
    let host: String
    let port: UInt16?

    /// The text, without a comment behind it; every hop of it is well-formed.
    static func parse(_ setting: Setting) throws(ConfigurationError) -> String {
        var text = String(setting.command.prefix { $0 != "#" })
        while text.last?.isWhitespace == true { text.removeLast() }
        if text.lowercased() == "none" { return "none" }
        for hop in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let jump = JumpText(hop: hop) else {
                throw setting.fault("'\(hop)' is no jump host: give [user@]host[:port]")
            }
            switch setting.origin {
            case .flag, .option: if let user = jump.user { try UserName.checkTyped(user, origin: setting.origin.text) }
            case .line: break
            }
        }
        return text
    }

    init?(hop: Substring) {
        var rest = hop
        if rest.hasPrefix("ssh://") {
            guard let destination = try? DestinationText.parse(String(rest)) else { return nil }
            (user, host, port) = (destination.user, destination.host, destination.port)
            return
        }
        if let at = rest.lastIndex(of: "@") {
            guard at > rest.startIndex else { return nil }
            user = String(rest[..<at])
            rest = rest[rest.index(after: at)...]
        } else {
            user = nil
        }
        let end: Substring.Index
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<close])
            end = rest.index(after: close)
            guard end == rest.endIndex || rest[end] == ":" else { return nil }
        } else {
            end = rest.firstIndex(of: ":") ?? rest.endIndex
            host = String(rest[..<end])
        }
        guard HostName.isWellFormed(host) else { return nil }
        let digits = end == rest.endIndex ? "" : rest[rest.index(after: end)...]
        if digits.isEmpty {
            port = nil
        } else {
            guard let number = PortNumber.parse(String(digits)), number > 0 else { return nil }
            port = number
        }
    }
}
