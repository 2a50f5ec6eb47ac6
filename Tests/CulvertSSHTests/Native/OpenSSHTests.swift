import CulvertPlan
import CulvertSSH
import TestSupport
import Testing

/// The native engine at the machine's own `sshd`, over TCP: every algorithm that both have.
@Suite(.serialized) struct OpenSSHTests {
    static let hostKeys = [
        ("host_ed25519", "ssh-ed25519"), ("host_ecdsa256", "ecdsa-sha2-nistp256"),
        ("host_ecdsa384", "ecdsa-sha2-nistp384"), ("host_ecdsa521", "ecdsa-sha2-nistp521"),
        ("host_rsa", "rsa-sha2-512"), ("host_rsa", "rsa-sha2-256"),
    ]

    private func login(_ server: TestServer, _ settings: NativeSettings) throws -> NativeLink {
        let link = try NativeLink(server, settings)
        do { try link.login() } catch { throw Failed("\(error)\n\(server.logged)") }
        return link
    }

    @Test func eachMethodAndCipher() throws {
        let server = try TestServer()
        let echo = try Service.echo()
        for method in ["curve25519-sha256", "curve25519-sha256@libssh.org"] {
            for cipher in PairTests.protections {
                var settings = NativeSettings()
                settings.keyExchange = AlgorithmList(method)
                settings.protect(cipher)
                let link = try login(server, settings)
                #expect(link.engine.summary == "culvert, \(method), ssh-ed25519, \(cipher)")
                try link.echo(echo.port, total: 300_000)
            }
        }
    }

    /// The methods of servers of ten years, with keys renewed all the time by the server, by us, and by both. ML-KEM with
    /// nistp256 is not in OpenSSH 9.2.
    @Test(arguments: PairTests.furtherMethods.filter { !$0.hasPrefix("mlkem") })
    func furtherMethods(_ method: String) throws {
        let server = try TestServer("KexAlgorithms \(method)\nRekeyLimit 256K")
        let echo = try Service.echo()
        for (cipher, ours) in [("aes256-gcm@openssh.com", UInt64(200 << 10)), ("aes128-gcm@openssh.com", 32 << 30)] {
            var settings = NativeSettings()
            settings.ciphers = AlgorithmList(cipher)
            settings.rekeyLimits.bytes = ours
            // Whatever else is offered, this is what the server has.
            let link = try login(server, settings)
            #expect(link.engine.summary == "culvert, \(method), ssh-ed25519, \(cipher)")
            try link.echo(echo.port, total: 2 << 20)
            #expect(link.allSendable >= 6)
        }
        let quiet = try TestServer("KexAlgorithms \(method)")
        var settings = NativeSettings()
        settings.rekeyLimits.bytes = 256 << 10
        let link = try login(quiet, settings)
        try link.echo(echo.port, total: 2 << 20)
        #expect(link.allSendable >= 6)
    }

    /// A server that may use nothing but NIST's algorithms.
    @Test func aServerWithoutCurve25519() throws {
        let server = try TestServer(
            "KexAlgorithms ecdh-sha2-nistp384,diffie-hellman-group16-sha512\nCiphers aes256-gcm@openssh.com",
            hostKeys: ["host_ecdsa384"])
        let echo = try Service.echo()
        let link = try login(server, NativeSettings())
        #expect(link.engine.summary == "culvert, ecdh-sha2-nistp384, ecdsa-sha2-nistp384, aes256-gcm@openssh.com")
        try link.echo(echo.port, total: 100_000)
    }

    @Test(arguments: hostKeys)
    func eachHostKey(_ file: String, _ algorithm: String) throws {
        let server = try TestServer(hostKeys: [file])
        let echo = try Service.echo()
        var settings = NativeSettings()
        if file == "host_rsa" { settings.hostKeyAlgorithms = AlgorithmList(algorithm) }
        let link = try login(server, settings)
        #expect(link.engine.summary.contains(", \(algorithm), "))
        try link.echo(echo.port, total: 10_000)
    }

    /// Keys renewed all the time by the server, by us, and by both: 4 MiB each way. How often we do so while bytes are
    /// under way depends on how many come in one piece.
    @Test(arguments: [("RekeyLimit 32K", false), ("", true), ("RekeyLimit 32K", true)])
    func keysAreRenewed(_ configuration: String, _ ours: Bool) throws {
        let server = try TestServer(configuration)
        let echo = try Service.echo()
        for cipher in HostileServerTests.protections {
            var settings = NativeSettings()
            settings.protect(cipher)
            if ours { settings.rekeyLimits.bytes = 32 << 10 }
            let link = try login(server, settings)
            try link.echo(echo.port, total: 4 << 20)
            #expect(link.allSendable >= 12)
        }
    }

    @Test func whatIsNotSharedIsNamed() throws {
        let server = try TestServer("Ciphers aes256-cbc\nKexAlgorithms curve25519-sha256")
        let link = try NativeLink(server)
        let error = #expect(throws: SSHError.self) { try link.login() }
        #expect(error?.kind == .keyExchange)
        #expect(error?.description.contains("the peer offers aes256-cbc; --engine libssh2") == true)
    }
}
