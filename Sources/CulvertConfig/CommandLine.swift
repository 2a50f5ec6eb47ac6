internal import CulvertPlan

/// What a command line asks for.
public enum Invocation: Hashable, Sendable {
    case tunnel(TunnelConfiguration)
    case relay(RelayConfiguration)
    /// `-O`: something is asked of a master that runs.
    case control(ControlRequest)
    /// `culvert up FILE`: the tunnels of a file in one process.
    case up(TunnelFileRequest)
    /// `culvert check FILE`: says what `up` would do, and connects to nothing.
    case check(TunnelFileRequest)
    /// `culvert status`: asks those that run.
    case status(StatusRequest)
    /// Help, version or the settings of `-G`: for standard output, without a last line break; exit code 0.
    case show(String)
}

/// culvert's own version, in `--version` and in what it tells a server.
public let culvertVersion = "0.1.0"

/// Reads a command line, without the program's name, and the configuration files that it asks for. Nothing is
/// asked here; only CanonicalizeHostname looks anything up, and only a `Match exec` in a file runs anything.
///
/// `relay`, `up`, `check` or `status` as the very first word is the subcommand; anywhere else, and after `--`, it is a host.
public func parseCommandLine(
    _ arguments: [String], environment: ConfigurationEnvironment = .current(), access: ConfigurationAccess = .system
) throws(ConfigurationError) -> Invocation {
    if let command = arguments.first, ["relay", "up", "check", "status"].contains(command) {
        do {
            if command == "status" { return try parseStatus(Array(arguments.dropFirst())) }
            let words = try ShortOptionNormaliser.normalise(Array(arguments.dropFirst()))
            switch command {
            case "relay": return try parseRelay(words)
            default:
                if let text = shown(words, help: HelpText.tunnelFile) { return .show(text) }
                let request = try TunnelFileRequest.read(words, command)
                return command == "up" ? .up(request) : .check(request)
            }
        } catch {
            throw ConfigurationError(error.message, command: "culvert \(command)")
        }
    }
    return try parseTunnel(ShortOptionNormaliser.normalise(arguments), environment, access)
}

/// The text to show when the words ask for help or the version, whatever else they say.
private func shown(_ words: [CommandWord], help: String) -> String? {
    for word in words {
        switch word {
        case .short("h", _), .long("--help", nil): return help
        case .short("V", _), .long("--version", nil): return "culvert \(culvertVersion)"
        case .short, .long, .operand, .command: continue
        }
    }
    return nil
}

// MARK: The tunnel

private func parseTunnel(
    _ words: [CommandWord], _ environment: ConfigurationEnvironment, _ access: ConfigurationAccess
) throws(ConfigurationError) -> Invocation {
    if let text = shown(words, help: HelpText.tunnel) { return .show(text) }
    let long = try LongOptions(words, command: "culvert")
    var store = SettingStore()
    store.variables = environment.variables
    var files = ConfigurationFiles.usual
    var isPrinted = false
    var typedHost: String?
    var monitor: String?
    var control = ControlWords()
    var command: [String] = []
    for word in words {
        switch word {
        case .long: continue
        case .short("F", let path): files = ConfigurationFiles(argument: path ?? "")
        case .short("G", _): isPrinted = true
        case .short("M", let ports?): monitor = monitor ?? ports
        case .short("O", let command): try control.take(command: command ?? "")
        case .short("Q", let query): return .show(try AlgorithmQuery.text(query ?? "", access.algorithms(.native)))
        case .short(let letter, let value): try applyTunnel(letter, value, to: &store)
        case .operand(let text):
            let destination = try DestinationText.parse(text)
            typedHost = destination.host
            // In its place among the options, as in ssh: what came before it wins, what comes after does not.
            if store.user == nil, let user = destination.user { store.type(user: user) }
            store.port = store.port ?? destination.port
        case .command(let words): command = words
        }
    }
    guard let typedHost else {
        throw ConfigurationError("no destination: give one, for example culvert -L 5432:db:5432 user@server")
    }
    var autossh: AutosshSettings?
    if let monitor {
        let isDetached = store.background == true
        autossh = try AutosshSettings(monitor: monitor, isDetached: isDetached, environment.variables)
        if isDetached { store.batchMode = true }
    }
    control.readTyped(store)
    if store.streams != nil {
        store.clearAllForwardings = store.clearAllForwardings ?? true
        store.exitOnForwardFailure = store.exitOnForwardFailure ?? true
    }
    let resolution = try HostResolution(
        typedHost, store, command: command, files: files, environment: environment, access: access)
    let engine = access.algorithms(OwnSettings(long, resolution.store.culvert).engine)
    if isPrinted { return .show(try SettingsText(resolution, long, engine).text) }
    if let request = try control.request(resolution) { return .control(request) }
    let use = try TunnelUse(command, resolution.store, host: typedHost)
    let route = RouteResolution(files: files, access: access, engine: engine)
    var configuration = try tunnel(resolution, long, use, route)
    autossh?.apply(to: &configuration)
    try control.apply(to: &configuration, resolution)
    return .tunnel(configuration)
}

