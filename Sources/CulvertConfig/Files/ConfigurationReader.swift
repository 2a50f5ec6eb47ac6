internal import CulvertPlan

/// One pass over configuration files: fills a store with what applies to one host. The first value of a key wins, so
/// files are read in the order in which they rank, and a second pass adds only what the first left open.
struct ConfigurationReader {
    let access: ConfigurationAccess
    let environment: ConfigurationEnvironment
    /// What patterns of `Host` are held against: what was typed, and in the second pass the name to connect to.
    let host: String
    let originalHost: String
    /// What stands behind the destination, with blanks between the words.
    let command: String
    let isFinal: Bool
    var store: SettingStore
    /// A `Match final` asks for a second pass.
    private(set) var wantsFinal = false

    /// OpenSSH's: a file deeper than this is taken for one that includes itself.
    static let maximumDepth = 16

    init(
        _ store: SettingStore, host: String, originalHost: String, command: String, isFinal: Bool,
        environment: ConfigurationEnvironment, access: ConfigurationAccess
    ) {
        self.access = access
        self.environment = environment
        self.host = host
        self.originalHost = originalHost
        self.command = command
        self.isFinal = isFinal
        self.store = store
    }

    mutating func read(_ files: ConfigurationFiles) throws(ConfigurationError) {
        switch files {
        case .none: return
        case .only(let path):
            // Given by hand, it may be anybody's.
            var reading = Reading(path: path, isUserFile: true, isChecked: false)
            try read(&reading, ifMissing: .fault)
        case .usual:
            let home = environment.homeDirectory
            var user = Reading(
                path: home + (home.hasSuffix("/") ? "" : "/") + ".ssh/config", isUserFile: true, isChecked: true)
            try read(&user, ifMissing: .goOn)
            var system = Reading(path: "/etc/ssh/ssh_config", isUserFile: false, isChecked: false)
            try read(&system, ifMissing: .goOn)
        }
    }

    // MARK: Files

    /// Where the pass is.
    private struct Reading {
        let path: String
        let isUserFile: Bool
        /// Nobody else may write to it.
        let isChecked: Bool
        var depth = 0
        /// The line that includes it and a colon, for messages; empty: none does.
        var includer = ""
        /// Included where nothing applies: read for its mistakes only.
        var neverApplies = false
        /// Lines apply here: the last `Host` or `Match` holds.
        var isActive = true
    }

    private enum Absence { case fault, goOn }

    private mutating func read(_ reading: inout Reading, ifMissing: Absence) throws(ConfigurationError) {
        guard reading.depth <= Self.maximumDepth else {
            throw fault(reading, "included \(reading.depth) deep: does it include itself?")
        }
        let file: ConfigurationAccess.File
        switch access.read(reading.path) {
        case .success(let found): file = found
        case .failure(.missing):
            if ifMissing == .fault { throw fault(reading, "no such file") }
            return
        case .failure(.unreadable(let reason)):
            if ifMissing == .fault { throw fault(reading, reason) }
            return store.note("\(reading.path): \(reason): ignored")
        case .failure(.directory):
            // Among the files that a pattern names, ssh reads nothing from it.
            if reading.depth == 0, ifMissing == .fault { throw fault(reading, "a directory") }
            return store.note("\(reading.includer)\(reading.path): a directory: ignored")
        case .failure(.tooLong(let limit)):
            throw fault(reading, "longer than \(limit >> 20) MiB: not a configuration file")
        }
        if reading.isChecked { try check(file, reading) }
        var number = 0
        for line in file.bytes.split(separator: Byte.lineFeed, omittingEmptySubsequences: false) {
            number += 1
            let place = FileLine(path: reading.path, number: number, isUserFile: reading.isUserFile)
            if line.contains(0) { throw ConfigurationError("\(place): a zero byte: not a text file") }
            if let line = ConfigurationLine(line) { try take(line, at: place, &reading) }
        }
    }

    /// Something wrong with the file as a whole.
    private func fault(_ reading: Reading, _ cause: String) -> ConfigurationError {
        ConfigurationError("\(reading.includer)\(reading.path): \(cause)")
    }

    /// As ssh: who can write to the file can run commands as the user.
    private func check(_ file: ConfigurationAccess.File, _ reading: Reading) throws(ConfigurationError) {
        if file.owner != 0, file.owner != environment.userID {
            throw fault(reading, "it belongs to another user: make it yours")
        }
        if file.mode & 0o022 != 0 { throw fault(reading, "others may write to it: chmod go-w \(reading.path)") }
    }

    // MARK: Lines

