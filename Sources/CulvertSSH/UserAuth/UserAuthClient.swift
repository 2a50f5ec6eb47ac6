/// The client's half of user authentication (RFC 4252, RFC 4256): messages in, messages out, the authority asked between
/// the two. It sends nothing itself and knows no packets.
///
/// The transport makes one per link, once the session id is known:
/// ```
/// var login = UserAuthClient(sessionID: h, acceptedAlgorithms: …)
/// login.serverSignatureAlgorithms = […]              // when EXT_INFO tells, at any time
/// send(try login.begin(authority))                    // after SERVICE_ACCEPT, or along with SERVICE_REQUEST
/// switch try login.handle(message, authority) { … }   // each message that is not the transport's own (1 to 49)
/// ```
/// At most one request waits for its answer. Whatever does not answer it throws `.protocolViolation`; when nothing is left
/// to try, or the server lets nothing end, `.authentication` is thrown. After a throw, or `.loggedIn`, it is of no more use.
struct UserAuthClient {
    /// Requests and rounds of answers in one login. sshd ends it after six failures, Go's server after 128 requests: who
    /// asks for more than this leads us in a circle.
    static let maximumRequests = 128
    /// Banners in one login. Servers send one, or one for each method.
    static let maximumBanners = 32

    /// What follows from a message.
    enum Step {
        /// To be sent, whole, as one packet's payload.
        case send(Secret)
        /// The message needs no answer.
        case wait
        /// SSH_MSG_USERAUTH_SUCCESS: from here on the connection protocol speaks.
        case loggedIn
    }

    /// `server-sig-algs` (RFC 8308 §3.1); nil: the server did not say.
    var serverSignatureAlgorithms: [String]?

    /// The server takes `publickey-hostbound-v00@openssh.com` (OpenSSH's PROTOCOL §3.1): then each signature is over its host
    /// key too, so that an agent sees for which host it signs.
    var takesHostBound = false

    private let sessionID: [UInt8]
    private let hostKey: [UInt8]
    private let acceptedAlgorithms: [String]

    /// What waits for its answer.
    private enum Phase {
        case idle
        case none
        case probe(Signer, algorithm: String)
        case signature
        case password
        case keyboardInteractive
        case over
    }
    private var phase = Phase.idle
    /// What the server last said can continue.
    private var methods: [String] = []
    private var requests = 0
    private var banners = 0

    /// - Parameters:
    ///   - sessionID: the exchange hash of the first key exchange (RFC 4253 §7.2).
    ///   - hostKey: the blob of the first key exchange, a certificate where one was sent.
    ///   - acceptedAlgorithms: PubkeyAcceptedAlgorithms, best first.
    init(sessionID: [UInt8], hostKey: [UInt8], acceptedAlgorithms: [String] = SignatureAlgorithm.all) {
        self.sessionID = sessionID
        self.hostKey = hostKey
        self.acceptedAlgorithms = acceptedAlgorithms
    }

    /// The request "none" (RFC 4252 §5.2): it tells the methods, and succeeds where no proof is asked for. Called once.
    mutating func begin(_ authority: some LoginAuthority) throws(SSHError) -> Secret {
        guard case .idle = phase else { preconditionFailure("a login begins once") }
        guard let message = UserAuthRequest.none(user: authority.userName) else {
            throw SSHError(.local, "the user name is longer than a packet")
        }
        phase = .none
        requests = 1
        return message
    }

