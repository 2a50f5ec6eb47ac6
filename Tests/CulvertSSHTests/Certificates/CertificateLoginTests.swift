import CulvertPlan
import TestSupport
import Testing

@testable import CulvertSSH

/// Certificates of hosts and of users at the machine's own `sshd`.
@Suite(.serialized) struct CertificateLoginTests {
    private let bench: KeyBench

    init() throws {
        bench = try KeyBench()
        try bench.makeKey(.ed25519, "ca")
    }

    private func link(
        _ server: TestServer, _ credentials: [Credential]? = nil, _ settings: NativeSettings = NativeSettings()
    ) throws -> NativeLink {
        let link = try NativeLink(server, settings)
        if let credentials { link.authority.credentials = credentials }
        do { try link.login() } catch { throw Failed("\(error)\n\(link.authority.reasons)\n\(server.logged)") }
        return link
    }

    @Test(arguments: KeyBench.Kind.all)
    func hostsOfEachKind(_ kind: KeyBench.Kind) throws {
        try bench.makeKey(kind, "host")
        let certificate = try bench.certify("host", ["-h", "-n", "localhost"])
        let server = try TestServer(
            "HostKey \(bench.file("host"))\nHostCertificate \(bench.file("host-cert.pub"))", hostKeys: [])
        let echo = try Service.echo()
        let algorithms = SignatureScheme.allCases.filter { $0.keyType == kind.name }.map(\.rawValue)
        for algorithm in algorithms {
            let name = CertificateType.name(ofPlain: algorithm)
            var settings = NativeSettings()
            settings.hostKeyAlgorithms = AlgorithmList(name)
            settings.rekeyLimits.bytes = 64 << 10
            let link = try link(server, nil, settings)
            #expect(link.engine.summary.contains(", \(name), "))
            #expect(link.authority.hostKeys == [certificate])
            // Shown again, the same, each time that keys are renewed.
            try link.echo(echo.port, total: 1 << 20)
            #expect(link.allSendable >= 4)
        }
        // Where nothing is said the certificate comes first; a known key brings its own name to the front.
        #expect(try link(server).engine.summary.contains("-cert-v01@openssh.com"))
        let plain = try NativeLink(server)
        plain.authority.known = algorithms
        try plain.login()
        #expect(plain.engine.summary.contains(", \(algorithms[0]), "))
        #expect(plain.authority.hostKeys == [try bench.publicKey("host")])
    }

    @Test(arguments: KeyBench.Kind.all)
    func usersOfEachKind(_ kind: KeyBench.Kind) throws {
        try bench.makeKey(kind)
        let blob = try bench.certify("key", ["-n", NativeAuthority().userName])
        let certificate = try Certificate(blob: blob)
        let server = try TestServer("TrustedUserCAKeys \(bench.file("ca.pub"))", logins: [])
        let file = Credential.keyFile(
            name: "key", contents: secret(try bench.read("key")), passphrase: nil, certificate: certificate)
        #expect(try link(server, [file]).authority.reasons.isEmpty)
        #expect(try link(server, [file.opened()]).authority.reasons.isEmpty)
        // Without its certificate the key is nobody's.
        let bare = Credential.keyFile(name: "key", contents: secret(try bench.read("key")), passphrase: nil)
        #expect(try link(server, [bare, file]).authority.reasons == [nil])
        if kind.name == "ssh-rsa" {
            for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
                var settings = NativeSettings()
                settings.publicKeyAlgorithms = AlgorithmList(CertificateType.name(ofPlain: algorithm))
                #expect(try link(server, [file], settings).authority.reasons.isEmpty)
            }
        }
        var settings = NativeSettings()
        settings.publicKeyAlgorithms = AlgorithmList("-*-cert-*")
        let error = #expect(throws: SSHError.self) {
            let link = try NativeLink(server, settings)
            link.authority.credentials = [file]
            defer { #expect(link.authority.reasons.first??.contains("PubkeyAcceptedAlgorithms leaves out") == true) }
            try link.login()
        }
        #expect(error?.kind == .authentication)
    }

    @Test func aCertificateOfAnotherKeyIsNotShown() throws {
        for name in ["one", "two"] { try bench.makeKey(.ed25519, name) }
        let certificate = try Certificate(blob: bench.certify("two", ["-n", NativeAuthority().userName]))
        let server = try TestServer("TrustedUserCAKeys \(bench.file("ca.pub"))")
        let wrong = Credential.keyFile(
            name: "one", contents: secret(try bench.read("one")), passphrase: nil, certificate: certificate)
        let right = Credential.keyFile(
            name: "two", contents: secret(try bench.read("two")), passphrase: nil, certificate: certificate)
        #expect(try link(server, [wrong, right]).authority.reasons == ["the certificate is of another key"])
        #expect(throws: UnusableKeyFile.self) { _ = try wrong.opened() }
    }

    /// A server that says it signs for a certificate, and shows what is none.
    @Test func aHostKeyThatIsNotTheCertificateThatWasAgreedOn() throws {
        let host = TestHostKey()
        let certified = HostKeyAlgorithm(scheme: .ed25519, isCertified: true)
        var parts = CertificateParts(TestHostKey())
        parts.key = Script.string(Array(host.key.publicKey.rawRepresentation))
        let data = Array("what is signed".utf8)
        try HostKey(blob: parts.blob, algorithm: certified).verify(signature: host.sign(data), over: data)
        for (blob, algorithm) in [
            (host.blob, certified), (Array(parts.blob.dropLast()), certified),
            (parts.blob, HostKeyAlgorithm(scheme: .ecdsa256, isCertified: true)),
            (parts.blob, HostKeyAlgorithm(scheme: .ed25519, isCertified: false)),
        ] {
            let error = #expect(throws: SSHError.self) { _ = try HostKey(blob: blob, algorithm: algorithm) }
            #expect(error?.kind == .keyExchange)
        }
        // The authority's signature is not the key's.
        let error = #expect(throws: SSHError.self) {
            try HostKey(blob: parts.blob, algorithm: certified).verify(signature: parts.signer.sign(data), over: data)
        }
        #expect(error?.kind == .keyExchange)
    }
}
