public import CulvertPlan
public import CulvertSSH

/// Who we are and whom we trust, for one login attempt: the order in which things are tried, and what became of each.
///
/// Not shared: it belongs to the login thread that made it. What later attempts need lies in the `IdentityMemory`. With
/// `mayPrompt` false nothing is ever asked and the memory is only read, so that a password survives a server that
/// refuses it for a while.
public final class Identity: LoginAuthority {
    public let userName: String

    /// What was tried and came to nothing, in order, one line each, for the error that ends the attempt.
    public private(set) var attempted: [String] = []
    public private(set) var handedOutSecret = false

    private let server: ServerPlan
    private let memory: IdentityMemory
    private let prompter: (any Prompter)?
    private let isFirst: Bool
    private let notice: @Sendable (String) -> Void
    private let banner: @Sendable (String) -> Void
    private let judges: () throws(SSHError) -> Void

    /// What was handed out and not yet judged by the server.
    private struct HandedOut {
        let step: IdentityMemory.Step
        let name: String
        var offer: KeyOffers.Offer?
        var withPassphrase = false
        /// Why the agent did not sign.
        var signFailure: String?
    }
    private var handedOut: HandedOut?

    /// Steps that the server took and wanted more after (RFC 4252 §5.1, partial success), and their names.
    private var succeeded: [IdentityMemory.Step] = []
    private var succeededNames: [String] = []

    /// What was handed out last and not refused is what led in.
    public var accepted: [String] { succeededNames + (handedOut.map { [$0.name] } ?? []) }

    private var wereMethodsTold = false

    /// What the server would still have taken, when nothing was left to try.
    private var methodsLeft: [String] = []

    public var lacksAnswer: Bool {
        let answers: [LoginOptions.Method] = [.password, .keyboardInteractive]
        // Answers that were given, and refused, are not lacking.
        return answers.contains { methodsLeft.contains($0.rawValue) } && (prompter == nil || !handedOutSecret)
    }

    private let route: [IdentityMemory.Step]
    private var triesRoute = true

