internal import CulvertIO

/// A connection that came in here and has no flow yet.
struct IncomingConnection: Sendable {
    let descriptor: Descriptor
    /// Written to: the same, but for standard input and output.
    let sink: Descriptor
    let forward: DirectID
    let peer: SocketAddress
    let arrival: Arrival
    /// Of a dynamic forward, once the client has asked.
    var socks: SocksNegotiation?
    /// Who waits for its channel; nil: only the client.
    let opening: OpeningWatch?

    init(
        _ descriptor: Descriptor, sink: Descriptor? = nil, forward: DirectID, peer: SocketAddress, arrival: Arrival,
        socks: SocksNegotiation? = nil, opening: OpeningWatch? = nil
    ) {
        self.descriptor = descriptor
        self.sink = sink ?? descriptor
        self.forward = forward
        self.peer = peer
        self.arrival = arrival
        self.socks = socks
        self.opening = opening
    }

    var isStandardStreams: Bool { descriptor != sink }
}

/// The connections of one worker that wait for a link, in the order in which they came. Held is what no channel was asked
/// for: the client has been promised nothing, and nothing is carried out for one that has gone.
struct HeldConnections {
    struct Held {
        let connection: IncomingConnection
        let expires: Tick
    }

    private(set) var list: [Held] = []
    private var arrivals: UInt64 = 0

    var isEmpty: Bool { list.isEmpty }
    var count: Int { list.count }

    /// For a connection that comes now.
    mutating func nextArrival(_ now: Tick) -> Arrival {
        arrivals += 1
        return Arrival(moment: now, number: arrivals)
    }

    /// One that came before others, and lost its link, is among the first again.
    mutating func add(_ connection: IncomingConnection, expires: Tick) {
        let place = list.lastIndex { $0.connection.arrival <= connection.arrival }.map { $0 + 1 } ?? 0
        list.insert(Held(connection: connection, expires: expires), at: place)
    }

    mutating func takeFirst() -> IncomingConnection? { list.isEmpty ? nil : list.removeFirst().connection }

    mutating func takeAll() -> [Held] {
        defer { list = [] }
        return list
    }

    /// Those for which `isOut` says so, in order.
    mutating func take(where isOut: (Held) -> Bool) -> [Held] {
        var taken: [Held] = []
        var kept: [Held] = []
        for each in list { if isOut(each) { taken.append(each) } else { kept.append(each) } }
        list = kept
        return taken
    }
}
