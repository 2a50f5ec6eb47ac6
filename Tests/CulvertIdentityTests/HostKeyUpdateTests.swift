import CulvertPlan
import Foundation
import Testing

@testable import CulvertIdentity
@testable import CulvertSSH

/// UpdateHostKeys beside `ssh-keygen`: what is proved, written, taken out and left alone.
@Suite struct HostKeyUpdateTests {
    let workshop: Workshop
    let notices = Notices()
    let memory = IdentityMemory()
    /// `old` is the one that was trusted; `new` comes; `third` is somebody else's.
    let old: PublicKey
    let new: PublicKey
    let third: PublicKey

    init() throws {
        workshop = try Workshop()
        for name in ["old", "new", "third"] { try workshop.makeKey(name) }
        old = try workshop.publicKey("old")
        new = try workshop.publicKey("new")
        third = try workshop.publicKey("third")
    }

    private func line(_ name: String) throws -> String { try workshop.publicLine(name) }

    /// A login in which `old` was shown, and what learns by it.
    private func keeper(_ settings: ServerPlan, answers: [String?] = []) throws -> (any HostKeyKeeper)? {
        let identity = Identity(
            server: settings, memory: memory, mayPrompt: true, prompter: ScriptedPrompter(answers),
            notice: { [notices] in notices.add($0) })
        try identity.verify(hostKey: old.blob)
        return identity.hostKeyKeeper
    }

    /// The server's proof, with the real keys of these names.
    private func proof(_ names: [String]) throws -> HostKeyProof {
        let session: [UInt8] = [1, 2, 3]
        let keys = try names.map { try workshop.publicKey($0).blob }
        let signatures = try names.map { name in
            var data = WireBytes()
            data.string("hostkeys-prove-00@openssh.com")
            data.string(session)
            data.string(try workshop.publicKey(name).blob)
            let key = try PrivateKey(secret(try workshop.read(name)), passphrase: nil)
            return try data.bytes.withUnsafeBytes { try key.sign($0, algorithm: "ssh-ed25519") }
        }
        return HostKeyProof(keys: keys, signatures: signatures, sessionID: session, agreedRSA: nil)
    }

