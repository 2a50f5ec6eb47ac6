import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

extension Workshop {
    /// A certificate of `name.pub`, made by `ssh-keygen`, in `name-cert.pub`.
    @discardableResult
    func certify(_ name: String, by authority: String = "ca", _ options: [String]) throws -> PublicKey {
        try run("ssh-keygen", ["-q", "-s", authority, "-I", "the \(name)"] + options + ["\(name).pub"])
        return try publicKey("\(name)-cert")
    }
}

/// Host certificates and the files of known hosts: what ssh makes of them. The host is `db.example`.
@Suite struct HostCertificateTests {
    let workshop: Workshop
    let notices = Notices()
    let memory = IdentityMemory()
    let host: PublicKey
    let authority: String

    init() throws {
        workshop = try Workshop()
        for name in ["ca", "stranger", "host"] { try workshop.makeKey(name) }
        host = try workshop.publicKey("host")
        authority = try workshop.publicLine("ca")
    }

    private func identity(_ settings: ServerPlan, _ prompter: ScriptedPrompter = ScriptedPrompter()) -> Identity {
        Identity(
            server: settings, memory: memory, mayPrompt: true, prompter: prompter,
            notice: { [notices] in notices.add($0) })
    }

    private func settings(
        _ knownHosts: String, port: UInt16 = 22, _ change: (inout ServerPlan) -> Void = { _ in }
    ) throws -> ServerPlan {
        try workshop.write("known_hosts", knownHosts)
        var settings = workshop.settings(port: port)
        settings.hostKeys.checking = .yes
        change(&settings)
        return settings
    }

    private func refusal(_ key: PublicKey, _ settings: ServerPlan) throws -> String {
        try #require(throws: SSHError.self) { try identity(settings).verify(hostKey: key.blob) }.description
    }

    @Test(arguments: [
        ("db.example", UInt16(22)), ("*", 22), ("*.example,!web.example", 22), ("[db.example]:2222", 2222),
        ("db.example", 2222),
    ])
    func anAuthorityThatIsKnownIsEnough(_ hosts: String, _ port: UInt16) throws {
        let key = try workshop.certify("host", ["-h", "-n", "other.example,db.example"])
        let plan = try settings("@cert-authority \(hosts) \(authority)\n", port: port)
        try identity(plan).verify(hostKey: key.blob)
        // Nothing is kept: the next host of this name may be another one.
        try workshop.makeKey("second")
        let second = try workshop.certify("second", ["-h", "-n", "*.example"])
        try identity(plan).verify(hostKey: second.blob)
        #expect(notices.lines.isEmpty)
        #expect(try workshop.read("known_hosts") == "@cert-authority \(hosts) \(authority)\n")
    }

    @Test func aHashedNameOfAnAuthority() throws {
        let key = try workshop.certify("host", ["-h", "-n", "db.example"])
        let hashed = HostList.hashing("db.example", salt: [UInt8](repeating: 3, count: 20)).text
        try identity(settings("@cert-authority \(hashed) \(authority)\n")).verify(hostKey: key.blob)
    }

    @Test func anAliasStandsForTheName() throws {
        let key = try workshop.certify("host", ["-h", "-n", "front"])
        let plan = try settings("@cert-authority front \(authority)\n") { $0.hostKeys.alias = "front" }
        try identity(plan).verify(hostKey: key.blob)
        let bare = try settings("@cert-authority * \(authority)\n")
        #expect(try refusal(key, bare).contains("it is for front, not for db.example"))
    }

    @Test(arguments: [
        (["-h", "-n", "db.example", "-V", "20200101:20200102"], "it expired at 2020-01-0"),
        (["-h", "-n", "db.example", "-V", "20400101:20410101"], "it is not valid before "),
        (["-h", "-n", "web.example"], "it is for web.example, not for db.example"),
        (["-h"], "it names no principal"), (["-n", "db.example"], "it is a user's certificate, not a host's"),
        (
            ["-h", "-n", "db.example", "-O", "critical:new@example=1"],
            "critical options that nothing is known of: new@"
        ),
    ])
    func whatDoesNotCountIsSaidAndTheKeyIsJudged(_ options: [String], _ words: String) throws {
        let key = try workshop.certify("host", options)
        let line = "@cert-authority * \(authority)\n"
        let told = try refusal(key, try settings(line))
        #expect(told.hasPrefix("Host key verification failed: no known_hosts file has the ED25519 key SHA256:"))
        #expect(told.contains("and its certificate does not count: ") && told.contains(words))
        #expect(told.contains("known_hosts:1)") && !told.contains("\n"))
        #expect(notices.lines.count == 1 && notices.text.contains(words))
        // As with ssh the key inside is looked up then.
        try identity(settings(line + "db.example \(try workshop.publicLine("host"))\n")).verify(hostKey: key.blob)
        let other = try workshop.publicLine("stranger")
        #expect(try refusal(key, settings(line + "db.example \(other)\n")).contains("is not the one in"))
        // And asked about.
        let prompter = ScriptedPrompter(["yes"])
        let asking = try settings(line) { $0.hostKeys.checking = .ask }
        let fresh = Identity(
            server: asking, memory: IdentityMemory(), mayPrompt: true, prompter: prompter,
            notice: { [notices] in notices.add($0) })
        try fresh.verify(hostKey: key.blob)
        #expect(prompter.asked.first?.contains("ED25519 key fingerprint is \(host.fingerprint).") == true)
        #expect(try workshop.read("known_hosts").contains("db.example \(try workshop.publicLine("host"))\n"))
    }

