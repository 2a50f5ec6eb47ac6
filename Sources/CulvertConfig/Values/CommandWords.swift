internal import CulvertPlan

/// The words of a command that no shell reads, as OpenSSH parts them (argv_split in its misc.c): blanks part words, quotes of
/// both kinds hold them together, and a backslash stands before a quote, a backslash or, outside of quotes, a blank.
enum CommandWords {
    /// nil: a quote is not closed.
    static func split(_ text: String) -> [String]? {
        var words: [String] = []
        var rest = Array(text.unicodeScalars)[...]
        while true {
            rest = rest.drop { $0 == " " || $0 == "\t" }
            guard !rest.isEmpty else { return words }
            guard let word = next(&rest) else { return nil }
            words.append(word)
        }
    }

    private static func next(_ rest: inout ArraySlice<Unicode.Scalar>) -> String? {
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        while let scalar = rest.popFirst() {
            switch (scalar, quote) {
            case ("\\", _):
                guard let following = rest.first,
                    following == "'" || following == "\"" || following == "\\" || quote == nil && following == " "
                else {
                    word.append(scalar)
                    continue
                }
                rest.removeFirst()
                word.append(following)
            case (" ", nil), ("\t", nil): return String(word)
            case ("'", nil), ("\"", nil): quote = scalar
            case (_, let open?) where scalar == open: quote = nil
            default: word.append(scalar)
            }
        }
        return quote == nil ? String(word) : nil
    }
}

extension PathExpansion {
    /// KnownHostsCommand: the tokens of every command, and those that each call has its own of.
    func knownHostsCommand(_ text: String) throws(ConfigurationError) -> KnownHostsCommand {
        let key = "KnownHostsCommand"
        guard let words = CommandWords.split(text) else {
            throw ConfigurationError("\(key) \(text): a quote is not closed")
        }
        guard let path = words.first else { throw ConfigurationError("\(key): give the path of a program") }
        // As with ssh the path itself has no tokens.
        var expanded: [[KnownHostsCommand.Piece]] = [[.text(path)]]
        for word in words.dropFirst() { expanded.append(try pieces(word, origin: key)) }
        return KnownHostsCommand(words: expanded, environment: environment.variables)
    }

    private func pieces(_ word: String, origin: String) throws(ConfigurationError) -> [KnownHostsCommand.Piece] {
        var pieces: [KnownHostsCommand.Piece] = []
        var plain = ""
        var rest = word[...]
        func flush() throws(ConfigurationError) {
            if !plain.isEmpty { pieces.append(.text(try tokens(plain, origin: origin))) }
            plain = ""
        }
        while let character = rest.popFirst() {
            plain.append(character)
            guard character == "%", let letter = rest.popFirst() else { continue }
            guard let piece = Self.ofEachCall[letter] else {
                plain.append(letter)
                continue
            }
            plain.removeLast()
            try flush()
            pieces.append(piece)
        }
        try flush()
        return pieces
    }

    private static let ofEachCall: [Character: KnownHostsCommand.Piece] = [
        "H": .name, "I": .invocation, "t": .keyType, "f": .fingerprint, "K": .key,
    ]
}
