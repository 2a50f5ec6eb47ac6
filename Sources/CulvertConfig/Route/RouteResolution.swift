internal import CulvertPlan

/// How a host is reached: the hops of its ProxyJump, each with what the files say about it, or its ProxyCommand.
struct RouteResolution {
    /// More hops than any network needs, and few enough for 64 paths on one worker.
    static let maximumHops = 8

    let files: ConfigurationFiles
    let access: ConfigurationAccess
    /// What the engine has, which is the same at every hop.
    let engine: EngineAlgorithms

    /// The hops to be passed before the host, the one to be reached first in front; empty without a jump.
    func hops(to resolution: HostResolution) throws(ConfigurationError) -> [ServerPlan] {
        var hops = try hops(to: resolution, from: [])
        // Whoever does not want to wait long for the destination does not want to wait long for a hop.
        let patience = resolution.store.connection.connectTimeout
        for index in hops.indices where hops[index].connection.connectTimeout == nil {
            hops[index].connection.connectTimeout = patience
        }
        return hops
    }

    /// `from`: those on whose account the host is asked about, to find one that would lead to itself.
    private func hops(to resolution: HostResolution, from waiting: [Destination]) throws(ConfigurationError)
        -> [ServerPlan]
    {
        guard let jump = resolution.store.effectiveProxyJump else { return [] }
        // Each asks about the one before it: a pattern that makes new names would never end.
        guard waiting.count <= Self.maximumHops else {
            throw ConfigurationError("ProxyJump \(jump): more than \(Self.maximumHops) hops")
        }
        var hops: [ServerPlan] = []
        for text in jump.split(separator: ",", omittingEmptySubsequences: false) {
            let hop = try host(String(text), resolution)
            if hops.isEmpty {
                // Only the first is looked for as a destination would be: those behind it are reached through it.
                guard !waiting.contains(hop.destination) else {
                    throw ConfigurationError("ProxyJump \(jump): \(hop.destination.typedHost) would lead to itself")
                }
                hops = try self.hops(to: hop, from: waiting + [hop.destination])
                hops.append(try hop.server(isFirst: hops.isEmpty, engine))
            } else {
                hops.append(try hop.server(isFirst: false, engine))
            }
            guard hops.count <= Self.maximumHops else {
                throw ConfigurationError("ProxyJump \(jump): more than \(Self.maximumHops) hops")
            }
        }
        return hops
    }

    /// What the files say about a hop. The command line is meant for the destination (ssh(1), -J).
    private func host(_ text: String, _ resolution: HostResolution) throws(ConfigurationError) -> HostResolution {
        // Tokens are those of the host that is jumped to (ssh_config(5)); the zone of an IPv6 address is none.
        let expanded =
            text.contains("[")
            ? text : try resolution.expansion.tokens(text, origin: "ProxyJump", hasVariables: false)
        guard let jump = JumpText(hop: expanded[...]) else {
            throw ConfigurationError("ProxyJump \(expanded): give [user@]host[:port]")
        }
        if let user = jump.user { try UserName.check(user, origin: "ProxyJump \(expanded)") }
        var store = SettingStore()
        store.variables = resolution.environment.variables
        if let user = jump.user { store.type(user: user) }
        store.port = jump.port
        return try HostResolution(
            jump.host, store, files: files, environment: resolution.environment, access: access)
    }
}

extension HostResolution {
    /// A jump host. `isFirst`: it is reached as a destination would be, over its ProxyCommand if it has one.
    fileprivate func server(isFirst: Bool, _ engine: EngineAlgorithms) throws(ConfigurationError) -> ServerPlan {
        if let refusal = store.refusals.first { throw refusal }
        var server = try serverPlan(engine).server
        if isFirst { server.proxyCommand = try expandedProxyCommand() }
        return server
    }

    /// nil: none, or a jump.
    func expandedProxyCommand() throws(ConfigurationError) -> ProxyCommand? {
        guard let command = store.effectiveProxyCommand else { return nil }
        return ProxyCommand(
            shell: shell, text: try shellText(command, origin: "ProxyCommand", expansion),
            passesDescriptor: store.plain["proxyusefdpass"] == ["yes"])
    }

    /// nil: none, or it is not permitted.
    func expandedLocalCommand() throws(ConfigurationError) -> LocalCommand? {
        guard store.plain["permitlocalcommand"] == ["yes"], let command = store.plain["localcommand"]?.first,
            command.lowercased() != "none"
        else { return nil }
        var expansion = expansion
        expansion.hasInterface = true
        return LocalCommand(shell: shell, text: try shellText(command, origin: "LocalCommand", expansion))
    }

    private var shell: String { environment.variables["SHELL"].flatMap { $0.isEmpty ? nil : $0 } ?? "/bin/sh" }

    /// A command with its tokens, none of which makes another command of it.
    private func shellText(_ command: String, origin: String, _ expansion: PathExpansion) throws(ConfigurationError)
        -> String
    {
        let user = expansion.destination.user
        guard UserName.mayStand(user, in: command) else {
            throw ConfigurationError(
                "\(origin) \(command): the user's name '\(user)' has characters that a shell reads")
        }
        if let alias = expansion.hostKeyAlias, !HostName.mayStand(alias: alias, in: command) {
            throw ConfigurationError(
                "\(origin) \(command): the HostKeyAlias '\(alias)' has characters that a shell reads")
        }
        return try expansion.tokens(command, origin: origin, hasVariables: false)
    }
}
