import Foundation
import Testing

/// Who we are and whom we trust, against real servers, agents and terminals.
@Suite(.serialized) struct LoginTests {
    /// Starts the subject with `options` and nothing else but the port; waits until its forward carries.
    private static func expectTunnel(
        _ stage: Stage, to server: SSHServer, _ options: [String], environment: [String: String] = [:],
        launcher: [String] = []
    ) throws -> Child {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        let door = try Ports.free()
        let process = try stage.start(
            "culvert",
            launcher
                + Subject.command(
                    ["-p", "\(server.port)", "-L", "\(door):127.0.0.1:\(target)"] + options
                        + ["\(SSHServer.user)@\(server.host)"]),
            environment: Tunnel.environment(stage, environment))
        try waitUntil("the forward stands") {
            guard process.isRunning else { throw Failure("it ended: \(process.ending!)") }
            return !ProcFS.listeners(port: door).isEmpty
        }
        try OutageTests.expectEcho(.tcp(door), within: 15)
        return process
    }

    private static func trust(_ server: SSHServer, _ knownHosts: String? = nil) throws -> [String] {
        ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(try knownHosts ?? server.knownHosts())"]
    }

    private static let identityOnly = ["-o", "IdentitiesOnly=yes"]

    /// A new key that the server accepts.
    private static func newKey(
        _ stage: Stage, _ server: SSHServer, _ type: [String], passphrase: String = ""
    ) throws -> String {
        let path = "\(stage.directory)/key-\(type.joined())"
        try stage.run(["ssh-keygen", "-q", "-N", passphrase, "-f", path, "-t"] + type)
        let authorized = "\(stage.directory)/sshd-authorized_keys"
        try (readWhole(authorized) + readWhole(path + ".pub")).write(
            toFile: authorized, atomically: false, encoding: .utf8)
        return path
    }

