internal import CulvertConfig
internal import CulvertIdentity
internal import CulvertRelay
internal import CulvertSSH

/// The tunnel: `culvert -L … -R … user@host`.
struct TunnelCommand {
    let configuration: TunnelConfiguration

    init(_ configuration: TunnelConfiguration) { self.configuration = configuration }

    func run() -> Int32 {
        guard let output = LogOutput.open(configuration.output, notes: configuration.notes) else {
            return ExitCode.logFile.rawValue
        }
        return Relay.runTunnels(
            [tunnel(output)], goesToBackground: configuration.background, journal: output.journal)
    }

    /// The tunnel as the relay runs it, with a memory of its own of what was asked and answered.
    func tunnel(_ output: LogOutput) -> Tunnel {
        let destination = Self.identity(configuration.server)
        let hops = configuration.hops.map(Self.identity)
        let memory = IdentityMemory()
        let prompter = TerminalPrompter(environment: ConfigurationEnvironment.current().variables)
        let notice = output.notice
        return Tunnel(
            settings: tunnelSettings(),
            authority: { hop, mayPrompt in
                Identity(
                    settings: hop.map { hops[$0] } ?? destination, memory: memory, mayPrompt: mayPrompt,
                    prompter: prompter, notice: notice)
            }, journal: output.journal)
    }

    private static func server(_ configuration: ServerConfiguration) -> ServerSettings {
        var settings = ServerSettings()
        let destination = configuration.destination
        let host = destination.host.contains(":") ? "[\(destination.host)]" : destination.host
        settings.destination =
            destination.port == 22
            ? "\(destination.user)@\(destination.typedHost)" : "\(destination.user)@\(host):\(destination.port)"
        settings.host = destination.host
        settings.port = destination.port
        switch configuration.connection.addressFamily {
        case .any: settings.family = .any
        case .inet: settings.family = .ipv4
        case .inet6: settings.family = .ipv6
        }
        settings.source = configuration.connection.bindAddress
        settings.proxyCommand = configuration.proxyCommand.map { ProxyCommand(shell: $0.shell, text: $0.text) }
        settings.connectTimeout = configuration.connection.connectTimeout
        settings.keepsAlive = configuration.connection.tcpKeepAlive
        settings.aliveInterval = configuration.connection.serverAliveInterval
        settings.aliveCountMaximum = configuration.connection.serverAliveCountMax
        settings.algorithms = algorithms(configuration.algorithms)
        return settings
    }

    private func tunnelSettings() -> TunnelSettings {
        var settings = TunnelSettings()
        settings.server = Self.server(configuration.server)
        settings.hops = configuration.hops.map(Self.server)
        settings.connectionAttempts = configuration.connection.connectionAttempts
        switch configuration.engine {
        case .native: settings.engine = .native
        case .libssh2: settings.engine = .libssh2
        }
        let values = ForwardValues(
            gatewayPorts: configuration.forwarding.gatewayPorts,
            modeMask: UInt32(configuration.forwarding.streamLocalBindMask),
            unlinksFirst: configuration.forwarding.streamLocalBindUnlink,
            permitted: configuration.forwarding.permitRemoteOpen)
        for each in configuration.forwards {
            switch each.kind {
            case .local, .dynamic, .streams: settings.forwards.append(values.local(each))
            case .remote: settings.reverse.append(values.reverse(each))
            }
        }
        settings.exitsOnForwardFailure = configuration.forwarding.exitOnForwardFailure
        settings.links = configuration.links
        settings.hold = configuration.hold
        settings.drain = configuration.drain
        settings.persists = configuration.persist
        settings.serverSendsAtOnce = configuration.nodelay
        settings.runtime = RuntimeSettings(configuration.runtime)
        return settings
    }

    private static func algorithms(_ lists: AlgorithmOptions) -> AlgorithmSettings {
        var settings = AlgorithmSettings()
        settings.keyExchange = lists.keyExchanges.map(text)
        settings.ciphers = lists.ciphers.map(text)
        settings.macs = lists.macs.map(text)
        settings.hostKeys = lists.hostKeys.map(text)
        settings.publicKeys = lists.publicKeys.map(text)
        settings.rekeyBytes = lists.rekeyLimit?.bytes.map { UInt64($0) }
        settings.rekeyInterval = lists.rekeyLimit?.interval
        return settings
    }

    private static func text(_ list: AlgorithmList) -> String {
        let sign =
            switch list.change {
            case .replace: ""
            case .append: "+"
            case .remove: "-"
            case .prepend: "^"
            }
        return sign + list.names.joined(separator: ",")
    }

    private static func identity(_ configuration: ServerConfiguration) -> IdentitySettings {
        let destination = configuration.destination
        let login = configuration.login
        var settings = IdentitySettings(
            user: destination.user, host: destination.host, port: destination.port,
            home: ConfigurationEnvironment.current().homeDirectory)
        settings.hostKeyAlias = configuration.hostKeys.alias
        settings.userKnownHostsFiles = configuration.hostKeys.userKnownHostsFiles
        settings.globalKnownHostsFiles = configuration.hostKeys.globalKnownHostsFiles
        switch configuration.hostKeys.checking {
        case .ask: settings.strictHostKeyChecking = .ask
        case .yes: settings.strictHostKeyChecking = .yes
        case .no: settings.strictHostKeyChecking = .no
        case .acceptNew: settings.strictHostKeyChecking = .acceptNew
        }
        settings.hashKnownHosts = configuration.hostKeys.hashKnownHosts
        if case .listed(let files) = login.identityFiles { settings.identityFiles = files }
        settings.identitiesOnly = login.identitiesOnly
        settings.agentSocket = login.agentSocket
        settings.batchMode = login.batchMode
        settings.passwordPrompts = login.numberOfPasswordPrompts
        settings.methods = login.preferredAuthentications.compactMap { name in
            guard let method = IdentitySettings.Method(rawValue: name) else { return nil }
            switch method {
            case .publicKey: return login.pubkeyAuthentication ? method : nil
            case .keyboardInteractive: return login.kbdInteractiveAuthentication ? method : nil
            case .password: return login.passwordAuthentication ? method : nil
            }
        }
        return settings
    }
}
