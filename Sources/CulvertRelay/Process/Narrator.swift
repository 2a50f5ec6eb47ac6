internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// Says what happens to a pool, in words that people and programs look for: the only place that has them.
struct Narrator: Sendable {
    let plan: TunnelPlan
    /// Those of the plan, and those that were added.
    var forwards: TunnelForwards
    let workers: Int
    let kind: DriverKind
    let journal: Journal

    /// Where the files lead now.
    let leadsTo: @Sendable () -> String

    private var destination: String { leadsTo() }

    func say(_ news: PoolNews) {
        switch news {
        case .firstLoginFailed(let error, let again): journal.error("\(error); trying again in \(Int(again.seconds)) s")
        case .loginGivenUp(let error):
            journal.error(error.kind == .authentication ? "\(destination): \(error)" : "\(error)")
        case .loginFailed(let error, let again, let isOldNews):
            let text = "cannot connect to \(destination): \(error); trying again in \(formatSeconds(again))"
            if isOldNews { journal.verbose(text) } else { journal.error(text) }
        case .loginSilent: journal.info("\(destination) does not answer a login: trying another beside it")
        case .connected(let summary): journal.info("connected to \(destination) (\(summary))")
        case .back(let place, let outage, let summary):
            let after = outage.map { " after \(formatSeconds($0))" } ?? ""
            journal.info("\(name(of: place) ?? "link") to \(destination) is back\(after) (\(summary))")
        case .lost(let place, let reason):
            journal.error("lost \(name(of: place) ?? "the link") to \(destination): \(reason); reconnecting")
        case .closedUnused(let place, let idle):
            journal.info(
                "\(destination) closes connections that nobody uses after \(formatSeconds(idle))"
                    + " (UnusedConnectionTimeout): \(name(of: place) ?? "the link") is made again when a connection comes"
            )
        case .closesUnused(let idle):
            journal.info(
                "\(destination) closes connections that nobody uses after \(formatSeconds(idle)) (UnusedConnectionTimeout),"
                    + " and a reverse forward alone does not keep them: each is made again")
        case .lostForGood(let reason): journal.error("lost the link to \(destination): \(reason)")
        case .silent: journal.info("\(destination) is silent: trying a second connection beside the first")
        case .answersAgain: journal.info("\(destination) answers again")
        case .nodelayRefused:
            journal.info("\(destination) runs no command, which --nodelay needs: it may hold small replies back")
        case .questionsUnanswered:
            journal.info(
                "\(destination) answers no keepalive (keepalive@openssh.com): that a link is dead is known only where its"
                    + " machine acknowledges nothing; ServerAliveInterval set gives a silent link up, as ssh does")
        case .checksLinks(.networkChange): journal.verbose("a network change: checking the links")
        case .checksLinks(.sleep): journal.verbose("the machine has slept: checking the links")
        case .listening(let forward, let address):
            journal.info("listening on \(address) for \(forwards.direct[forward].target)")
        case .allocated(let forward, let port):
            // In ssh's words for -R.
            let target = forwards.direct[forward].target
            journal.info(
                "Allocated port \(port) for \(target == .requested ? "dynamic forward" : "local forward to \(target)")")
        case .listenerFailed(let forward, let reason): journal.error("\(forwards.direct[forward].text): \(reason)")
        case .listenerStillFails(let forward, let reason):
            journal.verbose("\(forwards.direct[forward].text): still \(reason)")
        case .reverseStands(let forward, let port): sayStands(forwards.reverse[forward], port)
        case .reverseFailed(let forward, let answer): sayFailed(forwards.reverse[forward], answer)
        case .reverseStillFails(let forward):
            journal.verbose("remote port forwarding still fails for \(forwards.reverse[forward].text)")
        case .listensNoMore(let forward): journal.info("\(forwards.direct[forward].text): cancelled")
        case .reverseCancelled(let forward): journal.info("\(forwards.reverse[forward].text): cancelled")
        case .endsForForward: journal.error("ending: a forward failed and ExitOnForwardFailure is set")
        case .loginsUsedUp(let most): journal.error("ending: AUTOSSH_MAXSTART=\(most) logins were begun")
        case .endsWithoutForward: journal.error("ending: no forward stands")
        case .endsUnused: journal.verbose("ending: its time has passed, and no connection is open")
        case .workerFailed(let error): journal.error("a worker failed: \(error)")
        }
    }

    /// nil: the tunnel has only one link, which needs no number.
    private func name(of place: Int) -> String? { plan.links > 1 ? "link \(place)" : nil }

    private func sayFailed(_ spec: ReverseForward, _ answer: ReverseAnswer) {
        let words =
            switch (answer, spec.listen) {
            case (.notAsked(let reason), _): reason
            case (_, .tcp):
                "the server refused to listen on \(spec.listenDescription): the port is in use there (an older"
                    + " session may still hold it), or forbidden (look at AllowTcpForwarding, PermitListen and"
                    + " GatewayPorts in its sshd_config); asking again"
            case (_, .unix):
                "the server refused to listen on \(spec.listenDescription): an older session may have left the file"
                    + " (remove it, or set StreamLocalBindUnlink=yes in its sshd_config), or it is forbidden there"
                    + " (AllowStreamLocalForwarding, the directory's mode); asking again"
            }
        journal.error("remote port forwarding failed for \(spec.text): \(words)")
    }

    private func sayStands(_ spec: ReverseForward, _ port: UInt16) {
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
    }

    /// What SIGUSR1 asks for.
    func tell(_ report: TunnelReport) { journal.report(ReportText.lines(of: report).joined(separator: "\n")) }
}
