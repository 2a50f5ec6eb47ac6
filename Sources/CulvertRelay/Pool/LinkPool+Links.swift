internal import CulvertIO
internal import CulvertSSH

/// Logins, and links that go and come.
extension LinkPool {
    /// The place's next link begins its life, unless one is on its way.
    mutating func beginLogin(_ index: Int) {
        guard isRunning, !places[index].isTrying else { return }
        lastSerial += 1
        let id = LinkID(place: index, serial: lastSerial)
        places[index].attempt = .underWay(id)
        places[index].hasBegun = true
        act(.beginLogin(id, mayPrompt: !hasLoggedIn))
    }

    /// One login after the other: a burst would meet the server's MaxStartups.
    private mutating func beginNextPlace() {
        guard listeners == .open, let next = places.firstIndex(where: { !$0.hasBegun }) else { return }
        beginLogin(next)
    }

    /// The place of a link that stands; nil for every other link.
    func place(of id: LinkID) -> Int? { places[id.place].link?.id == id ? id.place : nil }

    // MARK: What became of a login

    mutating func loggedIn(_ id: LinkID, _ summary: String, now: Tick) {
        guard places[id.place].isTrying(id) else { return act(.drop(id)) }
        // The old link spoke again while this one was made.
        guard isRunning, !places[id.place].isServing else {
            places[id.place].attempt = .none
            return act(.drop(id))
        }
        switch listeners {
        case .closed:
            listeners = .opening(id, summary: summary)
            act(.openListeners(plan.listening))
        case .opening: preconditionFailure("the first login is the only one before the listeners are open")
        case .open: admit(id, summary, now: now)
        }
    }

    /// The link goes to its worker.
    mutating func admit(_ id: LinkID, _ summary: String, now: Tick) {
        let index = id.place
        let outage = places[index].lostAt.map { now - $0 }
        say(
            places[index].wasUp
                ? .back(place: index, after: outage, summary: summary) : .connected(summary: summary))
        places[index].attempt = .none
        places[index].link = PoolPlace.Standing(id: id, since: now)
        places[index].wasUp = true
        places[index].lostAt = nil
        act(.deliver(id, reverse: plan.reverse(of: index)))
        if plan.carriesStreams, !streamsHaveBegun {
            streamsHaveBegun = true
            act(.carryStreams(id))
        }
        beginNextPlace()
        tellStanding()
        checkReady(now: now)
    }

    mutating func loginFailed(
        _ id: LinkID, _ error: SSHError, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        if case .opening(id, _) = listeners { return }
        guard places[id.place].isTrying(id) else { return }
        places[id.place].attempt = .none
        guard isRunning else { return }
        guard hasLoggedIn || plan.persist else { return firstLoginFailed(id.place, error, now: now) }
        if !isReady { act(.tell(.delayed)) }
        // The old link has spoken again meanwhile: nothing is missing.
        guard !places[id.place].isServing else { return }
        let wasRefused = error.kind == .authentication || error.kind == .hostKey
        let wait = places[id.place].backoff.failed(wasRefused: wasRefused, jitter: .random(in: 0..<1, using: &dice))
        let delay = wasRefused ? wait : limited(wait, now: now)
        places[id.place].attempt = .due(now + delay, wasRefused: wasRefused)
        // A long outage is told once a while, not at every attempt.
        let attempts = places[id.place].backoff.attempts
        say(.loginFailed(error, again: delay, isOldNews: !wasRefused && attempts > 3 && attempts % 16 != 0))
        beginNextPlace()
        tellStanding()
    }

    private mutating func firstLoginFailed(_ index: Int, _ error: SSHError, now: Tick) {
        firstAttempts += 1
        guard error.kind == .transport, firstAttempts < plan.connectionAttempts else {
            say(.loginGivenUp(error))
            return stop(.connectionFailed, now: now)
        }
        say(.firstLoginFailed(error, again: Self.firstAttemptsPause))
        places[index].attempt = .due(now + Self.firstAttemptsPause, wasRefused: false)
    }

    /// While somebody waits, nothing else is waited for so long.
    private func limited(_ wait: Tick.Span, now: Tick) -> Tick.Span {
        guard let waitersUntil, now < waitersUntil else { return wait }
        return min(wait, Backoff.longestWhileWaited)
    }

    mutating func connectionWaits(now: Tick) {
        waitersUntil = now + plan.hold
        for index in places.indices {
            if let at = places[index].retryAt, at > now + Backoff.longestWhileWaited { places[index].hurry(to: now) }
        }
    }

    // MARK: What becomes of a link

    mutating func linkLost(
        _ id: LinkID, _ reason: String, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        guard let index = place(of: id) else { return }
        // A server that ends every link right after its login is not knocked at without a pause.
        let isSettled = places[index].settle(now: now)
        places[index].link = nil
        places[index].lostAt = now
        for forward in plan.reverse(of: index) { reverseStates[forward.index] = .unasked }
        guard !plan.carriesStreams else { return linkLostForGood(reason, now: now) }
        guard isRunning else { return }
        say(.lost(place: index, reason: reason))
        let jitter = Double.random(in: 0..<1, using: &dice)
        let wait = isSettled ? .zero : places[index].backoff.failed(wasRefused: false, jitter: jitter)
        if !places[index].isTrying { places[index].attempt = .due(now + limited(wait, now: now), wasRefused: false) }
        tellStanding()
    }

    /// Of a clean end nobody is told that the link went with it; of a flow that was cut it is the reason.
    private mutating func linkLostForGood(_ reason: String, now: Tick) {
        if case .stopping(.asAsked, _) = phase { return }
        say(.lostForGood(reason: reason))
        stop(.connectionFailed, now: now)
    }

    mutating func linkSuspect(_ id: LinkID, now: Tick) {
        guard isRunning, let index = place(of: id), !plan.carriesStreams else { return }
        say(.silent)
        _ = places[index].settle(now: now)
        places[index].link?.isSuspect = true
        places[index].lostAt = now
        beginLogin(index)
        tellStanding()
    }

    mutating func linkRecovered(_ id: LinkID) {
        guard let index = place(of: id), places[index].link?.isSuspect == true else { return }
        say(.answersAgain)
        places[index].link?.isSuspect = false
        places[index].lostAt = nil
        if places[index].retryAt != nil { places[index].attempt = .none }
        tellStanding()
    }

    /// Told once: every link of the pool has the same server, and so has every later one.
    mutating func nodelayRefused() {
        guard !wasToldOfNodelay else { return }
        wasToldOfNodelay = true
        say(.nodelayRefused)
    }
}
