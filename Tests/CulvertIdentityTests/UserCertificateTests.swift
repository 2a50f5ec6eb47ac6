import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

/// Users' certificates: where they are found, in which order they are offered, who signs, and what is said of those that are
/// refused. The user is alice.
@Suite struct UserCertificateTests {
    let workshop: Workshop
    let notices = Notices()
    let memory = IdentityMemory()

    init() throws {
        workshop = try Workshop()
        try workshop.makeKey("ca")
    }

    private func login(_ settings: ServerPlan, _ answers: [String?] = []) -> Identity {
        Identity(
            server: settings, memory: memory, mayPrompt: true, prompter: ScriptedPrompter(answers),
            notice: { [notices] in notices.add($0) })
    }

    private func makeKey(_ name: String, _ options: [String] = ["-n", "alice"], passphrase: String = "") throws {
        try workshop.makeKey(name, passphrase: passphrase)
        try workshop.certify(name, options)
    }

    /// What was handed out: `name` and, behind a sign, what it was shown with.
    private func offered(_ identity: Identity) throws -> [String] {
        var words: [String] = []
        while let credential = try identity.nextCredential(methods: ["publickey"], partialSuccess: false) {
            switch credential {
            case .keyFile(let name, _, _, let certificate):
                words.append(name.split(separator: " ")[1] + (certificate == nil ? "" : " by file"))
            case .signer(let name, let key, _):
                let isCertificate = (try? Certificate(blob: key)) != nil
                words.append(
                    name.split(separator: " ").prefix(5).joined(separator: " ")
                        .replacingOccurrences(of: "agent key made for ", with: "agent ")
                        .replacingOccurrences(of: "certificate ", with: "")
                        .split(separator: "(")[0].trimmingCharacters(in: .whitespaces)
                        + (isCertificate ? " by agent" : ""))
            case .password, .keyboardInteractive: words.append("something else")
            }
            identity.refused(reason: nil)
            try #require(words.count < 50, "the attempt does not end")
        }
        return words
    }

    @Test func theOneBesideTheKey() throws {
        try makeKey("id")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id"])
        #expect(try offered(login(settings)) == ["~/id", "~/id-cert.pub by file"])
        // Those that are named take its place (ssh_config(5)).
        try makeKey("other")
        settings.login.certificateFiles = ["~/missing", "~/other-cert.pub"]
        let identity = login(settings)
        #expect(try offered(identity) == ["~/id"])
        let told = identity.attempted.joined(separator: "\n")
        #expect(told.contains("certificate ~/missing not used: "))
        #expect(told.contains("certificate ~/other-cert.pub (ED25519-CERT SHA256:"))
        #expect(told.contains(") not used: no file and no agent has its private key"))
        #expect(notices.lines.isEmpty)
    }

    /// As ssh reads a public key's file: it may be a certificate.
    @Test(arguments: ["OPENSSH", "PEM"])
    func inThePlaceOfThePublicKey(_ format: String) throws {
        try makeKey("id")
        if format == "PEM" {
            let words = ["-q", "-p", "-m", "PEM", "-P", "", "-N", "", "-f", workshop.file("id")]
            _ = try workshop.run("ssh-keygen", words)
        }
        let manager = FileManager.default
        try manager.removeItem(atPath: workshop.file("id.pub"))
        try manager.moveItem(atPath: workshop.file("id-cert.pub"), toPath: workshop.file("id.pub"))
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id"])
        #expect(try offered(login(settings)) == ["~/id", "~/id.pub by file"])
    }

