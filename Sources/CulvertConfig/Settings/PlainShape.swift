internal import CulvertPlan

/// What may stand as the value of a `PlainKey`, and how `-G` prints it.
enum PlainShape: Sendable {
    case flag, count, time, text, command
    /// Any words: nothing is known about them.
    case anything
    case choice(Choice)
    case algorithms(AlgorithmDefault)
    case addKeys, agentForwarding, aliases, assignments, channelTimeouts, deviceNumbers, domains, escape, files,
        firstOf,
        keystrokes, names, persistence, service, targets

    enum AlgorithmDefault: Sendable { case signatures, plainSignatures }

    /// Words of which one is given, in any case.
    enum Choice: Sendable {
        case canonicalization, device, digest, facility, master, question, session, terminal, warning

        /// What is accepted, and how it is printed.
        var values: [(String, String)] {
            switch self {
            case .canonicalization: Self.yesAndNo + [("always", "always")]
            case .device:
                [
                    ("ethernet", "ethernet"), ("point-to-point", "point-to-point"), ("yes", "point-to-point"),
                    ("true", "point-to-point"), ("false", "false"), ("no", "false"),
                ]
            case .digest: ["MD5", "SHA1", "SHA256", "SHA384", "SHA512"].map { ($0.lowercased(), $0) }
            case .facility: Self.facilities.keys.map { ($0.lowercased(), $0) }.sorted { $0.1 < $1.1 }
            case .master: Self.yesAndNo + [("auto", "auto"), ("ask", "ask"), ("autoask", "autoask")]
            case .question: Self.yesAndNo + [("ask", "ask")]
            case .session: ["none", "subsystem", "default"].map { ($0, $0) }
            case .terminal: Self.yesAndNo + [("force", "force"), ("auto", "auto")]
            case .warning: [("yes", "yes"), ("true", "yes"), ("no", "no"), ("false", "no"), ("no-pq-kex", "no")]
            }
        }

        /// Numbers of RFC 5424 §6.2.1.
        static let facilities: [String: Int32] = [
            "USER": 1, "DAEMON": 3, "AUTH": 4, "AUTHPRIV": 10, "LOCAL0": 16, "LOCAL1": 17, "LOCAL2": 18, "LOCAL3": 19,
            "LOCAL4": 20, "LOCAL5": 21, "LOCAL6": 22, "LOCAL7": 23,
        ]

        private static let yesAndNo = [("true", "true"), ("yes", "true"), ("false", "false"), ("no", "false")]
    }

    /// The value as `-G` prints it, a word each. Throws what `setting` says of a value that is none.
    func read(_ setting: Setting) throws(ConfigurationError) -> [String] {
        switch self {
        case .flag: [try setting.flag() ? "yes" : "no"]
        case .count: ["\(try setting.count(from: 0))"]
        case .time: ["\(try setting.time().components.seconds)"]
        case .text: [try setting.text()]
        case .command: [setting.command]
        case .anything: setting.words
        case .choice(let choice): [try setting.choice(choice.values)]
        case .algorithms(let defaults): [try Self.algorithms(setting, defaults)]
        case .addKeys: try Self.addKeys(setting)
        case .agentForwarding: [try Self.agent(setting)]
        case .aliases: try Self.aliases(setting)
        case .assignments: try Self.each(setting, "give NAME=VALUE") { $0.contains("=") }
        case .channelTimeouts: try ChannelTimeouts.read(setting)
        case .deviceNumbers: [try Self.devices(setting)]
        case .domains: try Self.domains(setting)
        case .escape: [try Self.escape(setting)]
        case .files: try Self.noneAlone(setting)
        case .firstOf: Array(try Self.noneAlone(setting).prefix(1))
        case .keystrokes: [try Self.keystrokes(setting)]
        case .names: try Self.each(setting, "give names, without '='") { !$0.isEmpty && !$0.contains("=") }
        case .persistence: [try Self.persistence(setting)]
        case .service: try Self.service(setting)
        case .targets: try Self.targets(setting)
        }
    }

