internal import CLibSSH2
internal import CulvertSSH

/// How far a login has come; each step is re-entered until libssh2 has what it needs.
struct Login {
    enum Step {
        case start
        /// Version, key exchange, service "ssh-userauth" (RFC 4253 §4.2, §7, §10).
        case handshake
        case hostKey
        /// The request "none" (RFC 4252 §5.2): it tells the methods, and succeeds where no proof is asked for.
        case methods
        case choose
        case attempt
        case done
    }

    var step = Step.start
    /// What is offered, and what libssh2 could offer: to explain a failed negotiation.
    var offered: [AlgorithmChoice: [String]] = [:]
    var known: [AlgorithmChoice: [String]] = [:]
    var methods: [String] = []
    var asked = false
    var partialSuccess = false
    var attempt: Attempt?
    var lastReason: String?
    /// libssh2 1.10 must not be entered again with a password after the server asked for another one.
    var passwordIsSpent = false

    var isDone: Bool { step == .done }
    var isEncrypted: Bool {
        switch step {
        case .start, .handshake: false
        case .hostKey, .methods, .choose, .attempt, .done: true
        }
    }
}

extension LibSSH2Engine {
    /// libssh2 wants a descriptor. This one cannot be open, so whatever it would do to it fails without harm; in
    /// non-blocking mode it does nothing but look at its flags.
    private static let noDescriptor = Int32.max

    mutating func advanceLogin(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        if let failure { throw failure }
        while true {
            switch login.step {
            case .start:
                do { try chooseAlgorithms(try authority.knownHostKeyAlgorithms()) } catch { throw end(error) }
                login.step = .handshake
            case .handshake:
                let result = unsafe libssh2_session_handshake(session, Self.noDescriptor)
                if result == LIBSSH2_ERROR_EAGAIN { return .needsBytes }
                guard result == 0 else { throw end(handshakeError(result)) }
                unsafe wire.pointee.greeting = nil
                login.step = .hostKey
            case .hostKey:
                try verify(authority)
                login.step = .methods
            case .methods:
                guard try learnMethods(authority.userName) else { return .needsBytes }
            case .choose:
                try choose(authority)
            case .attempt:
                guard try advanceAttempt(authority) else { return .needsBytes }
            case .done:
                unsafe wire.pointee.loginIsOver()
                asked = true
                return .loggedIn
            }
        }
    }

    // MARK: Transport

    private mutating func chooseAlgorithms(_ preferredHostKeys: [String]) throws(SSHError) {
        let library = LibSSH2Version.inUse
        // It has names for hosts' certificates and no check of one: what would come of them is a call of nothing.
        let isCertificate = { (name: String) in name.hasSuffix("-cert-v01@openssh.com") }
        let knownHostKeys = preferredHostKeys.filter { !isCertificate($0) }
        for choice in AlgorithmChoice.allCases {
            let all = supported(choice.methods[0]).filter { $0 != "none" && !isCertificate($0) }
            let known = all.filter { !library.mustNotUse($0) }
            let preferred = choice == .hostKey ? AlgorithmChoice.checking(knownHostKeys) : []
            let list = try choice.list(
                choice.setting(settings), known: known, preferred: preferred, withheld: all.filter(library.mustNotUse))
            if choice == .hostKey {
                try AlgorithmChoice.requireCheckable(knownHostKeys, offered: list, library: known)
            }
            login.known[choice] = known
            login.offered[choice] = list
            for method in choice.methods {
                let result = unsafe libssh2_session_method_pref(session, method, list.joined(separator: ","))
                guard result == 0 else { throw error(result) }
            }
        }
    }

    private func supported(_ method: Int32) -> [String] {
        var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        let count = unsafe libssh2_session_supported_algs(session, method, &names)
        guard count > 0, let names = unsafe names else { return [] }
        defer { unsafe libssh2_free(session, names) }
        return (0..<Int(count)).compactMap { unsafe names[$0].map { unsafe String(cString: $0) } }
    }

    private func handshakeError(_ code: Int32) -> SSHError {
        if unsafe wire.pointee.fault != nil { return error(code) }
        let greeting = ServerGreeting(unsafe wire.pointee.greeting ?? [])
        if code == LIBSSH2_ERROR_BANNER_RECV || greeting.version == nil, unsafe wire.pointee.disconnectCode == nil {
            return SSHError(.protocolViolation, "the peer does not speak SSH: no version line came")
        }
        if code == LIBSSH2_ERROR_KEX_FAILURE,
            let words = greeting.explanation(offered: login.offered, known: login.known)
        {
            return SSHError(.keyExchange, words)
        }
        return error(code)
    }

    private mutating func verify(_ authority: some LoginAuthority) throws(SSHError) {
        var length = 0
        var type: Int32 = 0
        guard let key = unsafe libssh2_session_hostkey(session, &length, &type), length > 0 else {
            throw end(SSHError(.keyExchange, "the server showed no host key"))
        }
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: key, count: length))
        do throws(SSHError) {
            try authority.verify(hostKey: bytes)
        } catch {
            say(code: 9, "host key not verified")
            throw end(error)
        }
        unsafe wire.pointee.trustHostKey()
    }

    // MARK: User authentication

    /// Sends "none"; false while no answer is there.
    private mutating func learnMethods(_ user: String) throws(SSHError) -> Bool {
        let list = unsafe libssh2_userauth_list(session, user, UInt32(user.utf8.count))
        guard let list = unsafe list else {
            if unsafe libssh2_userauth_authenticated(session) == 1 {
                login.step = .done
                return true
            }
            let code = unsafe libssh2_session_last_errno(session)
            if code == LIBSSH2_ERROR_EAGAIN { return false }
            // Servers count "none" among the failures and hang up at their limit.
            if login.asked, unsafe wire.pointee.disconnectCode != nil { throw end(denied("\(error(code))")) }
            throw end(error(code))
        }
        let names = unsafe String(cString: list).split(separator: ",").map { PeerText(String($0)).description }
        // libssh2 hides the mark of partial success; that other methods are asked for now shows it.
        login.partialSuccess = login.asked && names != login.methods
        login.methods = names
        login.asked = true
        login.step = .choose
        return true
    }

    private mutating func choose(_ authority: some LoginAuthority) throws(SSHError) {
        let credential: Credential?
        do throws(SSHError) {
            credential = try authority.nextCredential(methods: login.methods, partialSuccess: login.partialSuccess)
        } catch { throw end(error) }
        login.partialSuccess = false
        guard let credential else {
            say(code: 14, "no more authentication methods")
            throw end(denied(login.lastReason))
        }
        do {
            login.attempt = try Attempt(credential, passwordIsSpent: login.passwordIsSpent)
            login.step = .attempt
        } catch {
            refuse(authority, error.reason)
        }
    }

    private func denied(_ reason: String?) -> SSHError {
        let methods = login.methods.joined(separator: ",")
        return SSHError(
            .authentication, "Permission denied (\(methods))" + (reason.map { ": \($0)" } ?? ""))
    }

    mutating func refuse(_ authority: some LoginAuthority, _ reason: String?) {
        if let reason { login.lastReason = reason }
        login.attempt = nil
        login.step = .choose
        authority.refused(reason: reason)
    }
}
