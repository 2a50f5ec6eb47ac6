internal import CulvertIO
internal import CulvertSSH

/// Forwards: what is listened on here and at the server, and when that is enough to stand.
extension LinkPool {
    // MARK: Here

    mutating func listenersOpened(_ answers: [ListenerAnswer], now: Tick) {
        guard isRunning else { return }
        guard case .opening(let id, let summary) = listeners else { return openedAgain(answers, now: now) }
        for answer in answers {
            switch answer.outcome {
            case .success(let addresses): sayListening(answer.forward, addresses)
            case .failure(let failure):
                unopened.append(answer.forward)
                say(.listenerFailed(forward: answer.forward, reason: failure.description))
            }
        }
        if let reason = endingReason(now) {
            say(reason)
            // The link that waits is dropped with the rest.
            return stop(.connectionFailed, now: now)
        }
        listeners = .open
        if !unopened.isEmpty { openAgainAt = now + Self.openingPause }
        admit(id, summary, now: now)
    }

    private mutating func sayListening(_ forward: DirectID, _ addresses: [SocketAddress]) {
        for each in addresses { say(.listening(forward: forward, each)) }
        guard plan.choosing.contains(forward), let port = addresses.first?.port else { return }
        say(.allocated(forward: forward, port: port))
    }

    /// Why the tunnel ends now that its listeners were opened; nil: it goes on.
    private func endingReason(_ now: Tick) -> PoolNews? {
        guard !unopened.isEmpty else { return nil }
        if persists(now) { return nil }
        if plan.exitOnForwardFailure { return .endsForForward }
        return unopened.count == plan.direct && plan.reverse == 0 ? .endsWithoutForward : nil
    }

    private mutating func openedAgain(_ answers: [ListenerAnswer], now: Tick) {
        for answer in answers where unopened.contains(answer.forward) {
            switch answer.outcome {
            case .success(let addresses):
                unopened.removeAll { $0 == answer.forward }
                sayListening(answer.forward, addresses)
            case .failure(let failure):
                say(.listenerStillFails(forward: answer.forward, reason: failure.description))
            }
        }
        openAgainAt = unopened.isEmpty ? nil : now + Self.openingPause
        checkReady(now: now)
        tellStanding()
    }

    // MARK: At the server

    mutating func reverseAnswered(_ id: LinkID, _ forward: ReverseID, _ answer: ReverseAnswer, now: Tick) {
        guard place(of: id) != nil else { return }
        switch answer {
        case .standing(let port):
            if reverseStates[forward.index] != .standing(port: port) {
                say(.reverseStands(forward: forward, port: port))
            }
            reverseStates[forward.index] = .standing(port: port)
        case .refused, .notAsked:
            let isNews = reverseStates[forward.index] != .refused
            say(isNews ? .reverseFailed(forward: forward, answer) : .reverseStillFails(forward: forward))
            reverseStates[forward.index] = .refused
        }
        checkReady(now: now)
        tellStanding()
    }

    // MARK: Standing

    /// Ready when every forward has been answered once, and stands where none may fail; the tunnel ends here when none
    /// stands, or when one failed and that was not allowed.
    mutating func checkReady(now: Tick) {
        guard !isReady, isRunning, listeners == .open, !reverseStates.contains(.unasked) else { return }
        let refused = reverseStates.count { $0 == .refused }
        if plan.exitOnForwardFailure, refused > 0 || !unopened.isEmpty {
            // It is asked for again, and somebody waits for all of them.
            if persists(now) { return act(.tell(.delayed)) }
            say(.endsForForward)
            return stop(.connectionFailed, now: now)
        }
        if unopened.count == plan.direct && refused == plan.reverse && refused > 0 && !persists(now) {
            say(.endsWithoutForward)
            return stop(.connectionFailed, now: now)
        }
        isReady = true
        staysUntil = plan.stay.map { now + $0 }
        act(.tell(.ready))
    }

    mutating func tellStanding() {
        var standing = TunnelStanding()
        standing.linksUp = places.count { $0.isServing }
        standing.forwardsUp = reverseStates.count { if case .standing = $0 { true } else { false } }
        if hasLoggedIn { standing.forwardsUp += plan.direct - unopened.count }
        act(.tell(.standing(standing)))
    }
}
