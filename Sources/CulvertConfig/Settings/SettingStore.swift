/// What settings have said so far. The first value of a key wins, whether a flag or `-o` gave it; the flags that
/// OpenSSH lets outrank `-o` (-4 -6 -b -c -m -g -f, and of themselves the last) do so here.
///
/// Every value is checked, also one that comes too late to count.
struct SettingStore {
    var addressFamily: ConnectionOptions.AddressFamily?
    var batchMode: Bool?
    var bindAddress: String?
    var checkHostIP: Bool?
    var checking: HostKeyOptions.Checking?
    var ciphers: AlgorithmList?
    var clearAllForwardings: Bool?
    var compression: Bool?
    var connectTimeout: Int?
    var connectionAttempts: Int?
    var exitOnForwardFailure: Bool?
    var background: Bool?
    var forwards: [ForwardSpecification] = []
    var streams: ForwardSpecification?
    var gatewayPorts: Bool?
    var globalKnownHostsFiles: [String]?
    var hashKnownHosts: Bool?
    var hostKeyAlgorithms: AlgorithmList?
    var hostKeyAlias: String?
    var hostName: String?
    var identitiesOnly: Bool?
    var identityAgent: String?
    var identityFiles: [String] = []
    var ignoreUnknown: [String]?
    var kbdInteractiveAuthentication: Bool?
    var kexAlgorithms: AlgorithmList?
    var logLevel: Verbosity?
    var macs: AlgorithmList?
    var numberOfPasswordPrompts: Int?
    var passwordAuthentication: Bool?
    var permitRemoteOpen: [PermittedTarget]??
    var port: UInt16?
    var preferredAuthentications: [String]?
    var pubkeyAcceptedAlgorithms: AlgorithmList?
    var pubkeyAuthentication: Bool?
    var rekeyLimit: RekeyLimit?
    var serverAliveCountMax: Int?
    var serverAliveInterval: Int?
    var streamLocalBindMask: UInt16?
    var streamLocalBindUnlink: Bool?
    var tcpKeepAlive: Bool?
    var user: String?
    var userKnownHostsFiles: [String]?

    var verbosity = VerbosityFlags()
    var logFile: String?
    var syslog = false
    var notes: [String] = []

    private mutating func first<Value>(_ field: WritableKeyPath<Self, Value?>, _ value: Value) {
        if self[keyPath: field] == nil { self[keyPath: field] = value }
    }

    mutating func note(_ text: String) {
        if !notes.contains(text) { notes.append(text) }
    }

    // MARK: Flags

    /// A flag that `ShortOptionTable` calls used.
    mutating func apply(letter: Character, value: String?) throws(ConfigurationError) {
        let words = value.map { [$0] } ?? []
        func setting(_ key: SettingKey) -> Setting { Setting(key: key, words: words, origin: "-\(letter)") }
        switch letter {
        case "4": addressFamily = .inet
        case "6": addressFamily = .inet6
        case "C": compression = true
        case "E": logFile = try setting(.logLevel).text()
        case "D": try apply(setting(.dynamicForward))
        case "L": try apply(setting(.localForward))
        case "R": try apply(setting(.remoteForward))
        case "W":
            let text = try setting(.localForward).word()
            if streams != nil { throw ConfigurationError("-W \(text): there is only one standard input: give one -W") }
            streams = try ForwardParser.parse(text, kind: .streams)
        case "b": bindAddress = try setting(.bindAddress).host()
        case "c": ciphers = try setting(.ciphers).algorithms()
        case "f": background = true
        case "g": gatewayPorts = true
        case "i": try apply(setting(.identityFile))
        case "l": try apply(setting(.user))
        case "m": macs = try setting(.macs).algorithms()
        case "o": try apply(option: value ?? "")
        case "p": try apply(setting(.port))
        case "q": verbosity.quiet()
        case "v": verbosity.more()
        case "y": syslog = true
        default: preconditionFailure("-\(letter) is used by the table of short options and by nobody else")
        }
    }

    // MARK: -o

