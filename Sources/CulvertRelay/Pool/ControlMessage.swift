internal import CulvertIO
internal import CulvertPlan

/// What a control thread is told, by login threads, workers and the process.
enum ControlMessage: Sendable {
    case loggedIn(LinkID, ReadyLink)
    case loginFailed(LinkID, LoginFailure)
    /// A login waits for the server, and nothing comes.
    case loginSilent(LinkID)
    case linkLost(LinkID, reason: String, life: LinkLife)
    /// The link is silent: a new one should be tried beside it.
    case linkSuspect(LinkID)
    /// A suspect link has spoken again.
    case linkRecovered(LinkID)
    case reverseAnswered(LinkID, forward: ReverseID, ReverseAnswer)
    case listenersOpened([ListenerOpening.Opened])
    /// A server does not run what `--nodelay` asks it to.
    case nodelayRefused
    /// A server that lives leaves a question unanswered.
    case questionsUnanswered
    /// A local connection waits for a link.
    case connectionWaits
    /// The flow of standard input and output is over, cleanly or not.
    case streamsEnded(cleanly: Bool)
    case reported(WorkerID, WorkerReport)
    case stopped(WorkerID)
    case failed(WorkerID, IOError)
    case order(TunnelOrder)
    /// Answered once, unless the tunnel ends first.
    case report(answer: @Sendable (TunnelReport) -> Void)
    case change(ForwardChange, answer: @Sendable (ForwardAnswer) -> Void)
    /// A connection that somebody has for the tunnel.
    case handedOver(Target, text: String, Parcel<BlockingSocket>, OpeningWatch)
    /// A worker listens no more for a forward that was cancelled.
    case listenersClosed(DirectID)
}

/// What became of one request for a reverse forward.
enum ReverseAnswer: Equatable, Sendable {
    case standing(port: UInt16)
    case refused
    /// The engine could not ask for it, and why.
    case notAsked(String)
}

/// What a control thread tells its workers, whatever their engine is.
enum WorkerOrder: Equatable, Sendable {
    /// Is each link alive? Asked when the path has changed.
    case probe
    case report
    /// Connections that find no link are closed at once, and why; nil: they wait again.
    case refuse(String?)
    /// A forward that was added, before anything else is said of it.
    case learnDirect(DirectID, LocalForward)
    case learnReverse(ReverseID, ReverseForward)
    /// Whoever listens for it stops, and says so.
    case closeListeners(DirectID)
    /// The link asks for one more reverse forward.
    case askReverse(LinkID, ReverseID)
    /// No link has it, or asks for it, any more.
    case cancelReverse(ReverseID)
    /// End all. What has come whole may still reach its reader for so long.
    case stop(drain: Tick.Span)
}

/// The workers of a process as its control thread knows them.
struct WorkerCrew: Sendable {
    let count: Int
    let kind: DriverKind
    /// To every worker.
    let post: @Sendable (WorkerOrder) -> Void
    /// A listening socket for a forward, to the worker of that number.
    let listen: @Sendable (WorkerID, Descriptor, _ forward: DirectID) -> Void
    /// A connection for a flow, to the worker that has the link.
    let carry: @Sendable (IncomingConnection, LinkID) -> Void
    /// How many are open, on every link.
    let flows: @Sendable () -> Int
}
