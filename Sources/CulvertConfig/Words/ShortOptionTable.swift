/// One short option of ssh(1), or culvert's own `-h`.
struct ShortOption: Sendable {
    /// What culvert does with it.
    enum Meaning: Sendable {
        /// Handled by `SettingStore.apply(letter:)`.
        case used
        /// Asked for and implied, or without effect by its nature: no note needed.
        case implied
        /// Means nothing for a tunnel: accepted, with a note that says what it is.
        case meaningless(String)
        /// Would change what the user gets: an error, with the mend.
        case notYet(String)
        /// Something that culvert has not, asked for by name: the same, but for `-G`, which only prints.
        case lacking(String)
        /// `-F`: the configuration file.
        case file
        /// `-G`: prints the settings.
        case print
        /// `-Q`: prints algorithms.
        case query
        /// `-M`, `-S` and `-O`: a master of forwards, and what is asked of one.
        case control
        case help
        case version
    }

    let takesValue: Bool
    let meaning: Meaning
}

/// ssh's short options: the one place that knows which letter takes a value.
enum ShortOptionTable {
    static let options: [Character: ShortOption] = {
        var table: [Character: ShortOption] = [:]
        for letter in "46BCDEFGJLMNOPQRSTVWbcfghilmnopqvy" {
            let takesValue = "BDEFJLOPQRSWbcilmop".contains(letter)
            let meaning: ShortOption.Meaning =
                switch letter {
                case "N", "n", "T": .implied
                case "V": .version
                case "h": .help
                case "F": .file
                case "G": .print
                case "Q": .query
                case "M", "O", "S": .control
                default: .used
                }
            table[letter] = ShortOption(takesValue: takesValue, meaning: meaning)
        }
        for (letter, what) in withoutValueMeaningless {
            table[letter] = ShortOption(takesValue: false, meaning: .meaningless(what))
        }
        for (letter, what) in withValueMeaningless {
            table[letter] = ShortOption(takesValue: true, meaning: .meaningless(what))
        }
        for (letter, mend) in withValueLacking {
            table[letter] = ShortOption(takesValue: true, meaning: .lacking(mend))
        }
        for (letter, takesValue, mend) in notYet {
            table[letter] = ShortOption(takesValue: takesValue, meaning: .notYet(mend))
        }
        return table
    }()

    private static let withoutValueMeaningless: [(Character, String)] = [
        ("2", "protocol 2 is the only one"), ("A", "agent forwarding"), ("K", "GSSAPI credentials"),
        ("X", "X11 forwarding"), ("Y", "X11 forwarding"), ("a", "no agent forwarding"),
        ("k", "no GSSAPI credentials"), ("s", "a subsystem"), ("t", "a terminal"), ("x", "no X11 forwarding"),
    ]

    private static let withValueMeaningless: [(Character, String)] = [
        ("e", "the escape character")
    ]

    private static let withValueLacking: [(Character, String)] = [
        ("I", LackingMend.library), ("w", LackingMend.device),
    ]

    private static let notYet: [(Character, Bool, String)] = [
        ("1", false, "SSH protocol 1 is broken: leave it out")
    ]

    /// Keys that the flag sets in what `-G` prints, and their value; nil: what was typed behind the flag.
    static let plainMeaning: [Character: [(String, String?)]] = [
        "A": [("forwardagent", "yes")], "I": [("pkcs11provider", nil)],
        "K": [("gssapiauthentication", "yes"), ("gssapidelegatecredentials", "yes")],
        "M": [("controlmaster", "true")], "N": [("sessiontype", "none"), ("requesttty", "false")],
        "S": [("controlpath", nil)], "T": [("requesttty", "false")],
        "W": [("sessiontype", "none"), ("requesttty", "false")], "X": [("forwardx11", "yes")],
        "Y": [("forwardx11", "yes"), ("forwardx11trusted", "yes")], "a": [("forwardagent", "no")],
        "f": [("stdinnull", "yes")], "k": [("gssapidelegatecredentials", "no")],
        "n": [("stdinnull", "yes")], "s": [("sessiontype", "subsystem")], "t": [("requesttty", "true")],
        "x": [("forwardx11", "no")],
    ]

    /// The option that a mistyped letter was probably meant to be: the other case, or what other programs call it;
    /// nil: neither.
    static func nearest(to letter: Character) -> Character? {
        let other = letter.isLowercase ? letter.uppercased() : letter.lowercased()
        if let other = other.first, other != letter, options[other] != nil { return other }
        switch letter {
        case "u", "U": return "l"
        case "z", "Z": return "C"
        case "5", "7", "8", "9": return "6"
        case "0", "3": return "4"
        default: return nil
        }
    }
}
