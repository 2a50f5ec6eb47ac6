internal import CulvertPlan

/// The algorithms that an engine has, best first, for `-G` and `-Q`. Empty: not known, and such a key is printed only where
/// it was set.
public struct EngineAlgorithms: Hashable, Sendable {
    public var ciphers: [String] = []
    public var macs: [String] = []
    public var keyExchanges: [String] = []
    /// Those of them that are offered where nothing is said; of the others that is all.
    public var standardKeyExchanges: [String] = []
    public var hostKeys: [String] = []
    public var publicKeys: [String] = []

    public init() {}
}

/// The settings of a host as `ssh -G` (OpenSSH 9.2, as Debian 12 has it) prints them: the same keys, in the same order and
/// the same spelling, and culvert's own behind them.
struct SettingsText {
    let resolution: HostResolution
    let engine: EngineAlgorithms
    /// Lines of the keys that culvert acts on, without the key.
    private var used: [String: [String]] = [:]
    private var own: [(String, String)] = []

    init(_ resolution: HostResolution, _ long: LongOptions, _ engine: EngineAlgorithms) throws(ConfigurationError) {
        self.resolution = resolution
        self.engine = engine
        add(destination)
        add(flags)
        add(connection)
        add(try files())
        add(forwards(try resolution.store.expandedForwards(resolution.expansion)))
        add(algorithms)
        add(try expandedPlain())
        own = culvert(long)
    }

    /// Without the last line break.
    var text: String {
        var lines: [String] = []
        for key in Self.order {
            let name = key.lowercased()
            if let values = used[name] {
                lines += values.map { "\(key) \($0)" }
            } else if let values = resolution.store.plain[name] ?? PlainKey.named(name)?.standard {
                lines += Self.isList(name) ? values.map { "\(key) \($0)" } : ["\(key) \(values.joined(separator: " "))"]
            }
        }
        // A value may hold what steers a terminal.
        return (lines + own.map { "\($0.lowercased()) \($1)" }).map(\.oneLine).joined(separator: "\n")
    }

    /// A line a value.
    private static func isList(_ name: String) -> Bool { ["certificatefile", "sendenv", "setenv"].contains(name) }

    private mutating func add(_ values: [String: [String]]) {
        used.merge(values) { _, _ in preconditionFailure("a key is printed by one function") }
    }

