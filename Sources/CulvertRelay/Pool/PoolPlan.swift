internal import CulvertIO
internal import CulvertPlan

/// What a pool must know of its tunnel. Forwards are names here, and what they are is the plan's.
struct PoolPlan: Sendable {
    /// Places, each for one link.
    var links = 1
    var workers = 1
    /// Direct forwards that are listened for here.
    var listening: [DirectID] = []
    /// One more direct forward is standard input and output (`-W`): the process ends with its one flow.
    var carriesStreams = false
    /// Reverse forwards.
    var reverse = 0
    /// Tries of the first connection, a second apart.
    var connectionAttempts = 1
    /// Whether a first attempt that fails is made again, instead of ending the tunnel; so with the opening of a listener.
    var persistence = Persistence.no
    /// At most so many logins are begun; nil: any number.
    var logins: Int?
    var exitOnForwardFailure = false
    /// How long a connection waits for a link.
    var hold = Tick.Span.seconds(30)
    /// How long the workers may take to end.
    var drain = Tick.Span.seconds(5)
    /// Of those that are listened for, whose port the kernel chooses.
    var choosing: [DirectID] = []
    /// It ends when so much time has passed since it stood and no connection is open; nil: when it is told to.
    var stay: Tick.Span?

    var direct: Int { listening.count + (carriesStreams ? 1 : 0) }

    /// The reverse forwards that a place asks for, of the plan's: they are spread over the places.
    func reverse(of place: Int) -> [ReverseID] {
        (0..<reverse).filter { $0 % links == place }.map(ReverseID.init)
    }
}

extension PoolPlan {
    init(_ tunnel: TunnelPlan, workers: Int) {
        links = tunnel.links
        self.workers = workers
        listening = tunnel.forwards.indices.filter { !tunnel.forwards[$0].isStandardStreams }.map(DirectID.init)
        carriesStreams = tunnel.forwards.contains(where: \.isStandardStreams)
        reverse = tunnel.reverse.count
        connectionAttempts = tunnel.server.connection.connectionAttempts
        persistence = tunnel.persistence
        logins = tunnel.logins
        exitOnForwardFailure = tunnel.exitOnForwardFailure
        hold = Tick.Span(tunnel.hold)
        drain = Tick.Span(tunnel.drain)
        choosing = listening.filter { tunnel.forwards[$0].choosesPort }
        stay = tunnel.stay.map { Tick.Span($0) }
    }
}
