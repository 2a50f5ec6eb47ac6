import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

@Suite struct KeyFileTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let type: String
        let options: [String]
        let passphrase: String
        let family: String
        /// The public key stands readable in the file.
        let shows: Bool
        var testDescription: String { "\(type) \(options) \(passphrase.isEmpty ? "plain" : "encrypted")" }
    }

    static let samples: [Sample] = ["", "correct horse"].flatMap { passphrase in
        [
            Sample(type: "ed25519", options: [], passphrase: passphrase, family: "ED25519", shows: true),
            Sample(type: "ecdsa", options: ["-b", "384"], passphrase: passphrase, family: "ECDSA", shows: true),
            Sample(type: "rsa", options: ["-b", "2048"], passphrase: passphrase, family: "RSA", shows: true),
            Sample(
                type: "rsa", options: ["-b", "2048", "-m", "PEM"], passphrase: passphrase, family: "RSA", shows: false),
            Sample(type: "ecdsa", options: ["-m", "PEM"], passphrase: passphrase, family: "ECDSA", shows: false),
            Sample(
                type: "rsa", options: ["-b", "2048", "-m", "PKCS8"], passphrase: passphrase, family: "RSA",
                shows: false),
        ]
    }

    @Test(arguments: samples)
    func whatSSHKeygenWritesIsUnderstood(sample: Sample) throws {
        let workshop = try Workshop()
        try workshop.makeKey("key", type: sample.type, passphrase: sample.passphrase, options: sample.options)
        let file = try KeyFile(Array(try workshop.read("key").utf8))
        #expect(file.isEncrypted == !sample.passphrase.isEmpty)
        let key = try workshop.publicKey("key")
        #expect(file.publicKey == (sample.shows ? key : nil))
        #expect(key.family == sample.family)
        #expect(try workshop.run("ssh-keygen", ["-l", "-f", "key.pub"]).contains(key.fingerprint))

        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        let found = IdentityFiles(settings)
        #expect(found.files.map(\.publicKey) == [key])
        #expect(found.warnings.isEmpty && found.unusable.isEmpty)
    }

    @Test func whatIsNoKeyIsSaidInWords() throws {
        let workshop = try Workshop()
        try workshop.makeKey("key")
        let good = try workshop.read("key")
        let cases = [
            ("", "not a private key"), ("hello\n", "not a private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE"),
            (String(good.dropLast(40)), "no END line"),
            (good.replacing("KEY-----\nb3B", with: "KEY-----\nb3C"), "damaged"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n?\n-----END OPENSSH PRIVATE KEY-----\n", "base64"),
        ]
        for (text, words) in cases {
            let error = #expect(throws: KeyFile.Unusable.self) { try KeyFile(Array(text.utf8)) }
            #expect(error?.why.contains(words) == true, "\(words): \(String(describing: error))")
        }
    }

    /// Other things in front of a key, as with ssh: what stands there is passed over.
    @Test func whatStandsBeforeAKeyIsPassedOver() throws {
        let workshop = try Workshop()
        try workshop.run("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-out", "parameters"])
        let parameters = try workshop.read("parameters")
        #expect(parameters.hasPrefix("-----BEGIN EC PARAMETERS-----"))
        #expect(try KeyFile(Array(parameters.utf8)).format == .pem(encrypted: false))
        try workshop.makeKey("key", type: "ecdsa", passphrase: "secret", options: ["-m", "PEM"])
        let certificate = "Bag Attributes\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        #expect(try KeyFile(Array((certificate + workshop.read("key")).utf8)).format == .pem(encrypted: true))
        // Without a key behind it, it is what it is.
        let alone = #expect(throws: KeyFile.Unusable.self) {
            try KeyFile(Array(parameters.prefix(upTo: parameters.range(of: "-----BEGIN EC PRIVATE")!.lowerBound).utf8))
        }
        #expect(alone?.why == "not a private key but a EC PARAMETERS")
    }

    /// The file of a hardware key: its public part finds the agent's key, and without an agent it is said what would.
    @Test func aHardwareKeyIsTheAgents() throws {
        let workshop = try Workshop()
        var blob = WireBytes()
        blob.string("sk-ssh-ed25519@openssh.com")
        blob.string([UInt8](repeating: 7, count: 32))
        blob.string("ssh:")
        var file = WireBytes()
        file.raw(Array("openssh-key-v1\0".utf8))
        for text in ["none", "none", ""] { file.string(text) }
        file.uint32(1)
        file.string(blob.bytes)
        file.string([UInt8](repeating: 0, count: 64))
        let text = Data(file.bytes).base64EncodedString()
        try workshop.write("sk", "-----BEGIN OPENSSH PRIVATE KEY-----\n\(text)\n-----END OPENSSH PRIVATE KEY-----\n")
        try workshop.run("chmod", ["600", "sk"])
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/sk"])
        let found = IdentityFiles(settings)
        #expect(found.warnings.isEmpty && found.unusable.isEmpty)
        let key = try #require(PublicKey(blob: blob.bytes))
        #expect(found.files.map(\.publicKey) == [key] && found.files[0].privatePart == nil)
        func offers(_ agentKeys: [AgentKey]) -> KeyOffers {
            KeyOffers(agentKeys: agentKeys, files: found.files, identitiesOnly: true, needsQuestion: { _ in false })
        }
        let held = AgentKey(key: key, comment: [])
        #expect(offers([held]).offers == [.agent(held, file: found.files[0])])
        #expect(offers([]).offers.isEmpty)
        #expect(
            offers([]).withoutPrivatePart.map(\.whyNoPrivatePart) == [
                "a hardware key, and OpenSSH's ssh-sk-helper is not here: it works through an agent: `ssh-add ~/sk`"
            ])
    }

    @Test func mutatedFilesDoNoHarm() throws {
        let workshop = try Workshop()
        try workshop.makeKey("plain")
        try workshop.makeKey("pem", type: "ecdsa", passphrase: "secret", options: ["-m", "PEM"])
        var generator = SeededGenerator(state: 11)
        var refused = 0
        for name in ["plain", "pem", "plain.pub"] {
            let contents = Array(try workshop.read(name).utf8)
            for _ in 0..<1_500 where (try? KeyFile(mutated(contents, &generator))) == nil { refused += 1 }
        }
        #expect(refused > 100)
    }

    @Test func permissionsAndMissingFilesAreTold() throws {
        let workshop = try Workshop()
        try workshop.makeKey("open")
        try workshop.makeKey("good")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: workshop.file("open"))
        try workshop.write("text", "no key")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed([
            "~/open", "~/absent", "~/text", workshop.path, "~/good", "~/good", "none",
        ])
        let found = IdentityFiles(settings)
        #expect(found.files.filter { $0.privatePart != nil }.map(\.shown) == ["~/good"])
        // Its public part still finds the agent's key.
        #expect(found.files.contains { $0.shown == "~/open" && !$0.isPublicOnly })
        #expect(found.warnings.count == 4)
        #expect(found.warnings[0].contains("UNPROTECTED PRIVATE KEY FILE") && found.warnings[0].contains("0644"))
        #expect(found.warnings[1] == "Warning: Identity file ~/absent not accessible: No such file or directory.")
        #expect(found.warnings[2].contains("not a private key"))
        #expect(found.warnings[3].contains("directory"))
        #expect(found.unusable.count == 4)
    }

    @Test func missingDefaultsAreNoMatter() throws {
        let workshop = try Workshop()
        var settings = workshop.settings()
        settings.login.identityFiles = .defaults
        #expect(IdentityFiles(settings).warnings.isEmpty)
        try workshop.run("mkdir", ["-m", "700", ".ssh"])
        try workshop.makeKey(".ssh/id_rsa", type: "rsa", options: ["-b", "2048"])
        try workshop.makeKey(".ssh/id_ed25519")
        #expect(IdentityFiles(settings).files.map(\.shown) == ["~/.ssh/id_ed25519", "~/.ssh/id_rsa"])
    }

    @Test func aFileTooLargeForAKeyIsNotRead() throws {
        let workshop = try Workshop()
        try workshop.run("truncate", ["-s", "1048577", "large"])
        try workshop.run("chmod", ["600", "large"])
        let file = LocalFile(path: workshop.file("large"))
        #expect(throws: LocalFile.Failure.tooLarge) { try file.read(secret: true) }
        #expect(try file.read().count == 1_048_577)
    }

    @Test func aSecretTakesTheBytesOver() {
        for count in [0, 1, 4096, 4097] {
            let original = (0..<count).map { UInt8(truncatingIfNeeded: $0 | 1) }
            var bytes = original
            let secret = Secret(wiping: &bytes)
            #expect(bytes == [UInt8](repeating: 0, count: count))
            #expect(secret.withBytes { Array($0) } == original && secret.count == count)
            #expect("\(secret)" == "Secret(…)")
        }
    }

    @Test func aFIFOIsNotWaitedFor() throws {
        let workshop = try Workshop()
        try workshop.run("mkfifo", ["-m", "600", "pipe"])
        #expect(throws: LocalFile.Failure.notRegular) { try LocalFile(path: workshop.file("pipe")).read(secret: true) }
    }
}
