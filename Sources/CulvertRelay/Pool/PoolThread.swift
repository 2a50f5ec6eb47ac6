internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// How the process should end.
enum Ending {
    case asAsked
    /// As ssh: a connection, a login or a forward that failed.
    case connectionFailed
    /// The machine refused something that culvert cannot do without.
    case systemError
    /// Told to end while it was ending: nothing is waited for.
    case signalled(Int32)

    var exitStatus: Int32 {
        switch self {
        case .asAsked: 0
        case .connectionFailed: 255
        case .systemError: 71
        case .signalled(let signal): 128 + signal
        }
    }
}

/// The control thread of a tunnel: makes links, makes lost ones again, and opens the listeners once the first login has
/// succeeded. It waits on its mailbox, network news and its own times; never on a login.
struct Supervisor<Engine: SSHEngine & ~Copyable>: ~Copyable {
    /// One place of the pool.
    struct Place {
        enum Phase {
            case idle
            case connecting
            case up
            case waiting
        }
        var phase = Phase.idle
        var backoff = Backoff()
        /// When a login is begun next: for a place that waits, or for the replacement of a suspect link.
        var retryAt: Tick?
        /// The last login was refused: nothing but time brings the next one closer.
        var wasRefused = false
        var upSince = Tick(nanoseconds: 0)
        /// The link stands but is silent; its replacement is on its way.
        var isSuspect = false
        /// A login is under way, whether or not a suspect link stands.
        var isTrying = false
        var lostAt: Tick?
        var wasUp = false
    }

    enum ReverseState: Equatable {
        case unasked
        case standing(port: UInt16)
        case refused
    }

    let settings: TunnelSettings
    let route: Route<Engine>
    let journal: Journal
    let group: WorkerGroup<Engine>
    let statuses: [LinkStatus]
    let network = NetworkChanges()
    let tell: @Sendable (TunnelNews) -> Void
    /// Of `-W`: the flow that the process is there for.
    let streams: StandardStreams?
    var streamsHaveBegun = false
    /// When the links are looked at because the network has changed; a burst of news is one change.
    var pathCheckAt: Tick?
    var pathChecked = Tick(nanoseconds: 0)

    var places: [Place]
    var reverseStates: [ReverseState]
    /// Local forwards that could not be opened, and when they are tried again (`persists`).
    var unopened: [Int] = []
    var openAgainAt: Tick?
    var hasLoggedIn = false
    var wasToldOfCommand = false
    var firstAttempts = 0
    var isReady = false
    var isStopping = false
    var stopDeadline: Tick?
    var stoppedWorkers = 0
    /// How it will have ended once the workers have stopped.
    var outcome = Ending.asAsked
    var ending: Ending?
    var waitersUntil = Tick(nanoseconds: 0)
    var sleepDrift: Tick.Span
    var snapshotParts: [String] = []
    var snapshotMissing = 0

    init(
        _ tunnel: Tunnel, group: WorkerGroup<Engine>, statuses: [LinkStatus], streams: StandardStreams?,
        route: Route<Engine>, tell: @escaping @Sendable (TunnelNews) -> Void
    ) {
        settings = tunnel.settings
        self.route = route
        journal = tunnel.journal
        self.group = group
        self.statuses = statuses
        self.streams = streams
        self.tell = tell
        places = Array(repeating: Place(), count: settings.links)
        reverseStates = Array(repeating: .unasked, count: settings.reverse.count)
        sleepDrift = Tick.currentWithSleep() - Tick.current()
    }

    // MARK: The loop

    mutating func run() -> Ending {
        beginLogin(0)
        while ending == nil {
            var descriptors = [group.control.descriptor]
            if let network { descriptors.append(network.descriptor) }
            let ready = Wait.forReadable(descriptors, until: nextMoment())
            if ready.contains(group.control.descriptor) { readMailbox() }
            if let network, ready.contains(network.descriptor), network.drain() > 0 { networkChanged() }
            noticeSleep()
            if let due = pathCheckAt, due <= Tick.current() { pathChanged("a network change") }
            retryDue()
            if let due = openAgainAt, due <= Tick.current() { openAgain() }
            if let stopDeadline, Tick.current() >= stopDeadline { ending = ending ?? outcome }
        }
        return ending ?? outcome
    }