    @Test func anAuthorityThatNobodyKnows() throws {
        let key = try workshop.certify("host", by: "stranger", ["-h", "-n", "db.example"])
        let told = try refusal(key, settings("@cert-authority * \(authority)\n"))
        let stranger = try workshop.publicKey("stranger").described
        #expect(told.contains("its certificate is of the authority \(stranger), which no file names for this host"))
        let plain = "db.example \(try workshop.publicLine("host"))\n"
        try identity(settings(plain)).verify(hostKey: key.blob)
        // An authority is none for its own key, nor for hosts that its line is not about.
        let right = try workshop.certify("host", ["-h", "-n", "db.example"])
        #expect(try refusal(right, settings("* \(authority)\n")).contains("is not the one in"))
        #expect(try refusal(right, settings("@cert-authority web.example \(authority)\n")).contains("no file names"))
    }

    @Test func whatIsRevokedIsNeverTrusted() throws {
        let key = try workshop.certify("host", ["-h", "-n", "db.example"])
        let known = "@cert-authority * \(authority)\ndb.example \(try workshop.publicLine("host"))\n"
        for checking in HostKeyOptions.Checking.allCases {
            func refused(_ line: String, at port: UInt16 = 22) throws -> String {
                try refusal(key, settings(known + line, port: port) { $0.hostKeys.checking = checking })
            }
            let byAuthority = try refused("@revoked * \(authority)\n")
            #expect(byAuthority.contains("the authority of the certificate of db.example is revoked in"))
            #expect(try refused("@revoked * \(try workshop.publicLine("host"))\n").contains("is revoked in"))
            #expect(try refused("@revoked * \(try workshop.publicLine("host-cert"))\n").contains("is revoked in"))
            #expect(try refused("@revoked db.example \(authority)\n", at: 2222).contains("is revoked in"))
        }
        try identity(settings(known + "@revoked web.example \(authority)\n")).verify(hostKey: key.blob)
        // A revoked certificate is a revoked key, shown without it too.
        let line = "@revoked * \(try workshop.publicLine("host-cert"))\n"
        #expect(try refusal(host, settings(known + line)).contains("is revoked in"))
    }

    @Test func aForgedSignature() throws {
        let key = try workshop.certify("host", ["-h", "-n", "db.example"])
        var blob = key.blob
        // In the signature, and in what is signed: the serial's last byte is behind nonce and key.
        for place in [blob.count - 1, 4 + 32 + 4 + 32 + 4 + 32 + 7] {
            blob[place] ^= 1
            let forged = try #require(PublicKey(blob: blob))
            let told = try refusal(forged, settings("@cert-authority * \(authority)\n"))
            #expect(told.contains("its signature is not its authority's"))
            blob[place] ^= 1
        }
    }

    @Test func algorithmsOfAuthorities() throws {
        try workshop.makeKey("rsa", type: "rsa", options: ["-b", "2048"])
        let key = try workshop.certify("host", by: "rsa", ["-h", "-n", "db.example", "-t", "rsa-sha2-256"])
        let line = "@cert-authority * \(try workshop.publicLine("rsa"))\n"
        try identity(settings(line)).verify(hostKey: key.blob)
        let narrow = try settings(line) { $0.hostKeys.authoritySignatures = ["ssh-ed25519", "rsa-sha2-512"] }
        #expect(try refusal(key, narrow).contains("its authority signed with rsa-sha2-256, which is not taken"))
    }

    @Test func certificatesAlone() throws {
        let key = try workshop.certify("host", by: "stranger", ["-h", "-n", "db.example"])
        let plain = "db.example \(try workshop.publicLine("host"))\n"
        let plan = try settings(plain) {
            $0.algorithms.hostKeys = AlgorithmList("ssh-ed25519-cert-v01@openssh.com")
        }
        #expect(try refusal(key, plan).contains("HostKeyAlgorithms takes no ssh-ed25519 without one"))
    }

    @Test func whatIsAskedForFirst() throws {
        let line = try workshop.publicLine("host")
        #expect(try identity(settings("db.example \(line)\n")).knownHostKeyAlgorithms() == ["ssh-ed25519"])
        let both = try identity(settings("@cert-authority * \(authority)\ndb.example \(line)\n"))
        let names = try both.knownHostKeyAlgorithms()
        #expect(names.first == "ssh-ed25519-cert-v01@openssh.com" && names.last == "ssh-ed25519")
        #expect(names.count == 9 && names.contains("rsa-sha2-512-cert-v01@openssh.com"))
        #expect(names.contains("sk-ssh-ed25519-cert-v01@openssh.com"))
        let revoked = "@cert-authority * \(authority)\n@revoked * \(authority)\n"
        #expect(try identity(settings(revoked)).knownHostKeyAlgorithms().isEmpty)
        let other = try identity(settings("@cert-authority db.example \(authority)\n", port: 2222))
        #expect(try other.knownHostKeyAlgorithms().count == 8)
        // Of a host with an authority that shows a plain key all the same.
        let told = try refusal(host, settings("@cert-authority * \(authority)\n"))
        #expect(told.contains("the server showed no certificate of the authority in"))
    }
}
