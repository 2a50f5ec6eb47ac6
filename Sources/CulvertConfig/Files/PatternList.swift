internal import CulvertPlan

/// ssh_config(5)'s pattern list: patterns with commas between them, `!` in front of one that must not match.
enum PatternList {
    /// Some pattern matches, and none with `!` in front does. `list` is taken as lower case when `lowercase` is set.
    static func matches(_ text: String, _ list: String, lowercase: Bool = false) -> Bool {
        var isMatched = false
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let isNegated = part.hasPrefix("!")
            let pattern = String(isNegated ? part.dropFirst() : part)
            guard Wildcard.matches(text, pattern: lowercase ? pattern.lowercased() : pattern) else { continue }
            if isNegated { return false }
            isMatched = true
        }
        return isMatched
    }

    /// Names of hosts have no case.
    static func matchesHost(_ host: String, _ list: String) -> Bool {
        matches(host.lowercased(), list, lowercase: true)
    }
}