    /// `Key=Value`, `Key Value` or `Key = Value`.
    mutating func apply(option text: String) throws(ConfigurationError) {
        let trimmed = text.drop { $0 == " " || $0 == "\t" }
        let name = String(trimmed.prefix { $0 != " " && $0 != "\t" && $0 != "=" })
        var rest = trimmed.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }
        if rest.first == "=" { rest = rest.dropFirst().drop { $0 == " " || $0 == "\t" } }
        if name.isEmpty { throw ConfigurationError("-o \(text): no key: give Key=Value") }
        let key = SettingKey(name: name)
        guard key != nil || OtherKey.fate(of: name) != nil else { return try unknown(name) }
        guard let words = SettingWords.split(rest) else {
            throw ConfigurationError("-o \(text): a quote is not closed")
        }
        if words.isEmpty { throw ConfigurationError("-o \(name): no value: give \(name)=Value") }
        if let key {
            try apply(Setting(key: key, words: words, origin: "-o \(name)"))
        } else if let other = OtherKey.fate(of: name) {
            try apply(other: other.name, other.fate, words)
        }
    }

    private mutating func unknown(_ name: String) throws(ConfigurationError) {
        if ignoreUnknown?.contains(where: { Wildcard.matches(name.lowercased(), pattern: $0.lowercased()) }) == true {
            return note("-o \(name): unknown, ignored as IgnoreUnknown asks")
        }
        // Keys that do something come first, so that they win a tie.
        let known = SettingKey.allCases.map(\.rawValue) + OtherKey.names
        let nearest = NearestName.of(name, among: known) ?? SettingKey.port.rawValue
        throw ConfigurationError("-o \(name): unknown key: did you mean \(nearest)?")
    }

    private mutating func apply(other name: String, _ fate: OtherKey.Fate, _ words: [String]) throws(ConfigurationError)
    {
        switch fate {
        case .ignored: note("-o \(name) has no effect here: ignored")
        case .fileOnly:
            throw ConfigurationError("-o \(name): it belongs in a configuration file, which is not read yet")
        case .notYet(let harmless):
            if let value = words.first, words.count == 1, harmless.contains(value.lowercased()) { return }
            throw ConfigurationError("-o \(name)=\(words.joined(separator: " ")): not supported yet: leave it out")
        }
    }

    // MARK: Settings

    mutating func apply(_ setting: Setting) throws(ConfigurationError) {
        switch setting.key {
        case .localForward: forwards.append(try setting.forward(.local))
        case .remoteForward: forwards.append(try setting.forward(.remote))
        case .dynamicForward: forwards.append(try setting.forward(.dynamic))
        case .permitRemoteOpen: first(\.permitRemoteOpen, try setting.permittedTargets())
        case .clearAllForwardings: first(\.clearAllForwardings, try setting.flag())
        case .exitOnForwardFailure: first(\.exitOnForwardFailure, try setting.flag())
        case .gatewayPorts: first(\.gatewayPorts, try setting.flag())
        case .streamLocalBindMask: first(\.streamLocalBindMask, try setting.octal())
        case .streamLocalBindUnlink: first(\.streamLocalBindUnlink, try setting.flag())
        case .forkAfterAuthentication: first(\.background, try setting.flag())
        case .compression: first(\.compression, try setting.flag())
        case .ignoreUnknown: first(\.ignoreUnknown, try setting.word().split(separator: ",").map(String.init))
        case .logLevel:
            guard let level = Verbosity(name: try setting.word()) else {
                throw setting.fault("give \(Verbosity.accepted)")
            }
            first(\.logLevel, level)
        case .addressFamily, .bindAddress, .connectTimeout, .connectionAttempts, .hostName, .port, .serverAliveCountMax,
            .serverAliveInterval, .tcpKeepAlive, .user:
            try applyConnection(setting)
        case .batchMode, .identitiesOnly, .identityAgent, .identityFile, .kbdInteractiveAuthentication,
            .numberOfPasswordPrompts, .passwordAuthentication, .preferredAuthentications, .pubkeyAuthentication:
            try applyLogin(setting)
        case .checkHostIP, .globalKnownHostsFile, .hashKnownHosts, .hostKeyAlias, .strictHostKeyChecking,
            .userKnownHostsFile:
            try applyHostKeys(setting)
        case .ciphers: first(\.ciphers, try setting.algorithms())
        case .macs: first(\.macs, try setting.algorithms())
        case .kexAlgorithms: first(\.kexAlgorithms, try setting.algorithms())
        case .hostKeyAlgorithms: first(\.hostKeyAlgorithms, try setting.algorithms())
        case .rekeyLimit: first(\.rekeyLimit, try setting.rekeyLimit())
        case .pubkeyAcceptedAlgorithms: first(\.pubkeyAcceptedAlgorithms, try setting.algorithms())
        }
    }

    private mutating func applyConnection(_ setting: Setting) throws(ConfigurationError) {
        switch setting.key {
        case .addressFamily:
            first(\.addressFamily, try setting.choice([("any", .any), ("inet", .inet), ("inet6", .inet6)]))
        case .bindAddress: first(\.bindAddress, try setting.host())
        case .connectTimeout: first(\.connectTimeout, try setting.seconds())
        case .connectionAttempts: first(\.connectionAttempts, try setting.count(from: 1))
        case .hostName: first(\.hostName, try setting.text())
        case .port: first(\.port, try setting.port())
        case .serverAliveCountMax: first(\.serverAliveCountMax, try setting.count(from: 1))
        case .serverAliveInterval: first(\.serverAliveInterval, try setting.seconds())
        case .tcpKeepAlive: first(\.tcpKeepAlive, try setting.flag())
        case .user: first(\.user, try setting.user())
        default: preconditionFailure("\(setting.key) is no setting of the connection")
        }
    }

    private mutating func applyLogin(_ setting: Setting) throws(ConfigurationError) {
        switch setting.key {
        case .batchMode: first(\.batchMode, try setting.flag())
        case .identitiesOnly: first(\.identitiesOnly, try setting.flag())
        case .identityAgent: first(\.identityAgent, try setting.text())
        case .identityFile: identityFiles.append(try setting.text())
        case .kbdInteractiveAuthentication: first(\.kbdInteractiveAuthentication, try setting.flag())
        case .numberOfPasswordPrompts: first(\.numberOfPasswordPrompts, try setting.count(from: 0))
        case .passwordAuthentication: first(\.passwordAuthentication, try setting.flag())
        case .preferredAuthentications:
            first(\.preferredAuthentications, try setting.text().split(separator: ",").map(String.init))
        case .pubkeyAuthentication:
            // The two other values choose a variant of "publickey" that hosts are bound to (OpenSSH PROTOCOL §3.1).
            let values = [
                ("yes", true), ("true", true), ("no", false), ("false", false), ("unbound", true),
                ("host-bound", true),
            ]
            first(\.pubkeyAuthentication, try setting.choice(values))
        default: preconditionFailure("\(setting.key) is no setting of the login")
        }
    }

    private mutating func applyHostKeys(_ setting: Setting) throws(ConfigurationError) {
        switch setting.key {
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
        default: preconditionFailure("\(setting.key) is no setting of host keys")
        }
    }
}
