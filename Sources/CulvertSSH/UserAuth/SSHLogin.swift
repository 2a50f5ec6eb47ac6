/// A link on its way to being one: from the first byte until the user is known. Then what it holds goes over, whole, to an
/// `SSHEngine`, by a `consuming func engine()` that each login has.
///
/// ```
/// login.receive(bytes)
/// let progress = try login.advance(authority)
/// ring.release(login.takeConsumed())          // what is left is shown again, longer, or to the engine
/// send(login.output) …
/// ```
public protocol SSHLogin: ~Copyable, SendableMetatype {
    /// As `SSHEngine` has them.
    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer)
    mutating func takeConsumed() -> Int
    var output: UnsafeRawBufferPointer { mutating get }
    mutating func outputSent(_ count: Int)

    /// Goes one step further (version, key exchange, host key, user authentication). May block in the authority (prompts,
    /// agent), so it is called on a login thread. `.needsBytes`: send `output`, receive, call again. After a throw the
    /// login has failed: `output` may hold a last SSH_MSG_DISCONNECT, nothing else may be called.
    mutating func advance(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress

    /// One line for a person: engine and negotiated algorithms. Meaningful once the keys are exchanged.
    var summary: String { mutating get }
}

/// How far a login has come.
public enum LoginProgress: Sendable {
    case needsBytes
    case loggedIn
}
