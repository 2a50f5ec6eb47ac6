internal import CulvertPlan

/// One setting as it was given, before its value is understood.
struct Setting: Hashable, Sendable {
    /// Words of the value: one where a flag gave it, as many as there are elsewhere.
    let words: [String]
    /// The value whole, for keys that take a command.
    let command: String
    let origin: SettingOrigin

    init(words: [String], command: String? = nil, origin: SettingOrigin) {
        self.words = words
        self.command = command ?? words.joined(separator: " ")
        self.origin = origin
    }

    /// The only word.
    func word() throws(ConfigurationError) -> String {
        guard words.count == 1, let word = words.first else {
            throw fault("takes one value: put quotes around one that holds a blank")
        }
        return word
    }

    func fault(_ cause: String) -> ConfigurationError {
        ConfigurationError("\(origin.text(with: words)): \(cause)")
    }

    // MARK: Values

    /// ssh takes exactly these four, in any case.
    func flag() throws(ConfigurationError) -> Bool {
        switch try word().lowercased() {
        case "yes", "true": true
        case "no", "false": false
        default: throw fault("give yes or no")
        }
    }

    func port() throws(ConfigurationError) -> UInt16 {
        guard let port = PortNumber.parse(try word()), port > 0 else { throw fault(PortNumber.cause) }
        return port
    }

    /// Whole seconds; zero for "none" and for 0.
    func time() throws(ConfigurationError) -> Duration {
        let text = try word()
        if text == "none" { return .zero }
        guard let seconds = TimeValue.seconds(text) else { throw fault(TimeValue.cause) }
        return .seconds(seconds)
    }

    /// An amount, "default" or "none", and perhaps a time behind it.
    func rekeyLimit() throws(ConfigurationError) -> RekeyLimit {
        let cause = "give an amount such as 1G or default, and perhaps a time such as 1h behind it"
        let parts = words.flatMap { $0.split(separator: " ").map(String.init) }
        guard parts.count == 1 || parts.count == 2 else { throw fault(cause) }
        var limit = RekeyLimit()
        if !["default", "none"].contains(parts[0].lowercased()) {
            // ssh's least: less would exchange keys for every packet.
            guard let bytes = SizeValue.bytes(parts[0]), bytes == 0 || bytes >= 16 else { throw fault(cause) }
            limit.bytes = bytes == 0 ? nil : bytes
        }
        if parts.count == 2, parts[1].lowercased() != "none" {
            guard let seconds = TimeValue.seconds(parts[1]) else { throw fault(cause) }
            limit.interval = seconds == 0 ? nil : .seconds(seconds)
        }
        return limit
    }

    func count(from least: Int) throws(ConfigurationError) -> Int {
        guard let count = Int32(try word()), count >= least else { throw fault("give a whole number from \(least)") }
        return Int(count)
    }

    func octal() throws(ConfigurationError) -> UInt16 {
        guard let mask = UInt16(try word(), radix: 8), mask <= 0o777 else {
            throw fault("give an octal mask from 0 to 0777")
        }
        return mask
    }

    func host() throws(ConfigurationError) -> String {
        let host = try word()
        guard HostName.isWellFormed(host) else { throw fault("not a name or an address") }
        return host
    }

    func user() throws(ConfigurationError) -> String {
        let user = try word()
        switch origin {
        case .flag, .option: try UserName.checkTyped(user, origin: origin.text)
        case .line: try UserName.check(user, origin: origin.text)
        }
        return user
    }

    func text() throws(ConfigurationError) -> String {
        let text = try word()
        if text.isEmpty { throw fault("the value is empty") }
        return text
    }

    /// Throws for a name that no engine and no ssh has: it is a mistake of typing. What is taken away need not exist,
    /// as in ssh.
    func algorithms(_ kind: KnownAlgorithms) throws(ConfigurationError) -> AlgorithmList {
        let text = try word()
        guard var list = AlgorithmList(text) else {
            throw fault("give names with commas between them, after '+', '-' or '^' to change the default list")
        }
        if list.change != .remove, let name = list.names.first(where: { !kind.has($0) }) {
            let hint = NearestName.hint(
                for: name, among: kind.namesOfSSH,
                otherwise: ": 'culvert -Q \(kind.keyword)' prints those that culvert has")
            throw ConfigurationError(
                "\(origin.text): \(kind.refusal) '\(text)': no \(kind.words) is called '\(name)'\(hint)")
        }
        list.place = origin.place
        return list
    }

    /// The same behind `-c` and `-m`, where ssh takes no list that only takes away.
    func algorithmsOfFlag(_ kind: KnownAlgorithms) throws(ConfigurationError) -> AlgorithmList {
        let list = try algorithms(kind)
        if list.change == .remove {
            throw fault("no \(kind.words) is called so: -o\(kind.keyword)=\(list) takes away what is named")
        }
        return list
    }

    /// File names; empty for "none".
    func files() throws(ConfigurationError) -> [String] {
        if words.count == 1, words[0].lowercased() == "none" { return [] }
        if words.contains(where: \.isEmpty) { throw fault("a file's name is empty") }
        if words.contains(where: { $0.lowercased() == "none" }) { throw fault("'none' stands alone") }
        return words
    }

    /// One of several words, case-insensitive as in ssh.
    func choice<Value>(_ values: [(String, Value)]) throws(ConfigurationError) -> Value {
        let text = try word().lowercased()
        if let found = values.first(where: { $0.0 == text }) { return found.1 }
        throw fault("give " + values.map(\.0).listed)
    }

    /// `variables`: `${NAME}` may stand for any part, as ssh takes it.
    func forward(_ kind: ForwardSpecification.Kind, variables: [String: String]) throws(ConfigurationError)
        -> ForwardSpecification
    {
        // In a file listening end and target are two words.
        guard words.count == 1 || words.count == 2, kind != .dynamic || words.count == 1 else {
            throw fault(kind == .dynamic ? kind.form : "give [bind_address:]port host:hostport")
        }
        do throws(ConfigurationError) {
            let text = try VariableExpansion.expand(words.joined(separator: ":"), variables)
            return try ForwardParser.parse(text, kind: kind)
        } catch {
            throw ConfigurationError(origin.place + error.message)
        }
    }
}

extension [String] {
    /// "a, b or c".
    var listed: String {
        guard let last, count > 1 else { return first ?? "" }
        return dropLast().joined(separator: ", ") + " or " + last
    }
}
