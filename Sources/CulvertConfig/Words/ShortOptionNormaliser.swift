/// Takes a command line apart as ssh does, which ArgumentParser cannot: getopt's clusters and joined values
/// (`-NfL1:a:2`, `-vvNp22`, `-oKey=Value`), options after the destination, `--`.
///
/// Invariant: the words come out in the order in which they were typed, so that the first value can win.
struct ShortOptionNormaliser {
    private var rest: ArraySlice<String>
    private var words: [CommandWord] = []
    private var hasDestination = false

    static func normalise(_ arguments: [String]) throws(ConfigurationError) -> [CommandWord] {
        var normaliser = ShortOptionNormaliser(rest: arguments[...])
        try normaliser.run()
        return normaliser.words
    }

    private init(rest: ArraySlice<String>) { self.rest = rest }

    private mutating func run() throws(ConfigurationError) {
        while let word = rest.popFirst() {
            if word == "--" {
                takeOperandsOnly()
            } else if word.hasPrefix("--") {
                try takeLong(word)
            } else if word.hasPrefix("-"), word != "-" {
                try takeCluster(word)
            } else if hasDestination {
                takeCommand(first: word)
            } else {
                takeDestination(word)
            }
        }
    }

    private mutating func takeDestination(_ word: String) {
        words.append(.operand(word))
        hasDestination = true
    }

    private mutating func takeCommand(first: String) {
        words.append(.command([first] + rest))
        rest = []
    }

    /// After `--` ssh takes a destination if it has none, and then everything as the command, options included.
    private mutating func takeOperandsOnly() {
        if !hasDestination, let word = rest.popFirst() { takeDestination(word) }
        if let word = rest.popFirst() { takeCommand(first: word) }
    }

    private mutating func takeLong(_ word: String) throws(ConfigurationError) {
        if let equals = word.firstIndex(of: "=") {
            words.append(.long(String(word[..<equals]), String(word[word.index(after: equals)...])))
        } else if LongOptionName(rawValue: String(word.dropFirst(2)))?.takesValue == true {
            guard let value = rest.popFirst() else { throw ConfigurationError("\(word) needs a value") }
            words.append(.long(word, value))
        } else {
            words.append(.long(word, nil))
        }
    }

    private mutating func takeCluster(_ word: String) throws(ConfigurationError) {
        var letters = word.dropFirst()
        // `-persist` would be port "ersist", and `-version` verbose with an escape character.
        if LongOptionName(rawValue: String(letters))?.isMistakenForCluster == true {
            throw ConfigurationError("\(word): unknown option: did you mean -\(word)?")
        }
        // It would show the help, whatever else was mistyped.
        if letters.first == "h", word.count > 2 {
            throw ConfigurationError("\(word): unknown option: for help, give -h alone")
        }
        while let letter = letters.popFirst() {
            guard let option = ShortOptionTable.options[letter] else {
                let place = word.count > 2 ? " (in \(word))" : ""
                let hint = ShortOptionTable.nearest(to: letter).map { ": did you mean -\($0)?" } ?? ""
                throw ConfigurationError("-\(letter)\(place): unknown option\(hint)")
            }
            if letter == "M", takeMonitor(letters) { return }
            guard option.takesValue else {
                words.append(.short(letter, nil))
                continue
            }
            if !letters.isEmpty {
                words.append(.short(letter, String(letters)))
            } else if let value = rest.popFirst() {
                words.append(.short(letter, value))
            } else {
                throw ConfigurationError("-\(letter) needs a value")
            }
            return
        }
    }

    /// autossh's `-M20000` and `-M 0`; whether it was that, and not ssh's `-M`, which has no value.
    private mutating func takeMonitor(_ letters: Substring) -> Bool {
        if AutosshSettings.isMonitor(letters) {
            words.append(.short("M", String(letters)))
        } else if letters.isEmpty, let next = rest.first, AutosshSettings.isMonitor(next) {
            words.append(.short("M", rest.removeFirst()))
        } else {
            return false
        }
        return true
    }
}