    /// A suspended machine's monotonic clock stands still: waking at least this often shows that it slept.
    private static var longestWait: Tick.Span { .seconds(5) }

    private func nextMoment() -> Tick {
        var moment = Tick.current() + Self.longestWait
        for place in places { if let at = place.retryAt { moment = min(moment, at) } }
        for each in [pathCheckAt, openAgainAt] { if let each { moment = min(moment, each) } }
        if let stopDeadline { moment = min(moment, stopDeadline) }
        return moment
    }

    private mutating func readMailbox() {
        for message in group.control.takeAll() {
            switch message {
            case .loggedIn(let parcel, let index): loggedIn(parcel, index)
            case .loginFailed(let index, let error): loginFailed(index, error)
            case .linkLost(let index, let reason): linkLost(index, reason)
            case .linkSuspect(let index): linkSuspect(index)
            case .linkRecovered(let index): linkRecovered(index)
            case .reverseAnswered(let forward, let accepted, let port, let detail):
                reverseAnswered(forward, accepted, port, detail)
            case .commandRefused: commandRefused()
            case .connectionWaits: connectionWaits()
            case .streamsEnded(let cleanly): streamsEnded(cleanly)
            case .snapshot(let worker, let text): addSnapshot(worker, text)
            case .stopped:
                stoppedWorkers += 1
                if stoppedWorkers == group.mailboxes.count { ending = ending ?? outcome }
            case .order(let order): obey(order)
            case .failed(_, let error):
                journal.error("a worker failed: \(error)")
                // Beside other tunnels the process goes on, and nobody would look after what is left of this one.
                group.post(.stop)
                ending = .systemError
            }
        }
    }

    // MARK: Logins

    private mutating func beginLogin(_ index: Int) {
        guard !isStopping, !places[index].isTrying else { return }
        places[index].isTrying = true
        places[index].retryAt = nil
        if places[index].phase != .up { places[index].phase = .connecting }
        let mayPrompt = !hasLoggedIn
        let control = group.control
        let worker = group.mailboxes[statuses[index].worker]
        let route = route
        do throws(IOError) {
            try Thread.start(name: "culvert-login") {
                do throws(SSHError) {
                    let link = try route.link(mayPrompt: mayPrompt, worker: worker)
                    control.post(.loggedIn(Parcel(link), index: index))
                } catch {
                    control.post(.loginFailed(index: index, error))
                }
            }
        } catch {
            places[index].isTrying = false
            loginFailed(index, SSHError(.local, error.description))
        }
    }

    private mutating func loggedIn(_ parcel: Parcel<LoggedInLink<Engine>>, _ index: Int) {
        places[index].isTrying = false
        let isSpare = places[index].phase == .up && !places[index].isSuspect
        if isStopping || isSpare {
            // The old link spoke again while this one was made.
            _ = parcel.take()
            return
        }
        if !hasLoggedIn {
            hasLoggedIn = true
            guard openListeners() else {
                _ = parcel.take()
                return stop(.connectionFailed)
            }
        }
        let link = parcel.take()
        let back = places[index].lostAt.map { " after \(formatSeconds(Tick.current() - $0))" }
        let name = settings.links > 1 ? "link \(index)" : "link"
        journal.info(
            places[index].wasUp
                ? "\(name) to \(settings.destination) is back\(back ?? "") (\(link.summary))"
                : "connected to \(settings.destination) (\(link.summary))")
        places[index].phase = .up
        places[index].wasUp = true
        places[index].isSuspect = false
        places[index].lostAt = nil
        places[index].upSince = Tick.current()
        let reverse = settings.reverse.indices.filter { $0 % settings.links == index }
        group.mailboxes[statuses[index].worker].post(.link(Parcel(link), index: index, reverse: Array(reverse)))
        beginStreams()
        // One login after the other: a burst would meet the server's MaxStartups.
        if let next = places.firstIndex(where: { $0.phase == .idle }) { beginLogin(next) }
        tellStanding()
        checkReady()
    }