    private static let order = """
        host user hostname port addressfamily batchmode canonicalizefallbacklocal canonicalizehostname checkhostip
        compression controlmaster enablesshkeysign clearallforwardings exitonforwardfailure fingerprinthash forwardx11
        forwardx11trusted gatewayports gssapiauthentication gssapikeyexchange gssapidelegatecredentials gssapitrustdns
        gssapirenewalforcesrekey gssapiclientidentity gssapiserveridentity gssapikexalgorithms hashknownhosts
        hostbasedauthentication identitiesonly kbdinteractiveauthentication nohostauthenticationforlocalhost
        passwordauthentication permitlocalcommand proxyusefdpass pubkeyauthentication requesttty sessiontype stdinnull
        forkafterauthentication streamlocalbindunlink stricthostkeychecking tcpkeepalive tunnel verifyhostkeydns
        visualhostkey updatehostkeys enableescapecommandline warnweakcrypto canonicalizemaxdots connectionattempts forwardx11timeout
        numberofpasswordprompts serveralivecountmax serveraliveinterval requiredrsasize obscurekeystroketiming bindaddress
        bindinterface ciphers controlpath hostkeyalgorithms hostkeyalias hostbasedacceptedalgorithms identityagent ignoreunknown
        kbdinteractivedevices kexalgorithms casignaturealgorithms localcommand remotecommand loglevel macs
        pkcs11provider securitykeyprovider preferredauthentications pubkeyacceptedalgorithms revokedhostkeys
        xauthlocation knownhostscommand tag versionaddendum dynamicforward localforward remoteforward identityfile canonicaldomains
        certificatefile globalknownhostsfile userknownhostsfile sendenv setenv logverbose channeltimeout
        permitremoteopen
        addkeystoagent forwardagent connecttimeout tunneldevice canonicalizePermittedcnames controlpersist escapechar
        ipqos rekeylimit streamlocalbindmask syslogfacility proxycommand proxyjump
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    // MARK: Keys that culvert acts on

    private var store: SettingStore { resolution.store }

    private var destination: [String: [String]] {
        let destination = resolution.destination
        return [
            "host": [destination.typedHost], "user": [destination.user], "hostname": [destination.host],
            "port": ["\(destination.port)"],
        ]
    }

    private static func word(_ flag: Bool) -> String { flag ? "yes" : "no" }

    private var flags: [String: [String]] {
        let login = [
            "batchmode": store.batchMode ?? false, "identitiesonly": store.identitiesOnly ?? false,
            "kbdinteractiveauthentication": store.kbdInteractiveAuthentication ?? true,
            "passwordauthentication": store.passwordAuthentication ?? true,
            "hashknownhosts": store.hashKnownHosts ?? false, "checkhostip": store.checkHostIP ?? false,
        ]
        let forwarding = [
            "clearallforwardings": store.clearAllForwardings ?? false, "compression": store.compression ?? false,
            "exitonforwardfailure": store.exitOnForwardFailure ?? false,
            "forkafterauthentication": store.background ?? false, "gatewayports": store.gatewayPorts ?? false,
            "streamlocalbindunlink": store.streamLocalBindUnlink ?? false, "tcpkeepalive": store.tcpKeepAlive ?? true,
        ]
        return login.merging(forwarding) { _, last in last }.mapValues { [Self.word($0)] }
    }

    private var connection: [String: [String]] {
        let connection = store.connection
        let checking: String =
            switch store.checking ?? .ask {
            case .ask: "ask"
            case .yes: "true"
            case .no: "false"
            case .acceptNew: "accept-new"
            }
        var values = [
            "addressfamily": [connection.addressFamily.rawValue],
            "connectionattempts": ["\(connection.connectionAttempts)"],
            "connecttimeout": [store.connectTimeout.map { "\($0.components.seconds)" } ?? "none"],
            "loglevel": [level(store.output.verbosity)],
            "numberofpasswordprompts": ["\(store.numberOfPasswordPrompts ?? 3)"],
            "pubkeyauthentication": [(store.pubkeyAuthentication ?? .yes).rawValue],
            "serveralivecountmax": ["\(store.serverAliveCountMax ?? connection.serverAliveCountMax)"],
            "serveraliveinterval": ["\(connection.serverAliveInterval?.components.seconds ?? 0)"],
            "streamlocalbindmask": ["0" + String(store.forwarding.streamLocalBindMask, radix: 8)],
            "stricthostkeychecking": [checking],
            "rekeylimit": [
                "\(store.rekeyLimit?.bytes ?? 0) \(store.rekeyLimit?.interval?.components.seconds ?? 0)"
            ],
        ]
        values["bindaddress"] = store.bindAddress.map { [$0] }
        values["bindinterface"] = store.bindInterface.map { [$0] }
        values["tag"] = store.tag.map { [$0] }
        values["hostkeyalias"] = store.hostKeyAlias.map { [$0.lowercased()] }
        values["ignoreunknown"] = store.ignoreUnknown.map { [$0] }
        values["preferredauthentications"] = store.preferredAuthentications.map { [$0.joined(separator: ",")] }
        values["proxycommand"] = store.effectiveProxyCommand.map { [$0] }
        values["proxyjump"] = store.effectiveProxyJump.map { [Self.jump($0)] }
        return values
    }

    /// The last hop as ssh took it apart, with brackets around a number.
    private static func jump(_ text: String) -> String {
        let hops = text.split(separator: ",", omittingEmptySubsequences: false)
        guard let last = hops.last, let hop = JumpText(hop: last) else { return text }
        let isNumber = hop.host.contains(":") || hop.host.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
        let printed =
            (hop.user.map { $0 + "@" } ?? "") + (isNumber ? "[\(hop.host)]" : hop.host)
            + (hop.port.map { ":\($0)" } ?? "")
        return (hops.dropLast().map(String.init) + [printed]).joined(separator: ",")
    }

    private func level(_ verbosity: Verbosity) -> String {
        switch verbosity {
        // LogLevel=quiet and -q are one level, which Debian's ssh prints by its other name.
        case .quiet: "SILENT"
        case .fatal: "FATAL"
        case .error: "ERROR"
        case .info: "INFO"
        case .verbose: "VERBOSE"
        case .debug1: "DEBUG"
        case .debug2: "DEBUG2"
        case .debug3: "DEBUG3"
        }
    }

    private func files() throws(ConfigurationError) -> [String: [String]] {
        let hostKeys = try store.hostKeys(resolution.expansion)
        func line(_ paths: [String]) -> [String] { [paths.isEmpty ? "none" : paths.joined(separator: " ")] }
        var identities = store.identityFiles.map(\.path)
        if identities.isEmpty {
            identities = ["rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa"].map { "~/.ssh/id_" + $0 }
        }
        var values = [
            "globalknownhostsfile": line(hostKeys.globalKnownHostsFiles), "identityfile": identities,
            "userknownhostsfile": line(hostKeys.userKnownHostsFiles),
        ]
        if let agent = store.identityAgent {
            values["identityagent"] = [try resolution.expansion.path(agent, origin: "IdentityAgent")]
        }
        values["updatehostkeys"] = [store.updateHostKeys]
        return values
    }

    // MARK: Forwards

    private func forwards(_ forwards: [ForwardSpecification]) -> [String: [String]] {
        // ClearAllForwardings takes them all away, and the tunnel device.
        if store.clearAllForwardings == true { return ["tunnel": ["false"]] }
        return [
            "dynamicforward": forwards.filter { $0.kind == .dynamic }.map(Self.line),
            "localforward": forwards.filter { $0.kind == .local }.map(Self.line),
            "remoteforward": forwards.filter { $0.kind == .remote }.map(Self.line),
        ]
    }

    private static func line(_ forward: ForwardSpecification) -> String {
        let listen =
            switch forward.listen {
            case .unix(let path): path
            case .standardStreams: preconditionFailure("ssh prints no -W")
            case .tcp(.default, let port): "\(port)"
            // An empty bind address and `*` are one value here.
            case .tcp(.everywhere, let port):
                (["*", "[*]"].contains(where: forward.text.hasPrefix) ? "[*]:" : "[]:") + "\(port)"
            case .tcp(.loopback, let port): "[localhost]:\(port)"
            case .tcp(.address(let address), let port): "[\(address)]:\(port)"
            }
        return switch forward.target {
        case .requested where forward.kind == .dynamic: listen
        case .requested: "\(listen) [socks]:0"
        case .unix(let path): "\(listen) \(path)"
        case .tcp(let host, let port): "\(listen) [\(host)]:\(port)"
        }
    }

    // MARK: Algorithms

    private var algorithms: [String: [String]] {
        var values: [String: [String]] = [:]
        func add(_ key: String, _ list: AlgorithmList?, _ known: [String], standard: [String]? = nil) {
            let standard = standard ?? known
            var names = list?.applied(to: standard, known: known) ?? standard
            // Nothing that the engine has: it will say so.
            if names.isEmpty, let list, list.change == .replace { names = list.names }
            values[key] = names.isEmpty ? nil : [names.joined(separator: ",")]
        }
        add("ciphers", store.ciphers, engine.ciphers)
        add("macs", store.macs, engine.macs)
        add("kexalgorithms", store.kexAlgorithms, engine.keyExchanges, standard: engine.standardKeyExchanges)
        add("hostkeyalgorithms", store.hostKeyAlgorithms, engine.hostKeys)
        add("pubkeyacceptedalgorithms", store.pubkeyAcceptedAlgorithms, engine.publicKeys)
        return values
    }

    // MARK: Keys that only ssh acts on

    /// Those in whose values ssh expands something, and those that "none" takes away.
    private func expandedPlain() throws(ConfigurationError) -> [String: [String]] {
        let expansion = resolution.expansion
        var values: [String: [String]] = [:]
        for name in ["controlpath", "forwardagent"] {
            guard let text = store.plain[name]?.first, !["yes", "no", "none"].contains(text) else { continue }
            values[name] = [try expansion.path(text, origin: PlainKey.named(name)?.name ?? name)]
        }
        if let command = store.plain["remotecommand"]?.first {
            values["remotecommand"] = [try expansion.tokens(command, origin: "RemoteCommand", hasVariables: false)]
        }
        if let command = store.plain["versionaddendum"]?.first {
            values["versionaddendum"] = [try expansion.tokens(command, origin: "VersionAddendum")]
        }
        // Since OpenSSH 10.
        if let files = store.plain["revokedhostkeys"], files.contains(where: { $0.contains("%") }) {
            var paths: [String] = []
            for file in files { paths.append(try expansion.path(file, origin: "RevokedHostKeys")) }
            values["revokedhostkeys"] = [paths.joined(separator: " ")]
        }
        // Of the value only.
        for pair in store.plain["setenv"] ?? [] {
            let name = pair.prefix { $0 != "=" }
            let value = try expansion.tokens(String(pair.dropFirst(name.count + 1)), origin: "SetEnv")
            values["setenv", default: []].append("\(name)=\(value)")
        }
        let cleared = [
            "controlpath", "knownhostscommand", "localcommand", "pkcs11provider", "remotecommand", "revokedhostkeys",
            "securitykeyprovider",
        ]
        for name in cleared where store.plain[name]?.first?.lowercased() == "none" { values[name] = [] }
        return values
    }

    // MARK: culvert's own

    private func culvert(_ long: LongOptions) -> [(String, String)] {
        let own = OwnSettings(long, store.culvert)
        var values: [(CulvertKey, String)] = [
            (.drain, "\(own.drain.components.seconds)"), (.engine, own.engine.rawValue),
            (.hold, "\(own.hold.components.seconds)"), (.io, own.runtime.io.rawValue),
            (.knocks, Self.word(own.knocks)), (.links, "\(own.links)"),
            (.memory, "\(own.runtime.memory)"), (.nodelay, Self.word(own.nodelay)),
            (.persist, Self.word(own.persistence == .always)),
        ]
        if let threads = own.runtime.threads { values.append((.threads, "\(threads)")) }
        return values.map { ($0.rawValue, $1) }
    }

    private static func word(_ limit: KnockLimit) -> String {
        switch limit {
        case .unlimited: "0"
        case .perHalfMinute(let count): "\(count)"
        }
    }
}
