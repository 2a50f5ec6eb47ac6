internal import CulvertPlan

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
        var options = ConnectionOptions()
        options.addressFamily = addressFamily ?? options.addressFamily
        options.bindAddress = bindAddress
        options.bindInterface = bindInterface
        options.connectTimeout = connectTimeout.flatMap { $0 == .zero ? nil : $0 }
        options.connectionAttempts = connectionAttempts ?? options.connectionAttempts
        options.tcpKeepAlive = tcpKeepAlive ?? options.tcpKeepAlive
        if let serverAliveInterval {
            options.serverAliveInterval = serverAliveInterval == .zero ? nil : serverAliveInterval
            options.serverAliveIntervalIsSet = true
        }
        if let count = serverAliveCountMax {
            // Zero ends a link at the first silence: a wish where an interval was asked for, and only there.
            if count > 0 || serverAliveInterval != nil { options.serverAliveCountMax = count }
        }
        return options
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
        var options = ForwardingOptions()
        options.gatewayPorts = gatewayPorts ?? options.gatewayPorts
        options.exitOnForwardFailure = exitOnForwardFailure ?? options.exitOnForwardFailure
        options.streamLocalBindMask = streamLocalBindMask ?? options.streamLocalBindMask
        options.streamLocalBindUnlink = streamLocalBindUnlink ?? options.streamLocalBindUnlink
        options.permitRemoteOpen = permittedTargets
        return options
    }

    var output: OutputOptions {
        OutputOptions(
            verbosity: verbosity.level ?? logLevel ?? .info, logFile: logFile, syslog: syslog,
            syslogFacility: plain["syslogfacility"]?.first.flatMap { PlainShape.Choice.facilities[$0] } ?? 1)
    }

    func login(_ expansion: PathExpansion) throws(ConfigurationError) -> LoginOptions {
        var options = LoginOptions()
        options.identityFiles = try identities(expansion)
        for file in plain["certificatefile"] ?? [] where file.lowercased() != "none" {
            let path = try expansion.path(file, origin: "CertificateFile")
            if !options.certificateFiles.contains(path) { options.certificateFiles.append(path) }
        }
        options.agentSocket = try agentSocket(expansion)
        options.identitiesOnly = identitiesOnly ?? options.identitiesOnly
        options.batchMode = batchMode ?? options.batchMode
        options.numberOfPasswordPrompts = numberOfPasswordPrompts ?? options.numberOfPasswordPrompts
        // Names that nobody here has are no mistake, as with ssh.
        let preferred = preferredAuthentications?.compactMap { LoginOptions.Method(rawValue: $0) } ?? options.methods
        options.methods = preferred.filter(isEnabled)
        options.requiredRSASize = requiredRSASize
        options.bindsToHost = pubkeyAuthentication != .unbound
        options.securityKeyHelper = securityKeyHelper(expansion)
        return options
    }

    /// Where OpenSSH, Debian and Fedora have it. "none" is no provider, as with ssh.
    private func securityKeyHelper(_ expansion: PathExpansion) -> SecurityKeyProgram? {
        let environment = expansion.environment.variables
        var provider = plain["securitykeyprovider"]?.first ?? "internal"
        if provider.hasPrefix("$"), provider.count > 1 { provider = environment[String(provider.dropFirst())] ?? "" }
        if provider.isEmpty || provider.lowercased() == "none" { return nil }
        let usual = ["/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec"].map {
            $0 + "/ssh-sk-helper"
        }
        let named = environment["SSH_SK_HELPER"].flatMap { $0.isEmpty ? nil : [$0] }
        return SecurityKeyProgram(paths: named ?? usual, provider: provider, environment: environment)
    }

    private func isEnabled(_ method: LoginOptions.Method) -> Bool {
        switch method {
        case .publicKey: pubkeyAuthentication != .no
        case .keyboardInteractive: kbdInteractiveAuthentication ?? true
        case .password: passwordAuthentication ?? true
        }
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
        var options = HostKeyOptions()
        options.checking = checking ?? options.checking
        var userFiles: [String] = []
        for file in userKnownHostsFiles ?? options.userKnownHostsFiles {
            userFiles.append(try expansion.path(file, origin: "UserKnownHostsFile"))
        }
        options.userKnownHostsFiles = userFiles
        options.globalKnownHostsFiles = globalKnownHostsFiles ?? options.globalKnownHostsFiles
        options.hashKnownHosts = hashKnownHosts ?? options.hashKnownHosts
        options.update = update
        options.checksAddress = checkHostIP ?? false
        options.trustsLocalhost = plain["nohostauthenticationforlocalhost"]?.first == "yes"
        if let command = plain["knownhostscommand"]?.first, command.lowercased() != "none" {
            options.knownHostsCommand = try expansion.knownHostsCommand(command)
        }
        options.requiredRSASize = requiredRSASize
        for file in plain["revokedhostkeys"] ?? [] where file.lowercased() != "none" {
            options.revokedKeysFiles.append(try expansion.path(file, origin: "RevokedHostKeys"))
        }
        options.alias = hostKeyAlias?.lowercased()
        if let list = plain["casignaturealgorithms"]?.first {
            options.authoritySignatures = list.split(separator: ",").map(String.init)
        }
        return options
    }

    /// UpdateHostKeys as `-G` prints it. ssh's default follows from two other keys, and it asks only where somebody can answer.
    var updateHostKeys: String {
        guard let set = plain["updatehostkeys"]?.first else {
            let isUsual = userKnownHostsFiles == nil || userKnownHostsFiles == ["~/.ssh/known_hosts"]
            let isByDNS = !["false", nil].contains(plain["verifyhostkeydns"]?.first)
            return isUsual && !isByDNS ? "true" : "false"
        }
        guard set == "ask" else { return set }
        func isSet(_ key: String, to none: String) -> Bool {
            ![none, nil].contains(plain[key]?.first?.lowercased())
        }
        let isShared = isSet("controlpersist", to: "no") && isSet("controlpath", to: "none")
        let isAlone = isSet("remotecommand", to: "none") || plain["requesttty"] == ["false"]
        return isShared || isAlone || output.verbosity < .info ? "false" : "ask"
    }

    private var requiredRSASize: Int {
        plain["requiredrsasize"]?.first.flatMap { Int($0) } ?? LoginOptions().requiredRSASize
    }

    /// The same as it is meant: nobody is asked by a culvert in the background.
    private var update: HostKeyOptions.Update {
        switch updateHostKeys {
        case "true": .yes
        case "ask": background == true ? .no : .ask
        default: .no
        }
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
