import Foundation
import Testing

/// Files of hardware keys, at a real sshd, by OpenSSH's ssh-sk-helper: in the place of a device is the provider in software that
/// OpenSSH's own tests have.
@Suite(.serialized) struct SecurityKeyTests {
    static let provider =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
        + "/../../.build/openssh-tests/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"
    static let helper = "/usr/lib/openssh/ssh-sk-helper"
    static let areThere = [provider, helper].allSatisfy { FileManager.default.fileExists(atPath: $0) }

    /// A key of that type, and a server that takes it alone.
    private func place(_ stage: Stage, _ type: String, passphrase: String = "") throws -> (SSHServer, key: String) {
        let key = "\(stage.directory)/key"
        try stage.run([
            "ssh-keygen", "-q", "-t", type, "-w", Self.provider, "-N", passphrase, "-C", "", "-f", key,
        ])
        return (try SSHServer(on: stage, options: ["AuthorizedKeysFile \(key).pub"]), key)
    }

    @Test(
        "the device signs, and who has to touch it is told so", .enabled(if: areThere, "NOT TESTED: no sk-dummy.so"),
        arguments: ["ed25519-sk", "ecdsa-sk"])
    func signs(_ type: String) throws {
        try onStage { stage in
            let (server, key) = try place(stage, type)
            let target = try TargetServer.echo(on: stage)
            let door = try Ports.free()
            guard case .tcp(let port) = target.address else { throw Failure("no port") }
            let tunnel = try Tunnel(
                to: server,
                ["-L", "\(door):127.0.0.1:\(port)", "-i", key, "-o", "SecurityKeyProvider=\(Self.provider)"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            if Subject.isCulvert {
                try tunnel.process.waitForLine(["Confirm user presence for key", type.uppercased()])
                try tunnel.process.waitForLine(["User presence confirmed"])
                // And again, when the link comes back.
                server.killSessions()
                try tunnel.process.waitForLine(["is back"])
                try OutageTests.expectEcho(.tcp(door), within: 15)
            }
        }
    }

    @Test("its file may be encrypted", .enabled(if: areThere, "NOT TESTED: no sk-dummy.so"))
    func encrypted() throws {
        try onStage { stage in
            let (server, key) = try place(stage, "ed25519-sk", passphrase: "open sesame")
            let answer = try stage.write("askpass", "#!/bin/sh\necho open sesame\n", mode: 0o700)
            let tunnel = try Tunnel(
                to: server,
                ["-N", "-i", key, "-o", "SecurityKeyProvider=\(Self.provider)", "-o", "BatchMode=no"],
                environment: ["SSH_ASKPASS": answer, "SSH_ASKPASS_REQUIRE": "force"])
            try tunnel.waitForLink(1)
        }
    }

    @Test(
        "without helper, provider or device the refusal says so",
        .enabled(if: areThere && Subject.isCulvert, "NOT TESTED: no sk-dummy.so"))
    func failures() throws {
        try onStage { stage in
            let (server, key) = try place(stage, "ed25519-sk")
            let missing = try Tunnel(to: server, ["-N", "-i", key], environment: ["SSH_SK_HELPER": "/none"])
            try missing.process.waitForLine(["a hardware key, and OpenSSH's ssh-sk-helper is not here", "ssh-add"])
            #expect(try missing.process.waitForEnd(within: 10) == .exited(255))
            let wrong = try Tunnel(to: server, ["-N", "-i", key, "-o", "SecurityKeyProvider=/none.so"])
            try wrong.process.waitForLine(["key \(key)", "ssh-sk-helper: "])
            #expect(try wrong.process.waitForEnd(within: 10) == .exited(255))
            let silent = try stage.write("silent", "#!/bin/sh\nexit 0\n", mode: 0o700)
            let broken = try Tunnel(to: server, ["-N", "-i", key], environment: ["SSH_SK_HELPER": silent])
            try broken.process.waitForLine(["ssh-sk-helper: it ended without an answer"])
            #expect(try broken.process.waitForEnd(within: 10) == .exited(255))
        }
    }
}
