/// A tunnel as it is to be run: everything that is meant, nothing of how it was said.
///
/// A plain value, so that a reload is the difference of two. `CulvertConfig` makes it, `CulvertRelay` and
/// `CulvertIdentity` use it as it is.
public struct TunnelPlan: Hashable, Sendable {
    /// More SSH connections to one server than this only run into its MaxStartups (sshd_config(5), 10:30:100).
    public static let maximumLinks = 64
    public static let defaultLinks = 1
    public static let defaultHold = Duration.seconds(30)
    /// One less than `ufw limit` counts: six in 30 s are refused there.
    public static let defaultKnocks = KnockLimit.perHalfMinute(5)
    /// More would limit nothing.
    public static let maximumKnocks = 1000

    /// The destination.
    public var server: ServerPlan
    /// Jump hosts on the way to it, in the order in which they are passed (ProxyJump).
    public var hops: [ServerPlan] = []

    public var forwards: [LocalForward] = []
    public var reverse: [ReverseForward] = []
    /// ExitOnForwardFailure.
    public var exitOnForwardFailure = false

    /// SSH connections to the destination, 1...`maximumLinks`.
    public var links = defaultLinks
    public var engine = EngineChoice.native
    /// How long a connection to a local port waits for a link before it is closed.
    public var hold = defaultHold
    /// How long the end may take: flows that are whole reach their readers meanwhile.
    public var drain = RuntimeOptions.defaultDrain
    /// What it may knock at its server by itself, once something has failed.
    public var knocks = defaultKnocks
    /// Whether a first attempt that fails is made again, instead of ending the tunnel; so with the opening of a forward.
    public var persistence = Persistence.no
    /// At most so many logins are begun; then the tunnel ends with its last link. nil: any number.
    public var logins: Int?
    /// Each link has its server run `true`: sshd sends small packets at once only where a command has run. The native
    /// engine only.
    public var nodelay = false
    public var runtime = RuntimeOptions()
    /// It ends when so much time has passed since it stood and no connection is open (`sleep` behind the destination);
    /// nil: when it is told to.
    public var stay: Duration?
    /// Where the ports of the forwards are written (`--port-file`).
    public var portFile: String?
    public var localCommand: LocalCommand?
    /// ControlPath: the socket of another process, an ssh master, that may have logged in at the destination; it serves where
    /// a login of our own lacks an answer. nil: none does.
    public var masterPath: String?

    public init(server: ServerPlan) { self.server = server }

    /// A ProxyCommand leads to the destination, or to a hop, a KnownHostsCommand says which keys are theirs, or there is a
    /// LocalCommand.
    public var runsPrograms: Bool {
        localCommand != nil
            || (hops + [server]).contains { $0.proxyCommand != nil || $0.hostKeys.knownHostsCommand != nil }
    }

    /// Takes over what another plan says of who logs in where and who is trusted; what runs already stays as it is.
    public mutating func renewLogin(from other: TunnelPlan) {
        server.renewLogin(from: other.server)
        masterPath = other.masterPath
        hops = other.hops.enumerated().map { number, hop in
            guard number < hops.count else { return hop }
            var renewed = hops[number]
            renewed.renewLogin(from: hop)
            return renewed
        }
    }

    /// Where to, for messages.
    public var destination: String { server.destination.description }
}

/// What becomes of a tunnel that cannot begin, or that no link can be had for.
public enum Persistence: Hashable, Sendable {
    /// It ends.
    case no
    /// It tries again (`--persist`).
    case always
    /// It tries again, but for what fails within so long of its beginning (autossh's gate time); a forward that fails later
    /// ends nothing either, as autossh begins its ssh again.
    case after(Duration)
}

/// How often culvert may knock at one address by itself (`--knocks`): every SYN counts, once something has failed there.
public enum KnockLimit: Hashable, Sendable {
    case unlimited
    /// In any 30 s.
    case perHalfMinute(Int)
}

/// `culvert relay` as it is to be run: plain TCP forwards, without SSH.
public struct RelayPlan: Hashable, Sendable {
    public var forwards: [LocalForward] = []
    /// How long the end may take: flows that are whole reach their readers meanwhile.
    public var drain = RuntimeOptions.defaultDrain
    public var runtime = RuntimeOptions()

    public init() {}
}
