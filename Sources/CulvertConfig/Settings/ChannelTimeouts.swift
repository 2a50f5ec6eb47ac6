internal import CulvertPlan

/// ChannelTimeout: `type=interval` words, in which the type is a pattern, or "none".
enum ChannelTimeouts {
    /// The channels of forwards, by their names of RFC 4254 and OpenSSH's PROTOCOL; "global" is all of a connection's.
    private static let forwards = [
        "direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com",
        "global",
    ]

    static func read(_ setting: Setting) throws(ConfigurationError) -> [String] {
        if setting.words.count == 1, setting.words[0].lowercased() == "none" { return ["none"] }
        for word in setting.words where parse(word) == nil { throw setting.fault("give type=interval, or none") }
        return setting.words
    }

    /// Whether idle connections through forwards would be ended: the first word that fits a type counts.
    @Sendable static func endForwards(_ words: [String]) -> Bool {
        forwards.contains { type in
            words.lazy.compactMap(parse).first { Wildcard.matches(type, pattern: $0.type) }.map { $0.seconds > 0 }
                ?? false
        }
    }

    /// nil: it is none.
    private static func parse(_ word: String) -> (type: String, seconds: Int)? {
        guard let equals = word.firstIndex(of: "="), equals > word.startIndex,
            let seconds = TimeValue.seconds(String(word[word.index(after: equals)...]))
        else { return nil }
        return (String(word[..<equals]), seconds)
    }
}