    private static func each(_ setting: Setting, _ cause: String, _ fits: (String) -> Bool)
        throws(ConfigurationError) -> [String]
    {
        if !setting.words.allSatisfy(fits) { throw setting.fault(cause) }
        return setting.words
    }

    /// "none" stands for no word at all.
    private static func noneAlone(_ setting: Setting, _ special: [String] = ["none"]) throws(ConfigurationError)
        -> [String]
    {
        for word in setting.words {
            if word.isEmpty { throw setting.fault("a word is empty") }
            if special.contains(word.lowercased()), setting.words.count > 1 {
                throw setting.fault("'\(word)' stands alone")
            }
        }
        return setting.words
    }

    private static func algorithms(_ setting: Setting, _ defaults: AlgorithmDefault) throws(ConfigurationError)
        -> String
    {
        let (standard, known): (String, KnownAlgorithms) =
            switch defaults {
            case .signatures: (DefaultAlgorithms.signatures, .signature)
            case .plainSignatures: (DefaultAlgorithms.plainSignatures, .plainSignature)
            }
        let list = try setting.algorithms(known)
        return list.applied(to: standard.split(separator: ",").map(String.init), known: known.names)
            .joined(separator: ",")
    }

    private static func addKeys(_ setting: Setting) throws(ConfigurationError) -> [String] {
        let values = [
            "true": "true", "yes": "true", "false": "false", "no": "false", "ask": "ask", "confirm": "confirm",
        ]
        let cause = "give yes, no, ask, confirm or a time"
        guard let first = setting.words.first, setting.words.count <= 2 else { throw setting.fault(cause) }
        let value = values[first.lowercased()]
        switch (value, setting.words.count) {
        case (let value?, 1): return [value]
        case ("confirm", 2):
            guard let seconds = TimeValue.seconds(setting.words[1]) else { throw setting.fault(cause) }
            return seconds == 0 ? ["confirm"] : ["confirm", "\(seconds)"]
        case (nil, 1):
            guard let seconds = TimeValue.seconds(first) else { throw setting.fault(cause) }
            return seconds == 0 ? ["true"] : ["\(seconds)"]
        default: throw setting.fault(cause)
        }
    }

    /// A flag, or the path of the agent's socket.
    private static func agent(_ setting: Setting) throws(ConfigurationError) -> String {
        let text = try setting.text()
        switch text.lowercased() {
        case "yes", "true": return "yes"
        case "no", "false": return "no"
        default: return text
        }
    }

    private static func aliases(_ setting: Setting) throws(ConfigurationError) -> [String] {
        try noneAlone(setting).map { word throws(ConfigurationError) in
            if word == "*" { return "*:*" }
            if word.lowercased() == "none" { return "none" }
            let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty else { throw setting.fault("give source:target, * or none") }
            return word.lowercased()
        }
    }

    private static func devices(_ setting: Setting) throws(ConfigurationError) -> String {
        let parts = try setting.word().split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var numbers: [String] = []
        for part in parts {
            if part.lowercased() == "any" {
                numbers.append("any")
            } else if let number = Int32(part), (0..<0x7fff_ffff - 1).contains(number) {
                numbers.append("\(number)")
            } else {
                throw setting.fault("give local:remote numbers of devices, or any")
            }
        }
        return numbers.count == 1 ? numbers[0] + ":any" : numbers.joined(separator: ":")
    }

    private static func domains(_ setting: Setting) throws(ConfigurationError) -> [String] {
        try noneAlone(setting).map { word throws(ConfigurationError) in
            guard let name = HostName.domain(word) else { throw setting.fault("'\(word)' is no domain") }
            return name
        }
    }

    private static func escape(_ setting: Setting) throws(ConfigurationError) -> String {
        let word = try setting.text()
        let bytes = Array(word.utf8)
        if word == "none" { return word }
        if bytes.count == 1 { return word }
        guard bytes.count == 2, bytes[0] == UInt8(ascii: "^"), (64..<128).contains(bytes[1]) else {
            throw setting.fault("give a character, ^ and a letter, or none")
        }
        // vis(3)'s way to write a control character.
        let code = bytes[1] & 31
        return "\\^" + String(UnicodeScalar(code == 127 ? UInt8(ascii: "?") : code + 64))
    }