    private mutating func loginFailed(_ index: Int, _ error: SSHError) {
        places[index].isTrying = false
        guard !isStopping else { return }
        if !hasLoggedIn && !settings.persists {
            firstAttempts += 1
            if error.kind == .transport, firstAttempts < settings.connectionAttempts {
                journal.error("\(error); trying again in 1 s")
                places[index].phase = .waiting
                places[index].retryAt = Tick.current() + .seconds(1)
                return
            }
            journal.error(error.kind == .authentication ? "\(settings.destination): \(error)" : "\(error)")
            return stop(.connectionFailed)
        }
        if !isReady { tell(.delayed) }
        let wasRefused = error.kind == .authentication || error.kind == .hostKey
        // The old link has spoken again meanwhile: nothing is missing.
        if places[index].phase == .up && !places[index].isSuspect { return }
        let wait = places[index].backoff.failed(wasRefused: wasRefused, jitter: .random(in: 0..<1))
        let delay = wasRefused ? wait : limited(wait)
        let attempt = "cannot connect to \(settings.destination): \(error)"
        // A long outage is told once a while, not at every attempt.
        if wasRefused || places[index].backoff.attempts <= 3 || places[index].backoff.attempts % 16 == 0 {
            journal.error("\(attempt); trying again in \(formatSeconds(delay))")
        } else {
            journal.verbose("\(attempt); trying again in \(formatSeconds(delay))")
        }
        places[index].retryAt = Tick.current() + delay
        places[index].wasRefused = wasRefused
        if !places[index].isSuspect { places[index].phase = .waiting }
        if let next = places.firstIndex(where: { $0.phase == .idle }), hasLoggedIn { beginLogin(next) }
        tellStanding()
    }

    private mutating func retryDue() {
        guard !isStopping else { return }
        let now = Tick.current()
        for index in places.indices {
            if let at = places[index].retryAt, at <= now { beginLogin(index) }
        }
    }

    // MARK: Links that go and come

    private mutating func linkLost(_ index: Int, _ reason: String) {
        // Of a clean end nobody is told that the link went with it; of a flow that was cut it is the reason.
        if isStopping, case .asAsked = outcome { return }
        guard streams == nil else {
            journal.error("lost the link to \(settings.destination): \(reason)")
            return stop(.connectionFailed)
        }
        let name = settings.links > 1 ? "link \(index)" : "the link"
        journal.error("lost \(name) to \(settings.destination): \(reason); reconnecting")
        let now = Tick.current()
        // A server that ends every link right after its login is not knocked at without a pause.
        let isSettled = settle(index)
        let wait = isSettled ? .zero : places[index].backoff.failed(wasRefused: false, jitter: .random(in: 0..<1))
        places[index].lostAt = now
        places[index].wasRefused = false
        places[index].isSuspect = false
        for forward in settings.reverse.indices where forward % settings.links == index {
            reverseStates[forward] = .unasked
        }
        places[index].phase = places[index].isTrying ? .connecting : .waiting
        places[index].retryAt = places[index].isTrying ? nil : now + limited(wait)
        tellStanding()
    }

    /// Whether the link has lived for long enough to count as a success; then the next waits are short again.
    private mutating func settle(_ index: Int) -> Bool {
        guard Tick.current() - places[index].upSince >= Backoff.settled else { return false }
        places[index].backoff.succeeded()
        return true
    }

    private mutating func linkSuspect(_ index: Int) {
        guard places[index].phase == .up, streams == nil else { return }
        journal.info("\(settings.destination) is silent: trying a second connection beside the first")
        _ = settle(index)
        places[index].isSuspect = true
        places[index].lostAt = Tick.current()
        beginLogin(index)
        tellStanding()
    }

    private mutating func linkRecovered(_ index: Int) {
        guard places[index].isSuspect else { return }
        journal.info("\(settings.destination) answers again")
        places[index].isSuspect = false
        places[index].lostAt = nil
        places[index].retryAt = nil
        tellStanding()
    }

