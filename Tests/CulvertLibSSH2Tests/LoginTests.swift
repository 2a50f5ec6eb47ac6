import CulvertLibSSH2
import CulvertPlan
import CulvertSSH
import Foundation
import TestSupport
import Testing

/// Logins at a real sshd.
@Suite(.serialized) struct LoginTests {
    private func attempt(
        _ server: TestServer, _ credentials: [Credential], settings: LibSSH2Settings = LibSSH2Settings(),
        prepare: (TestAuthority) -> Void = { _ in }
    ) throws -> TestLink {
        let authority = TestAuthority(credentials)
        prepare(authority)
        let link = try TestLink(port: server.port, settings: settings, authority: authority)
        try link.login()
        return link
    }

    private func failure(_ body: () throws -> TestLink) throws -> SSHError {
        do {
            _ = try body()
        } catch let error as SSHError {
            return error
        }
        throw Failed("the login succeeded")
    }

    @Test(arguments: ["id_ed25519", "id_ecdsa", "id_ecdsa_pem"]) func keyFiles(_ name: String) throws {
        let server = try TestServer.withEveryKey()
        let link = try attempt(server, [keyFile(name)])
        #expect(link.engine.summary.contains("curve25519-sha256, ssh-ed25519, aes256-ctr, hmac-sha2-256"))
        #expect(link.engine.summary.hasPrefix("libssh2 1."))
        #expect(link.authority.offeredMethods == [["publickey"]])
        let file = try String(contentsOfFile: TestKeys.path("host_ed25519") + ".pub", encoding: .utf8)
        #expect(Data(link.authority.hostKey).base64EncodedString() == String(file.split(separator: " ")[1]))
        link.engine.disconnect()
        link.flush()
        try waitUntil("the server logs the client's name and end") {
            server.logged.contains("disconnected by user")
        }
    }

    @Test func serverSeesTheVersionOfThisEngine() throws {
        let server = try TestServer.withEveryKey("LogLevel DEBUG")
        _ = try attempt(server, [keyFile("id_ed25519")])
        try waitUntil("the version is logged") { server.logged.contains("culvert_libssh2_0.1") }
    }

    @Test func encryptedKey() throws {
        let server = try TestServer.withEveryKey()
        let link = try attempt(server, [keyFile("id_encrypted", "wrong"), keyFile("id_encrypted", "open sesame")])
        #expect(link.authority.reasons.count == 1)
        #expect(link.authority.reasons.first??.contains("wrong passphrase") == true)
    }

    @Test(arguments: ["id_rsa", "id_rsa_pkcs8"]) func rsaKeyIsRefusedWithTheReason(_ name: String) throws {
        let server = try TestServer.withEveryKey()
        let link = try attempt(server, [keyFile(name), keyFile("id_ecdsa")])
        #expect(link.authority.reasons.first??.contains("libssh2 signs RSA keys with SHA-1 only") == true)
        let error = try failure { try attempt(server, [keyFile(name)]) }
        #expect(error.kind == .authentication)
        #expect(error.description.contains("use an Ed25519 or ECDSA key"))
    }

    @Test func rsaKeyWhereTheServerStillTakesIt() throws {
        let server = try TestServer.withEveryKey("PubkeyAcceptedAlgorithms +ssh-rsa")
        let link = try attempt(server, [keyFile("id_rsa")])
        #expect(link.authority.reasons.isEmpty)
    }

    @Test func strangersAndRubbishAreRefused() throws {
        let server = try TestServer.withEveryKey()
        let rubbish = Credential.keyFile(name: "rubbish", contents: secret("not a key"), passphrase: nil)
        let nothing = Credential.keyFile(name: "nothing", contents: secret(""), passphrase: nil)
        let blob = Credential.signer(name: "blob", publicKey: [0, 0, 0, 9, 1]) { _ in [] }
        let error = try failure { try attempt(server, [rubbish, nothing, blob, keyFile("id_stranger")]) }
        #expect(error.kind == .authentication)
        #expect(error.description.hasPrefix("Permission denied (publickey)"))
        // After all of these the session still takes the right key.
        let link = try attempt(server, [rubbish, nothing, blob, keyFile("id_stranger"), keyFile("id_ed25519")])
        #expect(link.authority.reasons.count == 4)
        #expect(link.authority.reasons.last == .some(nil))
    }

    @Test(arguments: ["id_ed25519", "id_ecdsa"]) func agent(_ name: String) throws {
        let agent = try TestAgent(keys: [name])
        let server = try TestServer.withEveryKey()
        let key = try TestAgent.publicKey(name)
        let broken = Credential.signer(name: "broken", publicKey: key) { _ throws(SSHError) in
            throw SSHError(.local, "the agent is gone")
        }
        let wrong = Credential.signer(name: "wrong", publicKey: key) { _ in [0, 0, 0, 1, 65, 0, 0, 0, 1, 66] }
        let right = Credential.signer(name: name, publicKey: key) { data throws(SSHError) in
            try agent.sign(key, [UInt8](data))
        }
        let link = try attempt(server, [broken, wrong, right])
        #expect(link.authority.reasons.first??.contains("the agent is gone") == true)
        // No agent signs with a key that is bound to destinations where it was not told of the connection.
        #expect(link.authority.reasons.first??.contains("bound to destinations (ssh-add -h) does not work") == true)
        #expect(link.authority.reasons.last??.contains("cannot carry a signature of type A") == true)
        #expect(link.authority.reasons.count == 2)
    }

