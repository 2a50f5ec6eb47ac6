import CulvertSSH
import Testing

/// The native engine at the machine's own `sshd`, over TCP.
@Suite(.serialized) struct OpenSSHTests {
    @Test func logsInAndCarriesData() throws {
        let server = try NativeServer()
        let echo = try NativeEcho()
        let link = try NativeLink(server)
        do { try link.login() } catch { throw NativeFailure("\(error)\n\(server.logged)") }
        #expect(link.engine.summary.hasPrefix("culvert, curve25519-sha256, ssh-ed25519, "))
        try link.echo(echo.port, total: 1 << 20)
    }
}
