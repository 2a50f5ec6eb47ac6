internal import CulvertPlan
internal import CulvertSSH

/// The passphrases of key files: the one in the memory first, then the user's, as often as the plan allows.
struct PassphraseQuestions {
    let server: ServerPlan
    let memory: IdentityMemory
    /// nil: nobody may be asked.
    let prompter: (any Prompter)?

    private var asked: [String: Int] = [:]
    private(set) var whyNone = ""

    init(server: ServerPlan, memory: IdentityMemory, prompter: (any Prompter)?) {
        self.server = server
        self.memory = memory
        self.prompter = prompter
    }

    /// nil, with the reason in `whyNone`: the key is passed over. An empty answer means that too, as with ssh. What was not
    /// wrong serves again: a key is tried by itself and with its certificate.
    mutating func next(for file: IdentityFile) throws(SSHError) -> Secret? {
        if let known = memory.passphrase(of: file.path) { return known }
        whyNone = "it is encrypted, and nobody can be asked for its passphrase"
        guard let prompter else { return nil }
        whyNone =
            server.login.numberOfPasswordPrompts == 0
            ? "it is encrypted, and NumberOfPasswordPrompts is 0" : "wrong passphrase"
        guard asked[file.path, default: 0] < server.login.numberOfPasswordPrompts else { return nil }
        asked[file.path, default: 0] += 1
        let question = "Enter passphrase for key '\(PeerText(file.shown))': "
        whyNone = "no passphrase was given"
        guard let answer = try prompter.ask(question, echo: false, seconds: promptSeconds),
            answer.count > 0
        else { return nil }
        memory.set(passphrase: answer, of: file.path)
        return answer
    }

    /// Whether the key is worth another question.
    mutating func wasWrong(_ path: String) -> Bool {
        guard prompter != nil else { return false }
        memory.set(passphrase: nil, of: path)
        return asked[path, default: 0] < server.login.numberOfPasswordPrompts
    }
}

/// The password: the one in the memory first, then the user's, as often as the plan allows.
struct PasswordQuestions {
    let server: ServerPlan
    let memory: IdentityMemory
    let prompter: (any Prompter)?

    private var asked = 0
    private var triedMemory = false
    private var gaveUp = false
    private var wasTold = false

    init(server: ServerPlan, memory: IdentityMemory, prompter: (any Prompter)?) {
        self.server = server
        self.memory = memory
        self.prompter = prompter
    }

    mutating func next(_ notice: (String) -> Void) throws(SSHError) -> Secret? {
        if !triedMemory {
            triedMemory = true
            if let known = memory.password(for: server.memoryKey) { return known }
        }
        guard let prompter, !gaveUp, asked < server.login.numberOfPasswordPrompts else { return nil }
        if asked > 0 { notice("Permission denied, please try again.") }
        asked += 1
        let question = "\(PeerText(server.destination.user))@\(PeerText(server.destination.host))'s password: "
        guard let answer = try prompter.ask(question, echo: false, seconds: promptSeconds) else {
            gaveUp = true
            return nil
        }
        memory.set(password: answer, for: server.memoryKey)
        return answer
    }

    func wasRefused() {
        if prompter != nil { memory.set(password: nil, for: server.memoryKey) }
    }

    /// Why the method was not used although the server would take it; once.
    mutating func takeRemark(_ allowed: [LoginOptions.Method]) -> [String] {
        let unused = asked == 0 && memory.password(for: server.memoryKey) == nil
        guard allowed.contains(.password), !wasTold, gaveUp || unused else { return [] }
        wasTold = true
        return [gaveUp ? "password: none was given" : "password: not asked for (\(reasonNotToAsk(server)))"]
    }
}

/// Keyboard-interactive (RFC 4256): the user's answers, or those that were typed before to the same questions.
struct InteractiveAnswers {
    let server: ServerPlan
    let memory: IdentityMemory
    let prompter: (any Prompter)?

    /// A server may ask in several rounds; more than this and it only keeps us busy.
    private static let maximumRounds = 20

    private var begun = 0
    private var rounds = 0
    private var questions = 0
    private var gaveUp = false
    private var typed: [String: Secret] = [:]
    private var wasTold = false

    init(server: ServerPlan, memory: IdentityMemory, prompter: (any Prompter)?) {
        self.server = server
        self.memory = memory
        self.prompter = prompter
    }

    /// Whether to try the method (again): not after a try in which the server asked nothing.
    mutating func begin() -> Bool {
        let limit = prompter != nil ? server.login.numberOfPasswordPrompts : 1
        guard !gaveUp, begun < limit, begun == 0 || questions > 0 else { return false }
        guard prompter != nil || !memory.answers(for: server.memoryKey).isEmpty else { return false }
        begun += 1
        (rounds, questions, typed) = (0, 0, [:])
        return true
    }

    mutating func answer(_ challenge: Challenge, _ notice: (String) -> Void) throws(SSHError) -> [Secret]? {
        rounds += 1
        guard rounds <= Self.maximumRounds else {
            throw SSHError(.authentication, "the server asked more than \(Self.maximumRounds) rounds of questions")
        }
        questions += challenge.prompts.count
        let remembered = prompter == nil ? memory.answers(for: server.memoryKey) : [:]
        if prompter != nil {
            for line in [challenge.name] + challenge.instruction.lines where !line.description.isEmpty {
                notice(serverSays(line))
            }
        }
        var answers: [Secret] = []
        for prompt in challenge.prompts {
            if let known = remembered[prompt.text.description] {
                answers.append(known)
            } else if let answer = try ask(prompt) {
                answers.append(answer)
            } else {
                gaveUp = true
                return nil
            }
        }
        return answers
    }

    private mutating func ask(_ prompt: Challenge.Prompt) throws(SSHError) -> Secret? {
        // Who asks is said first: a server cannot pose as another one, nor as culvert's own questions.
        var lines = prompt.text.lines
        let last = lines.popLast() ?? PeerText("")
        let question = "(\(PeerText(server.destination.user))@\(PeerText(server.destination.host))) \(last)"
        let menu = lines.filter { !$0.description.isEmpty }.map(serverSays)
        let answer = try prompter?.ask(
            (menu + [question]).joined(separator: "\n"), echo: prompt.echo, seconds: promptSeconds)
        guard let answer else { return nil }
        typed[prompt.text.description] = answer
        memory.set(answers: typed, for: server.memoryKey)
        return answer
    }

    func wasRefused() {
        if prompter != nil { memory.set(answers: [:], for: server.memoryKey) }
    }

    mutating func takeRemark(_ allowed: [LoginOptions.Method]) -> [String] {
        guard allowed.contains(.keyboardInteractive), !wasTold, begun == 0 else { return [] }
        wasTold = true
        return ["keyboard-interactive: not asked for (\(reasonNotToAsk(server)))"]
    }
}

/// A line of the server's, so that nobody takes it for one of culvert's own.
func serverSays(_ line: PeerText) -> String {
    line.description.isEmpty ? "the server says:" : "the server says: \(line)"
}

private func reasonNotToAsk(_ server: ServerPlan) -> String {
    if server.login.batchMode { return "BatchMode" }
    return server.login.numberOfPasswordPrompts == 0 ? "NumberOfPasswordPrompts 0" : "a later login asks nothing"
}