    /// One message, from its number on. Nothing of it is kept.
    mutating func handle(
        _ message: UnsafeRawBufferPointer, _ authority: some LoginAuthority
    ) throws(SSHError) -> Step {
        guard let number = unsafe message.first, let start = message.baseAddress else {
            throw .violation("an empty message during the login")
        }
        func fields(_ name: StaticString) -> WireReader {
            unsafe WireReader(start: start + 1, count: message.count - 1, of: name)
        }
        switch (number, phase) {
        case (_, .idle), (_, .over):
            throw .violation("message \(number) where no login is under way")
        case (UserAuthNumber.banner, _):
            return try show(UserAuthBanner(fields("SSH_MSG_USERAUTH_BANNER")), authority)
        case (UserAuthNumber.success, _):
            try fields("SSH_MSG_USERAUTH_SUCCESS").end()
            phase = .over
            return .loggedIn
        case (UserAuthNumber.failure, _):
            return try fail(UserAuthFailure(fields("SSH_MSG_USERAUTH_FAILURE")), authority)
        case (UserAuthNumber.publicKeyOK, .probe(let signer, let algorithm)):
            let answer = try UserAuthPublicKeyOK(fields("SSH_MSG_USERAUTH_PK_OK"))
            guard answer.key == signer.publicKey, answer.algorithm == Array(algorithm.utf8) else {
                throw .violation("SSH_MSG_USERAUTH_PK_OK is for another key than was offered")
            }
            return .send(try sign(signer, algorithm, authority))
        case (UserAuthNumber.passwordChangeRequest, .password):
            let request = try UserAuthPasswordChangeRequest(fields("SSH_MSG_USERAUTH_PASSWD_CHANGEREQ"))
            let words = request.prompt.description.isEmpty ? "" : ": \(request.prompt)"
            authority.refused(reason: "the server wants the password changed, with another program\(words)")
            return .send(try next(authority, partialSuccess: false))
        case (UserAuthNumber.infoRequest, .keyboardInteractive):
            let request = try UserAuthInfoRequest(fields("SSH_MSG_USERAUTH_INFO_REQUEST"))
            return .send(try answer(request.challenge, authority))
        case (_, .none), (_, .probe), (_, .signature), (_, .password), (_, .keyboardInteractive):
            throw .violation("message \(number) does not answer what the login asked")
        }
    }

    // MARK: The server's words

    private mutating func show(_ banner: UserAuthBanner, _ authority: some LoginAuthority) throws(SSHError) -> Step {
        banners += 1
        guard banners <= Self.maximumBanners else {
            throw .violation("more than \(Self.maximumBanners) banners in one login")
        }
        for line in banner.lines { authority.show(banner: line) }
        return .wait
    }

    private mutating func fail(_ failure: UserAuthFailure, _ authority: some LoginAuthority) throws(SSHError) -> Step {
        methods = failure.methods
        let partialSuccess: Bool
        switch phase {
        case .idle, .over: preconditionFailure("no request waits for an answer")
        case .none: partialSuccess = false
        case .probe:
            // Nothing was proven yet, so that nothing can have succeeded.
            partialSuccess = false
            authority.refused(reason: nil)
        case .signature, .password, .keyboardInteractive:
            partialSuccess = failure.partialSuccess
            if !partialSuccess { authority.refused(reason: nil) }
        }
        return .send(try next(authority, partialSuccess: partialSuccess))
    }

    private mutating func answer(
        _ challenge: Challenge, _ authority: some LoginAuthority
    ) throws(SSHError) -> Secret {
        guard let answers = try authority.answer(challenge) else {
            // A new request ends the old one (RFC 4256 §3.1): the server needs no word for it.
            authority.refused(reason: nil)
            return try next(authority, partialSuccess: false)
        }
        precondition(answers.count == challenge.prompts.count, "every question has one answer (RFC 4256 §3.4)")
        guard let response = UserAuthRequest.infoResponse(answers) else {
            authority.refused(reason: Unusable.tooLong.reason)
            return try next(authority, partialSuccess: false)
        }
        try countRequest()
        return response
    }

    // MARK: Our requests

    /// Why a credential cannot be tried.
    private struct Unusable: Error {
        let reason: String
        static let tooLong = Unusable(reason: "longer than a packet")
        static let otherKey = Unusable(reason: UnusableKeyFile.otherKey.description)
    }

