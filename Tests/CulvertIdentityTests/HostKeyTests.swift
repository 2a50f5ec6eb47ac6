import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

@Suite struct HostKeyPolicyTests {
    let key: PublicKey
    let entry: KnownHosts.Entry
    let place = KnownHosts.Place(file: "f", line: 1)

    init() throws {
        let workshop = try Workshop()
        try workshop.makeKey("a")
        try workshop.makeKey("b")
        key = try workshop.publicKey("a")
        let hosts = try #require(HostList(Array("h".utf8)[...]))
        entry = KnownHosts.Entry(place: place, marker: .none, hosts: hosts, key: try workshop.publicKey("b"))
    }

    @Test(arguments: HostKeyOptions.Checking.allCases, [true, false])
    func changedAndRevokedEndItUnderEverySetting(
        checking: HostKeyOptions.Checking, mayAsk: Bool
    ) {
        func decide(_ verdict: KnownHosts.Verdict, _ accepted: PublicKey? = nil) -> HostKeyPolicy.Decision {
            HostKeyPolicy.decide(
                key, verdict: verdict, accepted: IdentityMemory.TrustedKeys(keys: accepted.map { [$0] } ?? []),
                checking: checking, mayAsk: mayAsk)
        }
        for accepted in [nil, key, entry.key] {
            #expect(decide(.changed(entry), accepted) == .refuse(.changed(entry)))
            #expect(decide(.revoked(place), accepted) == .refuse(.revoked(place)))
            #expect(decide(.known(place), accepted) == .trust)
        }
        #expect(decide(.unknown, entry.key) == .refuse(.changedSinceAccepted(entry.key)))
    }

    @Test func unknownKeysGoByTheSetting() {
        func decide(
            _ checking: HostKeyOptions.Checking, mayAsk: Bool, _ accepted: PublicKey? = nil
        ) -> HostKeyPolicy.Decision {
            HostKeyPolicy.decide(
                key, verdict: .unknown, accepted: IdentityMemory.TrustedKeys(keys: accepted.map { [$0] } ?? []),
                checking: checking, mayAsk: mayAsk)
        }
        #expect(decide(.ask, mayAsk: true) == .ask)
        #expect(decide(.ask, mayAsk: false) == .refuse(.unknown))
        #expect(decide(.yes, mayAsk: true) == .refuse(.unknown))
        #expect(decide(.yes, mayAsk: true, key) == .refuse(.unknown))
        for checking in [HostKeyOptions.Checking.no, .acceptNew] {
            #expect(decide(checking, mayAsk: false) == .add)
            #expect(decide(checking, mayAsk: false, key) == .trust)
        }
        #expect(decide(.ask, mayAsk: false, key) == .trust)
    }
}

@Suite struct HostKeyCheckTests {
    let workshop: Workshop
    let one: PublicKey
    let two: PublicKey
    let notices = Notices()
    let memory = IdentityMemory()

    init() throws {
        workshop = try Workshop()
        try workshop.makeKey("one")
        try workshop.makeKey("two")
        one = try workshop.publicKey("one")
        two = try workshop.publicKey("two")
    }

    private func verify(
        _ key: PublicKey, _ settings: ServerPlan, answers: [String?] = [], mayPrompt: Bool = true
    ) throws -> [String] {
        let prompter = ScriptedPrompter(answers)
        let identity = Identity(
            server: settings, memory: memory, mayPrompt: mayPrompt, prompter: prompter,
            notice: { [notices] in notices.add($0) })
        try identity.verify(hostKey: key.blob)
        return prompter.asked
    }

