internal import CulvertPlan

/// What settings have said so far. The first value of a key wins, whether a flag or `-o` gave it; the flags that
/// OpenSSH lets outrank `-o` (-4 -6 -b -B -c -m -g -f, and of themselves the last) do so here.
///
/// Every value is checked, also one that comes too late to count.
struct SettingStore {
    var addressFamily: ConnectionOptions.AddressFamily?
    var batchMode: Bool?
    var bindAddress: String?
    var bindInterface: String?
    var checkHostIP: Bool?
    var checking: HostKeyOptions.Checking?
    var ciphers: AlgorithmList?
    var clearAllForwardings: Bool?
    var compression: Bool?
    var connectTimeout: Duration?
    var connectionAttempts: Int?
    var exitOnForwardFailure: Bool?
    var background: Bool?
    var forwards: [ForwardSpecification] = []
    /// `-W`.
    var streams: ForwardSpecification?
    var gatewayPorts: Bool?
    var globalKnownHostsFiles: [String]?
    var hashKnownHosts: Bool?
    var hostKeyAlgorithms: AlgorithmList?
    var hostKeyAlias: String?
    var hostName: String?
    var identitiesOnly: Bool?
    var identityAgent: String?
    var identityFiles: [IdentityFileSetting] = []
    var ignoreUnknown: String?
    var kbdInteractiveAuthentication: Bool?
    var kexAlgorithms: AlgorithmList?
    var logLevel: Verbosity?
    var macs: AlgorithmList?
    var numberOfPasswordPrompts: Int?
    var passwordAuthentication: Bool?
    var port: UInt16?
    var preferredAuthentications: [String]?
    var pubkeyAcceptedAlgorithms: AlgorithmList?
    /// A jump, or a command, whichever came first.
    var proxyCommand: String?
    var proxyJump: String?
    var pubkeyAuthentication: PubkeyChoice?
    var rekeyLimit: RekeyLimit?
    var serverAliveCountMax: Int?
    /// Zero: never.
    var serverAliveInterval: Duration?
    var streamLocalBindMask: UInt16?
    var streamLocalBindUnlink: Bool?
    var tag: String?
    var tcpKeepAlive: Bool?
    var user: String?
    /// By `-l` or before the destination, where it stands for itself.
    private(set) var userIsTyped = false
    var userKnownHostsFiles: [String]?

    var culvert = CulvertSettings()
    /// Keys that culvert does not act on, by their names in lower case, as `-G` prints them.
    var plain: [String: [String]] = [:]
    /// What `tunnel` must refuse, and why: keys in force that culvert cannot honour.
    var refusals: [ConfigurationError] = []

    /// Of the environment.
    var variables: [String: String] = [:]
    var verbosity = VerbosityFlags()
    var logFile: String?
    var syslog = false
    private(set) var notes: [String] = []
    private var noted: Set<String> = []

    private mutating func first<Value>(_ field: WritableKeyPath<Self, Value?>, _ value: Value) {
        if self[keyPath: field] == nil { self[keyPath: field] = value }
    }

    mutating func note(_ text: String) {
        if noted.insert(text).inserted { notes.append(text) }
    }

    // MARK: Flags

    /// A flag that `ShortOptionTable` calls used.
    mutating func apply(letter: Character, value: String?) throws(ConfigurationError) {
        let setting = Setting(words: value.map { [$0] } ?? [], origin: .flag(letter))
        switch letter {
        case "4": addressFamily = .inet
        case "6": addressFamily = .inet6
        case "C": compression = true
        case "E":
            logFile = try setting.text()
            try checkLog()
        case "D": try apply(.dynamicForward, setting)
        case "J":
            // As in ssh, which takes it for a contradiction and not for a second value.
            guard proxyCommand == nil, proxyJump == nil else {
                throw setting.fault(
                    "\(proxyJump == nil ? "ProxyCommand" : "a jump") is given already: put several hops into one -J")
            }
            try apply(.proxyJump, setting)
        case "L": try apply(.localForward, setting)
        case "R": try apply(.remoteForward, setting)
        case "W":
            let text = try setting.word()
            if streams != nil { throw ConfigurationError("-W \(text): there is only one standard input: give one -W") }
            streams = try ForwardParser.parse(text, kind: .streams)
        case "b": bindAddress = try setting.host()
        case "B": bindInterface = try setting.text()
        case "c": ciphers = try setting.algorithmsOfFlag(.cipher)
        case "f": background = true
        case "g": gatewayPorts = true
        case "i": try apply(.identityFile, setting)
        case "l":
            let name = try setting.user()
            if user == nil { type(user: name) }
        case "m": macs = try setting.algorithmsOfFlag(.mac)
        case "o": try apply(option: value ?? "")
        case "P":
            try apply(.tag, setting)
            if value.flatMap(Int.init) != nil { note("-P \(value ?? ""): a tag for Match tagged: the port is -p") }
        case "p": try apply(.port, setting)
        case "q": verbosity.quiet()
        case "v": verbosity.more()
        case "y":
            syslog = true
            try checkLog()
        default: preconditionFailure("-\(letter) is used by the table of short options and by nobody else")
        }
    }