    /// Told once: every link of the pool has the same server, and so has every later one.
    private mutating func commandRefused() {
        guard !wasToldOfCommand else { return }
        wasToldOfCommand = true
        journal.info(
            "\(settings.destination) runs no command, which --nodelay needs: it may hold small replies back")
    }

    private mutating func connectionWaits() {
        let now = Tick.current()
        waitersUntil = now + Tick.Span(settings.hold)
        for index in places.indices where !places[index].wasRefused {
            if let at = places[index].retryAt, at > now + Backoff.longestWhileWaited { places[index].retryAt = now }
        }
    }

    private func limited(_ wait: Tick.Span) -> Tick.Span {
        Tick.current() >= waitersUntil ? wait : min(wait, Backoff.longestWhileWaited)
    }

    /// Routing daemons and container hosts make such news all the time: it is acted upon at once, then at most once a
    /// second.
    private mutating func networkChanged() {
        pathCheckAt = pathCheckAt ?? max(Tick.current(), pathChecked + .seconds(1))
    }

    private mutating func pathChanged(_ what: String) {
        journal.verbose("\(what): checking the links")
        pathCheckAt = nil
        pathChecked = Tick.current()
        for index in places.indices where !places[index].wasRefused && places[index].retryAt != nil {
            places[index].retryAt = pathChecked
        }
        group.post(.probe)
    }

    private mutating func noticeSleep() {
        let drift = Tick.currentWithSleep() - Tick.current()
        if drift.nanoseconds - sleepDrift.nanoseconds > Tick.Span.seconds(2).nanoseconds {
            pathChanged("the machine has slept")
        }
        sleepDrift = drift
    }

    // MARK: Forwards

    /// A port that another program holds, or an address that is not there yet, is tried again this often.
    private static var openingPause: Tick.Span { .seconds(10) }

    /// Opens every local listener. False when the tunnel should end.
    private mutating func openListeners() -> Bool {
        for number in settings.forwards.indices where !settings.forwards[number].isStandardStreams {
            do throws(Listening.Failure) { try openListener(number) } catch {
                unopened.append(number)
                journal.error("\(settings.forwards[number].text): \(error.description)")
            }
        }
        guard !unopened.isEmpty else { return true }
        if settings.exitsOnForwardFailure {
            journal.error("ending: a forward failed and ExitOnForwardFailure is set")
            return false
        }
        if settings.persists {
            openAgainAt = Tick.current() + Self.openingPause
            return true
        }
        if unopened.count == settings.forwards.count && settings.reverse.isEmpty {
            journal.error("ending: no forward stands")
            return false
        }
        return true
    }

    private func openListener(_ number: Int) throws(Listening.Failure) {
        let forward = settings.forwards[number]
        for (descriptor, address) in try Listening.open(forward, family: settings.server.family.socketFamily) {
            journal.info("listening on \(address) for \(forward.target)")
            group.mailboxes[number % group.mailboxes.count].post(.listen(descriptor, forward: number))
        }
    }

    private mutating func openAgain() {
        unopened = unopened.filter { number in
            do throws(Listening.Failure) {
                try openListener(number)
                return false
            } catch {
                journal.verbose("\(settings.forwards[number].text): still \(error.description)")
                return true
            }
        }
        openAgainAt = unopened.isEmpty ? nil : Tick.current() + Self.openingPause
        tellStanding()
    }

    private mutating func reverseAnswered(_ forward: Int, _ accepted: Bool, _ port: UInt16, _ detail: String) {
        let spec = settings.reverse[forward]
        let wasRefused = reverseStates[forward] == .refused
        if accepted {
            // The server says yes and binds loopback all the same, unless its GatewayPorts allows more.
            let reach = "other hosts reach it only if GatewayPorts in its sshd_config allows"
            if case .tcp(_, 0) = spec.listen {
                // ssh's words, which programs look for.
                journal.info("Allocated port \(port) for remote forward to \(spec.target)")
                if !spec.isLoopback { journal.info("port \(port) of the server: \(reach)") }
            } else {
                let note = spec.isLoopback ? "" : " (\(reach))"
                journal.info("the server listens on \(spec.listenDescription) for \(spec.target)\(note)")
            }
            reverseStates[forward] = .standing(port: port)
        } else {
            reverseStates[forward] = .refused
            let words =
                detail.isEmpty
                ? "the server refused to listen on \(spec.listenDescription): the port is in use there (an older"
                    + " session may still hold it), or forbidden (look at AllowTcpForwarding, PermitListen and"
                    + " GatewayPorts in its sshd_config); asking again" : detail
            if !wasRefused {
                journal.error("remote port forwarding failed for \(spec.text): \(words)")
            } else {
                journal.verbose("remote port forwarding still fails for \(spec.text)")
            }
        }
        checkReady()
        tellStanding()
    }

