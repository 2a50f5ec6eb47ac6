/// ssh_config(5)'s PATTERNS over bytes, as ssh has them: `*` any run, `?` any one byte; letters count as they are.
public enum Wildcard {
    /// Goes back to the last `*` only, so a hostile pattern costs at most its length times the name's.
    public static func matches(_ name: [UInt8], pattern: [UInt8]) -> Bool {
        var position = 0
        var inPattern = 0
        var star: (inPattern: Int, position: Int)?
        while position < name.count {
            if inPattern < pattern.count, pattern[inPattern] == UInt8(ascii: "*") {
                star = (inPattern, position)
                inPattern += 1
            } else if inPattern < pattern.count,
                pattern[inPattern] == UInt8(ascii: "?") || pattern[inPattern] == name[position]
            {
                position += 1
                inPattern += 1
            } else if let last = star {
                star = (last.inPattern, last.position + 1)
                position = last.position + 1
                inPattern = last.inPattern + 1
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    public static func matches(_ name: String, pattern: String) -> Bool {
        matches(Array(name.utf8), pattern: Array(pattern.utf8))
    }
}