    private var sources: (agentKeys: [AgentKey], files: IdentityFiles)?
    private var offers: KeyOffers?
    private var agent: AgentConnection?
    private var binding: (hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8])?
    private var isBound = false
    private var passphrases: PassphraseQuestions
    private var passwords: PasswordQuestions
    private var interactive: InteractiveAnswers

    /// - Parameter mayPrompt: true for the first connection, false for second links and reconnects.
    /// - Parameter notice: takes whole lines for the user.
    /// - Parameter banner: takes the lines that a server says before the login; nil: `notice` does.
    /// - Parameter judges: called before the host key is judged; what it throws ends the login.
    public init(
        server: ServerPlan, memory: IdentityMemory, mayPrompt: Bool, prompter: any Prompter,
        notice: @escaping @Sendable (String) -> Void, banner: (@Sendable (String) -> Void)? = nil,
        judges: @escaping () throws(SSHError) -> Void = {}
    ) {
        let asks = mayPrompt && !server.login.batchMode ? prompter : nil
        self.server = server
        self.memory = memory
        self.prompter = asks
        isFirst = mayPrompt
        self.notice = notice
        self.banner = banner ?? notice
        self.judges = judges
        userName = server.destination.user
        route = memory.route(to: server.memoryKey)
        passphrases = PassphraseQuestions(server: server, memory: memory, prompter: asks)
        passwords = PasswordQuestions(server: server, memory: memory, prompter: asks)
        interactive = InteractiveAnswers(server: server, memory: memory, prompter: asks)
    }

    // MARK: Host key

    private lazy var hostKeyCheck = HostKeyCheck(server: server, memory: memory, prompter: prompter, notice: notice)

    public func connects(to address: String) { hostKeyCheck.address = address }

    public func knownHostKeyAlgorithms() throws(SSHError) -> [String] {
        try hostKeyCheck.algorithms()
    }

    public func verify(hostKey key: [UInt8]) throws(SSHError) {
        try judges()
        try hostKeyCheck.verify(key)
    }

    public var hostKeyKeeper: (any HostKeyKeeper)? { hostKeyCheck.keeper }

    // MARK: Credentials

    public func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        if partialSuccess, let last = handedOut {
            succeeded.append(last.step)
            succeededNames.append(last.name)
            beginStage()
        }
        handedOut = nil
        let allowed = server.login.methods.filter { methods.contains($0.rawValue) }
        if triesRoute {
            triesRoute = false
            if let credential = try routeCredential(allowed) { return credential }
        }
        for method in allowed {
            let credential: Credential? =
                switch method {
                case .publicKey: try keyCredential()
                case .password: try passwordCredential()
                case .keyboardInteractive: interactiveCredential()
                }
            if let credential { return credential }
        }
        methodsLeft = methods
        attempted += passwords.takeRemark(allowed) + interactive.takeRemark(allowed) + remarks(on: methods)
        return nil
    }

    public var untried: [String] { offers?.offers.map(\.name) ?? [] }

    /// Why methods that the server would take were passed over, and keys that it takes none of; once.
    private func remarks(on methods: [String]) -> [String] {
        guard !wereMethodsTold else { return [] }
        wereMethodsTold = true
        let own = server.login.methods
        var remarks = methods.compactMap { name -> String? in
            guard let method = LoginOptions.Method(rawValue: name) else {
                return "\(PeerText(name)): not tried: culvert has no such method"
            }
            return own.contains(method)
                ? nil : "\(name): not tried: \(method.setting) or PreferredAuthentications says so"
        }
        if succeeded.isEmpty, own.contains(.publicKey), !methods.contains(LoginOptions.Method.publicKey.rawValue) {
            remarks.append("publickey: not tried: the server takes no key here")
        }
        return remarks
    }

    /// Another round of everything but what has been taken already.
    private func beginStage() {
        triesRoute = true
        offers = nil
    }

    /// What led in last time at this step.
    private func routeCredential(_ allowed: [LoginOptions.Method]) throws(SSHError) -> Credential? {
        guard succeeded.count < route.count else { return nil }
        let step = route[succeeded.count]
        guard allowed.contains(step.method) else { return nil }
        switch step {
        case .password: return try passwordCredential()
        case .keyboardInteractive: return interactiveCredential()
        case .agentKey, .file, .certificate:
            gatherOffers()
            guard let offer = offers?.take(step) else { return nil }
            return try credential(for: offer)
        }
    }

    private func keyCredential() throws(SSHError) -> Credential? {
        gatherOffers()
        while let offer = offers?.next() {
            if let credential = try credential(for: offer) { return credential }
        }
        return nil
    }

    private func passwordCredential() throws(SSHError) -> Credential? {
        guard !succeeded.contains(.password), let password = try passwords.next(notice) else { return nil }
        record(HandedOut(step: .password, name: "password"))
        handedOutSecret = true
        return .password(password)
    }

    private func interactiveCredential() -> Credential? {
        guard !succeeded.contains(.keyboardInteractive), interactive.begin() else { return nil }
        record(HandedOut(step: .keyboardInteractive, name: "keyboard-interactive"))
        handedOutSecret = true
        return .keyboardInteractive
    }

    private func credential(for offer: KeyOffers.Offer) throws(SSHError) -> Credential? {
        switch offer {
        case .file(let file): return try credential(for: file, offer)
        case .certificate(let certificate, .file(let file)):
            return try credential(for: file, offer, certificate.certificate)
        case .certificate(let certificate, .agent(let agentKey)): return signer(agentKey, offer, certificate.key)
        case .agent(let agentKey, _): return signer(agentKey, offer, agentKey.key)
        }
    }

    /// `shown`: the agent's key, or a certificate of it.
    private func signer(_ agentKey: AgentKey, _ offer: KeyOffers.Offer, _ shown: PublicKey) -> Credential {
        record(HandedOut(step: offer.step, name: offer.name, offer: offer))
        let key = agentKey.key
        return unsafe .signer(name: offer.name, publicKey: shown.blob) { data throws(SSHError) in
            try self.sign(unsafe Array(data), with: key, shown: shown)
        }
    }

    private func credential(
        for file: IdentityFile, _ offer: KeyOffers.Offer, _ certificate: Certificate? = nil
    ) throws(SSHError) -> Credential? {
        let name = offer.name
        let contents: Secret
        do throws(LocalFile.Failure) {
            var bytes = try LocalFile(path: file.path).read(secret: true)
            contents = Secret(wiping: &bytes)
        } catch {
            attempted.append("\(name) not used: \(error.why)")
            return nil
        }
        var passphrase: Secret?
        if file.privatePart?.isEncrypted == true {
            passphrase = try passphrases.next(for: file)
            guard passphrase != nil else {
                attempted.append("\(name) not used: \(passphrases.whyNone)")
                return nil
            }
        }
        if case .hardware = file.privatePart?.format {
            return try credential(ofHardware: file, offer, certificate, contents, passphrase)
        }
        record(HandedOut(step: offer.step, name: name, offer: offer, withPassphrase: passphrase != nil))
        return .keyFile(name: name, contents: contents, passphrase: passphrase, certificate: certificate)
    }

    /// Signed for by OpenSSH's helper, once the server has taken the key. nil: its passphrase is wrong, and it is offered again
    /// if that can be asked for again.
    private func credential(
        ofHardware file: IdentityFile, _ offer: KeyOffers.Offer, _ certificate: Certificate?, _ contents: Secret,
        _ passphrase: Secret?
    ) throws(SSHError) -> Credential? {
        guard let key = file.publicKey, let helper = server.login.securityKeyHelper else { return nil }
        let part: HardwareKeyFile
        do throws(HardwareKeyFile.Failure) {
            part = try HardwareKeyFile(contents, passphrase: passphrase)
        } catch .wrongPassphrase where passphrase != nil && passphrases.wasWrong(file.path) {
            offers?.putFirst(offer)
            return nil
        } catch {
            let why = if case .unusable(let why) = error { why } else { Credential.wrongPassphrase }
            attempted.append("\(offer.name) not used: \(why)")
            return nil
        }
        record(HandedOut(step: offer.step, name: offer.name, offer: offer))
        let call = SecurityKeyCall(helper: helper, key: part)
        return unsafe .signer(name: offer.name, publicKey: certificate?.blob ?? key.blob) { data throws(SSHError) in
            do throws(SSHError) {
                return try self.sign(unsafe Array(data), call, "\(key.family) \(key.fingerprint)", file)
            } catch {
                self.handedOut?.signFailure = error.description
                throw error
            }
        }
    }

    private func sign(
        _ data: [UInt8], _ call: SecurityKeyCall, _ described: String, _ file: IdentityFile
    ) throws(SSHError) -> [UInt8] {
        var pin: Secret?
        var questions = server.login.numberOfPasswordPrompts
        var wantsPIN = call.key.needsPIN
        while true {
            if wantsPIN {
                guard let prompter, questions > 0,
                    let answer = try prompter.ask(
                        "Enter PIN for \(described) (\(PeerText(file.shown))): ", echo: false, seconds: promptSeconds)
                else { throw SSHError(.local, "the device wants its PIN, and nobody can be asked for it") }
                questions -= 1
                pin = answer
            }
            // ssh's words.
            if call.key.needsTouch { notice("Confirm user presence for key \(described)") }
            switch try call.answer(to: data, pin: pin) {
            case .signature(let signature):
                if call.key.needsTouch { notice("User presence confirmed") }
                return signature
            case .needsPIN: wantsPIN = true
            }
        }
    }

    /// In the first login the memory follows each step, so that no word of success is needed: what was handed out last
    /// and not refused is what led in.
    private func record(_ handed: HandedOut) {
        handedOut = handed
        if isFirst { memory.set(route: succeeded + [handed.step], to: server.memoryKey) }
    }

    public func refused(reason: String?) {
        guard let last = handedOut else { return }
        handedOut = nil
        if isFirst { memory.set(route: succeeded, to: server.memoryKey) }
        let why = (last.signFailure ?? reason ?? remark(on: last)).map { ": \(PeerText($0))" } ?? ""
        switch last.step {
        case .file, .certificate:
            let isPassphrase = reason?.lowercased().contains("passphrase") ?? false
            if last.withPassphrase, isPassphrase, let offer = last.offer, let path = offer.file?.path,
                passphrases.wasWrong(path)
            {
                offers?.putFirst(offer)
                return
            }
        case .agentKey:
            if last.signFailure != nil, case .agent(_, let file?) = last.offer, file.privatePart != nil {
                offers?.putFirst(.file(file))
            }
        case .password: passwords.wasRefused()
        case .keyboardInteractive: interactive.wasRefused()
        }
        attempted.append(last.name + why)
    }

    /// What is to be seen from here of a certificate that was refused.
    private func remark(on last: HandedOut) -> String? {
        last.offer?.shownCertificate?.remark(user: userName, at: CertificateClock.now)
    }

    // MARK: Offers

    private func gatherOffers() {
        guard offers == nil else { return }
        if sources == nil { sources = (agentKeys(), files()) }
        guard let sources else { return }
        var gathered = KeyOffers(
            agentKeys: sources.agentKeys.filter { longEnough($0.key, $0.described) },
            files: sources.files.files.filter { longEnough($0.publicKey, "key \($0.described)") },
            certificates: sources.files.certificates.filter { longEnough($0.key, $0.described) },
            identitiesOnly: server.login.identitiesOnly,
            needsQuestion: { $0.privatePart?.isEncrypted == true && memory.passphrase(of: $0.path) == nil })
        gathered.remove(succeeded)
        if succeeded.isEmpty {
            attempted += gathered.withoutPrivatePart.map { "key \($0.described) not used: \($0.whyNoPrivatePart)" }
            attempted += gathered.withoutKey.map {
                "\($0.described) not used: no file and no agent has its private key"
            }
            attempted += gathered.passedOver.map {
                "\($0.described) not used: it is no identity file's, and IdentitiesOnly is set"
            }
            if gathered.offers.isEmpty, gathered.withoutPrivatePart.isEmpty, sources.agentKeys.isEmpty,
                server.login.identityFiles == .defaults
            {
                let files = ServerPlan.defaultIdentityFiles.joined(separator: ", ")
                let agent = server.login.agentSocket == nil ? "there is no agent" : "no agent has a key"
                attempted.append("publickey: no key: no \(files) that can be used, and \(agent)")
            }
        }
        offers = gathered
    }

    /// RequiredRSASize: shorter keys are passed over, as with ssh.
    private func longEnough(_ key: PublicKey?, _ described: String) -> Bool {
        guard let bits = key?.rsaBits, bits < server.login.requiredRSASize else { return true }
        if succeeded.isEmpty {
            attempted.append(
                "\(described) not used: it has \(bits) bits, and RequiredRSASize asks for \(server.login.requiredRSASize)"
            )
        }
        return false
    }

    private func files() -> IdentityFiles {
        let found = IdentityFiles(server)
        attempted += found.unusable
        for warning in found.warnings where memory.isNews(warning) { notice(warning) }
        return found
    }

    private func agentKeys() -> [AgentKey] {
        do throws(SSHError) {
            guard let agent = try openAgent() else { return [] }
            return try agent.identities()
        } catch {
            agent = nil
            attempted.append(error.description)
            return []
        }
    }

    // MARK: Agent

    private func openAgent() throws(SSHError) -> AgentConnection? {
        if agent == nil, let path = server.login.agentSocket, path.lowercased() != "none" {
            let opened = try AgentConnection(path: server.resolved(path) ?? path, notice: notice)
            // An agent that does not know the extension has no keys that need it.
            if let binding {
                isBound = try opened.bind(
                    hostKey: binding.hostKey, sessionID: binding.sessionID, signature: binding.signature,
                    forwarding: false)
            }
            agent = opened
        }
        return agent
    }

    private func sign(_ data: [UInt8], with key: PublicKey, shown: PublicKey) throws(SSHError) -> [UInt8] {
        do throws(SSHError) {
            guard let agent = try openAgent() else { throw SSHError(.local, "there is no agent any more") }
            return try agent.sign(data, with: key, shown: shown.blob)
        } catch {
            agent = nil
            handedOut?.signFailure = error.description
            throw error
        }
    }

    public func bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8]) -> Bool {
        // Every connection to the agent is bound by itself: one that is made anew before a signature, too.
        binding = (hostKey, sessionID, signature)
        agent = nil
        isBound = false
        do throws(SSHError) {
            return try openAgent() != nil && isBound
        } catch {
            // It is asked for its keys next, on a new connection, and what it lacks is told there.
            agent = nil
            return false
        }
    }

    // MARK: The server's words

    public func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
        try interactive.answer(challenge, notice)
    }

    public func show(banner text: PeerText) {
        banner(serverSays(text))
    }
}

extension LoginOptions.Method {
    /// The key of ssh_config(5) that turns it off.
    fileprivate var setting: String {
        switch self {
        case .publicKey: "PubkeyAuthentication"
        case .keyboardInteractive: "KbdInteractiveAuthentication"
        case .password: "PasswordAuthentication"
        }
    }
}
