internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Synchronization

/// Hands a value that cannot be copied from one thread to another: put in once, taken out once.
final class Parcel<Content: ~Copyable>: @unchecked Sendable {
    // Unchecked: a mailbox's lock lies between the putting and the taking, and only one thread takes.
    private var content: Content?

    init(_ content: consuming Content) { self.content = consume content }

    func take() -> Content {
        guard let taken = content.take() else { preconditionFailure("a parcel is opened once") }
        return taken
    }
}

/// A link that has logged in, on its way from its login thread to its worker: the stream, the engine, and the ring
/// with whatever came behind the last packet of the login.
///
/// One that nobody takes, because its tunnel has ended meanwhile, ends as it is dropped: the stream is its own.
struct LoggedInLink<Engine: SSHEngine & ~Copyable>: ~Copyable {
    let socket: BlockingSocket
    var engine: Engine
    var ring: MirroredRing
    /// Engine and algorithms, for a person.
    let summary: String
    /// What the stream runs over, nil for a TCP connection.
    let path: LinkPath?
    /// Who learns the server's other host keys; nil: nobody.
    let hostKeyKeeper: (any HostKeyKeeper)?
    /// The peer says EOF for every stream that is whole; a CLOSE without is a cut. Many servers say none.
    let saysEveryEnd: Bool

    init(
        socket: consuming BlockingSocket, engine: consuming Engine, ring: consuming MirroredRing, summary: String,
        path: LinkPath? = nil, hostKeyKeeper: (any HostKeyKeeper)? = nil, saysEveryEnd: Bool = false
    ) {
        self.saysEveryEnd = saysEveryEnd
        self.hostKeyKeeper = hostKeyKeeper
        self.socket = socket
        self.engine = engine
        self.ring = ring
        self.summary = summary
        self.path = path
    }
}

/// What a worker is told.
enum WorkerMessage<Engine: SSHEngine & ~Copyable>: Sendable {
    /// A listening socket for a forward.
    case listen(Descriptor, forward: DirectID)
    /// A connection that another worker accepted, to go through whichever link has the place `link` of the pool when it
    /// comes.
    case carry(IncomingConnection, link: Int)
    /// A connection that another process had for its links, and of which nothing has become.
    case takeBack(IncomingConnection)
    /// A new link of the pool, to ask for these reverse forwards; an older one at its place takes no new flows.
    case link(Parcel<LoggedInLink<Engine>>, LinkID, reverse: [ReverseID])
    /// A link to a jump host, and the stream that its one channel is carried over: what it leads to logs in there.
    case hop(Parcel<LoggedInLink<Engine>>, Hop, channel: Parcel<BlockingSocket>)
    /// A link has opened or closed: connections that wait may have their chance.
    case linksChanged
    /// The addresses of a reverse forward's target, or why there are none.
    case resolved(forward: ReverseID, addresses: [SocketAddress], failure: String)
    /// The addresses of what a SOCKS client asked for, or why there are none.
    case resolvedRequest(flow: FlowID, addresses: [SocketAddress], failure: String)
    /// Of a link's server: its host keys that it is to prove; empty: what it said of them is done with.
    case proveHostKeys(LinkSlot, keys: [[UInt8]])
    /// Is the link alive? Asked when the path has changed.
    case probe
    /// Connections that find no link are closed at once, and why; nil: they wait again.
    case refuse(String?)
    /// A forward that was added: every worker knows it before the first connection of it comes.
    case learnDirect(DirectID, LocalForward)
    case learnReverse(ReverseID, ReverseForward)
    /// Listens for it no more, and says so.
    case closeListeners(DirectID)
    case askReverse(LinkID, ReverseID)
    case cancelReverse(ReverseID)
    /// Tells what the worker has.
    case report
    /// The lender asks whether the worker comes round.
    case ping
    /// Another worker has reached the memory ceiling, and the flow that holds most is here.
    case giveMemory
    /// Ends all: cancels reverse forwards, delivers what came whole as long as `drain` lasts, says goodbye, closes.
    case stop(drain: Tick.Span)
}

extension WorkerMessage where Engine: ~Copyable {
    init(_ order: WorkerOrder) {
        switch order {
        case .probe: self = .probe
        case .report: self = .report
        case .refuse(let reason): self = .refuse(reason)
        case .learnDirect(let id, let forward): self = .learnDirect(id, forward)
        case .learnReverse(let id, let forward): self = .learnReverse(id, forward)
        case .closeListeners(let id): self = .closeListeners(id)
        case .askReverse(let link, let id): self = .askReverse(link, id)
        case .cancelReverse(let id): self = .cancelReverse(id)
        case .stop(let drain): self = .stop(drain: drain)
        }
    }
}
