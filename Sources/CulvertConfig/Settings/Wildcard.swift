/// ssh_config(5)'s PATTERNS: `*` any characters, `?` one.
enum Wildcard {
    /// Linear in both lengths but for one step back to the last `*`.
    static func matches(_ text: String, pattern: String) -> Bool {
        let text = Array(text)
        let pattern = Array(pattern)
        var (place, mark) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while place < text.count {
            if mark < pattern.count, pattern[mark] == "*" {
                star = (mark, place)
                mark += 1
            } else if mark < pattern.count, pattern[mark] == "?" || pattern[mark] == text[place] {
                place += 1
                mark += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                place = last.text + 1
                mark = last.pattern + 1
            } else {
                return false
            }
        }
        return pattern[mark...].allSatisfy { $0 == "*" }
    }
}
