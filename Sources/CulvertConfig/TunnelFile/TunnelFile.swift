internal import CulvertPlan
internal import TOMLKit

/// Several tunnels in one TOML document: what `culvert up` runs and `culvert check` reads.
///
///     [defaults]
///     ServerAliveInterval = 10
///
///     [tunnel.db]
///     destination = "ops@bastion"
///     local = ["5432:db:5432", "6379:cache:6379"]
///     links = 4
///
/// A table's keys are `destination`, the forwards, culvert's long options without their dashes, and the keys of
/// ssh_config(5). Each is read as the command line reads the option of that name, so both accept the same and say the
/// same. `defaults` counts for every tunnel that does not say otherwise.
public struct TunnelFile: Sendable {
    public struct Entry: Sendable {
        public let name: String
        public let configuration: TunnelConfiguration
    }

    /// In the order of the document; empty never.
    public let tunnels: [Entry]

    /// Reads the file. It may name commands to run (ProxyCommand), so nobody else may write to it.
    /// - Parameter alone: the one tunnel to read, of which alone the conditions are run and mistakes are said.
    public init(
        _ request: TunnelFileRequest, alone: String? = nil, environment: ConfigurationEnvironment = .current(),
        access: ConfigurationAccess = .system
    ) throws(ConfigurationError) {
        func fault(_ text: String) -> ConfigurationError {
            ConfigurationError("\(request.file): \(text)", command: "culvert up")
        }
        let file: ConfigurationAccess.File
        switch access.read(request.file) {
        case .success(let found): file = found
        case .failure(.missing): throw fault("no such file")
        case .failure(.unreadable(let reason)): throw fault(reason)
        case .failure(.directory): throw fault("a directory")
        case .failure(.tooLong(let limit)): throw fault("longer than \(limit >> 20) MiB")
        }
        guard file.owner == 0 || file.owner == environment.userID else { throw fault("it belongs to another user") }
        guard file.mode & 0o022 == 0 else { throw fault("others may write to it: chmod go-w \(request.file)") }
        guard let text = String(validating: file.bytes, as: UTF8.self) else { throw fault("is not UTF-8") }
        try self.init(
            text, path: request.file, only: request.names, alone: alone, options: request.options,
            environment: environment, access: access)
    }

    /// - Parameters:
    ///   - path: what errors call the document.
    ///   - only: the names of the tunnels wanted; empty: all.
    ///   - options: of the command line, before everything in the document (`-v`, `-F`).
    /// - Throws: one line with path, line and column, for the first thing that is wrong.
    public init(
        _ text: String, path: String, only: [String] = [], alone: String? = nil, options: [String] = [],
        environment: ConfigurationEnvironment = .current(), access: ConfigurationAccess = .system
    ) throws(ConfigurationError) {
        tunnels = try TunnelFileReader(text, path, options, environment, access).tunnels(only, alone: alone)
    }
}

/// What a key of a table is on the command line.
private enum TunnelKey {
    case destination
    /// `local`, `remote`, …: the flag's letter.
    case forward(Character)
    case long(LongOptionName)
    case ssh(String)

    static let forwards: [(name: String, letter: Character)] = [
        ("local", "L"), ("remote", "R"), ("dynamic", "D"),
    ]
    static let longNames = LongOptionName.allCases.filter {
        ![.version, .help, .persist, .pidFile, .noControl, .metrics].contains($0)
    }

    init?(_ name: String) {
        if name == "destination" {
            self = .destination
        } else if let forward = Self.forwards.first(where: { $0.name == name }) {
            self = .forward(forward.letter)
        } else if let long = Self.longNames.first(where: { $0.rawValue == name }) {
            self = .long(long)
        } else if SettingKey(name: name) != nil || PlainKey.named(name) != nil {
            self = .ssh(name)
        } else {
            return nil
        }
    }

    static var names: [String] {
        ["destination"] + forwards.map(\.name) + longNames.map(\.rawValue) + SettingStore.knownNames
    }