    /// As in ssh.
    private func checkLog() throws(ConfigurationError) {
        if syslog, logFile != nil { throw ConfigurationError("-y and -E: give one place for the log") }
    }

    /// A name that stands for itself.
    mutating func type(user name: String) {
        user = name
        userIsTyped = true
    }

    /// What a flag that means nothing to a tunnel says to ssh, for `-G`.
    mutating func applyPlain(letter: Character, value: String?) throws(ConfigurationError) {
        if letter == "e" {
            let setting = Setting(words: [value ?? ""], origin: .flag(letter))
            return plain["escapechar"] = try PlainShape.escape.read(setting)
        }
        for (key, text) in ShortOptionTable.plainMeaning[letter] ?? [] {
            let isRepeated = plain[key] == ["true"] && (letter == "t" || letter == "M")
            plain[key] = isRepeated ? [letter == "t" ? "force" : "ask"] : [text ?? value ?? ""]
        }
    }

    // MARK: Lines

    /// `-o`: `Key=Value`, `Key Value` or `Key = Value`.
    mutating func apply(option text: String) throws(ConfigurationError) {
        let bytes = Array(text.utf8)
        if bytes.first(where: { !Byte.isBlank($0) }) == Byte.equals {
            throw ConfigurationError("-o \(text): no key: give Key=Value")
        }
        // As in a file, nothing and a comment say nothing.
        guard let line = ConfigurationLine(bytes) else { return }
        try apply(line, origin: .option(line.keyword))
    }

    /// A key and its value, from wherever they come.
    mutating func apply(_ line: ConfigurationLine, origin: SettingOrigin) throws(ConfigurationError) {
        let name = line.keyword
        let key = SettingKey(name: name)
        let own = CulvertKey(name: name)
        let plainKey = PlainKey.named(name)
        let isKnown = key != nil || own != nil || plainKey != nil
        if !isKnown { try ignoreUnknown(name, origin) }
        guard let words = SettingWords.split(line.rest) else {
            throw ConfigurationError(
                "\(origin.text(with: [String(decoding: line.rest, as: UTF8.self)])): a quote is not closed")
        }
        if words.isEmpty {
            let form = if case .option = origin { "\(name)=Value" } else { "\(name) value" }
            throw ConfigurationError("\(origin.text): no value: give \(form)")
        }
        if words.contains(where: { $0.contains("\u{fffd}") }) {
            throw ConfigurationError("\(origin.text): the value is not UTF-8")
        }
        guard isKnown else { return }
        let setting = Setting(words: words, command: line.command, origin: origin)
        if let key {
            try apply(key, setting)
        } else if let own {
            try culvert.apply(own, setting)
        } else if let plainKey {
            try apply(plainKey, setting)
        }
    }

    /// Throws unless IgnoreUnknown names the key.
    private mutating func ignoreUnknown(_ name: String, _ origin: SettingOrigin) throws(ConfigurationError) {
        if let patterns = ignoreUnknown, PatternList.matches(name.lowercased(), patterns, lowercase: true) {
            return note("\(origin.text): unknown, ignored as IgnoreUnknown asks")
        }
        switch name.lowercased() {
        case "host", "match", "include":
            throw ConfigurationError("\(origin.text): it belongs in a configuration file")
        default: break
        }
        let hint = NearestName.hint(
            for: name, among: Self.knownNames, otherwise: ": leave it out, or name it in IgnoreUnknown")
        throw ConfigurationError("\(origin.text): unknown key\(hint)")
    }

    /// Every key as ssh_config(5) writes it. Those that do something come first, so that they win a tie.
    static let knownNames =
        SettingKey.allCases.map(\.rawValue) + CulvertKey.allCases.map(\.rawValue) + PlainKey.all.map(\.name)

