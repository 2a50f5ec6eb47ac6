/// Who we are and whom we trust: asked by an engine during a login, on a login thread. Every call may block (a prompt,
/// an agent, a file) and has a deadline of its own.
public protocol LoginAuthority: AnyObject {
    var userName: String { get }

    /// What was tried and came to nothing, and what was passed over and why, one line each, for the error that ends the
    /// attempt.
    var attempted: [String] { get }

    /// Keys that would have been tried next, one line each.
    var untried: [String] { get }

    /// What the server took, in order, one name each; after a login. Empty: it asked for nothing.
    var accepted: [String] { get }

    /// A password, or answers to a challenge, went to the server: a login that is tried again and again with them may lock
    /// its user out.
    var handedOutSecret: Bool { get }

    /// After a login that failed: the server would have taken a password, or answers to its questions, and nobody was there to
    /// give them.
    var lacksAnswer: Bool { get }

    /// Told before the login, where it is known: the address of the server that is connected to, without its port.
    func connects(to address: String)

    /// Host key algorithms to prefer because a key of theirs is known for this host, best first (RFC 4253 §7.1 lets the
    /// client's order decide). Empty: no preference.
    func knownHostKeyAlgorithms() throws(SSHError) -> [String]

    /// Returns when the key may be trusted, throws `.hostKey` when not. `key` is the blob of RFC 4253 §6.6, or a
    /// certificate's, of which nothing but its form is known: who signed it is for the authority to judge.
    func verify(hostKey key: [UInt8]) throws(SSHError)

    /// Tells an agent which connection the signatures to come are for (session-bind@openssh.com, OpenSSH's
    /// PROTOCOL.agent §1): after the first key exchange, before the first credential. False: there is no agent, or
    /// it did not take it; that stops no login, but keys that are bound to a destination will not sign.
    /// - Parameters:
    ///   - sessionID: the exchange hash of the first key exchange (RFC 4253 §7.2).
    ///   - signature: the server's, over the exchange hash (RFC 4253 §8).
    func bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8]) -> Bool

    /// Who learns the server's other host keys; after a login. nil: nobody is to.
    var hostKeyKeeper: (any HostKeyKeeper)? { get }

    /// The next thing to try, nil when nothing is left. `methods`: what the server says can continue (RFC 4252 §5.1).
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential?

    /// The server refused the credential that was handed out last; `reason` says why when the engine knows more than
    /// the server said (for example that it cannot sign as the server asks, or `Credential.wrongPassphrase`).
    func refused(reason: String?)

    /// Answers one round of keyboard-interactive (RFC 4256 §3.2). nil: the user gave up.
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]?

    /// SSH_MSG_USERAUTH_BANNER (RFC 4252 §5.4), to be shown before the login.
    func show(banner: PeerText)
}

extension LoginAuthority {
    public func connects(to address: String) {}
    public var attempted: [String] { [] }
    public var untried: [String] { [] }
    public var accepted: [String] { [] }
    public var handedOutSecret: Bool { false }
    public var lacksAnswer: Bool { false }
    public var hostKeyKeeper: (any HostKeyKeeper)? { nil }

    public func bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8]) -> Bool { false }
}

/// Learns a server's host keys from the server itself, whose key was trusted in the login (UpdateHostKeys). Every call may
/// block, for files and for a person, so it is made on a thread for it; they come one at a time.
public protocol HostKeyKeeper: AnyObject, Sendable {
    /// The server says that these are all its keys. Returns those that it must prove to have before they count; where there
    /// are none, all is done.
    func unproved(of offered: [[UInt8]]) -> [[UInt8]]

    /// The server's answer to the request for that proof. nil: it refused, or it was no answer.
    func take(_ proof: HostKeyProof?)
}

/// One thing to log in with.
@safe public enum Credential {
    /// A private key in its file format (OpenSSH or PEM), with the passphrase if it is encrypted. `name` is for messages.
    /// `certificate`: the user's, of this key, which is shown in place of the bare key.
    case keyFile(name: String, contents: Secret, passphrase: Secret?, certificate: Certificate? = nil)
    /// A key that somebody else holds and signs with (an agent).
    case signer(name: String, publicKey: [UInt8], sign: (_ data: UnsafeRawBufferPointer) throws(SSHError) -> [UInt8])
    case password(Secret)
    /// RFC 4256; the questions come back through `answer`.
    case keyboardInteractive

    /// The reason to give `refused` when a key file does not open with the passphrase: it is asked for again. Nothing
    /// was sent to the server.
    public static let wrongPassphrase = "wrong passphrase"
}

/// One SSH_MSG_USERAUTH_INFO_REQUEST (RFC 4256 §3.2). The texts are the server's.
public struct Challenge: Sendable {
    public struct Prompt: Sendable {
        /// The last line is the question; before it there may be a menu.
        public let text: PeerLines
        public let echo: Bool
        public init(text: PeerLines, echo: Bool) {
            self.text = text
            self.echo = echo
        }
    }
    public let name: PeerText
    public let instruction: PeerLines
    public let prompts: [Prompt]

    public init(name: PeerText, instruction: PeerLines, prompts: [Prompt]) {
        self.name = name
        self.instruction = instruction
        self.prompts = prompts
    }
}
