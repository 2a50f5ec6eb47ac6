/// What a command line asks for.
public enum Invocation: Hashable, Sendable {
    case tunnel(TunnelConfiguration)
    case relay(RelayConfiguration)
    /// Help or version: for standard output, without a last line break; exit code 0.
    case show(String)
}

/// culvert's own version, in `--version` and in what it tells a server.
public let culvertVersion = "0.1.0"

/// Reads a command line, without the program's name. Nothing is opened, looked up or asked here.
///
/// `relay` as the very first word is the subcommand; anywhere else, and after `--`, it is a host.
public func parseCommandLine(_ arguments: [String], environment: ConfigurationEnvironment = .current())
    throws(ConfigurationError) -> Invocation
{
    if arguments.first == "relay" {
        do {
            return try parseRelay(ShortOptionNormaliser.normalise(Array(arguments.dropFirst())))
        } catch {
            throw ConfigurationError(error.message, command: "culvert relay")
        }
    }
    return try parseTunnel(ShortOptionNormaliser.normalise(arguments), environment)
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

private func parseTunnel(_ words: [CommandWord], _ environment: ConfigurationEnvironment) throws(ConfigurationError)
    -> Invocation
{
    if let text = shown(words, help: HelpText.tunnel) { return .show(text) }
    let long = try LongOptions(words, command: "culvert")
    var store = SettingStore()
    var typedHost: String?
    for word in words {
        switch word {
        case .long: continue
        case .short(let letter, let value): try applyTunnel(letter, value, to: &store)
        case .operand(let text):
            let destination = try DestinationText.parse(text)
            typedHost = destination.host
            // In its place among the options, as in ssh: what came before it wins, what comes after does not.
            store.user = store.user ?? destination.user
            store.port = store.port ?? destination.port
        case .command(let command):
            let host = typedHost ?? "the destination"
            throw ConfigurationError(
                "'\(command[0])' after \(host): a tunnel runs no command there: leave it out, or use ssh for it")
        }
    }
    guard let typedHost else {
        throw ConfigurationError("no destination: give one, for example culvert -L 5432:db:5432 user@server")
    }
    return .tunnel(try tunnel(to: typedHost, store, long, environment))
}

private func applyTunnel(_ letter: Character, _ value: String?, to store: inout SettingStore) throws(ConfigurationError)
{
    guard let option = ShortOptionTable.options[letter] else {
        preconditionFailure("the normaliser passes known options only, not -\(letter)")
    }
    switch option.meaning {
    case .used: try store.apply(letter: letter, value: value)
    case .implied, .help, .version: break
    case .meaningless(let what): store.note("-\(letter) (\(what)) has no effect here: ignored")
    case .notYet(let mend):
        // Asking for none is what culvert does anyway.
        if letter == "F", value == "none" || value == "/dev/null" { return }
        if letter == "J", value == "none" { return }
        throw ConfigurationError("-\(letter)\(value.map { " " + $0 } ?? ""): not supported yet: \(mend)")
    }
}

private func tunnel(
    to typedHost: String, _ store: SettingStore, _ long: LongOptions, _ environment: ConfigurationEnvironment
) throws(ConfigurationError) -> TunnelConfiguration {
    var store = store
    if store.compression == true { store.note("compression (-C) is not supported: the connection goes uncompressed") }
    if let streams = store.streams {
        // ssh clears them too.
        for each in store.forwards { store.note("\(each.flag) \(each.text) is left out: -W is the only forward") }
        store.forwards = [streams]
        if store.background == true { throw ConfigurationError("-f: -W needs standard input and output: leave it out") }
        if let links = long.links, links > 1 {
            throw ConfigurationError("--links \(links): -W is one connection, and goes through one link: leave it out")
        }
    } else if store.clearAllForwardings == true {
        throw ConfigurationError("-o ClearAllForwardings=yes: it takes every forward away: leave it out")
    }
    if store.forwards.isEmpty {
        throw ConfigurationError("nothing to forward: give -L, -R, -D or -W, for example -L 5432:db:5432")
    }
    let destination = try store.destination(typedHost: typedHost, environment: environment)
    let expansion = PathExpansion(
        environment: environment, destination: destination, hostKeyAlias: store.hostKeyAlias)
    return TunnelConfiguration(
        destination: destination, forwards: try store.expandedForwards(expansion), forwarding: store.forwarding,
        connection: store.connection, login: try store.login(expansion), hostKeys: try store.hostKeys(expansion),
        algorithms: store.algorithms, output: store.output, runtime: long.runtime, links: long.links ?? 1,
        engine: long.engine ?? .native, hold: long.hold ?? TunnelConfiguration.defaultHold,
        persist: long.persist, background: store.background ?? false, notes: store.notes)
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
    return .relay(
        RelayConfiguration(
            forwards: store.forwards, gatewayPorts: store.gatewayPorts ?? false, output: store.output,
            runtime: long.runtime, notes: store.notes))
}

extension LongOptions {
    var runtime: RuntimeOptions {
        RuntimeOptions(
            io: io ?? .auto, threads: threads, memory: memory ?? RuntimeOptions.defaultMemory)
    }
}
