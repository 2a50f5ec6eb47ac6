internal import CulvertConfig
internal import CulvertIO
internal import CulvertIdentity
internal import CulvertLibSSH2
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// The tunnel: `culvert -L … -R … user@host`.
struct TunnelCommand {
    let configuration: TunnelConfiguration

    init(_ configuration: TunnelConfiguration) { self.configuration = configuration }

    func run() -> Int32 {
        // Before any thread or ring exists.
        var background: Background?
        if configuration.background {
            do throws(IOError) { background = try Background.fork() } catch {
                LogOutput.writeLine("culvert: -f: \(error)", to: STDERR_FILENO)
                return ExitCode.system.rawValue
            }
        }
        let output: LogOutput
        do throws(LogOutput.Failure) { output = try LogOutput(configuration.output) } catch {
            LogOutput.writeLine("culvert: \(error.description)", to: STDERR_FILENO)
            return ExitCode.logFile.rawValue
        }
        if configuration.output.verbosity >= .verbose { configuration.notes.forEach(output.notice) }
        let settings: TunnelSettings
        do throws(ForwardValues.Failure) { settings = try tunnelSettings() } catch {
            output.notice(error.description)
            return ExitCode.connection.rawValue
        }
        let identity = identitySettings()
        let memory = IdentityMemory()
        let prompter = TerminalPrompter(environment: ConfigurationEnvironment.current().variables)
        let notice = output.notice
        return Relay.runTunnel(
            settings, engine: engineSettings(),
            authority: { mayPrompt in
                Identity(settings: identity, memory: memory, mayPrompt: mayPrompt, prompter: prompter, notice: notice)
            },
            journal: output.journal,
            becameReady: { if let parent = background.take() { parent.ready() } })
    }

    private func tunnelSettings() throws(ForwardValues.Failure) -> TunnelSettings {
        var settings = TunnelSettings()
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
        if let limit = configuration.connection.connectTimeout { settings.connectTimeout = span(limit) }
        settings.connectionAttempts = configuration.connection.connectionAttempts
        settings.keepsAlive = configuration.connection.tcpKeepAlive
        settings.alive.interval = configuration.connection.serverAliveInterval.map(span) ?? .zero
        settings.alive.countMaximum = configuration.connection.serverAliveCountMax

        let values = ForwardValues(
            gatewayPorts: configuration.forwarding.gatewayPorts, family: settings.family,
            modeMask: UInt32(configuration.forwarding.streamLocalBindMask),
            unlinks: configuration.forwarding.streamLocalBindUnlink)
        for each in configuration.forwards {
            switch each.kind {
            case .local: settings.forwards.append(try values.local(each))
            case .remote: settings.reverse.append(values.reverse(each))
            }
        }
        settings.exitsOnForwardFailure = configuration.forwarding.exitOnForwardFailure
        settings.links = configuration.links
        settings.threads = configuration.runtime.threads
        settings.driver = DriverChoice(rawValue: configuration.runtime.io.rawValue) ?? .auto
        settings.memory = configuration.runtime.memory
        settings.limits.hold = span(configuration.hold)
        settings.persists = configuration.persist
        return settings
    }

    private func span(_ duration: Duration) -> Tick.Span {
        let parts = duration.components
        return Tick.Span(nanoseconds: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }

    private func engineSettings() -> LibSSH2Settings {
        let lists = configuration.algorithms
        return LibSSH2Settings(
            keyExchange: lists.keyExchanges.map(text), ciphers: lists.ciphers.map(text), macs: lists.macs.map(text),
            hostKeyAlgorithms: lists.hostKeys.map(text))
    }

    private func text(_ list: AlgorithmList) -> String {
        let sign =
            switch list.change {
            case .replace: ""
            case .append: "+"
            case .remove: "-"
            case .prepend: "^"
            }
        return sign + list.names.joined(separator: ",")
    }

    private func identitySettings() -> IdentitySettings {
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