    @Test func orderOfAllThatThereIs() throws {
        let agent = try RealAgent(workshop)
        for name in ["named", "infile", "both"] { try makeKey(name) }
        try workshop.makeKey("agentonly")
        try workshop.run("mv", ["both-cert.pub", "kept"])
        try agent.add("agentonly")
        try agent.add("both")
        try workshop.run("mv", ["kept", "both-cert.pub"])
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed(["~/infile", "~/both"])
        #expect(
            try offered(login(settings)) == [
                "agent both", "agent agentonly", "~/infile", "~/infile-cert.pub by file", "~/both-cert.pub by agent",
            ])
        settings.login.identityFiles = .listed(["~/infile", "~/named"])
        settings.login.certificateFiles = ["~/both-cert.pub", "~/named-cert.pub"]
        #expect(
            try offered(login(settings)) == [
                "~/both-cert.pub by agent", "~/named-cert.pub by file", "agent agentonly", "agent both", "~/infile",
                "~/named",
            ])
    }

    @Test func inTheAgent() throws {
        let agent = try RealAgent(workshop)
        try makeKey("id")
        // Takes the certificate beside it too.
        try agent.add("id")
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed(["~/id"])
        settings.login.identitiesOnly = true
        let identity = login(settings)
        #expect(try offered(identity) == ["agent id", "agent id by agent"])
        settings.login.identityFiles = .listed([])
        let none = login(settings)
        #expect(try offered(none).isEmpty)
        #expect(none.attempted.contains { $0.contains("ED25519-CERT") && $0.contains("IdentitiesOnly is set") })
        settings.login.certificateFiles = ["~/id-cert.pub"]
        settings.login.identitiesOnly = false
        #expect(try offered(login(settings)).first == "~/id-cert.pub by agent")
        // Whoever names a certificate as an identity file.
        settings.login.certificateFiles = []
        settings.login.identitiesOnly = true
        try workshop.run("chmod", ["644", "id-cert.pub"])
        settings.login.identityFiles = .listed(["~/id-cert.pub"])
        #expect(try offered(login(settings)) == ["agent id by agent"])
    }

    /// The private key is nowhere but in the agent: beside its certificate is its public part, or nothing.
    @Test func noPrivateKeyInAFile() throws {
        let agent = try RealAgent(workshop)
        try makeKey("id")
        try workshop.run("mv", ["id-cert.pub", "kept"])
        try agent.add("id")
        try workshop.run("mv", ["kept", "id-cert.pub"])
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed(["~/id"])
        try workshop.run("rm", ["id"])
        settings.login.identitiesOnly = true
        #expect(try offered(login(settings)) == ["agent id", "~/id-cert.pub by agent"])
        settings.login.identitiesOnly = false
        try workshop.run("rm", ["id.pub"])
        #expect(try offered(login(settings)) == ["agent id", "~/id-cert.pub by agent"])
        // Of the default files too.
        try FileManager.default.createDirectory(
            atPath: workshop.file(".ssh"), withIntermediateDirectories: true)
        try workshop.run("mv", ["id-cert.pub", ".ssh/id_ed25519-cert.pub"])
        settings.login.identityFiles = .defaults
        #expect(try offered(login(settings)) == ["agent id", "~/.ssh/id_ed25519-cert.pub by agent"])
        settings.login.agentSocket = nil
        let alone = login(settings)
        #expect(try offered(alone).isEmpty)
        #expect(alone.attempted.contains { $0.contains("not used: no file and no agent has its private key") })
    }

    /// The signature is asked for with the certificate in the data, and comes from its key.
    @Test func theAgentsKeySignsForAFile() throws {
        let agent = try RealAgent(workshop)
        try makeKey("id")
        try workshop.run("mv", ["id-cert.pub", "mine-cert.pub"])
        try agent.add("id")
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.certificateFiles = ["~/mine-cert.pub"]
        let credential = try login(settings).nextCredential(methods: ["publickey"], partialSuccess: false)
        guard case .signer(_, let shown, let sign) = credential else {
            Issue.record("not the agent's: \(credential as Any)")
            return
        }
        #expect(shown == (try workshop.publicKey("mine-cert").blob))
        var data = WireBytes()
        data.string("session")
        data.byte(50)
        for text in ["alice", "ssh-connection", "publickey"] { data.string(text) }
        data.byte(1)
        data.string("ssh-ed25519-cert-v01@openssh.com")
        data.string(shown)
        let signature = try data.bytes.withUnsafeBytes { try sign($0) }
        let name = try signature.read("a signature") { reader throws(SSHError) in try reader.name() }
        #expect(name == "ssh-ed25519")
        let wrong = data.bytes.dropLast() + [0]
        #expect(throws: SSHError.self) { _ = try Array(wrong).withUnsafeBytes { try sign($0) } }
    }

    @Test(arguments: [
        (["-n", "alice", "-V", "20200101:20200102"], "it expired at 2020-01-0"),
        (["-n", "alice", "-V", "20400101:20410101"], "it is not valid before "),
        (["-n", "bob,carol"], "it is for bob, carol, not for alice"), ([], "it names no principal"),
    ])
    func whatIsSeenOfARefusedOne(_ options: [String], _ words: String) throws {
        try makeKey("id", options)
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id"])
        let identity = login(settings)
        // Offered all the same, as with ssh: the server's clock and list of names are not ours.
        #expect(try offered(identity).count == 2)
        let line = try #require(identity.attempted.last)
        #expect(line.hasPrefix("certificate ~/id-cert.pub (ED25519-CERT SHA256:") && line.contains("): \(words)"))
        let agent = try RealAgent(workshop)
        // Not with one that has expired: an agent takes no such certificate for long.
        try workshop.run("ssh-add", ["-q", "id"], environment: ["SSH_AUTH_SOCK": agent.socket])
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed([])
        let second = login(settings)
        #expect(try offered(second).count == 2)
        #expect(second.attempted.contains { $0.hasPrefix("agent key made for id") && $0.contains(words) })
    }

    @Test func aHostsCertificateIsPassedOver() throws {
        try makeKey("id", ["-h", "-n", "alice"])
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id"])
        let identity = login(settings)
        #expect(try offered(identity) == ["~/id"])
        let told = "certificate ~/id-cert.pub not used: it is a host's certificate, not a user's"
        #expect(identity.attempted.contains(told))
        try workshop.write("id-cert.pub", try workshop.read("id.pub"))
        let plain = login(settings)
        #expect(try offered(plain) == ["~/id"])
        #expect(plain.attempted.contains("certificate ~/id-cert.pub not used: it is no certificate"))
    }

    /// One that is renewed while the process stands is read again, and is tried first because it led in before.
    @Test func aRenewedOneLeadsIn() throws {
        try makeKey("id")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id"])
        let first = login(settings)
        _ = try first.nextCredential(methods: ["publickey"], partialSuccess: false)
        first.refused(reason: nil)
        _ = try first.nextCredential(methods: ["publickey"], partialSuccess: false)
        #expect(first.accepted.first?.hasPrefix("certificate ~/id-cert.pub") == true)
        let renewed = try workshop.certify("id", ["-n", "alice", "-z", "2"])
        let second = try login(settings).nextCredential(methods: ["publickey"], partialSuccess: false)
        guard case .keyFile(_, _, _, let certificate) = second else {
            Issue.record("not the certificate: \(second as Any)")
            return
        }
        #expect(certificate?.blob == renewed.blob && certificate?.serial == 2)
    }

    /// The passphrase is asked for once, and a wrong one again.
    @Test func ofAnEncryptedKey() throws {
        try makeKey("id", passphrase: "open sesame")
        try workshop.makeKey("plain")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/id", "~/plain"])
        let identity = login(settings, ["wrong", "open sesame"])
        func next() throws -> String? {
            guard
                case .keyFile(let name, _, let passphrase, let certificate) = try identity.nextCredential(
                    methods: ["publickey"], partialSuccess: false)
            else { return nil }
            return "\(name.split(separator: " ")[1]) \(text(passphrase) ?? "-") \(certificate != nil)"
        }
        #expect(try next() == "~/plain - false")
        identity.refused(reason: nil)
        #expect(try next() == "~/id wrong false")
        identity.refused(reason: Credential.wrongPassphrase)
        #expect(try next() == "~/id open sesame false")
        identity.refused(reason: nil)
        #expect(try next() == "~/id-cert.pub open sesame true")
        identity.refused(reason: nil)
        #expect(try next() == nil)
    }
}
