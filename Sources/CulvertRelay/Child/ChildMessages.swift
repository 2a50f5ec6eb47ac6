internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// What a child is told by its parent.
enum ChildOrder: Sendable {
    /// The first one, once.
    case begin(ChildPlan)
    /// A login begins; with one end of a line for its questions (`LoginQuestion`).
    case login(LinkID, ChildWay)
    /// As `ReadyLink` has them.
    case deliver(LinkID, reverse: [ReverseID])
    case drop(LinkID)
    /// A connection for the link at a place of the pool, with its descriptor, or two where it is written to another. The
    /// parent keeps descriptors of it until it is told what became of it.
    case carry(LentConnection)
    case probe
    case report
    case stop(drain: Tick.Span)
    /// Every voice of it answers (`ChildWatch`).
    case ping
}

/// A connection that the parent has accepted.
struct LentConnection: Sendable {
    let place: Int
    let forward: DirectID
    let peer: SocketAddress
    /// Its name between the two.
    let arrival: Arrival
    /// Of a dynamic forward: its client has asked.
    let request: LentRequest?

    struct LentRequest: Sendable, Portable {
        let request: SocksRequest
        let isVersion4: Bool
    }
}

/// What a child tells its parent.
enum ChildNews: Sendable {
    case said(Journal.Line)
    /// Whether the place's link takes new flows.
    case isOpen(place: Int, Bool)
    /// How many flows the place's links have.
    case load(place: Int, flows: Int)
    /// The connection was given a channel, or has come to its end: the parent's descriptors of it are to be closed. Said
    /// before anything is written to it or read from it.
    case settled(Arrival, isOpen: Bool)
    /// Nothing has become of the connection: it waits for another link.
    case returned(Arrival)
    /// No link runs over the path of that login any more.
    case pathEnded(LinkID)

    // As `ControlMessage` has them.
    case linkLost(LinkID, reason: String, life: LinkLife)
    case linkSuspect(LinkID)
    case linkRecovered(LinkID)
    case reverseAnswered(LinkID, forward: ReverseID, ReverseAnswer)
    case nodelayRefused
    case streamsEnded(cleanly: Bool)
    case reported(WorkerID, WorkerReport)
    /// To `ping`; a worker that has stopped is spoken for.
    case answered(ChildVoice)
}

extension Portable {
    /// The whole message.
    var message: [UInt8] {
        var out = WireBytes()
        write(to: &out)
        return out.take()
    }

    init(message: [UInt8]) throws(SSHError) {
        self = try message.read("a message between processes") { reader throws(SSHError) in
            let value = try Self(from: &reader)
            try reader.end()
            return value
        }
    }
}

extension ChildOrder: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .begin(let plan): out.put(UInt8(0), plan)
        case .login(let id, let way): out.put(UInt8(1), id, way)
        case .deliver(let id, let reverse): out.put(UInt8(2), id, reverse)
        case .drop(let id): out.put(UInt8(3), id)
        case .carry(let connection): out.put(UInt8(4), connection)
        case .probe: out.put(UInt8(5))
        case .report: out.put(UInt8(6))
        case .stop(let drain): out.put(UInt8(7), drain)
        case .ping: out.put(UInt8(8))
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .begin(try reader.take())
        case 1: self = .login(try reader.take(), try reader.take())
        case 2: self = .deliver(try reader.take(), reverse: try reader.take())
        case 3: self = .drop(try reader.take())
        case 4: self = .carry(try reader.take())
        case 5: self = .probe
        case 6: self = .report
        case 7: self = .stop(drain: try reader.take())
        case 8: self = .ping
        default: throw .unreadable
        }
    }
}

