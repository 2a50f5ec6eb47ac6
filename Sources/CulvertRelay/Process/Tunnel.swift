public import CulvertPlan
public import CulvertSSH

/// One of the tunnels that a process carries.
public struct Tunnel: Sendable {
    /// In its file; nil: it is a command line's.
    public var name: String?
    public var plan: TunnelPlan
    /// The plan as its files say it now. Called before each login but the first, on a thread that may wait.
    public var renewed: @Sendable () -> RenewedPlan
    /// Asked for once a login, on that login's thread: at a jump host or at the destination. `judges` is called before the
    /// server's key is judged; what it throws ends the login. `asksPerson` is called before a person is asked.
    public typealias MakeAuthority =
        @Sendable (
            ServerPlan, _ mayPrompt: Bool, _ asksPerson: @escaping @Sendable () -> Void,
            _ judges: @escaping () throws(SSHError) -> Void
        ) -> any LoginAuthority
    public var authority: MakeAuthority
    /// Finds the link of the process whose socket is at a path; nil: nothing is there. Called on a login's thread, which may
    /// wait for some seconds.
    public typealias Borrow = @Sendable (_ path: String) throws(BorrowFailure) -> BorrowedLink?
    public var borrow: Borrow
    /// Where this tunnel says what happens.
    public var journal: Journal

    public init(
        name: String? = nil, plan: TunnelPlan, renewed: @escaping @Sendable () -> RenewedPlan,
        authority: @escaping MakeAuthority,
        borrow: @escaping Borrow, journal: Journal
    ) {
        self.name = name
        self.borrow = borrow
        self.renewed = renewed
        self.plan = plan
        self.authority = authority
        self.journal = journal
    }
}

/// What a tunnel's control thread is told by the process.
enum TunnelOrder: Equatable, Sendable {
    case snapshot
    /// Ends all politely: what has come whole may reach its reader for as long as `--drain` says.
    case stop
}

/// What a tunnel tells the process.
enum TunnelNews: Equatable, Sendable {
    /// Its forwards stand, those that may.
    case ready
    /// The first attempt failed, and others will follow.
    case delayed
    case standing(TunnelStanding)
    /// So many forwards are wanted now.
    case forwards(Int)
    /// Whoever controls it wants the process to end.
    case stopWanted
    case ended(Ending)
}

/// How much of a tunnel stands.
struct TunnelStanding: Equatable, Sendable {
    var linksUp = 0
    var forwardsUp = 0
}
