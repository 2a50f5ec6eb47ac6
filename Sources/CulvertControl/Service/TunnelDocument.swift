internal import CulvertIO
internal import CulvertPlan
internal import CulvertRelay

/// What `/v1/tunnels` answers with: the tunnels of one process. In JSON names are written with underscores; every length
/// of time is in seconds, every size in bytes; what is not known is left out.
struct ProcessDocument: Codable, Equatable {
    var pid: Int
    var version: String
    /// Of the process.
    var uptimeSeconds: Double
    var tunnels: [TunnelDocument]
}

/// One tunnel.
struct TunnelDocument: Codable, Equatable {
    var name: String
    var destination: String
    /// `TunnelReport.State`, or "silent": it did not say anything in time.
    var state: String
    var sinceSeconds: Double?
    var engine: String?
    var io: String?
    var workers: Int?
    var links: [LinkDocument] = []
    /// Those that a newer link has replaced and that still have connections.
    var replacedLinks: [LinkDocument] = []
    var jumpHosts: [LinkDocument] = []
    var forwards: [ForwardDocument] = []
    /// Connections that wait for a link.
    var held = 0
    /// SOCKS clients that have not said where to go.
    var greeting = 0
    /// Connections that have ended, and whose reader has not taken everything.
    var delivering = 0

    /// Nothing is missing.
    var isUp: Bool { state == TunnelReport.State.up.rawValue || state == TunnelReport.State.idle.rawValue }
}

/// One SSH connection, or the place for one.
struct LinkDocument: Codable, Equatable {
    var name: String
    /// up, silent, connecting, waiting, dormant, unused.
    var state: String
    var ageSeconds: Double?
    var roundTripSeconds: Double?
    var lastHeardSeconds: Double?
    var connections: Int?
    var sentBytes: UInt64?
    var receivedBytes: UInt64?
    var keyRenewals: UInt64?
    /// Engine and algorithms of the last one here.
    var algorithms: String?
    var connects: UInt64?
    var losses: UInt64?
    /// Logins that have failed since one stood.
    var failedAttempts: Int?
    var nextAttemptSeconds: Double?
    var lastFailure: WordDocument?
    /// Why links were lost, the last first.
    var lost: [WordDocument]?
}

/// Something that was said, in the words of whoever said it.
struct WordDocument: Codable, Equatable {
    var text: String
    var ageSeconds: Double
}

/// One forward.
struct ForwardDocument: Codable, Equatable {
    /// local, dynamic, remote, stdio.
    var kind: String
    /// As it was typed.
    var text: String
    /// standing, paused, failed, waiting.
    var state: String
    var port: UInt16?
    var reason: String?
    var connections: Int
    var opened: UInt64
    var refused: UInt64
    var dropped: UInt64
    /// Of those that were opened: ended by a reset, since not all of it could be delivered.
    var cut: UInt64
    var sentBytes: UInt64
    var receivedBytes: UInt64
    var openedInP50Seconds: Double?
    var openedInP99Seconds: Double?
    /// Left out where all tunnels are asked for.
    var flows: [FlowDocument]?

    var isStanding: Bool { state == "standing" }
}

/// One connection.
struct FlowDocument: Codable, Equatable {
    var peer: String
    var target: String?
    var ageSeconds: Double
    var sentBytes: UInt64
    var receivedBytes: UInt64
    var heldBytes: Int
    /// opening, greeting, dialling, open, far-reader, local-reader, ended.
    var state: String
}

// MARK: From reports

extension TunnelDocument {
    /// `report` nil: it did not answer in time.
    init(_ name: String, _ destination: String, _ report: TunnelReport?, withFlows: Bool) {
        self.name = name
        self.destination = report?.destination ?? destination
        guard let report else {
            state = "silent"
            return
        }
        state = report.state.rawValue
        sinceSeconds = report.since?.seconds
        engine = report.engine.rawValue
        io = report.driver.rawValue
        workers = report.workers
        links = report.places.enumerated().map { number, place in
            let link = report.links.first { $0.place == number && !$0.isReplaced }
            return LinkDocument(place, link, name: "link \(number)")
        }
        replacedLinks = report.links.filter(\.isReplaced).map { LinkDocument($0, state: "replaced") }
        jumpHosts = report.links.filter { $0.place == nil }.map { LinkDocument($0, state: "up") }
        forwards = report.forwards.map { ForwardDocument($0, withFlows: withFlows) }
        held = report.held
        greeting = report.greetings
        delivering = report.deliveries
    }
}

extension LinkDocument {
    fileprivate init(_ link: LinkReport, state: String) {
        name = link.name
        self.state = state
        take(link)
    }

    fileprivate init(_ place: PlaceReport, _ link: LinkReport?, name: String) {
        self.name = name
        state = place.state.name
        if case .waiting(let span) = place.state { nextAttemptSeconds = span.seconds }
        if let link { take(link) }
        ageSeconds = place.age?.seconds
        algorithms = place.summary.isEmpty ? nil : place.summary
        connects = place.connects
        losses = place.losses
        failedAttempts = place.attempts
        lastFailure = place.failure.map(WordDocument.init)
        lost = place.lost.map(WordDocument.init)
    }

    private mutating func take(_ link: LinkReport) {
        ageSeconds = link.age.seconds
        roundTripSeconds = link.roundTrip?.seconds
        lastHeardSeconds = link.silence.seconds
        connections = link.flows
        sentBytes = link.sent
        receivedBytes = link.received
        keyRenewals = link.keyRenewals
    }
}

extension PlaceReport.State {
    /// For documents and labels.
    var name: String {
        switch self {
        case .up: "up"
        case .silent: "silent"
        case .connecting: "connecting"
        case .waiting: "waiting"
        case .dormant: "dormant"
        case .unused: "unused"
        }
    }
}

extension WordDocument {
    fileprivate init(_ word: PlaceReport.Word) { self.init(text: word.text, ageSeconds: word.age.seconds) }
}

extension ForwardDocument {
    fileprivate init(_ report: ForwardReport, withFlows: Bool) {
        kind = report.kind.rawValue
        text = report.text
        switch report.state {
        case .standing(let port): (state, self.port) = ("standing", port)
        case .paused: state = "paused"
        case .failed(let reason): (state, self.reason) = ("failed", reason)
        case .waiting: state = "waiting"
        }
        connections = report.flows.count
        opened = report.tally.opened
        refused = report.tally.refused
        dropped = report.tally.dropped
        cut = report.tally.cut
        sentBytes = report.tally.sent
        receivedBytes = report.tally.received
        openedInP50Seconds = report.tally.opening.quantile(0.5)?.seconds
        openedInP99Seconds = report.tally.opening.quantile(0.99)?.seconds
        flows = withFlows ? report.flows.map(FlowDocument.init) : nil
    }
}

extension FlowDocument {
    fileprivate init(_ report: FlowReport) {
        peer = report.peer
        target = report.target
        ageSeconds = report.age.seconds
        sentBytes = report.sent
        receivedBytes = report.received
        heldBytes = report.held
        switch report.state {
        case .opening: state = "opening"
        case .greeting: state = "greeting"
        case .dialling: state = "dialling"
        case .open: state = "open"
        case .farReader: state = "far-reader"
        case .localReader: state = "local-reader"
        case .ended: state = "ended"
        }
    }
}
