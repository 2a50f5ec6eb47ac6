internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// What one worker has, at one moment. Times are spans, so that it may go to another process.
struct WorkerReport: Equatable, Sendable {
    var links: [LinkReport] = []
    /// Direct forwards that it listens for.
    var listeners: [ListenerReport] = []
    var flows: [FlowReport] = []
    /// Open flows count with what they have carried so far.
    var tallies = ForwardTallies()
    /// SOCKS clients here that have not said where to go.
    var greetings = 0
    /// Connections that have ended, and whose reader has not taken everything.
    var deliveries = 0
    /// Connections that wait for a link.
    var held = 0
    /// Of its links, those that have ended too.
    var carried = LinkTotals()
    /// Bytes of buffers that are in use, of all workers of the tunnel.
    var buffers = 0
}

/// What links have carried, of SSH.
public struct LinkTotals: Equatable, Sendable {
    public internal(set) var sent: UInt64 = 0
    public internal(set) var received: UInt64 = 0
    /// Key exchanges after the first.
    public internal(set) var keyRenewals: UInt64 = 0

    mutating func add(sent: UInt64, received: UInt64, keyRenewals: UInt64) {
        self.sent &+= sent
        self.received &+= received
        self.keyRenewals &+= keyRenewals
    }
}

/// A listening socket.
struct ListenerReport: Hashable, Sendable {
    let forward: DirectID
    /// It takes no connections for now: something is used up.
    let isPaused: Bool
}

extension WorkerReport {
    /// Whether what it names is there.
    func fits(_ plan: TunnelPlan) -> Bool {
        let (direct, reverse) = (plan.forwards.count, plan.reverse.count)
        func isThere(_ forward: ForwardID) -> Bool {
            switch forward {
            case .direct(let id): id.index < direct
            case .reverse(let id): id.index < reverse
            }
        }
        return links.allSatisfy { ($0.place ?? 0) < plan.links }
            && listeners.allSatisfy { isThere(.direct($0.forward)) }
            && flows.allSatisfy { $0.forward.map(isThere) ?? true }
            && tallies.direct.count <= direct && tallies.reverse.count <= reverse
    }
}

extension WorkerReport: Portable {
    func write(to out: inout WireBytes) {
        out.put(links, listeners, flows, tallies, greetings, deliveries, held, carried, buffers)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        links = try reader.take()
        listeners = try reader.take()
        flows = try reader.take()
        tallies = try reader.take()
        greetings = try reader.take()
        deliveries = try reader.take()
        held = try reader.take()
        carried = try reader.take()
        buffers = try reader.take()
    }
}

extension ListenerReport: Portable {
    func write(to out: inout WireBytes) { out.put(forward, isPaused) }

    init(from reader: inout WireReader) throws(SSHError) {
        forward = try reader.take()
        isPaused = try reader.take()
    }
}

extension LinkTotals: Portable {
    func write(to out: inout WireBytes) { out.put(sent, received, keyRenewals) }

    init(from reader: inout WireReader) throws(SSHError) {
        sent = try reader.take()
        received = try reader.take()
        keyRenewals = try reader.take()
    }
}