    @Test(arguments: [false, true])
    func aProvedKeyIsWrittenAndOneNoMoreInUseTakenOut(hashed: Bool) throws {
        var settings = workshop.settings(port: 2222)
        settings.hostKeys.hashKnownHosts = hashed
        let name = "[db.example]:2222"
        let others = "# mine\r\nelse \(try line("third"))\nbad line\n@revoked * \(try line("third"))x\n\n"
        try workshop.write("known_hosts", "\(others)\(name) \(try line("old")) a comment", mode: 0o644)
        let keeper = try #require(try keeper(settings))
        #expect(keeper.unproved(of: [new.blob]) == [new.blob])
        #expect(memory.hostKeys(of: name).keys == [old], "nothing is learned before the proof")
        keeper.take(try proof(["new"]))
        let text = try workshop.read("known_hosts")
        #expect(text.hasPrefix(others), "\(text)")
        let rest = text.dropFirst(others.count)
        if hashed {
            #expect(try rest.hasPrefix("|1|") && rest.hasSuffix(" \(try line("new"))\n"), "\(rest)")
        } else {
            #expect(rest == "\(name) \(try line("new"))\n")
        }
        let found = try workshop.run("ssh-keygen", ["-F", name, "-f", "known_hosts"])
        #expect(try found.contains(try line("new")) && !found.contains(try line("old")))
        #expect(try workshop.read("known_hosts.old").contains(try line("old")))
        let mode = try FileManager.default.attributesOfItem(atPath: workshop.file("known_hosts"))[.posixPermissions]
        #expect(mode as? Int == 0o600)
        #expect(memory.hostKeys(of: name) == IdentityMemory.TrustedKeys(keys: [new], filed: [new]))
        #expect(notices.lines.last?.contains("has updated its host keys") == true, "\(notices.text)")
        #expect(try self.files() == ["known_hosts", "known_hosts.old"], "nothing else is left behind")
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: workshop.path).filter { $0.contains("known") }.sorted()
    }

    @Test func whatIsThereIsNotWrittenAgain() throws {
        let text = "db.example \(try line("old"))\ndb.example \(try line("new"))\n"
        try workshop.write("known_hosts", text)
        let keeper = try #require(try keeper(workshop.settings()))
        #expect(keeper.unproved(of: [new.blob, old.blob]).isEmpty)
        #expect(try workshop.read("known_hosts") == text)
        #expect(try files() == ["known_hosts"])
        #expect(notices.lines.isEmpty)
    }

    @Test("a key that goes needs no proof; keys in a second file are only taken out of it")
    func oldKeysGo() throws {
        var settings = workshop.settings()
        settings.hostKeys.userKnownHostsFiles.append(workshop.file("known_hosts2"))
        try workshop.write("known_hosts", "db.example \(try line("old"))\n")
        try workshop.write("known_hosts2", "x \(try line("new"))\ndb.example \(try line("third"))\n")
        let keeper = try #require(try keeper(settings))
        #expect(keeper.unproved(of: [old.blob]).isEmpty)
        #expect(try workshop.read("known_hosts") == "db.example \(try line("old"))\n")
        #expect(try workshop.read("known_hosts2") == "x \(try line("new"))\n")
    }

    /// ssh leaves such files alone; the process learns all the same.
    @Test(arguments: [
        "db.example,10.0.0.1,other OLD\n", "*.example OLD\n", "db.example OLD\nelse NEW\n",
        "db.example OLD\nelse GONE\n",
        "db.example OLD\n@revoked db.example GONE\n", "db.example OLD\n@cert-authority *.example GONE\n",
    ])
    func linesThatSayMoreAreLeftAlone(_ pattern: String) throws {
        let text = pattern.replacingOccurrences(of: "OLD", with: try line("old"))
            .replacingOccurrences(of: "NEW", with: try line("new"))
            .replacingOccurrences(of: "GONE", with: try line("third"))
        let gone = pattern.hasSuffix("else GONE\n") ? "db.example \(try line("third"))\n" : ""
        try workshop.write("known_hosts", text + gone)
        let keeper = try #require(try keeper(workshop.settings()))
        #expect(keeper.unproved(of: [old.blob, new.blob]) == [new.blob])
        keeper.take(try proof(["new"]))
        #expect(try workshop.read("known_hosts") == text + gone)
        #expect(try files() == ["known_hosts"])
        #expect(memory.hostKeys(of: "db.example").keys == [old, new])
        #expect(notices.lines.count == 1 && notices.text.contains("known_hosts is left as it is"), "\(notices.text)")
    }

    @Test func falseProofsAndRepeatedKeysTeachNothing() throws {
        let text = "db.example \(try line("old"))\n"
        try workshop.write("known_hosts", text)
        let keeper = try #require(try keeper(workshop.settings()))
        #expect(keeper.unproved(of: [new.blob, new.blob]).isEmpty)
        #expect(keeper.unproved(of: [[], [0, 0, 0, 3, 1], Array("x".utf8)]).isEmpty)
        #expect(keeper.unproved(of: [old.blob, new.blob]) == [new.blob])
        keeper.take(nil)
        #expect(keeper.unproved(of: [old.blob, new.blob]) == [new.blob])
        let stolen = try proof(["third"])
        keeper.take(
            HostKeyProof(keys: [new.blob], signatures: stolen.signatures, sessionID: [1, 2, 3], agreedRSA: nil))
        keeper.take(try proof(["new"]))
        #expect(try workshop.read("known_hosts") == text)
        #expect(memory.hostKeys(of: "db.example") == IdentityMemory.TrustedKeys(keys: [old]))
        #expect(notices.lines.count == 3, "\(notices.text)")
    }

    @Test(
        "who asks is answered by a person, and three unclear answers are a no",
        arguments: [
            (["what", "yes"], true), (["no"], false), ([nil], false), (["a", "b", "c", "yes"], false),
        ] as [([String?], Bool)])
    func asks(_ answers: [String?], _ isTaken: Bool) throws {
        var settings = workshop.settings()
        settings.hostKeys.update = .ask
        try workshop.write("known_hosts", "db.example \(try line("old"))\n")
        let keeper = try #require(try keeper(settings, answers: answers))
        _ = keeper.unproved(of: [old.blob, new.blob])
        keeper.take(try proof(["new"]))
        #expect(try workshop.read("known_hosts").contains(try line("new")) == isTaken)
        #expect(memory.hostKeys(of: "db.example").keys.contains(new) == isTaken)
    }

    @Test func whereNothingIsToBeLearnedNobodyLearns() throws {
        var settings = workshop.settings(port: 2222)
        settings.hostKeys.update = .no
        try workshop.write("known_hosts", "[db.example]:2222 \(try line("old"))\n")
        #expect(try keeper(settings) == nil)
        settings.hostKeys.update = .ask
        settings.login.batchMode = true
        #expect(try keeper(settings) == nil)
        // By the name without its port, or by another's file, as with ssh.
        settings.hostKeys.update = .yes
        try workshop.write("known_hosts", "db.example \(try line("old"))\n")
        #expect(try keeper(settings) == nil)
        settings.hostKeys.globalKnownHostsFiles = [workshop.file("global")]
        try workshop.write("known_hosts", "")
        try workshop.write("global", "[db.example]:2222 \(try line("old"))\n")
        #expect(try keeper(settings) == nil)
        settings.hostKeys.globalKnownHostsFiles = []
        settings.hostKeys.checking = .acceptNew
        try workshop.write("known_hosts", "")
        let fresh = Identity(
            server: settings, memory: IdentityMemory(), mayPrompt: true, prompter: ScriptedPrompter(),
            notice: { _ in })
        try fresh.verify(hostKey: old.blob)
        #expect(fresh.hostKeyKeeper == nil)
    }

    @Test("a file that cannot be written is one note, and the new key counts in this process; a revoked one never")
    func unwritable() throws {
        let directory = workshop.file("fixed")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        var settings = workshop.settings()
        settings.hostKeys.userKnownHostsFiles = ["\(directory)/known_hosts"]
        settings.hostKeys.checking = .yes
        let path = try workshop.write("fixed/known_hosts", "db.example \(try line("old"))\n")
        // Also root cannot put a link in this one's place.
        try FileManager.default.createDirectory(atPath: path + ".old", withIntermediateDirectories: false)
        for _ in 0..<2 {
            let keeper = try #require(try keeper(settings))
            if !keeper.unproved(of: [new.blob]).isEmpty { keeper.take(try proof(["new"])) }
        }
        #expect(notices.lines.count == 1 && notices.text.contains("cannot be written"), "\(notices.text)")
        let later = Identity(
            server: settings, memory: memory, mayPrompt: false, prompter: ScriptedPrompter(),
            notice: { [notices] in notices.add($0) })
        try later.verify(hostKey: new.blob)
        #expect(throws: SSHError.self) { try later.verify(hostKey: third.blob) }
        try workshop.write("fixed/known_hosts", "db.example \(try line("old"))\n@revoked * \(try line("new"))\n")
        let last = Identity(
            server: settings, memory: memory, mayPrompt: false, prompter: ScriptedPrompter(), notice: { _ in })
        #expect(throws: SSHError.self) { try last.verify(hostKey: new.blob) }
    }

    @Test(
        "what a user has changed since counts more than what the process remembers, and nothing is written over it",
        arguments: [HostKeyOptions.Checking.yes, .ask, .acceptNew], ["third", ""])
    func editedSince(_ checking: HostKeyOptions.Checking, _ replacement: String) throws {
        var settings = workshop.settings()
        settings.hostKeys.checking = checking
        try workshop.write("known_hosts", "db.example \(try line("old"))\n")
        let keeper = try #require(try keeper(settings))
        #expect(keeper.unproved(of: [old.blob, new.blob]) == [new.blob])
        keeper.take(try proof(["new"]))
        #expect(Set(memory.hostKeys(of: "db.example").keys) == [old, new])
        let text = replacement.isEmpty ? "" : "db.example \(try line(replacement))\n"
        try workshop.write("known_hosts", text)
        let identity = Identity(
            server: settings, memory: memory, mayPrompt: true, prompter: ScriptedPrompter([]), notice: { _ in })
        if replacement.isEmpty && checking != .yes {
            // It was accepted in this process, and no file says otherwise; nobody learns by it.
            try identity.verify(hostKey: old.blob)
            #expect(identity.hostKeyKeeper == nil)
        } else {
            #expect(throws: SSHError.self) { try identity.verify(hostKey: old.blob) }
            #expect(throws: SSHError.self) { try identity.verify(hostKey: new.blob) }
        }
        #expect(try workshop.read("known_hosts") == text)
    }

    @Test("a key that was taken out of the file while its server was proving others is not put back")
    func takenOutMeanwhile() throws {
        let settings = workshop.settings()
        try workshop.write("known_hosts", "db.example \(try line("old"))\ndb.example \(try line("third"))\n")
        let keeper = try #require(try keeper(settings))
        #expect(keeper.unproved(of: [old.blob, third.blob, new.blob]) == [new.blob])
        try workshop.write("known_hosts", "db.example \(try line("old"))\n")
        keeper.take(try proof(["new"]))
        let text = try workshop.read("known_hosts")
        #expect(try text.contains(try line("new")) && !text.contains(try line("third")))
    }

    @Test("many at once: no line is lost")
    func together() async throws {
        let names = (0..<8).map { "h\($0).example" }
        for name in names { try workshop.makeKey(name) }
        let lines = try names.map { "\($0) \(try line("old"))\n" }.joined()
        try workshop.write("known_hosts", lines)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names {
                group.addTask {
                    let key = try workshop.publicKey(name)
                    let path = workshop.file("known_hosts")
                    let lock = DirectoryLock(of: path)
                    defer { lock.release() }
                    #expect(lock.isHeld)
                    #expect(
                        try LocalFile(path: path).replace { contents throws(KnownHosts.NotAName) in
                            try KnownHosts.updated(contents, name: name, keys: [key], adding: [key], hashed: false)
                        })
                }
            }
            try await group.waitForAll()
        }
        let text = try workshop.read("known_hosts")
        #expect(text.split(separator: "\n").count == 8, "\(text)")
        for name in names { #expect(text.contains("\(name) \(try line(name))\n")) }
    }
}
