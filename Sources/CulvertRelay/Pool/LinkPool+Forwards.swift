internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// Forwards: what is listened on here and at the server, and when that is enough to stand.
extension LinkPool {
    /// Of those that are wanted.
    var directCount: Int { listening.count + (plan.carriesStreams ? 1 : 0) }
    var reverseCount: Int { reverseStates.count { $0 != .unwanted } }

    /// The reverse forwards that a place asks for.
    func reverse(of place: Int) -> [ReverseID] {
        reverseStates.indices.filter { $0 % plan.links == place && reverseStates[$0] != .unwanted }.map(ReverseID.init)
    }

    // MARK: Here

    mutating func listenersOpened(_ answers: [ListenerAnswer], now: Tick) {
        guard isRunning else { return }
        guard case .opening(let id, let summary) = listeners else { return openedLater(answers, now: now) }
        for answer in answers {
            switch answer.outcome {
            case .success(let addresses): sayListening(answer.forward, addresses)
            case .failure(let failure):
                unopened.append(answer.forward)
                openingFailures[answer.forward] = failure.description
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

    mutating func sayListening(_ forward: DirectID, _ addresses: [SocketAddress]) {
        for each in addresses { say(.listening(forward: forward, each)) }
        guard choosing.contains(forward), let port = addresses.first?.port else { return }
        chosenPorts[forward] = port
        say(.allocated(forward: forward, port: port))
    }

    /// Why the tunnel ends now that its listeners were opened; nil: it goes on.
    private func endingReason(_ now: Tick) -> PoolNews? {
        guard !unopened.isEmpty else { return nil }
        if plan.exitOnForwardFailure { return mayFail(now) ? nil : .endsForForward }
        if persists(now) { return nil }
        return unopened.count == directCount && reverseCount == 0 ? .endsWithoutForward : nil
    }

    /// A forward that fails ends nothing, although ExitOnForwardFailure is set.
    private func mayFail(_ now: Tick) -> Bool {
        if case .after = plan.persistence { persists(now) } else { false }
    }

    private mutating func openedLater(_ answers: [ListenerAnswer], now: Tick) {
        // One that was added is opened by itself.
        let isOfChange = answers.contains { isChanging($0.forward) }
        for answer in answers {
            switch answer.outcome {
            case _ where isChanging(answer.forward): openedForChange(answer)
            case .success where !listening.contains(answer.forward):
                // It was cancelled meanwhile.
                act(.post(.closeListeners(answer.forward)))
            case _ where !unopened.contains(answer.forward): break
            case .success(let addresses):
                unopened.removeAll { $0 == answer.forward }
                sayListening(answer.forward, addresses)
            case .failure(let failure):
                openingFailures[answer.forward] = failure.description
                say(.listenerStillFails(forward: answer.forward, reason: failure.description))
            }
        }
        if !isOfChange { openAgainAt = unopened.isEmpty ? nil : now + Self.openingPause }
        checkReady(now: now)
        tellStanding()
    }

    // MARK: At the server

    mutating func reverseAnswered(_ id: LinkID, _ forward: ReverseID, _ answer: ReverseAnswer, now: Tick) {
        guard place(of: id) != nil, reverseStates[forward.index] != .unwanted else { return }
        if answeredForChange(forward, answer) { return tellStanding() }
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
            if mayFail(now) { return act(.tell(.delayed)) }
            say(.endsForForward)
            return stop(.connectionFailed, now: now)
        }
        if unopened.count == directCount && refused == reverseCount && refused > 0 && !persists(now) {
            say(.endsWithoutForward)
            return stop(.connectionFailed, now: now)
        }
        isReady = true
        staysUntil = plan.stay.map { now + $0 }
        act(.tell(.ready))
    }

    mutating func tellStanding() { act(.tell(.standing(standing))) }

    var standing: TunnelStanding {
        var standing = TunnelStanding()
        standing.linksUp = places.count { $0.isServing }
        standing.forwardsUp = reverseStates.count { if case .standing = $0 { true } else { false } }
        if hasLoggedIn { standing.forwardsUp += directCount - unopened.count }
        return standing
    }
}
