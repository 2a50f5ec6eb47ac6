import Foundation
import Testing

@testable import CulvertConfig

/// `-Q`, with ssh's own as the oracle for what may be asked for.
@Suite struct QueryTests {
    private func answer(_ words: String...) throws -> [String] {
        var access = ConfigurationAccess.nothing
        access.algorithms = { choice in
            var engine = EngineAlgorithms()
            guard choice == .native else { return engine }
            engine.ciphers = ["aes256-gcm@openssh.com", "aes256-ctr"]
            engine.macs = ["hmac-sha2-256"]
            engine.keyExchanges = ["curve25519-sha256"]
            engine.hostKeys = ["ssh-ed25519", "rsa-sha2-512"]
            engine.publicKeys = [
                "ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", "ssh-ed25519", "rsa-sha2-512",
                "rsa-sha2-256",
            ]
            return engine
        }
        let invocation = try parseCommandLine(words, environment: testEnvironment, access: access)
        guard case .show(let text) = invocation else { throw NotATunnel() }
        return text.split(separator: "\n").map(String.init)
    }

    @Test func whatTheEngineHasIsPrinted() throws {
        #expect(try answer("-Q", "cipher") == ["aes256-gcm@openssh.com", "aes256-ctr"])
        #expect(try answer("-Qcipher-auth") == ["aes256-gcm@openssh.com"])
        #expect(try answer("-Q", "mac") == ["hmac-sha2-256"])
        #expect(try answer("-Q", "kex") == ["curve25519-sha256"])
        #expect(
            try answer("-Q", "key") == [
                "ssh-ed25519", "ssh-rsa", "ssh-ed25519-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com",
            ])
        #expect(try answer("-Q", "key-plain") == ["ssh-ed25519", "ssh-rsa"])
        #expect(try answer("-Q", "key-cert").allSatisfy { $0.contains("-cert-v01") })
        #expect(try answer("-Q", "sig") == ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"])
        #expect(try answer("-Q", "hostkeyalgorithms") == ["ssh-ed25519", "rsa-sha2-512"])
        #expect(try answer("-Q", "PubkeyAcceptedKeyTypes").count == 5)
        #expect(try answer("-Q", "protocol-version") == ["2"])
        // The engine of the links is not asked for, and neither is a host.
        #expect(try answer("--engine", "libssh2", "-Q", "CIPHERS", "host", "-Q", "x") == answer("-Q", "cipher"))
    }

    /// Every query of the ssh that is installed is answered with names that it has too, or is refused by both.
    @Test func sshIsAskedTheSame() throws {
        func ssh(_ query: String) throws -> (lines: [String], status: Int32) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/ssh")
            process.arguments = ["-Q", query]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (text.split(separator: "\n").map(String.init), process.terminationStatus)
        }
        // Debian's own query: culvert has no GSSAPI.
        let queries = try ssh("help").lines.filter { $0 != "kex-gss" }
        let help = try answer("-Q", "help")
        #expect(queries.count > 8 && Set(help).isSuperset(of: queries))
        for query in queries + ["HostKeyAlgorithms", "Ciphers", "MACs", "KexAlgorithms", "PubkeyAcceptedAlgorithms"] {
            let answered = try answer("-Q", query)
            let known = Set(try ssh(query).lines)
            #expect(!answered.isEmpty && known.isSuperset(of: answered), "\(query): \(answered)")
        }
        for query in ["x", "Cipher", ""] {
            let status = try ssh(query).status
            #expect(status != 0)
            #expect(throws: ConfigurationError.self) { try answer("-Q", query) }
        }
        #expect(fault(["-Q", "cypher"]) == "-Q cypher: Unsupported query \"cypher\": did you mean cipher?")
    }
}
