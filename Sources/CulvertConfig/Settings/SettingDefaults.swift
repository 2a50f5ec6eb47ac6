/// Defaults fill what no setting said; paths are expanded once user, host and port are known.
extension SettingStore {
    /// HostName takes the tokens %% and %h only (ssh_config(5)).
    static func expandedHost(_ name: String, typed: String) throws(ConfigurationError) -> String {
        var host = ""
        var rest = name[...]
        while let character = rest.popFirst() {
            guard character == "%" else {
                host.append(character)
                continue
            }
            switch rest.popFirst() {
            case "%": host.append("%")
            case "h": host += typed
            default: throw ConfigurationError("HostName \(name): only %h and %% can stand in it")
            }
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard HostName.isWellFormed(host) else {
            throw ConfigurationError("HostName \(name): not a name or an address")
        }
        return host
    }

    var connection: ConnectionOptions {
        ConnectionOptions(
            addressFamily: addressFamily ?? .any, bindAddress: bindAddress,
            connectTimeout: connectTimeout.flatMap { $0 == 0 ? nil : .seconds($0) },
            connectionAttempts: connectionAttempts ?? 1, tcpKeepAlive: tcpKeepAlive ?? true,
            serverAliveInterval: serverAliveInterval.map { $0 == 0 ? nil : .seconds($0) }
                ?? ConnectionOptions.defaultServerAliveInterval,
            serverAliveCountMax: serverAliveCountMax ?? 3)
    }

    /// PermitRemoteOpen, whose words were checked: nil for "any", empty for "none".
    private var permittedTargets: [PermittedTarget]? {
        guard let words = plain["permitremoteopen"], words.first?.lowercased() != "any" else { return nil }
        if words.first?.lowercased() == "none" { return [] }
        return words.map { word in
            let mark = word.hasPrefix("[") ? (word.firstIndex(of: "]") ?? word.startIndex) : word.startIndex
            let colon = word[mark...].firstIndex(of: ":") ?? word.endIndex
            var host = word[..<colon]
            if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
            return PermittedTarget(
                host: host == "*" ? nil : String(host), port: PortNumber.parse(String(word[colon...].dropFirst())))
        }
    }

    var forwarding: ForwardingOptions {
        ForwardingOptions(
            gatewayPorts: gatewayPorts ?? false, exitOnForwardFailure: exitOnForwardFailure ?? false,
            streamLocalBindMask: streamLocalBindMask ?? 0o177, streamLocalBindUnlink: streamLocalBindUnlink ?? false,
            permitRemoteOpen: permittedTargets)
    }

    var algorithms: AlgorithmOptions {
        AlgorithmOptions(
            ciphers: ciphers, macs: macs, keyExchanges: kexAlgorithms, hostKeys: hostKeyAlgorithms,
            publicKeys: pubkeyAcceptedAlgorithms, rekeyLimit: rekeyLimit)
    }

    var output: OutputOptions {
        OutputOptions(verbosity: verbosity.level ?? logLevel ?? .info, logFile: logFile, syslog: syslog)
    }

    func login(_ expansion: PathExpansion) throws(ConfigurationError) -> LoginOptions {
        LoginOptions(
            identityFiles: try identities(expansion), agentSocket: try agentSocket(expansion),
            identitiesOnly: identitiesOnly ?? false, batchMode: batchMode ?? false,
            numberOfPasswordPrompts: numberOfPasswordPrompts ?? 3,
            passwordAuthentication: passwordAuthentication ?? true,
            kbdInteractiveAuthentication: kbdInteractiveAuthentication ?? true,
            pubkeyAuthentication: pubkeyAuthentication != .no,
            preferredAuthentications: preferredAuthentications ?? ["publickey", "keyboard-interactive", "password"])
    }

    private func identities(_ expansion: PathExpansion) throws(ConfigurationError) -> LoginOptions.IdentityFiles {
        if identityFiles.isEmpty { return .defaults }
        var files: [String] = []
        for file in identityFiles where file.path.lowercased() != "none" {
            let path = try expansion.path(file.path, origin: "IdentityFile")
            if !files.contains(path) { files.append(path) }
        }
        return .listed(files)
    }

    private func agentSocket(_ expansion: PathExpansion) throws(ConfigurationError) -> String? {
        func variable(_ name: String) -> String? {
            expansion.environment.variables[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        guard let agent = identityAgent, agent != "SSH_AUTH_SOCK" else { return variable("SSH_AUTH_SOCK") }
        if agent.lowercased() == "none" { return nil }
        if agent.hasPrefix("$"), !agent.hasPrefix("${") { return variable(String(agent.dropFirst())) }
        return try expansion.path(agent, origin: "IdentityAgent")
    }

    func hostKeys(_ expansion: PathExpansion) throws(ConfigurationError) -> HostKeyOptions {
        var userFiles: [String] = []
        for file in userKnownHostsFiles ?? ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"] {
            userFiles.append(try expansion.path(file, origin: "UserKnownHostsFile"))
        }
        return HostKeyOptions(
            checking: checking ?? .ask, userKnownHostsFiles: userFiles,
            globalKnownHostsFiles: globalKnownHostsFiles ?? ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
            hashKnownHosts: hashKnownHosts ?? false, alias: hostKeyAlias?.lowercased(),
            checkHostIP: checkHostIP ?? false)
    }

    /// Paths of Unix sockets take the same tokens (ssh_config(5), LocalForward).
    func expandedForwards(_ expansion: PathExpansion) throws(ConfigurationError) -> [ForwardSpecification] {
        var expanded = forwards
        for index in expanded.indices {
            let forward = expanded[index]
            if case .unix(let path) = forward.listen {
                expanded[index].listen = .unix(path: try socketPath(path, forward, expansion))
            }
            if case .unix(let path) = forward.target {
                expanded[index].target = .unix(path: try socketPath(path, forward, expansion))
            }
        }
        return expanded
    }

    private func socketPath(_ path: String, _ forward: ForwardSpecification, _ expansion: PathExpansion)
        throws(ConfigurationError) -> String
    {
        let expanded = try expansion.path(path, origin: forward.flag)
        guard expanded.utf8.count <= ForwardParser.maximumPathLength else {
            throw ForwardParser(kind: forward.kind, text: forward.text).pathFault(expanded)
        }
        return expanded
    }
}
