import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

/// Whole login attempts, with a server that is only played.
@Suite struct IdentityTests {
    let workshop: Workshop
    let memory = IdentityMemory()
    let notices = Notices()
    let all = ["publickey", "keyboard-interactive", "password"]

    init() throws {
        workshop = try Workshop()
    }

    private func login(
        _ settings: ServerPlan, _ prompter: ScriptedPrompter = ScriptedPrompter(), mayPrompt: Bool = true
    ) -> Identity {
        Identity(
            server: settings, memory: memory, mayPrompt: mayPrompt, prompter: prompter,
            notice: { [notices] in notices.add($0) })
    }

    /// What was handed out, as one word each.
    private func word(_ credential: Credential?) -> String {
        switch credential {
        case nil: "nothing"
        case .keyFile(let name, let contents, let passphrase, _):
            "\(name.split(separator: " ")[1]) \(contents.count > 100) \(text(passphrase) ?? "-")"
        case .signer(let name, _, _): name.split(separator: " ").prefix(5).joined(separator: " ")
        case .password(let password): "password \(text(password) ?? "")"
        case .keyboardInteractive: "interactive"
        }
    }

    /// Refuses everything, with the reason that `reason` gives.
    private func refuseAll(
        _ identity: Identity, _ methods: [String], reason: (String) -> String? = { _ in nil }
    ) throws -> [String] {
        var words: [String] = []
        while let credential = try identity.nextCredential(methods: methods, partialSuccess: false) {
            words.append(word(credential))
            try #require(words.count < 50, "the attempt does not end")
            identity.refused(reason: reason(words[words.count - 1]))
        }
        return words
    }

