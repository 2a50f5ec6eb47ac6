public import CulvertSSH

/// A login of libssh2's: its session is the engine's from the beginning, and until the user is known only this may be
/// called.
public struct LibSSH2Login: ~Copyable, SSHLogin {
    private var session: LibSSH2Engine

    public init(settings: LibSSH2Settings = LibSSH2Settings()) throws(SSHError) {
        session = try LibSSH2Engine(settings: settings)
    }

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) { unsafe session.receive(bytes) }
    public mutating func takeConsumed() -> Int { session.takeConsumed() }
    public var output: UnsafeRawBufferPointer { mutating get { unsafe session.output } }
    public mutating func outputSent(_ count: Int) { session.outputSent(count) }

    public mutating func advance(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        try session.advanceLogin(authority)
    }

    public var summary: String { mutating get { session.summary } }

    /// The engine of this link, after `.loggedIn`.
    public consuming func engine() -> LibSSH2Engine {
        precondition(session.login.isDone, "a link that has logged in has an engine")
        return session
    }
}
