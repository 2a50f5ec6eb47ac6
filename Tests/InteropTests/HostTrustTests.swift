import Foundation
import Testing

/// What ssh can be told of host keys beside known_hosts, at a stock sshd, each scene with `ssh` beside culvert.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh is here already, as the oracle")) struct HostTrustTests {
    private struct Outcome {
        let entered: Bool
        let words: String
    }

    private static func login(_ server: SSHServer, _ options: [String]) -> [String] {
        let words = ["-p", "\(server.port)", "-i", server.keys.path("login"), "-o", "IdentitiesOnly=yes"]
        return words + ["-o", "BatchMode=yes"] + options
    }

    private static func both(
        _ stage: Stage, _ server: SSHServer, _ options: [String], expected: Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let target = "\(SSHServer.user)@\(server.host)"
        let environment = Tunnel.environment(stage)
        let theirs = try stage.start(
            "ssh", ["ssh", "-F", "none", "-n"] + login(server, options) + [target, "true"], environment: environment)
        let door = try Ports.free()
        let ours = try stage.start(
            "culvert", Subject.command(["-L", "\(door):127.0.0.1:1"] + login(server, options) + [target]),
            environment: environment)
        #expect(
            (try theirs.waitForEnd() == .exited(0)) == expected, "ssh: \(theirs.errorText)",
            sourceLocation: sourceLocation)
        try waitUntil("it stands or ends") { !ours.isRunning || !ProcFS.listeners(port: door).isEmpty }
        #expect(ours.isRunning == expected, "culvert: \(ours.errorText)", sourceLocation: sourceLocation)
        ours.destroy()
        return ours.errorText
    }

    private static func trust(_ server: SSHServer) throws -> [String] {
        ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(try server.knownHosts())"]
    }

    @Test("lists of revoked keys of both forms, and files that are none")
    func revoked() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let trust = try Self.trust(server)
            let host = readWhole(server.keys.path("host") + ".pub")
            let other = readWhole(server.keys.path("secondhost") + ".pub")
            for (name, keys, enters) in [
                ("theirs", host, false), ("another", other, true), ("both", other + host, false),
            ] {
                let list = try stage.write("\(name).pub", keys)
                try stage.run(["ssh-keygen", "-q", "-k", "-f", "\(stage.directory)/\(name)", list])
                for file in ["\(stage.directory)/\(name)", list] {
                    let words = try Self.both(
                        stage, server, trust + ["-o", "RevokedHostKeys=\(file)"], expected: enters)
                    if !enters { #expect(words.contains("is revoked by"), "\(words)") }
                }
            }
            let damaged = try stage.write("damaged", "SSHKRL\n\0x")
            for file in ["\(stage.directory)/missing", damaged, try stage.write("noise", "no key\n")] {
                let words = try Self.both(stage, server, trust + ["-o", "RevokedHostKeys=\(file)"], expected: false)
                #expect(words.contains("every key counts as revoked"), "\(words)")
            }
            _ = try Self.both(stage, server, trust + ["-o", "RevokedHostKeys=none"], expected: true)
        }
    }

    @Test func aCommandSaysWhichKeysAreRight() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let none = ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/dev/null"]
            func command(_ name: String, _ body: String) throws -> [String] {
                let path = try stage.write(name, "#!/bin/sh\n\(body)\n", mode: 0o755)
                return none + ["-o", "KnownHostsCommand=\(path) %I \"%H\" %t %f %K %h %p '%r u'"]
            }
            let key = server.keys.publicKey("host")
            let log = "printf '%s|' \"$@\" >> \(stage.directory)/calls; echo >> \(stage.directory)/calls; "
            _ = try Self.both(stage, server, try command("right", log + "echo \"$2 \(key)\""), expected: true)
            let calls = readWhole("\(stage.directory)/calls").split(separator: "\n").sorted()
            // OpenSSH 9.2 leaves the port out of %H in ORDER, later ones do not.
            let orders = calls.suffix(2).map { $0.replacing("[127.0.0.1]:\(server.port)|", with: "127.0.0.1|") }
            #expect(calls.count == 4 && calls[0] == calls[1] && orders[0] == orders[1], "\(calls)")
            let wrong = server.keys.publicKey("changedhost")
            _ = try Self.both(stage, server, try command("wrong", "echo \"$2 \(wrong)\""), expected: false)
            _ = try Self.both(stage, server, try command("silent", "true"), expected: false)
            _ = try Self.both(stage, server, try command("failing", "echo \"$2 \(key)\"; exit 1"), expected: false)
            let known = ["-o", "UserKnownHostsFile=\(try server.knownHosts())", "-o", "StrictHostKeyChecking=yes"]
            _ = try Self.both(stage, server, known + ["-o", "KnownHostsCommand=/nowhere"], expected: true)
        }
    }

    @Test func shortKeysAndServersOfThisMachine() throws {
        try onStage { stage in
            for name in ["user", "key"] {
                try stage.run([
                    "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "\(stage.directory)/\(name)",
                ])
            }
            let key = "\(stage.directory)/key"
            let authorized = "AuthorizedKeysFile \(stage.directory)/user.pub"
            let server = try SSHServer(on: stage, options: [authorized, "HostKey \(key)"])
            let line = readWhole(key + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
            let known = try stage.write("rsa-known", "[\(server.host)]:\(server.port) \(line)\n")
            let own = ["-i", "\(stage.directory)/user", "-o", "StrictHostKeyChecking=yes"]
            let trust = own + ["-o", "UserKnownHostsFile=\(known)", "-o", "HostKeyAlgorithms=rsa-sha2-512"]
            _ = try Self.both(stage, server, trust + ["-o", "RequiredRSASize=2048"], expected: true)
            var words = try Self.both(stage, server, trust + ["-o", "RequiredRSASize=2049"], expected: false)
            #expect(words.contains("RequiredRSASize asks for 2049"), "\(words)")
            let ed25519 = own + (try Self.trust(server))
            words = try Self.both(stage, server, ed25519 + ["-o", "RequiredRSASize=3072"], expected: false)
            #expect(words.contains("it has 2048 bits, and RequiredRSASize asks for 3072"), "\(words)")
            let unknown = own + ["-o", "UserKnownHostsFile=/dev/null"]
            _ = try Self.both(stage, server, unknown, expected: false)
            _ = try Self.both(
                stage, server, unknown + ["-o", "NoHostAuthenticationForLocalhost=yes"], expected: true)
        }
    }
}