extension ChildNews: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .said(let line): out.put(UInt8(0), line)
        case .isOpen(let place, let isOpen): out.put(UInt8(1), place, isOpen)
        case .load(let place, let flows): out.put(UInt8(2), place, flows)
        case .settled(let arrival, let isOpen): out.put(UInt8(3), arrival, isOpen)
        case .returned(let arrival): out.put(UInt8(4), arrival)
        case .pathEnded(let id): out.put(UInt8(5), id)
        case .linkLost(let id, let reason, let life):
            out.put(UInt8(6), id, reason, life.hasCarried, life.endedUnused)
        case .linkSuspect(let id): out.put(UInt8(7), id)
        case .linkRecovered(let id): out.put(UInt8(8), id)
        case .reverseAnswered(let id, let forward, let answer): out.put(UInt8(9), id, forward, answer)
        case .nodelayRefused: out.put(UInt8(10))
        case .streamsEnded(let cleanly): out.put(UInt8(11), cleanly)
        case .reported(let worker, let report): out.put(UInt8(12), worker.number, report)
        case .answered(let voice): out.put(UInt8(13), voice)
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .said(try reader.take())
        case 1: self = .isOpen(place: try reader.take(), try reader.take())
        case 2: self = .load(place: try reader.take(), flows: try reader.take())
        case 3: self = .settled(try reader.take(), isOpen: try reader.take())
        case 4: self = .returned(try reader.take())
        case 5: self = .pathEnded(try reader.take())
        case 6:
            let id: LinkID = try reader.take()
            let reason: String = try reader.take()
            var life = LinkLife()
            life.hasCarried = try reader.take()
            life.endedUnused = try reader.take()
            self = .linkLost(id, reason: reason, life: life)
        case 7: self = .linkSuspect(try reader.take())
        case 8: self = .linkRecovered(try reader.take())
        case 9: self = .reverseAnswered(try reader.take(), forward: try reader.take(), try reader.take())
        case 10: self = .nodelayRefused
        case 11: self = .streamsEnded(cleanly: try reader.take())
        case 12: self = .reported(WorkerID(try reader.take()), try reader.take())
        case 13: self = .answered(try reader.take())
        default: throw .unreadable
        }
    }

    /// Whether what it names is there: a child that a server has in its hands may say anything.
    func fits(_ plan: TunnelPlan, workers: Int) -> Bool {
        switch self {
        case .said, .settled, .returned, .nodelayRefused, .streamsEnded, .answered(.first): true
        case .isOpen(let place, _): place < plan.links
        // More than any process has descriptors for.
        case .load(let place, let flows): place < plan.links && flows <= 1 << 24
        case .linkLost(let id, _, _), .linkSuspect(let id), .linkRecovered(let id), .pathEnded(let id):
            id.place < plan.links
        case .reverseAnswered(let id, let forward, _): id.place < plan.links && forward.index < plan.reverse.count
        case .reported(let worker, let report): worker.number < workers && report.fits(plan)
        case .answered(.worker(let worker)): worker.number < workers
        }
    }
}

// MARK: Their parts

extension LinkID: Portable {
    func write(to out: inout WireBytes) { out.put(place, serial) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(place: try reader.take(), serial: try reader.take())
    }
}

extension DirectID: Portable {
    func write(to out: inout WireBytes) { out.put(index) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(index: try reader.take()) }
}

extension ReverseID: Portable {
    func write(to out: inout WireBytes) { out.put(index) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(index: try reader.take()) }
}

extension Arrival: Portable {
    func write(to out: inout WireBytes) { out.put(moment, number) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(moment: try reader.take(), number: try reader.take())
    }
}

extension ReverseAnswer: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .standing(let port): out.put(UInt8(0), port)
        case .refused: out.put(UInt8(1))
        case .notAsked(let why): out.put(UInt8(2), why)
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .standing(port: try reader.take())
        case 1: self = .refused
        case 2: self = .notAsked(try reader.take())
        default: throw .unreadable
        }
    }
}

extension LentConnection: Portable {
    func write(to out: inout WireBytes) { out.put(place, forward.index, peer, arrival, request) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(
            place: try reader.take(), forward: DirectID(index: try reader.take()), peer: try reader.take(),
            arrival: try reader.take(), request: try reader.take())
    }
}

extension LentConnection.LentRequest {
    func write(to out: inout WireBytes) { out.put(request.host, request.port, isVersion4) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(
            request: SocksRequest(host: try reader.take(), port: try reader.take()), isVersion4: try reader.take())
    }
}
