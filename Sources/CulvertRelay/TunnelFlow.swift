internal import CulvertIO
internal import CulvertSSH

/// A connection that goes through a link: one socket here, one channel there.
///
/// Invariant: payload from the channel that the socket would not take lies in `spill`, in order, and its window is not
/// granted again before it has left. Nothing from the socket is held here: it is read when it can be sealed. Payload that
/// comes before the flow is open is spilled whole.
struct TunnelFlow: ~Copyable {
    enum Phase: UInt8, BitwiseCopyable {
        /// A connection to a local port; the channel is asked for.
        case opening
        /// A channel from the server whose client says in SOCKS where it wants to go, or is being told what became of it.
        case greeting
        /// A channel from the server; the target is looked up, then dialled.
        case dialing
        /// Both ends stand.
        case open
        /// Over; the slot waits until the link's queue lets go of its number.
        case defunct
    }

    var phase: Phase
    let link: Int
    let channel: ChannelNumber
    /// Read from.
    var socket: Descriptor
    /// Written to: the same, but for standard input and output.
    var sink: Descriptor
    /// Its number among the direct or the reverse forwards, or `toNextHop`.
    let forward: Int
    let isReverse: Bool
    let peer: SocketAddress
    let started: Tick

    // Socket to channel.
    /// Stands in its link's queue: the socket was readable.
    var isQueued = false
    /// Has payload but no window: waits for the engine's word.
    var awaitsWindow = false
    /// The socket's stream has ended and EOF was sent.
    var hasFinished = false
    /// Slots for the next read: 1, 4 or 16, as the last ones came full.
    var batch = 1
    var sent: UInt64 = 0

    // Channel to socket.
    var spill = Spill()
    var awaitsWritable = false
    /// The socket has been full since then.
    var stalledSince = Tick(nanoseconds: 0)
    /// EOF has come; the socket's writing direction is shut once everything before it is written.
    var peerEnded = false
    var isShut = false
    /// CLOSE has come, after an EOF or as a cut.
    var peerClosed = false
    var received: UInt64 = 0

    var candidates: [SocketAddress] = []
    /// Of `-W`: the process ends with it.
    var isStandardStreams = false
    /// Of a dynamic forward: what its client asked for and is to be told.
    var socks: SocksNegotiation?

    init(
        phase: Phase, link: Int, channel: ChannelNumber, socket: Descriptor, forward: Int, isReverse: Bool,
        peer: SocketAddress, started: Tick
    ) {
        self.phase = phase
        self.link = link
        self.channel = channel
        self.socket = socket
        sink = socket
        self.forward = forward
        self.isReverse = isReverse
        self.peer = peer
        self.started = started
    }

    /// In place of a forward's number: it carries the link to the next host of a path.
    static var toNextHop: Int { -1 }
    var leadsToNextHop: Bool { forward == Self.toNextHop }

    /// For the snapshot: what it waits for.
    var stall: String {
        switch phase {
        case .opening: "the server's answer"
        case .greeting: "the client's word where to go"
        case .dialing: "the target"
        case .defunct: "its end"
        case .open where awaitsWindow: "the far reader (channel window used up)"
        case .open where awaitsWritable: "the local reader (socket full)"
        case .open: "nothing (idle or moving)"
        }
    }
}