    /// A flag, or an interval in milliseconds.
    private static func keystrokes(_ setting: Setting) throws(ConfigurationError) -> String {
        let word = try setting.word()
        switch word {
        case "yes", "true": return "yes"
        case "no", "false": return "no"
        default:
            guard word.hasPrefix("interval:"), let interval = Int(word.dropFirst(9)), (1...1000).contains(interval)
            else {
                throw setting.fault("give yes, no or interval:MILLISECONDS")
            }
            return "\(interval)"
        }
    }

    private static func persistence(_ setting: Setting) throws(ConfigurationError) -> String {
        let word = try setting.word()
        switch word {
        case "no", "false": return "no"
        case "yes", "true": return "yes"
        default:
            guard let seconds = TimeValue.seconds(word) else { throw setting.fault("give yes, no or a time") }
            return seconds == 0 ? "yes" : "\(seconds)"
        }
    }

    private static func targets(_ setting: Setting) throws(ConfigurationError) -> [String] {
        let fault = setting.fault("give host:port, any or none")
        for word in try noneAlone(setting, ["none", "any"]) where !["none", "any"].contains(word.lowercased()) {
            // The colon behind the brackets of an IPv6 address, or the first one.
            let mark = word.hasPrefix("[") ? (word.firstIndex(of: "]") ?? word.endIndex) : word.startIndex
            guard let colon = word[mark...].firstIndex(of: ":"), colon > word.startIndex else { throw fault }
            let port = word[word.index(after: colon)...]
            guard port == "*" || PortNumber.parse(String(port)).map({ $0 > 0 }) == true else { throw fault }
        }
        return setting.words
    }

    // MARK: IPQoS

    private static func service(_ setting: Setting) throws(ConfigurationError) -> [String] {
        var classes: [String] = []
        for word in setting.words {
            guard let name = ServiceClass.name(word) else { throw setting.fault("give a class such as af21, or none") }
            classes.append(name)
        }
        if classes.count > 2 { throw setting.fault("give at most two classes") }
        return classes.count == 1 ? classes + classes : classes
    }
}

/// A class of IPQoS.
enum ServiceClass {
    /// As `-G` prints it: the first name of its number, or the number.
    static func name(_ word: String) -> String? {
        let lower = word.lowercased()
        if let named = numbers.first(where: { $0.0 == lower }) {
            return numbers.first { $0.1 == named.1 }?.0
        }
        let digits = lower.hasPrefix("0x") ? lower.dropFirst(2) : lower[...]
        let isOctal = lower.hasPrefix("0") && !lower.hasPrefix("0x")
        guard !digits.isEmpty, let number = Int(digits, radix: lower.hasPrefix("0x") ? 16 : isOctal ? 8 : 10),
            (0...255).contains(number)
        else { return nil }
        if let known = numbers.first(where: { $0.1 == number }) { return known.0 }
        let hexadecimal = String(number, radix: 16)
        return "0x" + (hexadecimal.count == 1 ? "0" : "") + hexadecimal
    }

    /// RFC 2474, RFC 2597, RFC 3246, RFC 8622, and RFC 1349 for the last three; the field's eight bits.
    private static let numbers: [(String, Int)] = [
        ("none", -1), ("af11", 0x28), ("af12", 0x30), ("af13", 0x38), ("af21", 0x48), ("af22", 0x50), ("af23", 0x58),
        ("af31", 0x68), ("af32", 0x70), ("af33", 0x78), ("af41", 0x88), ("af42", 0x90), ("af43", 0x98),
        ("cs0", 0x00), ("cs1", 0x20), ("cs2", 0x40), ("cs3", 0x60), ("cs4", 0x80), ("cs5", 0xa0), ("cs6", 0xc0),
        ("cs7", 0xe0), ("ef", 0xb8), ("le", 0x04), ("lowdelay", 0x10), ("throughput", 0x08), ("reliability", 0x04),
    ]
}