    /// The options that say the same as the key with this value.
    func options(_ value: String) -> [String] {
        switch self {
        case .destination: []
        case .forward(let letter): ["-\(letter)", value]
        // A flag's long option cannot say no.
        case .long(.nodelay): ["-o", "\(CulvertKey.nodelay.rawValue)=\(value)"]
        case .long(let option): ["--\(option.rawValue)=\(value)"]
        case .ssh(let name): ["-o", "\(name)=\(value)"]
        }
    }
}

private struct TunnelFileReader {
    private let path: String
    private let options: [String]
    private let environment: ConfigurationEnvironment
    private let access: ConfigurationAccess
    private let root: TOMLTable
    private let positions: TOMLPositions

    init(
        _ text: String, _ path: String, _ options: [String], _ environment: ConfigurationEnvironment,
        _ access: ConfigurationAccess
    ) throws(ConfigurationError) {
        self.path = path
        self.options = options
        self.environment = environment
        self.access = access
        positions = TOMLPositions(text)
        if let mistake = positions.mistake { throw Self.fault(path, mistake.place, mistake.text) }
        do {
            root = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            let begin = error.source.begin
            throw Self.fault(path, TextPosition(line: begin.line, column: begin.column), error.description)
        } catch {
            throw Self.fault(path, TextPosition(line: 1, column: 1), "\(error)")
        }
    }

    private static func fault(_ path: String, _ place: TextPosition, _ text: String) -> ConfigurationError {
        ConfigurationError("\(path) line \(place.line), column \(place.column): \(text)", command: "culvert up")
    }

    private func fault(_ place: [String], _ text: String) -> ConfigurationError {
        Self.fault(path, positions.place(of: place), text)
    }

    func tunnels(_ only: [String], alone: String?) throws(ConfigurationError) -> [TunnelFile.Entry] {
        for name in root.keys where name != "defaults" && name != "tunnel" {
            let hint = NearestName.hint(for: name, among: ["tunnel", "defaults"])
            throw fault([name], "\(name): unknown\(hint) (tunnels stand in tables [tunnel.NAME])")
        }
        let defaults = try table(["defaults"], root["defaults"]) ?? TOMLTable()
        let entries = try table(["tunnel"], root["tunnel"]) ?? TOMLTable()
        if entries.isEmpty {
            throw fault([], "no tunnel: give a table [tunnel.NAME] with destination and local, remote or dynamic")
        }
        // The library sorts its tables by name.
        let names = entries.keys.sorted { positions.place(of: ["tunnel", $0]) < positions.place(of: ["tunnel", $1]) }
        for name in only where !entries.contains(key: name) {
            let hint = NearestName.hint(
                for: name, among: names, otherwise: ": there is \(names.joined(separator: ", "))")
            throw ConfigurationError("\(path): no tunnel is called \(name)\(hint)", command: "culvert up")
        }
        var read: [TunnelFile.Entry] = []
        var listeners = TunnelFileListeners()
        // Those that are not wanted are read too: a mistake there is said before it is needed.
        for name in names where alone == nil || alone == name {
            let (entry, places) = try tunnel(name, entries, defaults)
            guard only.isEmpty || only.contains(name) else { continue }
            if let file = entry.configuration.plan.portFile,
                let other = read.first(where: { $0.configuration.plan.portFile == file })
            {
                let isOwn = entries[name]?.table?.keys.contains("port-file") == true
                throw fault(
                    (isOwn ? ["tunnel", name] : ["defaults"]) + ["port-file"],
                    "port-file: \(name) would overwrite what \(other.name) writes to \(file): give each its own")
            }
            read.append(entry)
            for forward in entry.configuration.forwards {
                // Those of ssh_config(5) come with every tunnel to a host: the first has them, as with ssh.
                guard let place = places[forward.typed] else { continue }
                if let clash = listeners.add(forward, of: entry, at: positions.place(of: place)) {
                    throw fault(place, clash)
                }
            }
        }
        return read
    }

