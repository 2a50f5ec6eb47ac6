internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// One login of a child's, on its parent's login thread: answers what the child asks, with the real authority, the real
/// ProxyCommand and the process's budget of knocks, until the login is over.
///
/// A child may be in a server's hands. So it is given one way to a server a login, no credential before a host key was found
/// good, and signatures over a login's data only.
struct LoginDesk {
    /// `judges` is called before the server's key is judged.
    typealias MakeAuthority =
        (ServerPlan, _ judges: @escaping () throws(SSHError) -> Void) -> any LoginAuthority

    let plan: TunnelPlan
    let makeAuthority: MakeAuthority
    let knocks: LoginKnocks
    let watch: LoginWatch
    let journal: Journal

    /// Questions in one login: a few for each key, and one for each line of a banner.
    private static var mostQuestions: Int { 4096 }

    /// What a ProxyCommand carries, once it has been started.
    private(set) var path: LinkPath?
    private var hasOpened = false
    private var authority: (any LoginAuthority)?
    /// Of the first server, where nothing but TCP leads there.
    private var address: String?
    private var isVerified = false
    /// Who signs with the key that was handed out last.
    private var signer: Credential?

    init(
        _ plan: TunnelPlan, knocks: LoginKnocks, watch: LoginWatch, journal: Journal,
        authority makeAuthority: @escaping MakeAuthority
    ) {
        self.plan = plan
        self.knocks = knocks
        self.watch = watch
        self.journal = journal
        self.makeAuthority = makeAuthority
    }

    /// Engine and algorithms of the link; nil: the child has gone. Throws what the login failed with.
    mutating func serve(_ line: ProcessLine) throws(SSHError) -> String? {
        var reader = ProcessLineReader(line)
        defer { finishAuthority() }
        for _ in 0..<Self.mostQuestions {
            guard let message = wait(&reader) else { return nil }
            message.descriptors.forEach(SocketOption.close)
            let question = try LoginQuestion(message: message.bytes)
            switch question {
            case .loggedIn(let summary): return PeerText(summary).description
            case .failed(let error): throw error
            default: break
            }
            var reply = answer(question)
            defer { if let descriptor = reply.descriptor { SocketOption.close(descriptor) } }
            var bytes = reply.answer.secretMessage()
            reply.answer = .done
            let descriptors = reply.descriptor.map { [$0] } ?? []
            line.send(ProcessLine.Message(bytes, descriptors: descriptors))
            bytes.wipe()
        }
        throw .unreadable
    }

    /// Between the connection and the server's key nothing is asked: silence on the line is the server's.
    private func wait(_ reader: inout ProcessLineReader) -> ProcessLine.Message? {
        if watch.isOpen, Wait.forReadable([reader.line.descriptor], until: Tick.current() + watch.patience).isEmpty {
            watch.fellSilent()
        }
        return reader.wait()
    }

    private func server(_ hop: Int?) throws(SSHError) -> ServerPlan {
        guard let hop else { return plan.server }
        guard plan.hops.indices.contains(hop) else { throw .unreadable }
        return plan.hops[hop]
    }

    /// The next server's is asked.
    private mutating func finishAuthority() {
        if let authority, authority.handedOutSecret { knocks.handedOutSecret() }
        (authority, signer, isVerified) = (nil, nil, false)
    }

    // MARK: Answers

    private mutating func answer(_ question: LoginQuestion) -> (answer: LoginAnswer, descriptor: Descriptor?) {
        do throws(SSHError) {
            if case .open(let hop) = question { return (.done, try open(hop)) }
            return (try answerAlone(question), nil)
        } catch {
            return (.failed(error), nil)
        }
    }

    private mutating func open(_ hop: Int?) throws(SSHError) -> Descriptor {
        guard !hasOpened else { throw .unreadable }
        hasOpened = true
        let server = try server(hop)
        if server.proxyCommand != nil { path = LinkPath() }
        let socket = try Login.open(LoginPlan(server), path, knocks, journal, watch)
        if path == nil { address = SocketAddress.peer(of: socket.descriptor)?.host }
        return socket.release()
    }

    private mutating func answerAlone(_ question: LoginQuestion) throws(SSHError) -> LoginAnswer {
        if case .programEnding(let patience) = question {
            return path?.ending(by: Tick.current() + patience).map { .ending($0) } ?? .done
        }
        if case .authority(let hop) = question {
            let server = try server(hop)
            finishAuthority()
            let isFirst = (hop ?? plan.hops.count) == 0
            let made = makeAuthority(server) { [watch] () throws(SSHError) in if isFirst { try watch.judges() } }
            if isFirst, let address { made.connects(to: address) }
            authority = made
            return .text(made.userName)
        }
        guard let authority else { throw .unreadable }
        switch question {
        case .attempted: return .texts(authority.attempted)
        case .untried: return .texts(authority.untried)
        case .accepted: return .texts(authority.accepted)
        case .knownHostKeyAlgorithms: return .texts(try authority.knownHostKeyAlgorithms())
        case .verify(let key):
            isVerified = false
            try authority.verify(hostKey: key)
            isVerified = true
            return .done
        case .refused(let reason):
            authority.refused(reason: reason)
            return .done
        case .show(let banner):
            authority.show(banner: banner)
            return .done
        case .bindAgent, .nextCredential, .sign, .answer:
            guard isVerified else { throw .unreadable }
            return try prove(question, authority)
        case .open, .programEnding, .authority, .loggedIn, .failed: throw .unreadable
        }
    }

    /// Who we are, to a server that is whom we trust.
    private mutating func prove(_ question: LoginQuestion, _ authority: any LoginAuthority) throws(SSHError)
        -> LoginAnswer
    {
        switch question {
        case .bindAgent(let hostKey, let sessionID, let signature):
            return authority.bindAgent(hostKey: hostKey, sessionID: sessionID, signature: signature) ? .yes : .done
        case .nextCredential(let methods, let partialSuccess):
            return try nextCredential(methods, partialSuccess, authority)
        case .sign(let data):
            guard case .signer(_, let key, let sign)? = signer, LoginData.algorithm(in: data, key: key) != nil else {
                throw .unreadable
            }
            let signature = try unsafe data.withUnsafeBufferPointer { bytes throws(SSHError) in
                try unsafe sign(UnsafeRawBufferPointer(bytes))
            }
            return .bytes(signature)
        case .answer(let challenge): return try authority.answer(challenge).map { .secrets($0) } ?? .done
        default: throw .unreadable
        }
    }

    /// Key files are opened here, and only those that open are spoken of.
    private mutating func nextCredential(
        _ methods: [String], _ partialSuccess: Bool, _ authority: any LoginAuthority
    ) throws(SSHError) -> LoginAnswer {
        var partialSuccess = partialSuccess
        while true {
            guard let credential = try authority.nextCredential(methods: methods, partialSuccess: partialSuccess) else {
                return .done
            }
            partialSuccess = false
            do throws(UnusableKeyFile) {
                switch try credential.opened() {
                case .signer(let name, let publicKey, let sign):
                    unsafe signer = .signer(name: name, publicKey: publicKey, sign: sign)
                    return .signer(name: name, publicKey: publicKey)
                case .password(let password): return .password(password)
                case .keyboardInteractive: return .keyboardInteractive
                case .keyFile: preconditionFailure("an opened key is no file")
                }
            } catch {
                authority.refused(reason: error.description)
            }
        }
    }
}