private func applyTunnel(_ letter: Character, _ value: String?, to store: inout SettingStore) throws(ConfigurationError)
{
    guard let option = ShortOptionTable.options[letter] else {
        preconditionFailure("the normaliser passes known options only, not -\(letter)")
    }
    try store.applyPlain(letter: letter, value: value)
    switch option.meaning {
    case .used: try store.apply(letter: letter, value: value)
    case .implied, .file, .print, .query, .control, .help, .version: break
    case .meaningless(let what): store.note("-\(letter) (\(what)) has no effect here: ignored")
    case .lacking where value?.lowercased() == "none": break
    case .lacking(let mend):
        store.refusals.append(ConfigurationError("-\(letter) \(value ?? ""): not supported: \(mend)"))
    case .notYet(let mend):
        throw ConfigurationError("-\(letter)\(value.map { " " + $0 } ?? ""): not supported yet: \(mend)")
    }
}

private func tunnel(_ resolution: HostResolution, _ long: LongOptions, _ use: TunnelUse, _ route: RouteResolution)
    throws(ConfigurationError) -> TunnelConfiguration
{
    let store = resolution.store
    var host = try resolution.configuration(route.engine)
    if store.clearAllForwardings == true {
        let why = store.streams == nil ? "ClearAllForwardings yes" : "-W is the only forward"
        host.notes += host.forwards.map { "\($0.typed) is left out: \(why)" }
        host.forwards = []
    }
    if let streams = store.streams {
        try checkStreams(store, long)
        host.forwards.append(streams)
    }
    if host.forwards.isEmpty, !use.staysWithoutForward {
        throw ConfigurationError("nothing to forward: give -L, -R, -D or -W, for example -L 5432:db:5432, or -N")
    }
    host.notes += use.notes
    let own = OwnSettings(long, store.culvert)
    if own.nodelay && own.engine != .native { throw ConfigurationError("--nodelay: only the native engine has it") }
    var plan = TunnelPlan(server: host.server)
    plan.hops = try route.hops(to: resolution)
    plan.server.proxyCommand = try resolution.expandedProxyCommand()
    plan.localCommand = try resolution.expandedLocalCommand()
    plan.add(host.forwards, host.forwarding)
    plan.exitOnForwardFailure = host.forwarding.exitOnForwardFailure
    plan.links = store.streams == nil ? own.links : 1
    plan.engine = own.engine
    plan.hold = own.hold
    plan.knocks = own.knocks
    plan.drain = own.drain
    plan.persistence = own.persistence
    plan.nodelay = own.nodelay
    plan.runtime = own.runtime
    plan.stay = use.stay
    plan.portFile = try long.portFile.map { path throws(ConfigurationError) in
        try resolution.expansion.path(path, origin: "--port-file")
    }
    return TunnelConfiguration(
        plan: plan, forwards: host.forwards, forwarding: host.forwarding, output: host.output,
        process: ProcessOptions(
            background: store.background == true ? .standing : nil, pidFile: own.pidFile,
            hasControl: !long.noControl && store.streams == nil, metrics: long.metrics),
        files: route.files, notes: host.notes)
}

/// That nothing contradicts `-W`.
private func checkStreams(_ store: SettingStore, _ long: LongOptions) throws(ConfigurationError) {
    if store.background == true { throw ConfigurationError("-f: -W needs standard input and output: leave it out") }
    if long.metrics != nil { throw ConfigurationError("--metrics: -W is one connection: leave it out") }
    if let links = long.links, links > 1 {
        throw ConfigurationError("--links \(links): -W is one connection, and goes through one link: leave it out")
    }
}

// MARK: The status

private func parseStatus(_ words: [String]) throws(ConfigurationError) -> Invocation {
    if words.contains(where: { ["-h", "--help"].contains($0) }) { return .show(HelpText.status) }
    if words.contains(where: { ["-V", "--version"].contains($0) }) { return .show("culvert \(culvertVersion)") }
    return .status(try StatusRequest(words))
}

// MARK: The relay

private func parseRelay(_ words: [CommandWord]) throws(ConfigurationError) -> Invocation {
    if let text = shown(words, help: HelpText.relay) { return .show(text) }
    let long = try LongOptions(words, command: "culvert relay")
    var store = SettingStore()
    for word in words {
        switch word {
        case .long(let name, _):
            guard HelpText.relayOptions.contains(name) else {
                throw ConfigurationError("\(name): the relay speaks no SSH: leave it out")
            }
        case .short(let letter, let value):
            guard "LEgqvy".contains(letter) else {
                let mend = letter == "R" ? "it listens here only, with -L" : "leave it out"
                throw ConfigurationError("-\(letter): the relay speaks no SSH: \(mend)")
            }
            try store.apply(letter: letter, value: value)
        case .operand(let text):
            throw ConfigurationError(
                "'\(text)': the relay takes no destination: to tunnel to a host named relay, write user@relay")
        case .command:
            preconditionFailure("an operand stands before every command")
        }
    }
    if store.forwards.isEmpty {
        throw ConfigurationError("nothing to forward: give -L, for example culvert relay -L 5432:db:5432")
    }
    let own = OwnSettings(long, CulvertSettings())
    var plan = RelayPlan()
    plan.forwards = store.forwards.map { $0.localForward(store.forwarding) }
    plan.drain = own.drain
    plan.runtime = own.runtime
    return .relay(RelayConfiguration(plan: plan, output: store.output, notes: store.notes))
}
