public import CulvertPlan

/// Everything that the command line and the files say about one host.
public struct HostConfiguration: Hashable, Sendable {
    /// But for the ProxyCommand, which only a destination or a first hop has.
    public var server: ServerPlan
    /// From the command line, then from the files, in order; may be empty.
    public var forwards: [ForwardSpecification]
    public var forwarding: ForwardingOptions
    public var output: OutputOptions
    /// As it was written, every hop of it well-formed; nil: none. At most one of the two is set.
    public var proxyJump: String?
    /// As it was written; nil: none.
    public var proxyCommand: String?
    /// What was accepted and ignored.
    public var notes: [String]
}

/// What applies to a host that ssh would log in to with nothing but `-F`, `-l` and `-p`, as it does for the hops of
/// ProxyJump. `engine` is what will speak to it: lists of algorithms in files lose what that has not.
public func resolveHost(
    _ host: String, user: String? = nil, port: UInt16? = nil, files: ConfigurationFiles,
    engine: EngineChoice = .native, environment: ConfigurationEnvironment = .current(),
    access: ConfigurationAccess = .system
) throws(ConfigurationError) -> HostConfiguration {
    var store = SettingStore()
    store.variables = environment.variables
    if let user { store.type(user: user) }
    store.port = port
    return try HostResolution(host, store, files: files, environment: environment, access: access)
        .configuration(access.algorithms(engine))
}

/// What the command line said, filled up from the files, and the host that it comes to.
struct HostResolution {
    let store: SettingStore
    let destination: Destination
    let environment: ConfigurationEnvironment

    /// `commandLine` is what was typed, which outranks every file.
    /// And `command` what stands behind the destination.
    init(
        _ typedHost: String, _ commandLine: SettingStore, command: [String] = [], files: ConfigurationFiles,
        environment: ConfigurationEnvironment, access: ConfigurationAccess
    ) throws(ConfigurationError) {
        let command = command.joined(separator: " ")
        var reader = ConfigurationReader(
            commandLine, host: typedHost, originalHost: typedHost, command: command, isFinal: false,
            environment: environment, access: access)
        try reader.read(files)
        var host = try Self.host(typedHost, reader.store)
        let canonicalization = Canonicalization(reader.store, access)
        var notes: [String] = []
        let name = try canonicalization.name(for: host) { notes.append($0) }
        if name != host { notes.append("CanonicalizeHostname: \(host) is \(name)") }
        host = name
        if reader.wantsFinal || canonicalization.mode != .no {
            reader = ConfigurationReader(
                reader.store, host: host, originalHost: typedHost, command: command, isFinal: true,
                environment: environment, access: access)
            try reader.read(files)
        }
        notes.forEach { reader.store.note($0) }
        store = reader.store
        let destination = Destination(
            host: host, typedHost: typedHost, port: store.port ?? 22, user: store.user ?? environment.userName)
        self.environment = environment
        self.destination = try Self.expandingUser(destination, store, environment)
        if self.destination.user.isEmpty { throw ConfigurationError("no user: give user@\(typedHost)") }
        try checkJump()
    }

    /// As ssh does before anything else: the last hop, as it is written, may not be the host itself.
    private func checkJump() throws(ConfigurationError) {
        guard let jump = store.lastJump else { return }
        if jump.host == destination.host, (jump.port ?? 22) == destination.port,
            (jump.user ?? destination.user) == destination.user
        {
            throw ConfigurationError("ProxyJump \(store.proxyJump ?? ""): \(jump.host) would lead to itself")
        }
    }

    /// Tokens and variables may stand in the name that a file or `-o` gives, but for those that it is part of (ssh_config(5),
    /// User).
    private static func expandingUser(
        _ destination: Destination, _ store: SettingStore, _ environment: ConfigurationEnvironment
    ) throws(ConfigurationError) -> Destination {
        guard let text = store.user, !store.userIsTyped else { return destination }
        var expansion = expansion(store, destination, environment)
        expansion.unknown = ["r", "C"]
        var destination = destination
        destination.user = try expansion.tokens(text, origin: "User")
        if destination.user != text { try UserName.checkTyped(destination.user, origin: "User \(text)") }
        return destination
    }

    /// What is connected to: names in lower case, and addresses as the system writes them.
    private static func host(_ typedHost: String, _ store: SettingStore) throws(ConfigurationError) -> String {
        let name =
            try store.hostName.map { name throws(ConfigurationError) in
                try SettingStore.expandedHost(name, typed: typedHost)
            } ?? typedHost
        return HostName.canonicalAddress(name) ?? name.lowercased()
    }

    var expansion: PathExpansion { Self.expansion(store, destination, environment) }

    private static func expansion(
        _ store: SettingStore, _ destination: Destination, _ environment: ConfigurationEnvironment
    ) -> PathExpansion {
        PathExpansion(
            environment: environment, destination: destination, hostKeyAlias: store.hostKeyAlias?.lowercased(),
            jumpHost: store.lastJumpHost)
    }

    /// Throws for what is in force and cannot be honoured.
    func configuration(_ engine: EngineAlgorithms) throws(ConfigurationError) -> HostConfiguration {
        if let refusal = store.refusals.first { throw refusal }
        var store = store
        if store.compression == true {
            store.note("compression (-C) is not supported: the connection goes uncompressed")
        }
        let forwards = try store.expandedForwards(expansion)
        let (server, notes) = try serverPlan(engine)
        notes.forEach { store.note($0) }
        return HostConfiguration(
            server: server, forwards: forwards, forwarding: store.forwarding,
            output: store.output, proxyJump: store.effectiveProxyJump, proxyCommand: store.effectiveProxyCommand,
            notes: store.notes)
    }

    /// But for the ProxyCommand; and a note for each list of algorithms that loses something.
    func serverPlan(_ engine: EngineAlgorithms) throws(ConfigurationError) -> (server: ServerPlan, notes: [String]) {
        let (algorithms, notes) = store.algorithms(for: engine)
        var server = ServerPlan(destination: destination, home: environment.homeDirectory)
        server.connection = store.connection
        server.login = try store.login(expansion)
        server.hostKeys = try store.hostKeys(expansion)
        server.algorithms = algorithms
        return (server, notes)
    }
}

extension SettingStore {
    /// nil for "none" too.
    var effectiveProxyJump: String? { proxyJump.flatMap { $0 == "none" ? nil : $0 } }
    var effectiveProxyCommand: String? { proxyCommand.flatMap { $0.lowercased() == "none" ? nil : $0 } }

    /// The jump next to the destination; nil: none.
    var lastJump: JumpText? { effectiveProxyJump?.split(separator: ",").last.flatMap { JumpText(hop: $0) } }

    /// Its host; empty: none.
    var lastJumpHost: String { lastJump?.host ?? "" }
}
