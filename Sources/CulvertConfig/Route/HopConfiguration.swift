/// How the destination is reached: ProxyJump and ProxyCommand.
extension SettingStore {
    /// More hops than any network needs, and few enough for 64 paths on one worker.
    static var maximumHops: Int { 8 }

    /// The hops of ProxyJump, the one to be reached first in front; empty without one.
    func hops(_ expansion: PathExpansion) throws(ConfigurationError) -> [ServerConfiguration] {
        guard let proxyJump, proxyJump.lowercased() != "none" else { return [] }
        let jumps = proxyJump.split(separator: ",", omittingEmptySubsequences: false)
        guard jumps.count <= Self.maximumHops else {
            throw ConfigurationError("ProxyJump \(proxyJump): more than \(Self.maximumHops) hops")
        }
        var hops: [ServerConfiguration] = []
        for jump in jumps {
            // Tokens are the destination's (ssh_config(5)); the zone of an IPv6 address is none.
            let text = jump.contains("[") ? String(jump) : try expansion.command(String(jump), origin: "ProxyJump")
            guard let hop = JumpText(hop: text[...]) else {
                throw ConfigurationError("ProxyJump \(text): give [user@]host[:port]")
            }
            if let user = hop.user { try UserName.check(user, origin: "ProxyJump \(text)") }
            var server = try Self.hop(hop, expansion.environment)
            // Whoever does not want to wait long for the destination does not want to wait long for a hop.
            server.connection.connectTimeout = server.connection.connectTimeout ?? connection.connectTimeout
            hops.append(server)
        }
        return hops
    }

    /// A hop has settings of its own: what the command line says is meant for the destination (ssh(1), -J).
    private static func hop(_ jump: JumpText, _ environment: ConfigurationEnvironment) throws(ConfigurationError)
        -> ServerConfiguration
    {
        var store = SettingStore()
        store.user = jump.user
        store.port = jump.port
        let destination = try store.destination(typedHost: jump.host, environment: environment)
        let expansion = PathExpansion(
            environment: environment, destination: destination, hostKeyAlias: store.hostKeyAlias)
        return ServerConfiguration(
            destination: destination, connection: store.connection, login: try store.login(expansion),
            hostKeys: try store.hostKeys(expansion), algorithms: store.algorithms,
            proxyCommand: try store.proxyCommandText(expansion))
    }

    /// nil: none, or a jump that came first.
    func proxyCommandText(_ expansion: PathExpansion) throws(ConfigurationError) -> ProxyCommandText? {
        guard let proxyCommand, proxyCommand.lowercased() != "none" else { return nil }
        let user = expansion.destination.user
        guard !Self.uses("r", in: proxyCommand) || UserName.isPlain(user) else {
            throw ConfigurationError(
                "ProxyCommand \(proxyCommand): the user's name '\(user)' has characters that a shell reads")
        }
        let shell = expansion.environment.variables["SHELL"].flatMap { $0.isEmpty ? nil : $0 } ?? "/bin/sh"
        return ProxyCommandText(
            shell: shell, text: try expansion.command(proxyCommand, origin: "ProxyCommand"))
    }

    private static func uses(_ letter: Character, in command: String) -> Bool {
        var rest = command[...]
        while let sign = rest.firstIndex(of: "%") {
            rest = rest[rest.index(after: sign)...]
            if rest.popFirst() == letter { return true }
        }
        return false
    }
}
