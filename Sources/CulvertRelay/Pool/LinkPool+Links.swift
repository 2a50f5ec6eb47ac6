internal import CulvertIO
internal import CulvertSSH

/// Logins, and links that go and come.
extension LinkPool {
    /// The place's next link begins its life, unless one is on its way.
    mutating func beginLogin(_ index: Int, now: Tick) {
        guard isRunning, !places[index].isTrying else { return }
        if let most = plan.logins, logins >= most { return loginsUsedUp(index, most, now: now) }
        logins += 1
        lastSerial += 1
        let id = LinkID(place: index, serial: lastSerial)
        places[index].begin(id, now: now)
        act(.beginLogin(id, mayPrompt: !hasLoggedIn))
    }

    /// The tunnel goes on with the links that it has.
    private mutating func loginsUsedUp(_ index: Int, _ most: Int, now: Tick) {
        places[index].attempt = .none
        guard places.allSatisfy({ $0.link == nil && !$0.isTrying }) else { return }
        say(.loginsUsedUp(most))
        stop(.asAsked, now: now)
    }

    /// One more is begun beside a login that waits for a server in vain.
    mutating func loginSilent(_ id: LinkID) {
        let place = places[id.place]
        if place.second == id { return places[id.place].secondIsSilent = true }
        guard isRunning, place.attempt == .underWay(id), place.second == nil, !place.isServing else { return }
        if case .opening = listeners { return }
        lastSerial += 1
        let other = LinkID(place: id.place, serial: lastSerial)
        places[id.place].begin(other, beside: id)
        say(.loginSilent)
        act(.beginLogin(other, mayPrompt: !hasLoggedIn, beside: id))
    }

    /// One login after the other: a burst would meet the server's MaxStartups.
    private mutating func beginNextPlace(now: Tick) {
        guard listeners == .open, let next = places.firstIndex(where: { !$0.hasBegun }) else { return }
        beginLogin(next, now: now)
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
            act(.openListeners(listening))
        // One beside it was there before.
        case .opening: act(.drop(id))
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
        if let old = places[index].link, !old.isSettled { act(.unsettled(old.id)) }
        places[index].stand(id, now: now)
        places[index].history.stands(summary)
        downSince = nil
        upSince = upSince ?? now
        refuse(nil)
        places[index].wasUp = true
        places[index].lostAt = nil
        act(.deliver(id, reverse: reverse(of: index)))
        if plan.carriesStreams, !streamsHaveBegun {
            streamsHaveBegun = true
            act(.carryStreams(id))
        }
        beginNextPlace(now: now)
        tellStanding()
        checkReady(now: now)
    }

    mutating func loginFailed(
        _ id: LinkID, _ error: SSHError, _ secret: SecretUse, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        if case .opening(id, _) = listeners { return }
        guard places[id.place].isTrying(id) else { return }
        places[id.place].attempt = .none
        places[id.place].history.failed(error.description, now: now)
        guard isRunning else { return }
        guard hasLoggedIn || persists(now) else { return firstLoginFailed(id.place, error, now: now, dice: &dice) }
        if !isReady { act(.tell(.delayed)) }
        // The old link has spoken again meanwhile: nothing is missing.
        guard !places[id.place].isServing else { return }
        if error.kind == .hostKey, let downSince, !persists(now), now - downSince >= Self.hostKeyPatience {
            say(.loginGivenUp(error))
            return stop(.connectionFailed, now: now)
        }
        let cause = cause(of: error, secret)
        tryAgain(id.place, cause, now: now, dice: &dice)
        // A person has to mend that: nobody should wait for it.
        refuse(cause == .hostKey && places.allSatisfy { $0.link == nil } ? error.description : nil)
        if cause == .hostKey, !persists(now), let downSince {
            places[id.place].limit(to: downSince + Self.hostKeyPatience)
        }
        let again = (places[id.place].retryAt ?? now) - now
        // A long outage is told once a while, not at every attempt.
        let attempts = places[id.place].backoff.attempts
        let isOldNews = cause == .failure && attempts > 3 && attempts % 16 != 0
        say(.loginFailed(error, again: again, isOldNews: isOldNews))
        beginNextPlace(now: now)
        tellStanding()
    }

    private mutating func refuse(_ reason: String?) {
        guard reason != refusal else { return }
        refusal = reason
        act(.post(.refuse(reason)))
    }

    private func cause(of error: SSHError, _ secret: SecretUse) -> Backoff.Cause {
        switch error.kind {
        case .hostKey: .hostKey
        case .authentication: hasLoggedIn && secret == .none ? .refusalForNow : .refusal
        case .protocolViolation, .integrity, .keyExchange, .disconnected, .local, .transport, .unsupported: .failure
        }
    }

    /// The place's next attempt is due after a pause, or when the budget has a knock again.
    private mutating func tryAgain(
        _ index: Int, _ cause: Backoff.Cause, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        places[index].fail(cause, jitter: .random(in: 0..<1, using: &dice), now: now)
        if isWaited(now) { hastenWaited(index, now: now) }
        if let knockable { places[index].postpone(to: knockable) }
    }

