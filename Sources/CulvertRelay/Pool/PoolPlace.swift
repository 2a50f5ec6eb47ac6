internal import CulvertIO

/// One place of a pool: the link that stands there, and the way to the next one.
struct PoolPlace {
    enum Attempt: Equatable {
        case none
        /// At most one login at a time.
        case underWay(LinkID)
        /// `wasRefused`: the last one was, and nothing but time brings the next one closer.
        case due(Tick, wasRefused: Bool)
    }

    /// A link that was delivered and is not lost.
    struct Standing: Equatable {
        let id: LinkID
        let since: Tick
        /// It is silent; its replacement is on its way.
        var isSuspect = false
    }

    var attempt = Attempt.none
    var link: Standing?
    var backoff = Backoff()
    /// Its first login has begun; before, the place waits for the others' first logins.
    var hasBegun = false
    var wasUp = false
    var lostAt: Tick?

    /// A link stands that new connections go to.
    var isServing: Bool { link.map { !$0.isSuspect } ?? false }

    /// A login is under way.
    var isTrying: Bool {
        if case .underWay = attempt { true } else { false }
    }

    /// A login is under way under this name.
    func isTrying(_ id: LinkID) -> Bool { attempt == .underWay(id) }

    var retryAt: Tick? {
        if case .due(let at, _) = attempt { at } else { nil }
    }

    /// The next attempt, if only time is waited for, is made no later than that.
    mutating func hurry(to moment: Tick) {
        if case .due(let at, wasRefused: false) = attempt { attempt = .due(min(at, moment), wasRefused: false) }
    }

    /// The link was there for long enough to count as a success: the next waits are short again.
    mutating func settle(now: Tick) -> Bool {
        guard let link, now - link.since >= Backoff.settled else { return false }
        backoff.succeeded()
        return true
    }
}
