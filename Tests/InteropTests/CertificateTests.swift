import Foundation
import Testing

/// Certificates of users and hosts at a stock sshd, each scene with `ssh` beside culvert: who is let in, and who is not.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh is here already, as the oracle")) struct CertificateTests {
    /// What came of one attempt.
    private struct Outcome {
        let entered: Bool
        let words: String
    }

    private static func makeKey(_ stage: Stage, _ name: String, _ type: [String] = ["ed25519"]) throws -> String {
        let path = "\(stage.directory)/\(name)"
        try stage.run(["ssh-keygen", "-q", "-N", "", "-C", name, "-f", path, "-t"] + type)
        return path
    }

    private static func certify(_ stage: Stage, _ key: String, by authority: String, _ options: [String]) throws {
        try stage.run(["ssh-keygen", "-q", "-s", authority, "-I", "the certificate"] + options + [key + ".pub"])
    }

    private static func line(_ path: String) -> String {
        readWhole(path + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
    }

    private static func culvert(
        _ stage: Stage, _ server: SSHServer, _ options: [String], environment: [String: String] = [:]
    ) throws -> Outcome {
        let door = try Ports.free()
        let words = ["-p", "\(server.port)", "-L", "\(door):127.0.0.1:1", "-o", "BatchMode=yes"] + options
        let process = try stage.start(
            "culvert", Subject.command(words + ["\(SSHServer.user)@\(server.host)"]),
            environment: Tunnel.environment(stage, environment))
        try waitUntil("it stands or ends") { !process.isRunning || !ProcFS.listeners(port: door).isEmpty }
        let entered = process.isRunning
        process.destroy()
        return Outcome(entered: entered, words: process.errorText)
    }

    private static func ssh(
        _ stage: Stage, _ server: SSHServer, _ options: [String], environment: [String: String] = [:]
    ) throws -> Outcome {
        let words = ["ssh", "-F", "none", "-n", "-p", "\(server.port)", "-o", "BatchMode=yes"] + options
        let process = try stage.start(
            "ssh", words + ["\(SSHServer.user)@\(server.host)", "true"],
            environment: Tunnel.environment(stage, environment))
        return Outcome(entered: try process.waitForEnd() == .exited(0), words: process.errorText)
    }

    /// Both, which must come to the same; culvert's.
    private static func both(
        _ stage: Stage, _ server: SSHServer, _ options: [String], expected: Bool, environment: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        let theirs = try ssh(stage, server, options, environment: environment)
        let ours = try culvert(stage, server, options, environment: environment)
        #expect(theirs.entered == expected, "ssh: \(theirs.words)", sourceLocation: sourceLocation)
        #expect(ours.entered == expected, "culvert: \(ours.words)", sourceLocation: sourceLocation)
        return ours
    }

    private static func trust(_ server: SSHServer) throws -> [String] {
        ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(try server.knownHosts())"]
    }

    private static let identityOnly = ["-o", "IdentitiesOnly=yes"]

    static let users: [([String], Bool, String)] = [
        (["-n", SSHServer.user], true, "culvert: connected to"),
        (
            ["-n", SSHServer.user, "-O", "force-command=true", "-O", "source-address=127.0.0.0/8"], true,
            "culvert: connected to"
        ),
        (["-n", SSHServer.user, "-O", "source-address=10.0.0.0/8"], false, "Permission denied"),
        (["-n", SSHServer.user, "-O", "critical:what@example=1"], false, "Permission denied"),
        (["-n", SSHServer.user, "-V", "20200101:20200102"], false, "it expired at 2020-01-0"),
        (["-n", SSHServer.user, "-V", "20400101:20410101"], false, "it is not valid before 20"),
        (["-n", "somebody-else"], false, "it is for somebody-else, not for \(SSHServer.user)"),
        ([], false, "it names no principal"),
        (["-h", "-n", SSHServer.user], false, "it is a host's certificate, not a user's"),
    ]

    @Test("a user's certificate beside the key", arguments: users)
    func beside(_ options: [String], _ enters: Bool, _ words: String) throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "id"))
            try Self.certify(stage, key, by: authority, options)
            let server = try SSHServer(on: stage, options: ["TrustedUserCAKeys \(authority).pub"])
            let login = ["-i", key] + Self.identityOnly + (try Self.trust(server))
            let outcome = try Self.both(stage, server, login, expected: enters)
            #expect(outcome.words.contains(words), "\(outcome.words)")
            // For libssh2 an Ed25519 key with a certificate is one without.
            if enters {
                let older = try Self.culvert(stage, server, ["--engine", "libssh2"] + login)
                #expect(!older.entered && older.words.contains("libssh2 has no certificates but of ECDSA keys"))
                #expect(older.words.contains("use --engine native"), "\(older.words)")
            }
        }
    }

    @Test("certificates of each kind of key", arguments: [["ecdsa", "-b", "384"], ["rsa", "-b", "2048"]])
    func kinds(_ type: [String]) throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca", type), try Self.makeKey(stage, "id", type))
            try Self.certify(stage, key, by: authority, ["-n", SSHServer.user])
            try Self.certify(stage, try Self.makeKey(stage, "key", type), by: authority, ["-h", "-n", "127.0.0.1"])
            let server = try SSHServer(
                on: stage,
                options: [
                    "TrustedUserCAKeys \(authority).pub", "HostKey \(stage.directory)/key",
                    "HostCertificate \(stage.directory)/key-cert.pub",
                ])
            let known = try stage.write("known", "@cert-authority * \(Self.line(authority))\n")
            let login = ["-i", key, "-o", "UserKnownHostsFile=\(known)", "-o", "StrictHostKeyChecking=yes"]
            _ = try Self.both(stage, server, login + Self.identityOnly, expected: true)
        }
    }

    @Test("CertificateFile: several, one of them missing, with tokens")
    func named() throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "id"))
            let other = try Self.makeKey(stage, "other")
            for each in [key, other] { try Self.certify(stage, each, by: authority, ["-n", SSHServer.user]) }
            rename(key + "-cert.pub", "\(stage.directory)/\(SSHServer.user)-cert.pub")
            let server = try SSHServer(on: stage, options: ["TrustedUserCAKeys \(authority).pub"])
            let login = ["-i", key] + Self.identityOnly + (try Self.trust(server))
            let files = ["missing.pub", "other-cert.pub", "%r-cert.pub"].flatMap {
                ["-o", "CertificateFile=\(stage.directory)/\($0)"]
            }
            _ = try Self.both(stage, server, login + files, expected: true)
            let outcome = try Self.both(stage, server, login + files.prefix(4), expected: false)
            #expect(outcome.words.contains("other-cert.pub (ED25519-CERT SHA256:"), "\(outcome.words)")
            #expect(outcome.words.contains("not used: no file and no agent has its private key"))
            let narrow = ["-o", "PubkeyAcceptedAlgorithms=ssh-ed25519"]
            let passedOver = try Self.both(stage, server, login + files + narrow, expected: false)
            #expect(passedOver.words.contains("PubkeyAcceptedAlgorithms leaves out ssh-ed25519-cert-v01@openssh.com"))
        }
    }

    @Test("a certificate in the agent, and an agent's key that signs for a file")
    func agent() throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "id"))
            try Self.certify(stage, key, by: authority, ["-n", SSHServer.user])
            let socket = "\(stage.directory)/agent"
            let agent = try stage.start("ssh-agent", ["ssh-agent", "-D", "-a", socket])
            try waitUntil("the agent listens") { agent.isRunning && access(socket, F_OK) == 0 }
            let environment = ["SSH_AUTH_SOCK": socket]
            try stage.run(["ssh-add", "-q", key], environment: environment)
            let server = try SSHServer(on: stage, options: ["TrustedUserCAKeys \(authority).pub"])
            let trust = try Self.trust(server)
            _ = try Self.both(stage, server, trust, expected: true, environment: environment)
            // The bare key alone, and its certificate in a file.
            try stage.run(["ssh-add", "-q", "-D"], environment: environment)
            rename(key + "-cert.pub", "\(stage.directory)/mine-cert.pub")
            try stage.run(["ssh-add", "-q", key], environment: environment)
            _ = try Self.both(stage, server, trust, expected: false, environment: environment)
            let named = ["-o", "CertificateFile=\(stage.directory)/mine-cert.pub"]
            _ = try Self.both(stage, server, trust + named, expected: true, environment: environment)
        }
    }

    /// What sshd was shown and refused: the kind of each key and its fingerprint, in order.
    private static func shown(_ log: String) -> [String] {
        log.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.hasPrefix("Failed publickey for "), let range = line.range(of: " ssh2: ") else { return nil }
            return line[range.upperBound...].split(separator: " ").prefix(2).joined(separator: " ")
        }
    }

    @Test("keys and certificates are shown in ssh's order", arguments: [true, false])
    func order(_ named: Bool) throws {
        try onStage { stage in
            let authority = try Self.makeKey(stage, "ca")
            var keys: [String: String] = [:]
            for name in ["one", "two", "three", "four", "five"] {
                let key = try Self.makeKey(stage, name)
                try Self.certify(stage, key, by: authority, ["-n", SSHServer.user])
                keys[name] = key
            }
            func path(_ name: String) -> String { "\(stage.directory)/\(name)" }
            let socket = path("agent")
            let agent = try stage.start("ssh-agent", ["ssh-agent", "-D", "-a", socket])
            try waitUntil("the agent listens") { agent.isRunning && access(socket, F_OK) == 0 }
            let environment = ["SSH_AUTH_SOCK": socket]
            // Of the third the agent has the bare key alone.
            rename(path("three-cert.pub"), path("kept"))
            try stage.run(["ssh-add", "-q", path("five"), path("two"), path("three")], environment: environment)
            rename(path("kept"), path("three-cert.pub"))
            let server = try SSHServer(on: stage, options: ["MaxAuthTries 50"])
            let files = ["one", "two", "three"].flatMap { ["-i", path($0)] }
            let certificates = ["four", "one", "three"].flatMap { ["-o", "CertificateFile=\(path($0))-cert.pub"] }
            let options = files + (named ? certificates : []) + (try Self.trust(server))
            let before = server.log.count
            #expect(try !Self.ssh(stage, server, options, environment: environment).entered)
            let theirs = Self.shown(String(server.log.dropFirst(before)))
            let between = server.log.count
            #expect(try !Self.culvert(stage, server, options, environment: environment).entered)
            let ours = Self.shown(String(server.log.dropFirst(between)))
            // Without a private key the fourth is shown by ssh all the same; the server would have it refused then.
            let bare = try stage.run(["ssh-keygen", "-l", "-f", path("four.pub")]).split(separator: " ")[1]
            #expect(ours == theirs.filter { !$0.hasSuffix(bare) }, "\(ours)\n\(theirs)")
            #expect(ours.count >= 8)
        }
    }

    /// Known hosts: `<CA>` and `<KEY>` stand for the authority's and the host's key, `<HOST>` for the host with its port. `differs`: ssh
    /// 9.2 has no patterns in principals, takes a certificate without any, and takes a plain key that HostKeyAlgorithms leaves
    /// out; 10 does as culvert.
    static let hosts:
        [(certificate: [String], known: String, options: [String], enters: Bool, words: String, differs: Bool)] = [
            (["-n", "127.0.0.1"], "@cert-authority <HOST> <CA>", [], true, "culvert: connected to", false),
            (["-n", "127.0.0.1"], "@cert-authority 127.0.0.* <CA>", [], true, "culvert: connected to", false),
            (
                ["-n", "*"], "@cert-authority * <CA>", ["-o", "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com"],
                true, "culvert: connected to", true
            ),
            (
                ["-n", "db"], "@cert-authority db <CA>", ["-o", "HostKeyAlias=db"], true, "culvert: connected to", false
            ),
            (["-n", "db"], "@cert-authority * <CA>", [], false, "it is for db, not for 127.0.0.1", false),
            ([], "@cert-authority * <CA>", [], false, "it names no principal", true),
            (
                ["-n", "127.0.0.1", "-V", "20200101:20200102"], "@cert-authority * <CA>", [], false,
                "it expired at 2020-01-0", false
            ),
            (
                ["-n", "127.0.0.1", "-V", "20200101:20200102"], "@cert-authority * <CA>\n<HOST> <KEY>", [], true,
                "it expired at", false
            ),
            (
                ["-n", "127.0.0.1", "-V", "20400101:20410101"], "@cert-authority * <CA>", [], false,
                "it is not valid before", false
            ),
            (
                ["-n", "127.0.0.1", "-O", "critical:a@b=1"], "@cert-authority * <CA>", [], false, "critical options",
                false
            ),
            (
                ["-n", "127.0.0.1"], "@cert-authority !127.0.0.1,!<HOST>,* <CA>", [], false,
                "no file names for this host", false
            ),
            (["-n", "127.0.0.1"], "@cert-authority * <KEY>", [], false, "which no file names for this host", false),
            (["-n", "127.0.0.1"], "<HOST> <KEY>", [], true, "culvert: connected to", false),
            (["-n", "127.0.0.1"], "<HOST> <CA>", [], false, "CHANGED", false),
            (
                ["-n", "127.0.0.1"], "@cert-authority * <CA>\n@revoked * <CA>", [], false,
                "the authority of the certificate", false
            ),
            (["-n", "127.0.0.1"], "@cert-authority * <CA>\n@revoked * <KEY>", [], false, "is revoked in", false),
            (
                ["-n", "127.0.0.1"], "@cert-authority * <CA>", ["-o", "CASignatureAlgorithms=rsa-sha2-512"], false,
                "its authority signed with ssh-ed25519", false
            ),
            (
                ["-n", "127.0.0.1"], "<HOST> <KEY>", ["-o", "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com"],
                false, "HostKeyAlgorithms takes no ssh-ed25519 without one", true
            ),
        ]

    @Test("a host's certificate", arguments: hosts.indices)
    func host(_ index: Int) throws {
        let scene = Self.hosts[index]
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "key"))
            try Self.certify(stage, key, by: authority, ["-h"] + scene.certificate)
            let server = try SSHServer(
                on: stage, options: ["HostKey \(key)", "HostCertificate \(key)-cert.pub"])
            let known = scene.known.replacingOccurrences(of: "<CA>", with: Self.line(authority))
                .replacingOccurrences(of: "<KEY>", with: Self.line(key))
                .replacingOccurrences(of: "<HOST>", with: "[127.0.0.1]:\(server.port)")
            let login = [
                "-i", server.keys.path("login"), "-o", "StrictHostKeyChecking=yes", "-o",
                "UserKnownHostsFile=\(try stage.write("known", known + "\n"))", "-o", "GlobalKnownHostsFile=none",
            ]
            let options = login + scene.options + Self.identityOnly
            let outcome =
                try scene.differs
                ? Self.culvert(stage, server, options)
                : Self.both(stage, server, options, expected: scene.enters)
            #expect(outcome.entered == scene.enters && outcome.words.contains(scene.words), "\(outcome.words)")
        }
    }

    @Test("libssh2 asks for no certificate of a host: its key is judged, and where that is unknown it is said")
    func libssh2() throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "key"))
            try Self.certify(stage, key, by: authority, ["-h", "-n", "127.0.0.1"])
            let server = try SSHServer(on: stage, options: ["HostKey \(key)", "HostCertificate \(key)-cert.pub"])
            for (more, enters) in [("", false), ("[127.0.0.1]:\(server.port) \(Self.line(key))\n", true)] {
                let known = try stage.write("known", "@cert-authority * \(Self.line(authority))\n\(more)")
                let login = [
                    "--engine", "libssh2", "-i", server.keys.path("login"), "-o", "StrictHostKeyChecking=yes", "-o",
                    "UserKnownHostsFile=\(known)",
                ]
                let outcome = try Self.culvert(stage, server, login + Self.identityOnly)
                #expect(outcome.entered == enters, "\(outcome.words)")
                let words = "the server showed no certificate of the authority in"
                #expect(outcome.words.contains(words) != enters, "\(outcome.words)")
            }
        }
    }

    /// A certificate that lives for a moment, renewed in its place, as step and Teleport do it.
    @Test("a certificate that is renewed while the tunnel stands leads in at the next login")
    func renewed() throws {
        try onStage { stage in
            let (authority, key) = (try Self.makeKey(stage, "ca"), try Self.makeKey(stage, "id"))
            try Self.certify(stage, key, by: authority, ["-n", SSHServer.user, "-V", "-1m:+4s", "-z", "1"])
            let server = try SSHServer(on: stage, options: ["TrustedUserCAKeys \(authority).pub"])
            let door = try Ports.free()
            let process = try stage.start(
                "culvert",
                Subject.command(
                    ["-p", "\(server.port)", "-L", "\(door):127.0.0.1:1", "-o", "BatchMode=yes", "-i", key]
                        + Self.identityOnly + Self.trust(server) + ["\(SSHServer.user)@127.0.0.1"]),
                environment: Tunnel.environment(stage))
            try waitUntil("the tunnel stands") { !ProcFS.listeners(port: door).isEmpty }
            usleep(5_000_000)
            server.killSessions()
            try process.waitForLine(["it expired at 20"], within: 30)
            try Self.certify(stage, key, by: authority, ["-n", SSHServer.user, "-z", "2"])
            try process.waitForLine(Wording.linkBack, within: 60)
            #expect(server.log.contains("serial 2"))
        }
    }
}
