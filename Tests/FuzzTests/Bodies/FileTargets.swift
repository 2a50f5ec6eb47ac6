@testable import CulvertConfig

/// A configuration file and one that it may include, in memory.
private struct MemoryFiles {
    let outer: [UInt8]
    let inner: [UInt8]

    var access: ConfigurationAccess {
        let (outer, inner) = (outer, inner)
        var access = ConfigurationAccess(
            read: { path in
                switch path {
                case "/f/outer": .success(ConfigurationAccess.File(bytes: outer, owner: 1000, mode: 0o600))
                case "/f/inner": .success(ConfigurationAccess.File(bytes: inner, owner: 0, mode: 0o644))
                case "/f/open": .success(ConfigurationAccess.File(bytes: inner, owner: 1000, mode: 0o666))
                default: .failure(path.hasSuffix("x") ? .unreadable("no") : .missing)
                }
            },
            // Nothing that a file includes grows without end: the outer one includes once what it names, itself too.
            paths: { pattern in
                switch pattern {
                case "/f/i*": ["/f/inner"]
                case "/f/*": ["/f/inner", "/f/open"]
                case "/f/[": nil
                default: pattern.contains("*") ? [] : [pattern]
                }
            },
            execute: { command, _ in command.utf8.count % 3 == 0 ? nil : Int32(command.utf8.count % 2) })
        access.addresses = { ["10.1.2.3", "fe80::1%eth0", "::1"] }
        access.lookUp = { name, _ in
            switch name.utf8.count % 4 {
            case 0: .notFound
            case 1: .failed("nobody answers")
            case 2: .found(canonicalName: nil)
            // An alias may be called anything.
            default: .found(canonicalName: String(decoding: inner.prefix(20), as: UTF8.self))
            }
        }
        return access
    }
}

private let environment = ConfigurationEnvironment(
    variables: ["SHELL": "/bin/sh", "V": "value"], homeDirectory: "/home/user", userName: "user", userID: 1000,
    hostName: "here.example.org")

private func settings(of files: MemoryFiles, _ words: [String]) -> Result<String, ConfigurationError> {
    do throws(ConfigurationError) {
        let invocation = try parseCommandLine(
            ["-G", "-F", "/f/outer"] + words, environment: environment, access: files.access)
        guard case .show(let text) = invocation else { fatalError("-G prints") }
        return .success(text)
    } catch {
        return .failure(error)
    }
}

/// What must hold of everything that `-G` prints.
private func check(printed text: String) {
    var last = ""
    var seen: Set<String> = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        promise(line.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }, "a setting is one line")
        let key = String(line.prefix { $0 != " " })
        promise(!key.isEmpty, "a line begins with a key")
        promise(key == last || seen.insert(key).inserted, "the lines of \(key) stand together")
        last = key
    }
    for key in ["host", "user", "hostname", "port"] { promise(seen.contains(key), "\(key) is always known") }
}

extension FuzzTarget {
    /// `ssh_config`: the file and one to include, parted by a zero byte.
    static let configuration = FuzzTarget(
        "Configuration", maximumLength: 600,
        seeds: {
            [
                "Host a* !ab\n Port=2\n User \"x y\"\nMatch host h exec \"t %h\" !user z\nIdentityFile ~/%C\0",
                "Include /f/i*\nHost h\nInclude /f/inner\nPort 3\0Match final\nHostName %h.x\nUser a\n",
                "Include /f/outer\n\0", "Match all # x\nIgnoreUnknown Foo*\nFooBar 1\nCulvertLinks 3\nSendEnv A -A\n\0",
                "LocalForward 1 ${V}:2\nRemoteForward /a /b\nDynamicForward [::1]:1\nProxyJump a,b@c:2\n\0",
                "ProxyCommand nc %h # %p\nRekeyLimit 1G 1h\nIPQoS ef 0x10\nEscapeChar ^a\nAddKeysToAgent confirm 5m\n\0",
                "Host *\nCanonicalizeHostname yes\nCanonicalDomains a b\nCanonicalizePermittedCNAMEs a:b\nTag t\n\0",
                "CanonicalizeHostname always\nCanonicalDomains ab cd\nCanonicalizePermittedCNAMEs *:*\nMatch canonical\n\0n.x",
                "Match localnetwork 10.0.0.0/8,::1 command \"\" sessiontype shell version O*\nUser %n-${V}\nInclude /%h\n\0",
                "ChannelTimeout x=1h\nLocalCommand x %T\nPermitLocalCommand yes\nObscureKeystrokeTiming interval:9\n\0",
                "Match tagged t originalhost h localuser user canonical\nControlPath ~/%k-%u\nSetEnv A=1 A=2\n\0",
                "HostbasedAcceptedAlgorithms +ssh-*\nPermitRemoteOpen a:1 [::1]:*\nTunnelDevice 1:any\nTunnel yes\n\0",
                "UserKnownHostsFile ~/a \"b c\"\nKnownHostsCommand x\nRevokedHostKeys none\nStreamLocalBindMask 0117\n\0",
                "Include /f/*\n\0Port 1\n", "Include ~/x y z*\nInclude /f/[\n\0",
            ].map { Array($0.utf8) }
        }
    ) { bytes in
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        let files = MemoryFiles(outer: parts[0], inner: parts.count > 1 ? parts[1] : [])
        switch settings(of: files, ["h"]) {
        case .success(let printed):
            check(printed: printed)
            promise(settings(of: files, ["h"]) == .success(printed), "the same files say the same")
            // What the command line says outranks every line.
            if case .success(let again) = settings(of: files, ["-p", "4242", "-l", "typed", "h"]) {
                let lines = again.split(separator: "\n")
                promise(lines.contains("port 4242") && lines.contains("user typed"), "the command line wins")
            }
        case .failure(let error):
            promise(!error.message.isEmpty, "a mistake is told")
            promise(
                error.message.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control },
                "an error is one line: \(error.message)")
        }
        do throws(ConfigurationError) {
            let host = try resolveHost(
                "h", user: "u", port: 5, files: .only("/f/outer"), environment: environment, access: files.access)
            promise(
                host.server.destination.user == "u" && host.server.destination.port == 5,
                "what is given for a hop counts")
            promise(!host.server.destination.host.isEmpty, "a server can be dialled")
        } catch {
            promise(!error.message.isEmpty, "a mistake is told")
        }
    }
}
