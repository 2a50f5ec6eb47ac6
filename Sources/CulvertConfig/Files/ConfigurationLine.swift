/// Words of a line as OpenSSH parts a keyword, and the criteria of `Match`: by blanks, by one `=` among them, and by
/// double quotes, which have no escape.
struct LineWords {
    /// nil: at the end.
    private(set) var rest: ArraySlice<UInt8>?

    init(_ bytes: some Collection<UInt8>) { rest = Array(bytes)[...] }

    /// nil: at the end, or a quote is not closed. An empty word: a delimiter stands where the word would.
    mutating func next() -> String? {
        guard let bytes = rest else { return nil }
        guard
            let end = bytes.firstIndex(where: { Byte.isBlank($0) || $0 == Byte.doubleQuote || $0 == Byte.equals })
        else {
            rest = nil
            return String(decoding: bytes, as: UTF8.self)
        }
        if bytes[end] == Byte.doubleQuote {
            let quoted = bytes[(end + 1)...]
            guard let close = quoted.firstIndex(of: Byte.doubleQuote) else {
                rest = nil
                return nil
            }
            rest = quoted[(close + 1)...].drop(while: Byte.isBlank)
            return String(decoding: bytes[..<end] + quoted[..<close], as: UTF8.self)
        }
        var after = bytes[(end + 1)...].drop(while: Byte.isBlank)
        if bytes[end] != Byte.equals, after.first == Byte.equals {
            after = after.dropFirst().drop(while: Byte.isBlank)
        }
        rest = after
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

/// A line of a configuration file, or the argument of `-o`: `Key Value`, `Key=Value` or `Key = Value`.
struct ConfigurationLine {
    /// As it was written.
    let keyword: String
    /// What follows it, without blanks around; empty: nothing follows.
    let rest: ArraySlice<UInt8>

    /// nil: a blank line or a comment.
    init?(_ line: some Collection<UInt8>) {
        var bytes = Array(line)[...]
        while let last = bytes.last, Byte.isBlank(last) || last == 0x0c { bytes.removeLast() }
        var words = LineWords(bytes)
        guard var keyword = words.next() else { return nil }
        if keyword.isEmpty { keyword = words.next() ?? "" }
        guard !keyword.isEmpty, !keyword.hasPrefix("#") else { return nil }
        self.keyword = keyword
        rest = (words.rest ?? []).drop(while: Byte.isBlank)
    }

    /// The value of a key that takes a command: the rest of the line, quotes, `#` and all.
    var command: String {
        String(decoding: rest.drop { Byte.isBlank($0) || $0 == Byte.equals }, as: UTF8.self)
    }
}