    @Test func keysAreOfferedInSSHsOrder() throws {
        let agent = try RealAgent(workshop)
        for name in ["both", "agentonly", "fileonly"] { try workshop.makeKey(name) }
        try agent.add("agentonly")
        try agent.add("both")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/fileonly", "~/both"])
        settings.login.agentSocket = agent.socket
        #expect(
            try refuseAll(login(settings), ["publickey"])
                == ["agent key made for both", "agent key made for agentonly", "~/fileonly true -"])
        settings.login.identitiesOnly = true
        #expect(
            try refuseAll(login(settings), ["publickey"]) == ["agent key made for both", "~/fileonly true -"])
    }

    /// A refusal names each key and method that was passed over, and why.
    @Test func whatIsPassedOverIsTold() throws {
        let agent = try RealAgent(workshop)
        for name in ["file", "left", "second"] {
            try workshop.makeKey(name)
            try agent.add(name)
        }
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed(["~/file"])
        settings.login.identitiesOnly = true
        settings.login.methods = [.publicKey]
        settings.login.numberOfPasswordPrompts = 0
        let identity = login(settings)
        #expect(identity.untried.isEmpty)
        let offered = ["publickey", "password", "gssapi-with-mic"]
        #expect(try refuseAll(identity, offered) == ["agent key made for file"])
        let told = identity.attempted.joined(separator: "\n")
        for name in ["left", "second"] {
            let key = try workshop.publicKey(name).described
            #expect(
                told.contains(
                    "agent key made for \(name) (\(key)) not used: it is no identity file's, and IdentitiesOnly is set")
            )
        }
        #expect(told.contains("password: not tried: PasswordAuthentication or PreferredAuthentications says so"))
        #expect(told.contains("gssapi-with-mic: not tried: culvert has no such method"))
        #expect(identity.attempted.count == 5)

        settings.login.identitiesOnly = false
        settings.login.methods = [.publicKey, .password]
        let open = login(settings, ScriptedPrompter(["never"]))
        _ = try open.nextCredential(methods: ["publickey"], partialSuccess: false)
        #expect(open.untried.count == 2 && open.untried[0].hasPrefix("agent key made for left ("))
        open.refused(reason: nil)
        let last = try open.nextCredential(methods: ["password"], partialSuccess: false)
        #expect(last == nil)
        #expect(open.attempted.contains("password: not asked for (NumberOfPasswordPrompts 0)"))
        #expect(open.attempted.last == "publickey: not tried: the server takes no key here")

        settings.login.identityFiles = .defaults
        settings.login.agentSocket = nil
        let bare = login(settings)
        #expect(try refuseAll(bare, ["publickey"]).isEmpty)
        #expect(bare.attempted.count == 1 && bare.attempted[0].hasPrefix("publickey: no key: no ~/.ssh/id_ed25519, "))
    }

    @Test func thePublicPartAloneFindsTheAgentsKey() throws {
        let agent = try RealAgent(workshop)
        try workshop.makeKey("key")
        try agent.add("key")
        try workshop.run("rm", ["key"])
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identitiesOnly = true
        for name in ["~/key", "~/key.pub"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: workshop.file("key.pub"))
            settings.login.identityFiles = .listed([name])
            #expect(try refuseAll(login(settings), ["publickey"]) == ["agent key made for key"])
        }
        settings.login.agentSocket = nil
        let identity = login(settings)
        #expect(try refuseAll(identity, ["publickey"]).isEmpty)
        #expect(identity.attempted.first?.contains("only its public part") == true)
    }

    @Test func theAgentSignsThroughTheCredential() throws {
        let agent = try RealAgent(workshop)
        try workshop.makeKey("key")
        try agent.add("key")
        var settings = workshop.settings()
        settings.login.agentSocket = agent.socket
        settings.login.identityFiles = .listed(["~/key"])
        let identity = login(settings)
        let credential = try identity.nextCredential(methods: all, partialSuccess: false)
        guard case .signer(_, let blob, let sign) = credential else {
            Issue.record("no signer")
            return
        }
        let key = try workshop.publicKey("key")
        #expect(blob == key.blob)
        let data = loginData(key, algorithm: "ssh-ed25519")
        func signed() throws -> [UInt8] {
            try data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in try sign(bytes) }
        }
        #expect(try signed().count == 83)
        // An agent that does not sign: the file of the same key is tried by itself.
        try workshop.run("ssh-add", ["-q", "-D"], environment: ["SSH_AUTH_SOCK": agent.socket])
        #expect(throws: SSHError.self) { try signed() }
        identity.refused(reason: "could not sign")
        #expect(word(try identity.nextCredential(methods: all, partialSuccess: false)) == "~/key true -")
        #expect(identity.attempted.count == 1 && identity.attempted[0].contains("refused to sign"))
    }

    @Test func aPassphraseIsAskedForThreeTimes() throws {
        try workshop.makeKey("locked", passphrase: "right")
        try workshop.makeKey("plain")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/locked", "~/plain"])
        let prompter = ScriptedPrompter(["one", "two", "three", "four"])
        let identity = login(settings, prompter)
        let words = try refuseAll(identity, ["publickey"]) {
            $0.contains("locked") ? Credential.wrongPassphrase : nil
        }
        // The key that needs no question goes first.
        #expect(words == ["~/plain true -", "~/locked true one", "~/locked true two", "~/locked true three"])
        #expect(prompter.asked == Array(repeating: "Enter passphrase for key '~/locked': ", count: 3))
        #expect(prompter.echoes == [false, false, false])
        #expect(identity.attempted.count == 2)
        #expect(identity.attempted[0].hasPrefix("key ~/plain (ED25519 SHA256:"))
        #expect(identity.attempted[1].hasSuffix("): wrong passphrase"))
    }

    /// Telling the agent comes before the first credential; that there is none to tell must not end a login that a key
    /// file could win.
    @Test func anAgentThatIsGoneStopsNoLogin() throws {
        try workshop.makeKey("plain")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/plain"])
        settings.login.agentSocket = workshop.file("gone")
        let identity = login(settings)
        #expect(!identity.bindAgent(hostKey: [1], sessionID: [2], signature: [3]))
        let credential = try identity.nextCredential(methods: ["publickey"], partialSuccess: false)
        #expect(word(credential) == "~/plain true -")
        #expect(identity.attempted.first?.hasPrefix("agent \(workshop.file("gone")): ") == true)
    }

    @Test func aPassphraseIsRememberedAndAnEmptyOnePassesTheKeyOver() throws {
        try workshop.makeKey("locked", passphrase: "right")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/locked"])
        let skipped = login(settings, ScriptedPrompter([""]))
        #expect(try refuseAll(skipped, ["publickey"]).isEmpty)
        #expect(skipped.attempted.first?.hasSuffix("no passphrase was given") == true)

        let first = login(settings, ScriptedPrompter(["wrong", "right"]))
        _ = try first.nextCredential(methods: all, partialSuccess: false)
        first.refused(reason: Credential.wrongPassphrase)
        #expect(word(try first.nextCredential(methods: all, partialSuccess: false)) == "~/locked true right")

        let prompter = ScriptedPrompter(["never"])
        let later = login(settings, prompter, mayPrompt: false)
        #expect(word(try later.nextCredential(methods: all, partialSuccess: false)) == "~/locked true right")
        #expect(prompter.asked.isEmpty)
    }

    @Test func aPasswordIsAskedForThreeTimes() throws {
        let prompter = ScriptedPrompter(["a", "b", "c", "d"])
        let identity = login(workshop.settings(), prompter)
        #expect(try refuseAll(identity, ["password"]) == ["password a", "password b", "password c"])
        #expect(prompter.asked == Array(repeating: "alice@db.example's password: ", count: 3))
        #expect(notices.lines == Array(repeating: "Permission denied, please try again.", count: 2))
        #expect(
            identity.attempted
                == ["password", "password", "password", "publickey: not tried: the server takes no key here"])
        #expect(try refuseAll(login(workshop.settings(), mayPrompt: false), ["password"]).isEmpty)
    }

    @Test func aLaterLoginBeginsWithWhatLedInAndAsksNothing() throws {
        try workshop.makeKey("useless")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/useless"])
        let first = login(settings, ScriptedPrompter(["wrong", "right"]))
        for _ in 0..<2 {
            _ = try first.nextCredential(methods: ["publickey", "password"], partialSuccess: false)
            first.refused(reason: nil)
        }
        let third = try first.nextCredential(methods: ["publickey", "password"], partialSuccess: false)
        #expect(word(third) == "password right")

        // Twice: a server that refuses for a while must not make it forget.
        for _ in 0..<2 {
            let prompter = ScriptedPrompter(["never"])
            let later = login(settings, prompter, mayPrompt: false)
            #expect(
                try refuseAll(later, ["publickey", "password"]) == ["password right", "~/useless true -"])
            #expect(prompter.asked.isEmpty)
            #expect(later.attempted.count == 2)
        }
        var elsewhere = settings
        elsewhere.destination.host = "other.example"
        #expect(try refuseAll(login(elsewhere, mayPrompt: false), ["password"]).isEmpty)
    }

    @Test func batchModeNeverAsks() throws {
        try workshop.makeKey("locked", passphrase: "right")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/locked"])
        settings.login.batchMode = true
        let prompter = ScriptedPrompter(["never"])
        let identity = login(settings, prompter)
        #expect(try refuseAll(identity, all).isEmpty)
        #expect(prompter.asked.isEmpty)
        #expect(identity.attempted.count == 3)
        #expect(identity.attempted[0].contains("encrypted"))
        #expect(identity.attempted[1] == "password: not asked for (BatchMode)")
        #expect(identity.attempted[2] == "keyboard-interactive: not asked for (BatchMode)")
    }

    /// Whether the login failed for want of an answer: nobody was there, or whoever was gave none; not because it was wrong.
    @Test func anAnswerThatIsLacking() throws {
        try workshop.makeKey("key")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        func lacks(_ methods: [String], _ answers: [String?] = [], mayPrompt: Bool = true) throws -> Bool {
            let identity = login(settings, ScriptedPrompter(answers), mayPrompt: mayPrompt)
            #expect(!identity.lacksAnswer)
            _ = try refuseAll(identity, methods)
            return identity.lacksAnswer
        }
        #expect(try !lacks(["publickey", "gssapi-with-mic"]))
        #expect(try lacks(all, mayPrompt: false))
        #expect(try lacks(["publickey", "password"], [nil]))
        #expect(try !lacks(["publickey", "password"], ["wrong", "wrong", "wrong"]))
        settings.login.batchMode = true
        #expect(try lacks(["keyboard-interactive"]))
        // A second factor.
        let identity = login(settings)
        #expect(word(try identity.nextCredential(methods: ["publickey"], partialSuccess: false)).hasPrefix("~/key"))
        let second = try identity.nextCredential(methods: ["keyboard-interactive"], partialSuccess: true)
        #expect(second == nil && identity.lacksAnswer)
    }

    @Test func methodsGoByTheSettingsAndTheServer() throws {
        try workshop.makeKey("key")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        settings.login.methods = [.password, .publicKey]
        #expect(try refuseAll(login(settings, ScriptedPrompter(["p"])), all) == ["password p", "~/key true -"])
        #expect(try refuseAll(login(settings), ["keyboard-interactive", "hostbased"]).isEmpty)
    }

    @Test func eachStepOfAPartialSuccessIsRemembered() throws {
        try workshop.makeKey("key")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        for mayPrompt in [true, false] {
            let identity = login(settings, ScriptedPrompter(mayPrompt ? ["p"] : []), mayPrompt: mayPrompt)
            #expect(word(try identity.nextCredential(methods: all, partialSuccess: false)) == "~/key true -")
            // The server takes the key and wants one more thing, for which it would take another key too.
            let more = try identity.nextCredential(methods: ["publickey", "password"], partialSuccess: true)
            #expect(word(more) == "password p")
        }
    }

    private func challenge(_ prompts: [(String, Bool)], name: String = "", instruction: String = "") -> Challenge {
        Challenge(
            name: PeerText(name), instruction: PeerLines(instruction),
            prompts: prompts.map { Challenge.Prompt(text: PeerLines($0.0), echo: $0.1) })
    }

    @Test func keyboardInteractiveAsksInTheServersNameAndRemembers() throws {
        let methods = ["keyboard-interactive"]
        let prompter = ScriptedPrompter(["pw", "123"])
        let first = login(workshop.settings(), prompter)
        #expect(word(try first.nextCredential(methods: methods, partialSuccess: false)) == "interactive")
        let questions = challenge([("Password: ", false), ("Code\u{1b}: ", true)], name: "PAM")
        #expect(try first.answer(questions)?.map { text($0) } == ["pw", "123"])
        #expect(try first.answer(challenge([]))?.isEmpty == true)
        #expect(prompter.asked == ["(alice@db.example) Password: ", "(alice@db.example) Code\\u{1b}: "])
        #expect(prompter.echoes == [false, true])
        #expect(notices.lines == ["the server says: PAM"])

        let later = login(workshop.settings(), mayPrompt: false)
        #expect(word(try later.nextCredential(methods: methods, partialSuccess: false)) == "interactive")
        #expect(try later.answer(questions)?.map { text($0) } == ["pw", "123"])
        #expect(try later.answer(challenge([("Something new: ", false)])) == nil)
        later.refused(reason: nil)
        #expect(try later.nextCredential(methods: methods, partialSuccess: false) == nil)
    }

    /// As Duo asks: each line is the server's, and the question comes last, whoever shows it.
    @Test func aMenuIsShownAsLines() throws {
        let prompter = ScriptedPrompter(["1"])
        let identity = login(workshop.settings(), prompter)
        _ = try identity.nextCredential(methods: ["keyboard-interactive"], partialSuccess: false)
        let menu =
            "Duo two-factor login for alice\n\n 1. Duo Push to \u{202e}phone\r\n\nculvert: Passcode or option (1-1): "
        let instruction = "Read\nthis.\n\n"
        let answers = try identity.answer(challenge([(menu, true)], name: "MFA", instruction: instruction))
        #expect(answers?.map { text($0) } == ["1"])
        #expect(notices.lines == ["the server says: MFA", "the server says: Read", "the server says: this."])
        #expect(
            prompter.asked == [
                "the server says: Duo two-factor login for alice\nthe server says:  1. Duo Push to \\u{202e}phone\n"
                    + "(alice@db.example) culvert: Passcode or option (1-1): "
            ])
        #expect(identity.accepted == ["keyboard-interactive"])
    }

    @Test func whatLedInIsKnown() throws {
        try workshop.makeKey("key")
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        let identity = login(settings, ScriptedPrompter(["p", "q"]))
        #expect(identity.accepted.isEmpty)
        _ = try identity.nextCredential(methods: all, partialSuccess: false)
        let fingerprint = try workshop.publicKey("key").fingerprint
        let key = "key ~/key (ED25519 \(fingerprint))"
        #expect(identity.accepted == [key])
        _ = try identity.nextCredential(methods: ["password"], partialSuccess: true)
        #expect(identity.accepted == [key, "password"])
        identity.refused(reason: nil)
        #expect(identity.accepted == [key])
    }

    @Test func keyboardInteractiveEnds() throws {
        let methods = ["keyboard-interactive"]
        let identity = login(workshop.settings(), ScriptedPrompter(Array(repeating: "x", count: 100)))
        var tries = 0
        while try identity.nextCredential(methods: methods, partialSuccess: false) != nil {
            tries += 1
            _ = try identity.answer(challenge([("Password: ", false)]))
            identity.refused(reason: nil)
        }
        #expect(tries == 3)

        // A server that asks nothing is not tried again, and one that never ends is left.
        let silent = login(workshop.settings(), ScriptedPrompter())
        #expect(try silent.nextCredential(methods: methods, partialSuccess: false) != nil)
        silent.refused(reason: nil)
        #expect(try silent.nextCredential(methods: methods, partialSuccess: false) == nil)
        let endless = login(workshop.settings(), ScriptedPrompter())
        _ = try endless.nextCredential(methods: methods, partialSuccess: false)
        #expect(throws: SSHError.self) {
            for _ in 0..<100 { _ = try endless.answer(challenge([])) }
        }
    }

    @Test func theEnginesReasonIsKept() throws {
        try workshop.makeKey("rsa", type: "rsa", options: ["-b", "2048"])
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/rsa"])
        let identity = login(settings)
        _ = try refuseAll(identity, ["publickey"]) { _ in "libssh2 1.10 knows no rsa-sha2\u{7}" }
        let fingerprint = try workshop.publicKey("rsa").fingerprint
        #expect(
            identity.attempted
                == ["key ~/rsa (RSA \(fingerprint)): libssh2 1.10 knows no rsa-sha2\\u{7}"])
    }

    @Test func aBadAgentLeavesTheFiles() throws {
        try workshop.makeKey("key")
        let fake = try FakeAgent(workshop.file("agent"), answer: [0xff, 0xff, 0xff, 0xff], hangsUp: true)
        defer { fake.stop() }
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/key"])
        settings.login.agentSocket = fake.path
        let identity = login(settings)
        #expect(try refuseAll(identity, ["publickey"]) == ["~/key true -"])
        #expect(identity.attempted.first?.contains("impossible length") == true)
    }

    @Test func warningsAreSaidOnce() throws {
        var settings = workshop.settings()
        settings.login.identityFiles = .listed(["~/absent"])
        for mayPrompt in [true, false, false] {
            let identity = login(settings, mayPrompt: mayPrompt)
            #expect(try refuseAll(identity, ["publickey"]).isEmpty)
            #expect(identity.attempted == ["key ~/absent not used: No such file or directory"])
        }
        #expect(notices.lines.count == 1)
    }

    @Test func aBannerIsShown() {
        login(workshop.settings()).show(banner: PeerText("hello"))
        login(workshop.settings()).show(banner: PeerText("culvert: connected to bank\u{1b}[2J"))
        login(workshop.settings()).show(banner: PeerText(""))
        #expect(
            notices.lines == [
                "the server says: hello", "the server says: culvert: connected to bank\\u{1b}[2J", "the server says:",
            ])
    }
}
