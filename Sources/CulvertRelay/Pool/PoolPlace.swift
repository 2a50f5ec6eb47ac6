internal import CulvertIO

/// One place of a pool: the link that stands there, and the way to the next one.
struct PoolPlace {
    enum Attempt: Equatable {
        case none
        /// One login; where it fell silent another beside it.
        case underWay(LinkID)
        case due(Tick)
        /// The server closes links that nobody uses: the next one begins when a connection comes.
        case dormant
    }

    /// A step of the backoff: from an attempt that came to nothing to the next one that time alone brings.
    struct Step: Equatable {
        /// What may bring an attempt before that: the network's news once, where anything may.
        enum Haste: Equatable {
            /// Connections that wait have their pace beside it.
            case paced
            /// One of either.
            case once
            case networkAlone
            case nothing
        }

        var due: Tick
        let haste: Haste
        var hadEarlyTry = false
    }

    /// A link that was delivered and is not lost.
    struct Standing: Equatable {
        let id: LinkID
        let since: Tick
        /// It has stood for long: what was before does not count.
        var isSettled = false
        /// It is silent; its replacement is on its way.
        var isSuspect = false
    }

    var attempt = Attempt.none { didSet { if !isTrying { second = nil } } }
    /// The login beside the one that is under way.
    private(set) var second: LinkID? { didSet { secondIsSilent = false } }
    /// That one waits in vain too.
    var secondIsSilent = false
    var link: Standing?
    var backoff = Backoff()
    /// nil: nothing has come to nothing since a link settled.
    private(set) var step: Step?
    private var triedAt: Tick?
    /// Its first login has begun; before, the place waits for the others' first logins.
    var hasBegun = false
    var wasUp = false
    var history = LinkHistory()
    var lostAt: Tick?

    /// A link stands that new connections go to.
    var isServing: Bool { link.map { !$0.isSuspect } ?? false }

    /// A login is under way.
    var isTrying: Bool {
        if case .underWay = attempt { true } else { false }
    }

    /// A login is under way under this name.
    func isTrying(_ id: LinkID) -> Bool { attempt == .underWay(id) || second == id }

    var retryAt: Tick? {
        if case .due(let at) = attempt { at } else { nil }
    }

    /// When the link that stands has settled by its age.
    var settlesAt: Tick? {
        // The age of one that is silent proves nothing.
        guard let link, !link.isSettled, !link.isSuspect else { return nil }
        return link.since + Backoff.settled
    }

    mutating func begin(_ id: LinkID, now: Tick) {
        attempt = .underWay(id)
        hasBegun = true
        triedAt = now
    }

    mutating func begin(_ id: LinkID, beside silent: LinkID) {
        precondition(attempt == .underWay(silent) && second == nil, "a second login has one beside it")
        second = id
    }

    /// One login has come to nothing. Returns the other that goes on, if one does.
    mutating func leaves(_ id: LinkID) -> LinkID? {
        guard let second, case .underWay(let first) = attempt, id == first || id == second else { return nil }
        let other = id == second ? first : second
        attempt = .underWay(other)
        self.second = nil
        return other
    }

    /// The login led in: what was refused before does not count, and the backoff goes on where it was.
    mutating func stand(_ id: LinkID, now: Tick) {
        attempt = .none
        link = Standing(id: id, since: now)
        backoff.letIn()
        step = nil
    }

    /// The link has proved itself: the next waits are short again.
    mutating func settle() {
        link?.isSettled = true
        backoff.settled()
        step = nil
    }

    /// An attempt, or a link before it had settled, has come to nothing: the next one is due after the pause. One that was
    /// made early changes nothing about when the next is due by itself.
    mutating func fail(_ cause: Backoff.Cause, jitter: Double, now: Tick) {
        if cause != .refusal, let step, step.hadEarlyTry, step.due > now {
            attempt = .due(step.due)
            return
        }
        let due = now + backoff.failed(cause, jitter: jitter)
        let haste: Step.Haste =
            switch cause {
            case .failure: .paced
            case .refusalForNow: .once
            case .hostKey: .networkAlone
            case .refusal: .nothing
            }
        step = Step(due: due, haste: haste)
        attempt = .due(due)
    }

    /// The network may lead there again: the next attempt is made now, once a step.
    mutating func hurry(now: Tick) {
        guard case .due(let at) = attempt, at > now, let known = step, known.haste != .nothing, !known.hadEarlyTry
        else {
            return
        }
        step?.hadEarlyTry = true
        attempt = .due(now)
    }

    /// While a connection waits: no longer after the last attempt than this.
    mutating func comeWithin(_ pause: Tick.Span, now: Tick) {
        guard case .due(let at) = attempt, let known = step else { return }
        let latest = max(now, (triedAt ?? now) + pause)
        guard latest < at else { return }
        switch known.haste {
        case .paced: step?.due = latest
        case .once:
            guard !known.hadEarlyTry else { return }
            step?.hadEarlyTry = true
        case .networkAlone, .nothing: return
        }
        attempt = .due(latest)
    }

    /// Nothing is to be had before that moment.
    mutating func postpone(to moment: Tick) {
        if case .due(let at) = attempt, at < moment { attempt = .due(moment) }
    }

    /// The next attempt, if one is due, is made no later than that.
    mutating func limit(to moment: Tick) {
        if case .due(let at) = attempt, at > moment { attempt = .due(moment) }
    }
}
