internal import CulvertIO
internal import CulvertSSH

/// A connection that goes through a link: one socket here, one channel there.
///
/// Invariant: payload from the channel that the socket would not take lies in `spill`, in order, and its window is not
/// granted again before it has left. Nothing from the socket is held here: it is read when it can be sealed. Payload that
/// comes before the flow is open is spilled whole. Once `end` is set nothing is read or sent, no event names the channel,
/// and the flow is freed by the worker's `reap`, nowhere else.
struct TunnelFlow: ~Copyable, SlabElement {
    typealias ID = FlowID

    enum Phase: UInt8, BitwiseCopyable {
        /// A connection to a local port; the channel is asked for.
        case opening
        /// A channel from the server whose client says in SOCKS where it wants to go, or is being told what became of it.
        case greeting
        /// A channel from the server; the target is looked up, then dialled.
        case dialing
        /// Both ends stand.
        case open
    }

    /// What it is there for.
    enum Purpose: Hashable, BitwiseCopyable {
        case forward(ForwardID)
        /// It carries the link to the next host of a path.
        case nextHop
    }

    var phase: Phase
    /// Set once: it is over.
    var end: FlowEnd?
    let link: LinkSlot
    let channel: ChannelNumber
    /// Read from; nil until its target stands.
    var socket: Descriptor?
    /// Written to: the same, but for standard input and output.
    var sink: Descriptor?
    let purpose: Purpose
    let peer: SocketAddress
    let started: Tick
    var ends = StreamEnds()

    // Socket to channel.
    /// Where it stands in its link's queue.
    var standing = FlowQueue.Standing.idle
    /// Has payload but no window: waits for the engine's word.
    var awaitsWindow = false
    /// Slots for the next read: 1, 4 or 16, as the last ones came full.
    var batch = 1
    var sent: UInt64 = 0
    /// After a failed send: what was sent of the rest when that was last looked at.
    var restSeen: UInt64 = 0

    // Channel to socket.
    var spill = Spill()
    var awaitsWritable = false
    /// The socket has been full since then.
    var stalledSince = Tick(nanoseconds: 0)
    var received: UInt64 = 0

    /// While a target is looked up or dialled.
    var dialling: Dialling?
    /// When the connection came, for its place among those that wait.
    let arrival: Arrival
    /// Of `-W`: the process ends with it.
    var isStandardStreams = false
    /// Another process has accepted it, and keeps a descriptor until it hears what became of the channel.
    var isLent = false
    /// Of a dynamic forward: what its client asked for and is to be told.
    var socks: SocksNegotiation?
    /// Who waits for its channel, besides the client.
    var opening: OpeningWatch?

    init(
        phase: Phase, link: LinkSlot, channel: ChannelNumber, socket: Descriptor?, purpose: Purpose,
        peer: SocketAddress, arrival: Arrival, started: Tick
    ) {
        self.phase = phase
        self.link = link
        self.channel = channel
        self.socket = socket
        sink = socket
        self.purpose = purpose
        self.peer = peer
        self.arrival = arrival
        self.started = started
    }

    /// What it waits for.
    var state: FlowReport.State {
        switch phase {
        case .opening: .opening
        case .greeting: .greeting
        case .dialing: .dialling
        case .open where end != nil: .ended
        case .open where awaitsWindow: .farReader
        case .open where awaitsWritable: .localReader
        case .open: .open
        }
    }
}

/// When a connection came: earlier ones are served first.
struct Arrival: Hashable, Comparable, Sendable, BitwiseCopyable {
    let moment: Tick
    /// Among those of the same moment.
    let number: UInt64

    static func < (left: Arrival, right: Arrival) -> Bool {
        left.moment == right.moment ? left.number < right.number : left.moment < right.moment
    }
}

extension SocketAddress {
    /// For a line: a Unix peer names itself as it likes.
    var shown: String { isUnix ? PeerText(description).description : description }
}