    /// Ready when every forward has been answered once; the process ends here when none stands, or when one failed
    /// and that was not allowed.
    private mutating func checkReady() {
        guard !isReady, !isStopping, hasLoggedIn, !reverseStates.contains(.unasked) else { return }
        let standingForwards = settings.forwards.count - unopened.count
        let refused = reverseStates.filter { $0 == .refused }.count
        if refused > 0 && settings.exitsOnForwardFailure {
            journal.error("ending: a forward failed and ExitOnForwardFailure is set")
            return stop(.connectionFailed)
        }
        if standingForwards == 0 && refused == reverseStates.count && refused > 0 && !settings.persists {
            journal.error("ending: no forward stands")
            return stop(.connectionFailed)
        }
        isReady = true
        tell(.ready)
    }

    private func tellStanding() {
        var standing = TunnelStanding(settings)
        standing.linksUp = places.filter { $0.phase == .up && !$0.isSuspect }.count
        standing.forwardsUp = reverseStates.filter { if case .standing = $0 { true } else { false } }.count
        if hasLoggedIn { standing.forwardsUp += settings.forwards.count - unopened.count }
        tell(.standing(standing))
    }

    // MARK: Standard input and output (-W)

    /// Behind the link in its worker's mailbox.
    private mutating func beginStreams() {
        guard let streams, !streamsHaveBegun,
            let forward = settings.forwards.firstIndex(where: \.isStandardStreams)
        else { return }
        streamsHaveBegun = true
        let connection = IncomingConnection(
            streams.input, sink: streams.output, forward: forward, peer: SocketAddress())
        statuses[0].flowBegan()
        group.mailboxes[statuses[0].worker].post(.carry(connection, link: 0))
    }

    /// The process ends with its one flow; one that is cut by the end is no clean one.
    private mutating func streamsEnded(_ cleanly: Bool) {
        if isStopping, !cleanly { outcome = .connectionFailed }
        stop(cleanly ? .asAsked : .connectionFailed)
    }

    // MARK: Orders

    private mutating func obey(_ order: TunnelOrder) {
        switch order {
        case .stop: stop(.asAsked)
        case .snapshot:
            snapshotParts = []
            snapshotMissing = group.mailboxes.count
            group.post(.snapshot)
        }
    }

    /// Ends once the workers have stopped, or soon.
    private mutating func stop(_ result: Ending) {
        guard !isStopping else { return }
        isStopping = true
        outcome = result
        openAgainAt = nil
        stopDeadline = Tick.current() + .seconds(2)
        group.post(.stop)
    }

    private mutating func addSnapshot(_ worker: Int, _ text: String) {
        if !text.isEmpty { snapshotParts.append(text) }
        snapshotMissing -= 1
        guard snapshotMissing == 0 else { return }
        var lines = ["snapshot of \(settings.destination) (\(group.kind.rawValue), \(group.mailboxes.count) workers):"]
        for index in places.indices where places[index].phase != .up { lines.append("link \(index): down") }
        for (number, state) in reverseStates.enumerated() {
            let text = settings.reverse[number].text
            switch state {
            case .standing(let port): lines.append("forward \(text): the server listens on port \(port)")
            case .refused: lines.append("forward \(text): refused, asking again")
            case .unasked: lines.append("forward \(text): waits for its link")
            }
        }
        journal.error((lines + snapshotParts).joined(separator: "\n"))
    }
}