    @Test func partialSuccessAsksForMore() throws {
        let server = try TestServer.withEveryKey("AuthenticationMethods publickey,publickey")
        let link = try attempt(server, [keyFile("id_ed25519"), keyFile("id_ecdsa")])
        #expect(link.authority.reasons.count == 1)
    }

    @Test func hostKeyThatIsNotTrusted() throws {
        let server = try TestServer.withEveryKey()
        let error = try failure { try attempt(server, [keyFile("id_ed25519")]) { $0.trust = false } }
        #expect(error.kind == .hostKey)
    }

    @Test func knownHostKeyAlgorithmComesFirst() throws {
        let server = try TestServer.withEveryKey()
        let link = try attempt(server, [keyFile("id_ed25519")]) { $0.known = ["rsa-sha2-512", "ecdsa-sha2-nistp256"] }
        #expect(link.engine.summary.contains("ecdsa-sha2-nistp256"))
    }

    /// The server would show its Ed25519 key first, which looks like a changed one where only the RSA key is known.
    @Test func onlyAnRSAHostKeyIsKnown() throws {
        let known = ["rsa-sha2-512", "rsa-sha2-256"]
        let server = try TestServer.withEveryKey("HostKeyAlgorithms +ssh-rsa")
        let error = try failure { try attempt(server, [keyFile("id_ed25519")]) { $0.known = known } }
        #expect(error.kind == .unsupported)
        #expect(error.description.contains("known (for rsa-sha2-512,rsa-sha2-256)"))
        #expect(error.description.contains("use --engine native, or -o HostKeyAlgorithms=+ssh-rsa"))
        let link = try attempt(
            server, [keyFile("id_ed25519")],
            settings: LibSSH2Settings(hostKeyAlgorithms: AlgorithmList("+ssh-rsa"))
        ) { $0.known = known }
        #expect(link.engine.summary.contains("ssh-rsa"))
    }

    /// libssh2 1.10 has names of certificates, and would call what is not there were one agreed on.
    @Test func certificatesOfHostsAreNotAskedFor() throws {
        let server = try TestServer.withEveryKey()
        let name = "ecdsa-sha2-nistp256-cert-v01@openssh.com"
        let settings = LibSSH2Settings(hostKeyAlgorithms: AlgorithmList(name))
        let error = try failure { try attempt(server, [keyFile("id_ed25519")], settings: settings) }
        #expect(
            error.kind == .unsupported && error.description.contains("libssh2 has no host key algorithm \"\(name)\""))
        #expect(!error.description.contains("it has ecdsa-sha2-nistp256-cert"))
        // Where an authority is known the plain key is asked for, and judged.
        let link = try attempt(server, [keyFile("id_ed25519")]) {
            $0.known = [name, "ssh-ed25519-cert-v01@openssh.com"]
        }
        #expect(!link.engine.summary.contains("-cert-"))
    }

    @Test func nothingShared() throws {
        let modern = try TestServer.withEveryKey("Ciphers aes256-gcm@openssh.com")
        let error = try failure { try attempt(modern, [keyFile("id_ed25519")]) }
        #expect(error.kind == .keyExchange)
        #expect(error.description.contains("no cipher is shared: the server offers aes256-gcm@openssh.com"))
        #expect(error.description.contains("--engine native"))
        let old = try TestServer.withEveryKey("MACs hmac-sha1")
        let other = try failure { try attempt(old, [keyFile("id_ed25519")]) }
        #expect(other.description.contains("-o MACs=+hmac-sha1"))
        let link = try attempt(
            old, [keyFile("id_ed25519")], settings: LibSSH2Settings(macs: AlgorithmList("+hmac-sha1")))
        #expect(link.engine.summary.hasSuffix("hmac-sha1"))
    }

    @Test func namedCipherAndUnknownOne() throws {
        let server = try TestServer.withEveryKey("Ciphers aes128-cbc,aes256-ctr")
        let link = try attempt(
            server, [keyFile("id_ed25519")], settings: LibSSH2Settings(ciphers: AlgorithmList("^aes128-cbc")))
        #expect(link.engine.summary.contains("aes128-cbc"))
        let error = try failure {
            try attempt(
                server, [keyFile("id_ed25519")], settings: LibSSH2Settings(ciphers: AlgorithmList("rot13,x")))
        }
        #expect(error.kind == .unsupported)
        #expect(error.description.contains("\"rot13,x\""))
        #expect(error.description.contains("aes256-ctr"))
    }

    @Test func peerThatIsNoServer() throws {
        let service = try Service { connection in
            connection.write(Array("HTTP/1.1 400 Bad\r\n\r\n".utf8))
            _ = connection.read()
        }
        let link = try TestLink(port: service.port, authority: TestAuthority([]))
        let error = try failure {
            try link.login()
            return link
        }
        #expect(error.kind == .protocolViolation)
        #expect(error.description.contains("does not speak SSH"))
    }
}