    private mutating func apply(_ key: PlainKey, _ setting: Setting) throws(ConfigurationError) {
        let value = try key.shape.read(setting)
        let name = key.name.lowercased()
        let origin = setting.origin.naming(key.name).text
        switch name {
        case "sendenv": return sendEnvironment(value)
        case "certificatefile": if plain[name, default: []].contains(value[0]) { return }
        case "setenv":
            // The first line of its kind, and of it the first of a name.
            if plain[name] != nil { return }
            var names: Set<Substring> = []
            plain[name] = value.filter { names.insert($0.prefix { $0 != "=" }).inserted }
            return note("\(origin) has no effect here: ignored")
        default: if plain[name] != nil { return }
        }
        plain[name, default: []] += value
        switch key.fate {
        case .ignored: if value != key.standard { note("\(origin) has no effect here: ignored") }
        case .refusedWhenTyped(let harmless, let mend):
            if value == [harmless] { return }
            if case .line = setting.origin { return note("\(origin) has no effect here: ignored") }
            refusals.append(setting.fault("not supported: \(mend)"))
        case .used: break
        case .obsolete: note("\(origin) is out of use: ignored")
        case .refusedIf(let matters, let mend):
            if matters(value) { return refusals.append(setting.fault("not supported: \(mend)")) }
            if value != key.standard { note("\(origin) has no effect here: ignored") }
        case .refusal: refusals.append(ConfigurationError("\(origin): \(value.joined(separator: " "))"))
        case .refused(let harmless):
            if value.count == 1, harmless.contains(value[0].lowercased()) { return }
            refusals.append(setting.fault("not supported yet: leave it out"))
        }
    }

    /// A name with `-` in front takes away what it matches.
    private mutating func sendEnvironment(_ names: [String]) {
        var list = plain["sendenv"] ?? []
        for name in names {
            if name.hasPrefix("-") {
                list.removeAll { Wildcard.matches($0, pattern: String(name.dropFirst())) }
            } else {
                list.append(name)
            }
        }
        plain["sendenv"] = list
    }

    // MARK: Settings

    mutating func apply(_ key: SettingKey, _ setting: Setting) throws(ConfigurationError) {
        switch key {
        case .localForward: add(try setting.forward(.local, variables: variables))
        case .remoteForward: add(try setting.forward(.remote, variables: variables))
        case .dynamicForward: add(try setting.forward(.dynamic, variables: variables))
        case .clearAllForwardings: first(\.clearAllForwardings, try setting.flag())
        case .exitOnForwardFailure: first(\.exitOnForwardFailure, try setting.flag())
        case .gatewayPorts: first(\.gatewayPorts, try setting.flag())
        case .streamLocalBindMask: first(\.streamLocalBindMask, try setting.octal())
        case .streamLocalBindUnlink: first(\.streamLocalBindUnlink, try setting.flag())
        case .forkAfterAuthentication: first(\.background, try setting.flag())
        case .compression: first(\.compression, try setting.flag())
        case .ignoreUnknown: first(\.ignoreUnknown, try setting.text())
        case .logLevel:
            guard let level = Verbosity(name: try setting.word()) else {
                throw setting.fault("give \(Verbosity.accepted)")
            }
            first(\.logLevel, level)
        case .addressFamily, .bindAddress, .bindInterface, .connectTimeout, .connectionAttempts, .hostName, .port,
            .proxyCommand,
            .proxyJump,
            .serverAliveCountMax, .serverAliveInterval, .tcpKeepAlive, .user:
            try applyConnection(key, setting)
        case .batchMode, .identitiesOnly, .identityAgent, .identityFile, .kbdInteractiveAuthentication,
            .numberOfPasswordPrompts, .passwordAuthentication, .preferredAuthentications, .pubkeyAuthentication:
            try applyLogin(key, setting)
        case .checkHostIP, .globalKnownHostsFile, .hashKnownHosts, .hostKeyAlias, .strictHostKeyChecking,
            .userKnownHostsFile:
            try applyHostKeys(key, setting)
        case .ciphers: first(\.ciphers, try setting.algorithms(.cipher))
        case .macs: first(\.macs, try setting.algorithms(.mac))
        case .kexAlgorithms: first(\.kexAlgorithms, try setting.algorithms(.keyExchange))
        case .hostKeyAlgorithms: first(\.hostKeyAlgorithms, try setting.algorithms(.signature))
        case .rekeyLimit: apply(try setting.rekeyLimit())
        case .tag: first(\.tag, try setting.text())
        case .pubkeyAcceptedAlgorithms: first(\.pubkeyAcceptedAlgorithms, try setting.algorithms(.signature))
        }
    }