    private mutating func take(_ line: ConfigurationLine, at place: FileLine, _ reading: inout Reading)
        throws(ConfigurationError)
    {
        let origin = SettingOrigin.line(place, line.keyword)
        switch line.keyword.lowercased() {
        case "host": reading.isActive = try isHost(words(line, origin), origin) && !reading.neverApplies
        case "match":
            _ = try words(line, origin)
            reading.isActive = try matches(line, origin) && !reading.neverApplies
        case "include":
            for word in try words(line, origin) { try include(word, origin, &reading) }
        default:
            if reading.isActive {
                try store.apply(line, origin: origin)
            } else {
                // Where nothing applies, mistakes still count.
                var unused = store
                try unused.apply(line, origin: origin)
            }
        }
    }

    private func words(_ line: ConfigurationLine, _ origin: SettingOrigin) throws(ConfigurationError) -> [String] {
        guard let words = SettingWords.split(line.rest) else {
            throw ConfigurationError("\(origin.text): a quote is not closed")
        }
        if line.rest.isEmpty { throw ConfigurationError("\(origin.text): no value") }
        if words.contains(where: \.isEmpty), line.keyword.lowercased() != "match" {
            throw ConfigurationError("\(origin.text): an empty word")
        }
        return words
    }

    /// A pattern with `!` in front that matches ends it.
    private func isHost(_ patterns: [String], _ origin: SettingOrigin) -> Bool {
        var isMatched = false
        for pattern in patterns {
            let isNegated = pattern.hasPrefix("!")
            guard Wildcard.matches(host, pattern: isNegated ? String(pattern.dropFirst()) : pattern) else { continue }
            if isNegated { return false }
            isMatched = true
        }
        return isMatched
    }

    private mutating func matches(_ line: ConfigurationLine, _ origin: SettingOrigin) throws(ConfigurationError) -> Bool
    {
        var condition = MatchLine(try subject(), access)
        do throws(MatchLine.Cause) {
            let holds = try condition.holds(line.rest)
            wantsFinal = wantsFinal || condition.wantsFinal
            return holds
        } catch {
            throw ConfigurationError("\(origin.text): \(error.text)")
        }
    }

    /// What is known by now.
    private func subject() throws(ConfigurationError) -> MatchLine.Subject {
        let name =
            isFinal
            ? host
            : try store.hostName.map { name throws(ConfigurationError) in
                try SettingStore.expandedHost(name, typed: originalHost)
            } ?? originalHost
        return MatchLine.Subject(
            originalHost: originalHost, host: name, user: store.user ?? environment.userName, port: store.port ?? 22,
            hostKeyAlias: store.hostKeyAlias, tag: store.tag, command: command,
            session: store.plain["sessiontype"]?.first, jumpHost: store.lastJumpHost, environment: environment,
            isFinal: isFinal)
    }

    // MARK: Include

    private mutating func include(_ word: String, _ origin: SettingOrigin, _ reading: inout Reading)
        throws(ConfigurationError)
    {
        // Most have none, and what they would stand for need not be right yet.
        let expanded =
            word.contains("%") || word.contains("${")
            ? try subject().expansion.tokens(word, origin: origin.text) : word
        let pattern = try includePattern(expanded, origin, reading)
        guard let paths = access.paths(pattern) else {
            throw ConfigurationError("\(origin.text) \(word): its directory cannot be read")
        }
        for path in paths {
            var inner = Reading(
                path: path, isUserFile: reading.isUserFile, isChecked: true, depth: reading.depth + 1,
                includer: "\(origin.text): ", neverApplies: reading.neverApplies || !reading.isActive,
                isActive: reading.isActive)
            try read(&inner, ifMissing: .fault)
        }
    }

    /// A relative path is one of `~/.ssh` in the user's files, of `/etc/ssh` in the system's, where `~` is nobody's.
    private func includePattern(_ word: String, _ origin: SettingOrigin, _ reading: Reading) throws(ConfigurationError)
        -> String
    {
        let home = environment.homeDirectory + (environment.homeDirectory.hasSuffix("/") ? "" : "/")
        if word.hasPrefix("/") { return word }
        guard word.hasPrefix("~") else { return reading.isUserFile ? "\(home).ssh/\(word)" : "/etc/ssh/\(word)" }
        guard reading.isUserFile else {
            throw ConfigurationError("\(origin.text) \(word): '~' means nothing in a file of the system")
        }
        let (own, rest) = try environment.homeDirectories.expand(
            word, own: environment.homeDirectory, origin: origin.text)
        return own + (own.hasSuffix("/") ? "" : "/") + rest
    }
}
