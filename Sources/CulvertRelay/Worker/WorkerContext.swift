internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// What the workers of one tunnel share.
struct WorkerContext<Engine: SSHEngine & ~Copyable>: Sendable {
    /// Those of the plan, with which each worker begins.
    let forwards: [LocalForward]
    let reverse: [ReverseForward]
    let links: [LinkStatus]
    let mailboxes: [Mailbox<WorkerMessage<Engine>>]
    let control: Mailbox<ControlMessage>
    let budget: MemoryBudget
    let resolver: Resolver
    /// For the names that SOCKS clients at the server ask for: those that nobody answers may not hold up the others.
    let requestResolver: Resolver
    let journal: Journal
    let limits: RelayLimits
    let alive: KeepAlive
    /// Where the server listened for links of former processes.
    var chosenPorts: [ReverseID: UInt16] = [:]
    /// Where links, and with them all flows, are those of another process: connections come in here and go there.
    var linksAreElsewhere = false
    /// In that other process: where connections come from, and go back to when nothing becomes of them.
    var lender: ConnectionLender?
}

/// Limits, each with its reason.
struct RelayLimits: Sendable {
    /// How long a connection to a local port waits for a link before it is closed.
    var hold = Tick.Span.seconds(30)
    /// Connections that wait at once, a worker: beyond it the kernel's backlog holds them.
    var waiting = 4096
    /// Descriptors kept for culvert itself, so that a link can be made again however many flows there are.
    var reservedDescriptors = Self.mostReserved
    private static let mostReserved = 64
    /// A socket that is connected, a name that is looked up, a file that is read: what one login needs at once.
    private static let leastReserved = 10
    /// The process's limit of open files.
    var descriptors = 1024
    /// A SOCKS client has said where it wants to go within this long, or is closed: programs say it at once, and a
    /// connection that never does must not keep a descriptor.
    var greeting = Tick.Span.seconds(10)
    /// A target that does not answer is given up after this long.
    var dial = Tick.Span.seconds(60)
    /// A later key exchange that takes longer ends the link: nothing else is carried meanwhile, so a server that does
    /// not finish one would stop the link, however much it says.
    var keyExchange = Tick.Span.seconds(30)
    /// What a socket still holds after a send to it has failed is read to its end, as long as the far side takes some of
    /// it within this time.
    var rest = Tick.Span.seconds(30)
    /// Each link has its server run `true`, so that it sends small packets at once.
    var nodelay = false

    /// Names that SOCKS clients at the server asked for, being looked up at once, a worker.
    var requestsResolving = 64

    /// A tunnel's.
    init(_ plan: TunnelPlan) {
        self = .ofProcess()
        nodelay = plan.nodelay
        hold = Tick.Span(plan.hold)
    }

    init() {}

    /// With as many open files as the process may have.
    static func ofProcess() -> RelayLimits {
        var limits = RelayLimits()
        limits.descriptors = HostProcess.raiseDescriptorLimit()
        // Where there are few, most of them are for flows.
        limits.reservedDescriptors = min(mostReserved, max(leastReserved, limits.descriptors / 8))
        return limits
    }
}