    private mutating func applyConnection(_ key: SettingKey, _ setting: Setting) throws(ConfigurationError) {
        switch key {
        case .addressFamily:
            first(\.addressFamily, try setting.choice([("any", .any), ("inet", .inet), ("inet6", .inet6)]))
        case .bindAddress: first(\.bindAddress, try setting.host())
        case .bindInterface: first(\.bindInterface, try setting.text())
        // As in ssh "none" is silence here, and another value may follow.
        case .connectTimeout: if try setting.word() != "none" { first(\.connectTimeout, try setting.time()) }
        case .connectionAttempts: first(\.connectionAttempts, try setting.count(from: 1))
        case .hostName: first(\.hostName, try setting.text())
        case .port: first(\.port, try setting.port())
        // As in ssh: what came first shuts the other out, but for a jump that is none.
        case .proxyCommand: if effectiveProxyJump == nil { first(\.proxyCommand, setting.command) }
        case .proxyJump:
            let jump = try JumpText.parse(setting)
            if proxyCommand == nil { first(\.proxyJump, jump) }
        case .serverAliveCountMax: first(\.serverAliveCountMax, try setting.count(from: 0))
        case .serverAliveInterval: first(\.serverAliveInterval, try setting.time())
        case .tcpKeepAlive: first(\.tcpKeepAlive, try setting.flag())
        case .user: first(\.user, try setting.user())
        default: preconditionFailure("\(key) is no setting of the connection")
        }
    }

    private mutating func applyLogin(_ key: SettingKey, _ setting: Setting) throws(ConfigurationError) {
        switch key {
        case .batchMode: first(\.batchMode, try setting.flag())
        case .identitiesOnly: first(\.identitiesOnly, try setting.flag())
        case .identityAgent: first(\.identityAgent, try setting.text())
        case .identityFile:
            let file = IdentityFileSetting(path: try setting.text(), origin: setting.origin)
            if !identityFiles.contains(file) { identityFiles.append(file) }
        case .kbdInteractiveAuthentication: first(\.kbdInteractiveAuthentication, try setting.flag())
        case .numberOfPasswordPrompts: first(\.numberOfPasswordPrompts, try setting.count(from: 0))
        case .passwordAuthentication: first(\.passwordAuthentication, try setting.flag())
        case .preferredAuthentications:
            first(\.preferredAuthentications, try setting.text().split(separator: ",").map(String.init))
        case .pubkeyAuthentication:
            let values = ["true", "false", "unbound", "host-bound"].map { ($0, PubkeyChoice(rawValue: $0) ?? .yes) }
            first(\.pubkeyAuthentication, try setting.choice([("yes", .yes), ("no", .no)] + values))
        default: preconditionFailure("\(key) is no setting of the login")
        }
    }

    private mutating func applyHostKeys(_ key: SettingKey, _ setting: Setting) throws(ConfigurationError) {
        switch key {
        case .checkHostIP: first(\.checkHostIP, try setting.flag())
        case .globalKnownHostsFile: first(\.globalKnownHostsFiles, try setting.files())
        case .hashKnownHosts: first(\.hashKnownHosts, try setting.flag())
        case .hostKeyAlias: first(\.hostKeyAlias, try setting.text())
        case .strictHostKeyChecking:
            let values: [(String, HostKeyOptions.Checking)] = [
                ("ask", .ask), ("yes", .yes), ("true", .yes), ("accept-new", .acceptNew), ("no", .no), ("false", .no),
                ("off", .no),
            ]
            first(\.checking, try setting.choice(values))
        case .userKnownHostsFile: first(\.userKnownHostsFiles, try setting.files())
        default: preconditionFailure("\(key) is no setting of host keys")
        }
    }

    /// A forward counts once, however often it is given; two ports that are chosen here are two.
    private mutating func add(_ forward: ForwardSpecification) {
        if forward.kind != .remote, case .tcp(_, port: 0) = forward.listen { return forwards.append(forward) }
        let isKnown = forwards.contains {
            $0.kind == forward.kind && $0.listen == forward.listen && $0.target == forward.target
        }
        if !isKnown { forwards.append(forward) }
    }

    /// Amount and time are two settings to ssh: each first value wins.
    private mutating func apply(_ limit: RekeyLimit) {
        if rekeyLimit == nil {
            rekeyLimit = limit
        } else if rekeyLimit?.interval == nil {
            rekeyLimit?.interval = limit.interval
        }
    }
}

/// `-i` or IdentityFile, before it is expanded.
struct IdentityFileSetting: Hashable, Sendable {
    let path: String
    /// ssh counts the same file once for each of the three.
    private let source: Source

    private enum Source: Hashable, Sendable { case flag, user, system }

    init(path: String, origin: SettingOrigin) {
        self.path = path
        if case .flag = origin { source = .flag } else { source = origin.isFromUser ? .user : .system }
    }
}

/// PubkeyAuthentication. The last two choose a variant of "publickey" that hosts are bound to (OpenSSH PROTOCOL §3.1).
enum PubkeyChoice: String, Sendable {
    case yes = "true"
    case no = "false"
    case unbound
    case hostBound = "host-bound"
}