    @Test(
        "key files",
        arguments: [["ed25519"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "384"], ["ecdsa", "-b", "521"]])
    func keyFiles(_ type: [String]) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let key = try Self.newKey(stage, server, type)
            _ = try Self.expectTunnel(
                stage, to: server, ["-i", key, "-o", "BatchMode=yes"] + Self.identityOnly + Self.trust(server))
        }
    }

    @Test("a key file in PEM")
    func pemKey() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let key = try Self.newKey(stage, server, ["ecdsa", "-m", "PEM"])
            #expect(readWhole(key).contains("BEGIN EC PRIVATE KEY"))
            _ = try Self.expectTunnel(
                stage, to: server, ["-i", key, "-o", "BatchMode=yes"] + Self.identityOnly + Self.trust(server))
        }
    }

    @Test("an RSA key: where the engine cannot use it, the error says why")
    func rsaKey() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let key = try Self.newKey(stage, server, ["rsa", "-b", "2048"])
            let options = ["-i", key, "-o", "BatchMode=yes"] + Self.identityOnly + (try Self.trust(server))
            if Subject.isCulvert {
                let process = try stage.start(
                    "culvert",
                    Subject.command(
                        ["-p", "\(server.port)", "--engine", "libssh2", "-L", "\(try Ports.free()):localhost:1"]
                            + options + ["\(SSHServer.user)@127.0.0.1"]), environment: Tunnel.environment(stage))
                #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
                try process.waitForLine(Wording.rsaRefused)
            } else {
                _ = try Self.expectTunnel(stage, to: server, options)
            }
        }
    }

    @Test("an encrypted key file asks for its passphrase on the terminal")
    func passphrase() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let key = try Self.newKey(stage, server, ["ed25519"], passphrase: "a long passphrase")
            // Asked once, however many links log in with it.
            let links = Subject.isCulvert ? ["--links", "3"] : []
            let process = try Self.expectTunnel(
                stage, to: server, ["-i", key] + links + Self.identityOnly + Self.trust(server),
                launcher: [Tools.python, Tools.script("on_terminal.py"), "passphrase", "a long passphrase", "--"])
            if Subject.isCulvert {
                try waitUntil("all links are logged in") {
                    server.log.components(separatedBy: "Accepted publickey").count == 4
                }
            }
            #expect(!process.errorText.contains("a long passphrase"), "what is typed is not shown")
        }
    }

    @Test("an encrypted key file without a terminal, in batch mode, is refused and nothing hangs")
    func passphraseInBatchMode() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let key = try Self.newKey(stage, server, ["ed25519"], passphrase: "a long passphrase")
            let process = try stage.start(
                "culvert",
                Subject.command(
                    ["-p", "\(server.port)", "-i", key, "-o", "BatchMode=yes", "-L", "\(try Ports.free()):localhost:1"]
                        + Self.identityOnly + Self.trust(server) + ["\(SSHServer.user)@127.0.0.1"]),
                environment: Tunnel.environment(stage))
            #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
            try process.waitForLine(Wording.loginRefused)
        }
    }

    @Test("a key that only the agent has")
    func agent() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let socket = "\(stage.directory)/agent"
            let agent = try stage.start("ssh-agent", ["ssh-agent", "-D", "-a", socket])
            try waitUntil("the agent listens") { agent.isRunning && access(socket, F_OK) == 0 }
            try stage.run(["ssh-add", "-q", server.keys.path("login")], environment: ["SSH_AUTH_SOCK": socket])
            _ = try Self.expectTunnel(
                stage, to: server, ["-o", "BatchMode=yes"] + Self.trust(server), environment: ["SSH_AUTH_SOCK": socket])
        }
    }

    @Test("a hashed known_hosts file, and one with patterns", arguments: ["hashed", "pattern"])
    func knownHosts(_ kind: String) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let path = try server.knownHosts()
            if kind == "hashed" {
                try stage.run(["ssh-keygen", "-q", "-H", "-f", path])
                #expect(readWhole(path).hasPrefix("|1|"))
            } else {
                try "[127.0.*]:\(server.port),!elsewhere \(server.keys.publicKey("host"))\n".write(
                    toFile: path, atomically: false, encoding: .utf8)
            }
            _ = try Self.expectTunnel(
                stage, to: server,
                ["-i", server.keys.path("login"), "-o", "BatchMode=yes"] + Self.identityOnly + Self.trust(server, path))
        }
    }

    @Test("an unknown host key: the question with its fingerprint, and the answer is kept")
    func question() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let known = "\(stage.directory)/fresh_known_hosts"
            let process = try Self.expectTunnel(
                stage, to: server,
                [
                    "-i", server.keys.path("login"), "-o", "UserKnownHostsFile=\(known)", "-o",
                    "StrictHostKeyChecking=ask",
                ]
                    + Self.identityOnly,
                launcher: [Tools.python, Tools.script("on_terminal.py"), "continue connecting", "yes", "--"])
            let fingerprint = try stage.run(["ssh-keygen", "-l", "-f", server.keys.path("host.pub")])
                .split(separator: " ")[1]
            #expect(process.errorText.contains(fingerprint))
            #expect(try stage.run(["ssh-keygen", "-F", "[127.0.0.1]:\(server.port)", "-f", known]).contains("ed25519"))
        }
    }

    @Test("an unknown host key is added by accept-new, and refused by yes", arguments: ["accept-new", "yes"])
    func unknownKey(_ policy: String) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let known = "\(stage.directory)/fresh_known_hosts"
            let options =
                [
                    "-i", server.keys.path("login"), "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=\(known)",
                    "-o", "StrictHostKeyChecking=\(policy)",
                ] + Self.identityOnly
            if policy == "accept-new" {
                _ = try Self.expectTunnel(stage, to: server, options)
                #expect(readWhole(known).contains(server.keys.publicKey("host")))
            } else {
                let process = try stage.start(
                    "culvert",
                    Subject.command(
                        ["-p", "\(server.port)", "-L", "\(try Ports.free()):localhost:1"] + options
                            + ["\(SSHServer.user)@127.0.0.1"]), environment: Tunnel.environment(stage))
                #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
                try process.waitForLine(Wording.hostKeyRefused)
                #expect(readWhole(known).isEmpty)
            }
        }
    }

    /// Two ways to ask for a cipher that the engine has and does not prefer.
    static let ciphers =
        [["-c", "aes128-ctr"], ["-o", "Ciphers=aes192-ctr"]]
        + (Subject.engine == "libssh2"
            ? [] : [["-c", "aes128-gcm@openssh.com"], ["-o", "Ciphers=chacha20-poly1305@openssh.com"]])

    @Test("algorithms are asked for by name", arguments: ciphers)
    func algorithms(_ options: [String]) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            _ = try Self.expectTunnel(
                stage, to: server,
                options + ["-m", "hmac-sha2-512", "-i", server.keys.path("login"), "-o", "BatchMode=yes"]
                    + Self.identityOnly + Self.trust(server))
            let cipher = options[1].split(separator: "=").last!
            let mac = Combination.needsMAC(String(cipher)) ? "hmac-sha2-512" : "<implicit>"
            #expect(server.log.contains("client->server cipher: \(cipher) MAC: \(mac)"))
        }
    }

    @Test(
        "a password on the terminal, and nothing typed again at a reconnect",
        arguments: ["password", "keyboard-interactive"])
    func password(_ method: String) throws {
        try onStage { stage in
            let keys = try TestKeys.shared.get()
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let (port, door) = (try Ports.free(), try Ports.free())
            func serve(_ password: String) throws -> Child {
                let server = try stage.start(
                    "asyncssh",
                    [Tools.python, Tools.script("password_server.py"), "\(port)", keys.path("host"), method, password])
                try server.waitForLine(["listening"], within: 30)
                return server
            }
            let first = try serve("open sesame")
            let known = try stage.write("known", "[127.0.0.1]:\(port) \(keys.publicKey("host"))\n")
            let question = method == "password" ? "password:" : "Token for the test:"
            let process = try stage.start(
                "culvert",
                [Tools.python, Tools.script("on_terminal.py"), question, "open sesame", "--"]
                    + Subject.command([
                        "-p", "\(port)", "-o", "UserKnownHostsFile=\(known)", "-o", "StrictHostKeyChecking=yes",
                        "-L", "\(door):127.0.0.1:\(target)", "somebody@127.0.0.1",
                    ]), environment: Tunnel.environment(stage))
            try first.waitForLine(["accepted"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(!process.errorText.contains("open sesame"))
            guard Subject.isCulvert else { return }  // ssh does not come back.

            first.destroy()
            let second = try serve("open sesame")
            try second.waitForLine(["accepted"], within: 40)
            try OutageTests.expectEcho(.tcp(door), within: 15)

            // A login refused at a reconnect backs off for long and asks nobody.
            second.destroy()
            let said = process.errorText.lowercased().components(separatedBy: question.lowercased()).count
            let third = try serve("something else")
            try third.waitForLine(["refused"], within: 40)
            let tries = third.errorLines.count { $0 == "refused" }
            try during(8, "the tunnel runs") { process.isRunning }
            #expect(third.errorLines.count { $0 == "refused" } == tries, "it tries again within seconds")
            #expect(process.errorText.lowercased().components(separatedBy: question.lowercased()).count == said)
        }
    }

    /// A server that boots refuses for a while: no home yet, no key command.
    @Test(
        "a key that is refused at a reconnect: asked again within seconds, less and less often",
        .enabled(if: Subject.isCulvert, "ssh ends"))
    func refusedAtReconnect() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let process = try Self.expectTunnel(
                stage, to: server,
                ["-i", server.keys.path("login"), "-o", "BatchMode=yes"] + Self.identityOnly + Self.trust(server))
            try server.stop()
            func authorize(_ key: String) throws {
                try (server.keys.publicKey(key) + "\n").write(
                    toFile: "\(stage.directory)/sshd-authorized_keys", atomically: false, encoding: .utf8)
            }
            try authorize("stranger")
            let said = process.errorLines.count
            try server.start()
            try process.waitForLine(Wording.loginRefused, within: 40, after: said)
            try during(8, "the tunnel runs") { process.isRunning }
            let refusals = server.log.components(separatedBy: "Failed publickey").count - 1
            #expect((2...5).contains(refusals), "\(refusals) in 8 s")
            try authorize("login")
            try process.waitForLine(Wording.linkBack, within: 40, after: said)
        }
    }
}
