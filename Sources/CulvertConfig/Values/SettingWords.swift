/// The words of a setting's value as ssh_config(5) splits a line: by blanks, with double or single quotes, and a
/// backslash before a quote, a backslash or a blank.
enum SettingWords {
    /// nil: a quote is not closed.
    static func split(_ text: some StringProtocol) -> [String]? {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "\\", let next = rest.first, isEscapable(next, in: quote) {
                word = (word ?? "") + String(rest.removeFirst())
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let done = word { words.append(done) }
                word = nil
            } else if character == "#", word == nil {
                return words
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let done = word { words.append(done) }
        return quote == nil ? words : nil
    }

    private static func isEscapable(_ character: Character, in quote: Character?) -> Bool {
        character == "\\" || character == "\"" || character == "'" || (quote == nil && character == " ")
    }
}