    private func refusal(
        _ key: PublicKey, _ settings: ServerPlan, answers: [String?] = [], mayPrompt: Bool = true
    ) throws -> SSHError {
        try #require(throws: SSHError.self) {
            _ = try verify(key, settings, answers: answers, mayPrompt: mayPrompt)
        }
    }

    @Test("a marker line that cannot be read is one warning, however often one logs in, and though the key is known")
    func unreadableMarker() throws {
        let settings = workshop.settings(port: 22)
        let known = "db.example \(try workshop.publicLine("one"))\n"
        try workshop.write("known_hosts", "@revoked * ssh-ed25519 AAAA\n\(known)@revoked other AAAA\n")
        for _ in 0..<3 { #expect(try verify(one, settings).isEmpty) }
        #expect(notices.lines.count == 1, "\(notices.lines)")
        #expect(
            notices.lines.first?.hasSuffix(
                "known_hosts:1: this line is not used: not a key type followed by a key of that type") == true)
    }

    @Test func theQuestionIsSSHsAndYesWritesTheKey() throws {
        let settings = workshop.settings(port: 2222)
        let asked = try verify(one, settings, answers: ["maybe", "yes"])
        #expect(
            asked == [
                """
                The authenticity of host '[db.example]:2222' can't be established.
                ED25519 key fingerprint is \(one.fingerprint).
                This key is not known by any other names.
                Are you sure you want to continue connecting (yes/no/[fingerprint])?\u{20}
                """, "Please type 'yes', 'no' or the fingerprint: ",
            ])
        #expect(
            notices.lines == [
                "Warning: Permanently added '[db.example]:2222' (ED25519) to the list of known hosts."
            ])
        #expect(try workshop.read("known_hosts") == "[db.example]:2222 \(try workshop.publicLine("one"))\n")
        let found = try workshop.run("ssh-keygen", ["-F", "[db.example]:2222", "-f", "known_hosts"])
        #expect(found.contains("found: line 1"))
        #expect(try verify(one, settings).isEmpty)
    }

    @Test func theFingerprintIsAnAnswerAndThatOfAnotherKeyIsNone() throws {
        let settings = workshop.settings()
        let error = try refusal(one, settings, answers: [two.fingerprint, "no"])
        #expect(error.kind == .hostKey)
        #expect(try verify(one, settings, answers: [one.fingerprint]).count == 1)
        let keygen = try workshop.run("ssh-keygen", ["-l", "-f", "one.pub"])
        #expect(keygen.contains(one.fingerprint))
    }

    @Test func otherNamesOfTheKeyAreTold() throws {
        try workshop.write("known_hosts", "old.example \(try workshop.publicLine("one"))\n")
        let asked = try verify(one, workshop.settings(), answers: ["yes"])
        #expect(asked.first?.contains("    \(workshop.file("known_hosts")):1: old.example\n") == true)
    }

    @Test func nobodyToAskRefusesAndNamesTheMend() throws {
        var settings = workshop.settings()
        #expect(try refusal(one, settings, mayPrompt: false).description.contains("accept-new"))
        #expect(try refusal(one, settings, answers: [nil]).description.contains("accept-new"))
        settings.login.batchMode = true
        #expect(try refusal(one, settings).kind == .hostKey)
        settings.hostKeys.checking = .yes
        #expect(try refusal(one, settings).description.contains("StrictHostKeyChecking=yes"))
        #expect(!FileManager.default.fileExists(atPath: workshop.file("known_hosts")))
    }

    @Test(arguments: [HostKeyOptions.Checking.acceptNew, .no], [true, false])
    func newKeysAreAddedUnasked(checking: HostKeyOptions.Checking, hashed: Bool) throws {
        var settings = workshop.settings()
        settings.hostKeys.checking = checking
        settings.hostKeys.hashKnownHosts = hashed
        settings.hostKeys.userKnownHostsFiles = ["~/.ssh/known_hosts"]
        #expect(try verify(one, settings, mayPrompt: false).isEmpty)
        let text = try workshop.read(".ssh/known_hosts")
        #expect(text.hasPrefix("|1|") == hashed && text.contains("db.example") == !hashed)
        #expect(
            try workshop.run("ssh-keygen", ["-F", "db.example", "-f", ".ssh/known_hosts"]).contains("found: line 1"))
        for (name, mode) in [(".ssh", 0o700), (".ssh/known_hosts", 0o600)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: workshop.file(name))
            #expect(attributes[.posixPermissions] as? Int == mode)
        }
    }

    @Test(arguments: HostKeyOptions.Checking.allCases)
    func aChangedKeyEndsItAndTheMendWorks(checking: HostKeyOptions.Checking) throws {
        try workshop.write("known_hosts", "# first\ndb.example \(try workshop.publicLine("two"))\n")
        var settings = workshop.settings()
        settings.hostKeys.checking = checking
        let error = try refusal(one, settings, answers: ["yes", one.fingerprint])
        #expect(error.kind == .hostKey)
        #expect(error.description.contains("\(workshop.file("known_hosts")):2"))
        #expect(notices.text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"))
        let mend = try #require(notices.lines.first { $0.contains("ssh-keygen") })
        try workshop.run("sh", ["-c", mend])
        #expect(!(try workshop.read("known_hosts")).contains("db.example"))
    }

    @Test func aRevokedKeyEndsIt() throws {
        let line = try workshop.publicLine("one")
        try workshop.write("known_hosts", "db.example \(line)\n")
        try workshop.write("global", "@revoked * \(line)\n")
        var settings = workshop.settings(port: 2222)
        settings.hostKeys.globalKnownHostsFiles = [workshop.file("global")]
        settings.hostKeys.checking = .no
        #expect(try refusal(one, settings).description.contains("\(workshop.file("global")):1"))
    }

    @Test(arguments: ["/dev/null", "none"])
    func withoutAFileTheProcessRemembers(path: String) throws {
        var settings = workshop.settings()
        settings.hostKeys.userKnownHostsFiles = [path]
        settings.hostKeys.checking = .acceptNew
        #expect(try verify(one, settings).isEmpty)
        #expect(try verify(one, settings, mayPrompt: false).isEmpty)
        let error = try refusal(two, settings, mayPrompt: false)
        #expect(error.description.contains("has changed since it was accepted"))
        // Whoever checks nothing either means servers that change.
        settings.hostKeys.checking = .no
        for key in [two, one, two] { #expect(try verify(key, settings, mayPrompt: false).isEmpty) }
        settings.hostKeys.checking = .acceptNew
        #expect(try refusal(two, settings, mayPrompt: false).kind == .hostKey, "nothing was kept of them")
    }

    @Test func theFirstOfTwoKeysAcceptedAtOnceStands() {
        #expect(memory.accept(one, of: "h") == .new)
        #expect(memory.accept(one, of: "h") == .same)
        #expect(memory.accept(two, of: "h") == .other(one))
        #expect(memory.accept(two, of: "else") == .new)
    }

    @Test func theFilesAreReadAgainEachTime() throws {
        var settings = workshop.settings()
        settings.hostKeys.checking = .acceptNew
        _ = try verify(one, settings)
        try workshop.write("known_hosts", "db.example \(try workshop.publicLine("two"))\n")
        #expect(try refusal(one, settings).description.contains("known_hosts:1"))
        #expect(try verify(two, settings).isEmpty)
    }

    @Test func aFileThatCannotBeReadIsPassedOverWithAWarning() throws {
        var settings = workshop.settings()
        settings.hostKeys.userKnownHostsFiles.insert(workshop.path, at: 0)
        try workshop.write("known_hosts", "db.example \(try workshop.publicLine("one"))\n")
        #expect(try verify(one, settings).isEmpty)
        #expect(notices.lines.count == 1, "\(notices.lines)")
        #expect(notices.lines[0].contains("\(workshop.path) is passed over: Is a directory"), "\(notices.lines)")
        #expect(try refusal(two, settings).description.contains("known_hosts:1"))
    }

    @Test func aFileThatCannotBeWrittenIsToldAndTheKeyStays() throws {
        var settings = workshop.settings()
        settings.hostKeys.checking = .acceptNew
        settings.hostKeys.userKnownHostsFiles = ["~/missing/known_hosts"]
        #expect(try verify(one, settings).isEmpty)
        let path = workshop.file("missing/known_hosts")
        #expect(
            notices.text.contains("could not be added to \(path): its directory does not exist."), "\(notices.text)")
        #expect(try refusal(two, settings).kind == .hostKey)
        // As ssh: a path that leads nowhere is a mistake, unless it is the usual one.
        #expect(!FileManager.default.fileExists(atPath: workshop.file("missing")))
    }

    @Test func aNameThatWouldBeAPatternIsNotWritten() throws {
        var settings = workshop.settings()
        settings.destination.host = "*\n@revoked"
        settings.hostKeys.checking = .acceptNew
        _ = try verify(one, settings)
        #expect(!FileManager.default.fileExists(atPath: workshop.file("known_hosts")))
        #expect(notices.lines.count == 1 && !notices.text.contains("\n"))
    }

    @Test func aKeyKnownWithoutThePortIsGoodForOtherPorts() throws {
        try workshop.write("known_hosts", "db.example \(try workshop.publicLine("one"))\n")
        let settings = workshop.settings(port: 2222)
        #expect(try verify(one, settings).isEmpty)
        #expect(try verify(two, workshop.settings(port: 2223), answers: ["yes"]).count == 1)
    }

    @Test func anAliasStandsForHostAndPort() throws {
        try workshop.write("known_hosts", "alias \(try workshop.publicLine("one"))\n")
        var settings = workshop.settings(port: 2222)
        settings.hostKeys.alias = "Alias"
        #expect(try verify(one, settings).isEmpty)
    }

    @Test func knownTypesGoFirst() throws {
        try workshop.makeKey("ec", type: "ecdsa")
        try workshop.makeKey("rsa", type: "rsa", options: ["-b", "2048"])
        try workshop.write(
            "known_hosts",
            "db.example \(try workshop.publicLine("rsa"))\ndb.example \(try workshop.publicLine("ec"))\n"
                + "db.example \(try workshop.publicLine("one"))\n@revoked * \(try workshop.publicLine("one"))\n")
        let identity = Identity(
            server: workshop.settings(), memory: memory, mayPrompt: false, prompter: ScriptedPrompter(),
            notice: { _ in })
        #expect(
            try identity.knownHostKeyAlgorithms() == ["ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"])
    }

    @Test func anUnfinishedLastLineIsEndedFirst() throws {
        let line = try workshop.publicLine("two")
        try workshop.write("known_hosts", "else.example \(line)")
        _ = try verify(one, workshop.settings(), answers: ["yes"])
        #expect(
            try workshop.read("known_hosts")
                == "else.example \(line)\ndb.example \(try workshop.publicLine("one"))\n")
    }

    @Test func manyWritersLoseNoLine() async throws {
        let path = try workshop.write("known_hosts", "begun")
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0..<100 {
                        do {
                            try LocalFile(path: path).append(line: "line-\(writer)-\(number)")
                        } catch {
                            Issue.record("append failed: \(error)")
                        }
                    }
                }
            }
        }
        let lines = try workshop.read("known_hosts").split(separator: "\n")
        #expect(lines.count == 401 && Set(lines).count == 401 && lines.contains("begun"))
    }

    @Test func aMalformedHostKeyIsTheServersFault() throws {
        let identity = Identity(
            server: workshop.settings(), memory: memory, mayPrompt: true, prompter: ScriptedPrompter(["yes"]),
            notice: { _ in })
        for blob in [[], [0, 0, 0, 99, 1], Array(one.blob.dropLast()), one.blob + [0]] as [[UInt8]] {
            let error = try #require(throws: SSHError.self) { try identity.verify(hostKey: blob) }
            #expect(error.kind == .protocolViolation)
        }
    }
}
