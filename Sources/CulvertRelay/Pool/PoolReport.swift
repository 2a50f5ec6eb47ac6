internal import CulvertIO

/// What a pool and its workers have, at about one moment: forwards are names here.
struct PoolReport: Equatable, Sendable {
    var state: TunnelReport.State
    var since: Tick.Span?
    var places: [PlaceReport]
    var direct: [DirectID: DirectState]
    var reverse: [ReverseState]
    /// In their order.
    var workers: [WorkerReport]
}

/// How a direct forward that is wanted is.
enum DirectState: Equatable, Sendable {
    case closed
    case open(port: UInt16?)
    /// It is tried again.
    case failed(String)
}

/// What became of the links of one place so far.
struct LinkHistory: Equatable, Sendable {
    /// Losses that are remembered: enough to see whether they have one cause.
    static let length = 8

    struct Word: Equatable, Sendable {
        let text: String
        let at: Tick

        func report(_ now: Tick) -> PlaceReport.Word { PlaceReport.Word(text: text, age: now - at) }
    }

    /// Of the last link.
    private(set) var summary = ""
    private(set) var connects: UInt64 = 0
    private(set) var losses: UInt64 = 0
    /// The last first.
    private(set) var lost: [Word] = []
    /// Logins that failed since a link stood.
    private(set) var attempts = 0
    private(set) var failure: Word?

    mutating func stands(_ summary: String) {
        self.summary = summary
        connects += 1
        attempts = 0
    }

    mutating func failed(_ reason: String, now: Tick) {
        attempts += 1
        failure = Word(text: reason, at: now)
    }

    mutating func wasLost(_ reason: String, now: Tick) {
        losses += 1
        failure = Word(text: reason, at: now)
        lost.insert(Word(text: reason, at: now), at: 0)
        if lost.count > Self.length { lost.removeLast() }
    }
}

/// How the pool is, when it is asked.
extension LinkPool {
    /// One that is wanted while another is gathered is the same.
    mutating func beginReport() {
        guard reportParts == nil else { return }
        reportParts = [:]
        act(.post(.report))
    }

    mutating func addReport(_ worker: WorkerID, _ report: WorkerReport, now: Tick) {
        reportParts?[worker] = report
        guard let parts = reportParts, parts.count == plan.workers else { return }
        reportParts = nil
        act(.report(self.report(parts.sorted { $0.key.number < $1.key.number }.map(\.value), now: now)))
    }

    /// Once it is over.
    func lastReport(_ now: Tick) -> PoolReport { report([], now: now) }

    private func report(_ workers: [WorkerReport], now: Tick) -> PoolReport {
        PoolReport(
            state: state, since: (downSince ?? upSince ?? begunAt).map { now - $0 },
            places: places.map { $0.report(now) }, direct: directStates, reverse: reverseStates, workers: workers)
    }

    private var state: TunnelReport.State {
        if phase == .ended { return .ended }
        guard isRunning else { return .ending }
        let standing = standing
        if standing.linksUp > 0 {
            let isWhole = standing.linksUp == places.count && standing.forwardsUp == directCount + reverseCount
            return isWhole ? .up : .partly
        }
        if places.contains(where: \.isTrying) { return .connecting }
        return places.allSatisfy { $0.attempt == .dormant || !$0.hasBegun } ? .idle : .down
    }

    private var directStates: [DirectID: DirectState] {
        var states: [DirectID: DirectState] = [:]
        for forward in listening {
            states[forward] =
                !hasLoggedIn || listeners != .open
                ? .closed
                : unopened.contains(forward)
                    ? .failed(openingFailures[forward] ?? "") : .open(port: chosenPorts[forward])
        }
        return states
    }
}

extension PoolPlace {
    fileprivate func report(_ now: Tick) -> PlaceReport {
        PlaceReport(
            state: state(now), age: link.map { now - $0.since }, summary: history.summary, connects: history.connects,
            losses: history.losses, attempts: history.attempts, failure: history.failure?.report(now),
            lost: history.lost.map { $0.report(now) })
    }

    private func state(_ now: Tick) -> PlaceReport.State {
        if let link { return link.isSuspect ? .silent : .up }
        switch attempt {
        case .underWay: return .connecting
        case .due(let at): return .waiting(max(.zero, at - now))
        case .dormant: return .dormant
        case .none: return .unused
        }
    }
}