    /// As soon as a connection that waits may have it.
    private mutating func hastenWaited(_ index: Int, now: Tick) {
        places[index].comeWithin(Backoff.longestWhileWaited, now: now)
        if let knockable { places[index].postpone(to: knockable) }
    }

    private mutating func firstLoginFailed(
        _ index: Int, _ error: SSHError, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        firstAttempts += 1
        guard error.kind == .transport, firstAttempts < plan.connectionAttempts else {
            say(.loginGivenUp(error))
            return stop(.connectionFailed, now: now)
        }
        let due = max(now + Self.firstAttemptsPause, knockable ?? now)
        say(.firstLoginFailed(error, again: due - now))
        places[index].attempt = .due(due)
    }

    /// While somebody waits, nothing else is waited for so long.
    mutating func connectionWaits(now: Tick) {
        waitedAt = now
        guard isRunning else { return }
        if !places.contains(where: { $0.isServing || $0.isTrying }) {
            if let sleeper = places.firstIndex(where: { $0.attempt == .dormant }) { beginLogin(sleeper, now: now) }
        }
        for index in places.indices { hastenWaited(index, now: now) }
    }

    /// Early tries are not for when the budget has none.
    mutating func hurry(now: Tick) {
        if let knockable, knockable > now { return }
        for index in places.indices { places[index].hurry(now: now) }
    }

    // MARK: What becomes of a link

    mutating func linkLost(
        _ id: LinkID, _ reason: String, _ life: LinkLife, now: Tick, dice: inout some RandomNumberGenerator
    ) {
        guard let index = place(of: id), let link = places[index].link else { return }
        let isSettled = hasSettled(index, link, life, now: now)
        places[index].link = nil
        places[index].lostAt = now
        if places.allSatisfy({ $0.link == nil }) {
            downSince = downSince ?? now
            upSince = nil
        }
        for forward in reverse(of: index) { reverseStates[forward.index] = .unasked }
        guard !plan.carriesStreams else { return linkLostForGood(reason, now: now) }
        guard isRunning else { return }
        let idle = unusedTimeout.ended(life)
        if let idle, reverseCount == 0, !places[index].isTrying {
            say(.closedUnused(place: index, after: idle))
            // The link served those that had waited for it.
            places[index].attempt = isWaited(now, since: link.since) ? .due(now) : .dormant
            return tellStanding()
        }
        if let idle, reverseCount > 0 { tellOnce(.closesUnused(after: idle), \.wasToldOfUnusedTimeout) }
        places[index].history.wasLost(reason, now: now)
        say(.lost(place: index, reason: reason))
        if !places[index].isTrying {
            if isSettled { places[index].attempt = .due(now) } else { tryAgain(index, .failure, now: now, dice: &dice) }
        }
        tellStanding()
    }

    /// Judges a link that has ended, and tells the budget.
    private mutating func hasSettled(_ index: Int, _ link: PoolPlace.Standing, _ life: LinkLife, now: Tick) -> Bool {
        guard isRunning, !plan.carriesStreams else { return false }
        settleByAge(index, now: now)
        if places[index].link?.isSettled == true { return true }
        if life.hasCarried { settle(index, .payload) } else { act(.unsettled(link.id)) }
        return life.hasCarried
    }

    /// A local connection waits; `since`: one that came before that moment does not any more.
    func isWaited(_ now: Tick, since: Tick = Tick(nanoseconds: 0)) -> Bool {
        waitedAt.map { now < $0 + plan.hold && $0 >= since } ?? false
    }

    mutating func settleByAge(_ index: Int, now: Tick) {
        guard isRunning, let at = places[index].settlesAt, at <= now else { return }
        settle(index, .age)
    }

    private mutating func settle(_ index: Int, _ settling: KnockBudget.Settling) {
        guard let id = places[index].link?.id else { preconditionFailure("a link that stands settles") }
        places[index].settle()
        act(.settled(id, settling))
    }

    /// Of a clean end nobody is told that the link went with it; of a flow that was cut it is the reason.
    private mutating func linkLostForGood(_ reason: String, now: Tick) {
        if case .stopping(.asAsked, _) = phase { return }
        say(.lostForGood(reason: reason))
        stop(.connectionFailed, now: now)
    }

    mutating func linkSuspect(_ id: LinkID, now: Tick, dice: inout some RandomNumberGenerator) {
        guard isRunning, let index = place(of: id), !plan.carriesStreams else { return }
        say(.silent)
        settleByAge(index, now: now)
        places[index].link?.isSuspect = true
        places[index].lostAt = now
        // A server whose links fall silent soon is not knocked at without a pause.
        if places[index].link?.isSettled == true {
            beginLogin(index, now: now)
        } else if places[index].retryAt == nil, !places[index].isTrying {
            tryAgain(index, .failure, now: now, dice: &dice)
        }
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
    mutating func tellOnce(_ news: PoolNews, _ wasTold: WritableKeyPath<LinkPool, Bool>) {
        guard !self[keyPath: wasTold] else { return }
        self[keyPath: wasTold] = true
        say(news)
    }
}
