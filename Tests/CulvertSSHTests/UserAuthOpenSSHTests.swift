import CulvertPlan
import TestSupport
import Testing

@testable import CulvertSSH

/// Logins at the machine's own `sshd`, with the keys that people have.
@Suite(.serialized) struct UserAuthOpenSSHTests {
    private let bench: KeyBench

    init() throws {
        bench = try KeyBench()
    }

    private func server(trusting names: [String], _ configuration: String = "") throws -> TestServer {
        try bench.write("authorized_keys", try names.flatMap { try bench.read("\($0).pub") })
        return try TestServer("AuthorizedKeysFile \(bench.file("authorized_keys"))\n\(configuration)")
    }

    private func file(_ name: String, passphrase: String? = nil) throws -> Credential {
        .keyFile(
            name: name, contents: secret(try bench.read(name)), passphrase: passphrase.map { secret(Array($0.utf8)) })
    }

    /// A key that is signed with from outside, as an agent does.
    private func signer(_ name: String) throws -> Credential {
        let key = try bench.key(name)
        return .signer(name: name, publicKey: key.publicKey) { data throws(SSHError) in
            // Session id, 50, user, service, method, TRUE, algorithm (RFC 4252 §7).
            var reader = WireReader(start: data.baseAddress!, count: data.count, of: "a login")
            _ = try reader.string()
            _ = try reader.byte()
            for _ in 0..<3 { _ = try reader.string() }
            _ = try reader.boolean()
            return try key.sign(data, algorithm: String(decoding: try reader.string(), as: UTF8.self))
        }
    }

    /// - Returns: why credentials were refused; nil for the server's bare no.
    private func login(
        _ server: TestServer, _ credentials: [Credential], _ settings: NativeSettings = NativeSettings()
    ) throws -> [String?] {
        let link = try NativeLink(server, settings)
        link.authority.credentials = credentials
        do {
            try link.login()
        } catch let error as SSHError {
            throw error
        } catch {
            throw Failed("\(error)\n\(server.logged)")
        }
        return link.authority.reasons
    }

    @Test func everyKindOfKeyInEveryFormat() throws {
        var credentials: [(String, Credential)] = []
        for kind in KeyBench.Kind.all {
            for format in PrivateKeyTests.Format.allCases {
                let name = "\(kind.name)-\(format)"
                try bench.makeKey(kind, name, passphrase: "phrase", options: format.options)
                credentials.append((name, try file(name, passphrase: "phrase")))
            }
        }
        let server = try server(trusting: credentials.map(\.0))
        for (name, credential) in credentials {
            #expect(try login(server, [credential]) == [], "\(name)")
        }
    }

    /// RSA of 3072 bits is what OpenSSH made until 9.4, Ed25519 since.
    @Test(arguments: [[], ["-t", "rsa", "-b", "3072"], ["-t", "ed25519"]], ["", "a passphrase"])
    func theDefaultsOfSSHKeygen(_ options: [String], _ passphrase: String) throws {
        try bench.run("ssh-keygen", ["-q", "-N", passphrase, "-f", "id"] + options)
        let server = try server(trusting: ["id"])
        #expect(try login(server, [file("id", passphrase: passphrase.isEmpty ? nil : passphrase)]) == [])
    }

    @Test func keysThatSomebodyElseHolds() throws {
        for kind in KeyBench.Kind.all { try bench.makeKey(kind, kind.name) }
        let server = try server(trusting: KeyBench.Kind.all.map(\.name))
        for kind in KeyBench.Kind.all { #expect(try login(server, [signer(kind.name)]) == [], "\(kind.name)") }
    }

    /// sshd 9.2 lists both hashes in `server-sig-algs` whatever it is set to, so that the choice is ours to make.
    @Test(arguments: ["rsa-sha2-256", "rsa-sha2-512"])
    func bothHashesOfRSA(_ algorithm: String) throws {
        try bench.makeKey(.rsa)
        let server = try server(trusting: ["key"], "PubkeyAcceptedAlgorithms \(algorithm)")
        var settings = NativeSettings()
        settings.publicKeyAlgorithms = AlgorithmList(algorithm)
        #expect(try login(server, [file("key")], settings) == [])
        #expect(try login(server, [signer("key")], settings) == [])
    }

    @Test func aKeyThatTheSettingsLeaveOutIsNotOffered() throws {
        for kind in [KeyBench.Kind.rsa, .ed25519] { try bench.makeKey(kind, kind.name) }
        let server = try server(trusting: ["ssh-rsa", "ssh-ed25519"])
        var settings = NativeSettings()
        settings.publicKeyAlgorithms = AlgorithmList("ssh-ed25519")
        #expect(
            try login(server, [file("ssh-rsa"), file("ssh-ed25519")], settings) == [
                "PubkeyAcceptedAlgorithms leaves out rsa-sha2-512 and rsa-sha2-256"
            ])
    }

    @Test func keysAreTriedInOrder() throws {
        for name in ["one", "two", "three"] { try bench.makeKey(.ed25519, name) }
        let server = try server(trusting: ["three"])
        #expect(try login(server, [file("one"), signer("two"), file("three")]) == [nil, nil])
    }

    @Test func twoKeysOneAfterTheOther() throws {
        for name in ["one", "two"] { try bench.makeKey(.ed25519, name) }
        let server = try server(trusting: ["one", "two"], "AuthenticationMethods publickey,publickey")
        #expect(try login(server, [file("one"), signer("two")]) == [])
        // The same key does not count twice.
        #expect(try login(server, [file("one"), file("one"), file("two")]) == [nil])
    }

    @Test func nothingIsLeft() throws {
        for name in ["one", "two"] { try bench.makeKey(.ed25519, name) }
        let server = try server(trusting: ["two"])
        let error = #expect(throws: SSHError.self) { try login(server, [file("one")]) }
        #expect(error?.kind == .authentication)
        #expect(error?.description == "Permission denied (publickey)")
        let password = Credential.password(secret(Array("x".utf8)))
        let second = #expect(throws: SSHError.self) { try login(server, [password]) }
        #expect(second?.description == "Permission denied (publickey)")
    }
}