    /// The request for the authority's next credential that can be tried at all.
    private mutating func next(
        _ authority: some LoginAuthority, partialSuccess: Bool
    ) throws(SSHError) -> Secret {
        var partialSuccess = partialSuccess
        while true {
            try countRequest()
            guard let credential = try authority.nextCredential(methods: methods, partialSuccess: partialSuccess)
            else { throw denied() }
            partialSuccess = false
            do throws(Unusable) {
                return try request(credential, user: authority.userName)
            } catch {
                authority.refused(reason: error.reason)
            }
        }
    }

    private mutating func request(_ credential: Credential, user: String) throws(Unusable) -> Secret {
        let message: Secret?
        switch credential {
        case .keyFile(_, let contents, let passphrase, let certificate):
            let key = try open(contents, passphrase)
            guard certificate.map({ $0.plainKey == key.publicKey }) ?? true else { throw .otherKey }
            let signer = Signer(key, certificate)
            let algorithm = try choose(signer)
            // It costs nothing to sign with a key at hand, so the question whether is not worth a round trip.
            message = try signed(signer, algorithm, user)
            phase = .signature
        case .signer(_, let publicKey, let sign):
            guard let signer = unsafe Signer(publicKey: publicKey, sign: sign) else {
                throw Unusable(reason: "not a public key")
            }
            let algorithm = try choose(signer)
            // The key's holder may have to be asked, or touched: only for a key that the server would take.
            message = UserAuthRequest.probe(user: user, algorithm: algorithm, key: publicKey)
            phase = .probe(signer, algorithm: algorithm)
        case .password(let password):
            message = UserAuthRequest.password(password, user: user)
            phase = .password
        case .keyboardInteractive:
            message = UserAuthRequest.keyboardInteractive(user: user)
            phase = .keyboardInteractive
        }
        guard let message else { throw .tooLong }
        return message
    }

    private func open(_ contents: Secret, _ passphrase: Secret?) throws(Unusable) -> PrivateKey {
        do throws(PrivateKeyFailure) {
            return try PrivateKey(contents, passphrase: passphrase)
        } catch {
            throw Unusable(reason: error.description)
        }
    }

    private func choose(_ signer: Signer) throws(Unusable) -> String {
        switch SignatureAlgorithm.choose(
            keyType: signer.keyType, accepted: acceptedAlgorithms, server: serverSignatureAlgorithms)
        {
        case .name(let name): return name
        case .refused(let reason): throw Unusable(reason: reason)
        }
    }

    private mutating func sign(
        _ signer: Signer, _ algorithm: String, _ authority: some LoginAuthority
    ) throws(SSHError) -> Secret {
        let message: Secret
        do throws(Unusable) {
            message = try signed(signer, algorithm, authority.userName)
        } catch {
            authority.refused(reason: error.reason)
            return try next(authority, partialSuccess: false)
        }
        try countRequest()
        phase = .signature
        return message
    }

    private func signed(_ signer: Signer, _ algorithm: String, _ user: String) throws(Unusable) -> Secret {
        let bound = takesHostBound ? hostKey : nil
        guard
            let data = UserAuthRequest.signedData(
                sessionID: sessionID, user: user, algorithm: algorithm, key: signer.publicKey, hostKey: bound)
        else { throw .tooLong }
        let signature: [UInt8]
        do throws(SSHError) {
            signature = try unsafe data.withBytes { bytes throws(SSHError) in
                try unsafe signer.sign(bytes, algorithm)
            }
        } catch {
            throw Unusable(reason: error.description)
        }
        let message = UserAuthRequest.publicKey(
            user: user, algorithm: algorithm, key: signer.publicKey, hostKey: bound, signature: signature)
        guard let message else { throw .tooLong }
        return message
    }

    // MARK: The end

    private mutating func countRequest() throws(SSHError) {
        requests += 1
        guard requests <= Self.maximumRequests else {
            throw SSHError(.authentication, "\(words): given up after \(Self.maximumRequests) attempts")
        }
    }

    private func denied() -> SSHError { SSHError(.authentication, words) }

    private var words: String {
        "Permission denied (\(methods.map { PeerText($0).description }.joined(separator: ",")))"
    }
}