    private func table(_ place: [String], _ value: (any TOMLValueConvertible)?) throws(ConfigurationError) -> TOMLTable?
    {
        guard let value else { return nil }
        guard let table = value.table else {
            throw fault(place, "\(place.joined(separator: ".")) is no table: a tunnel stands in [tunnel.NAME]")
        }
        return table
    }

    /// With it, where each of its forwards stands, by what was typed; one of ssh_config(5) stands nowhere here.
    private func tunnel(_ name: String, _ entries: TOMLTable, _ defaults: TOMLTable) throws(ConfigurationError)
        -> (TunnelFile.Entry, places: [String: [String]])
    {
        let place = ["tunnel", name]
        guard !name.isEmpty, name.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw fault(place, "a tunnel's name is a word")
        }
        guard let own = try table(place, entries[name]) else { preconditionFailure("keys name what is there") }
        // One that fails tries again, and does not end the others.
        var words = ["--persist"]
        var destination: String?
        var places: [String: [String]] = [:]
        for (table, path) in [(own, place), (defaults, ["defaults"])] {
            // In the order of the document, as ssh has it where the first value of a key wins.
            let keys = table.keys.sorted { positions.place(of: path + [$0]) < positions.place(of: path + [$1]) }
            for key in keys where path == place || !own.keys.contains(where: { $0.lowercased() == key.lowercased() }) {
                guard let meaning = TunnelKey(key) else {
                    let hint = NearestName.hint(
                        for: key, among: TunnelKey.names,
                        otherwise: ": destination, local, remote, dynamic, culvert's long options and the keys of"
                            + " ssh_config(5) are known")
                    throw fault(path + [key], "\(key): unknown key\(hint)")
                }
                for (value, place) in try texts(table[key], path + [key]) {
                    if case .destination = meaning {
                        if destination != nil { throw fault(place, "a second destination: a tunnel has one") }
                        destination = value
                        _ = try check([], to: value, place)
                    } else {
                        let options = meaning.options(value)
                        let forwards = try check(options, to: "localhost", place)
                        for forward in forwards where places[forward.typed] == nil { places[forward.typed] = place }
                        words += options
                    }
                }
            }
        }
        guard let destination else {
            throw fault(place, "\(name) has no destination: give destination = \"user@host\"")
        }
        let configuration = try parse(words + ["--", destination], place)
        return (TunnelFile.Entry(name: name, configuration: configuration), places)
    }

    /// What a value is on a command line, each of an array's elements by itself.
    private func texts(_ value: (any TOMLValueConvertible)?, _ place: [String]) throws(ConfigurationError)
        -> [(text: String, place: [String])]
    {
        guard let value else { preconditionFailure("keys name what is there") }
        if let array = value.array {
            var all: [(text: String, place: [String])] = []
            for (number, element) in array.enumerated() {
                let place = place + [String(number)]
                if element.type == .array { throw fault(place, "an array within an array: give strings") }
                all += try texts(element, place)
            }
            return all
        }
        if let text = value.string { return [(text, place)] }
        if let number = value.int { return [(String(number), place)] }
        if let flag = value.bool { return [(flag ? "yes" : "no", place)] }
        throw fault(place, "a \(value.type): give a string, a whole number, true or false")
    }

    /// That one key's value is one, so that what is wrong is told at its place. The rest of this command line is harmless.
    /// Returns the forward that it gives, if any.
    private func check(_ words: [String], to destination: String, _ place: [String]) throws(ConfigurationError)
        -> ArraySlice<ForwardSpecification>
    {
        try parse(words + ["-F", "none", "-L", "/:/"] + ["--", destination], place).forwards.dropLast()
    }

    private func parse(_ words: [String], _ place: [String]) throws(ConfigurationError) -> TunnelConfiguration {
        do throws(ConfigurationError) {
            guard
                case .tunnel(let configuration) = try parseCommandLine(
                    options + words, environment: environment, access: access)
            else { throw ConfigurationError("this is no tunnel") }
            return configuration
        } catch {
            throw fault(place, error.message)
        }
    }
}
