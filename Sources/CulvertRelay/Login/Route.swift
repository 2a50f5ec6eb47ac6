internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The way to a destination: the server itself, or jump hosts first. Makes a link by one login after the other, each
/// through a channel of the link before; the first goes over TCP or a ProxyCommand.
///
/// Every login makes a path of its own, so the links of a pool have theirs side by side, and a path ends as a whole: a
/// hop that is lost takes what goes through it with it, and a hop that carries nothing any more ends.
struct Route<Engine: SSHEngine & ~Copyable>: Sendable {
    /// `Login.perform` with the login of this engine.
    typealias LogIn =
        @Sendable (Step, consuming BlockingSocket, LinkPath?, any LoginAuthority, LoginWatch?) throws(SSHError) ->
        LoggedInLink<Engine>
    typealias MakeAuthority = (Step) -> any LoginAuthority
    /// Makes the way to the first server: a TCP connection, or a ProxyCommand's, which then is the path's.
    typealias Open = (Step, LinkPath?) throws(SSHError) -> BlockingSocket

    /// One login.
    struct Step: Sendable {
        /// nil: the destination.
        let hop: Int?
        let name: String
        let server: ServerPlan
        /// The first of the way: of logins side by side one goes on from here.
        let isFirst: Bool
        /// Silence is told before its key is judged: with a ProxyCommand nobody knows whom that waits for, and behind a jump
        /// host credentials were used.
        var isWatched: Bool { isFirst && server.proxyCommand == nil }
        let plan: LoginPlan
        let alive: KeepAlive
        let algorithms: AlgorithmOptions
    }

    /// The destination last.
    let steps: [Step]
    let logIn: LogIn
    let journal: Journal

    /// `plan`: the tunnel's, as it is for this login.
    init(_ plan: TunnelPlan, _ journal: Journal, logIn: @escaping LogIn) {
        let hops = plan.hops
        let servers = hops + [plan.server]
        steps = servers.enumerated().map { number, server in
            let isHop = number < hops.count
            return Step(
                hop: isHop ? number : nil,
                name: isHop ? "hop \(number + 1) of \(hops.count), \(server.destination)" : "",
                server: server, isFirst: number == 0, plan: LoginPlan(server),
                alive: KeepAlive(server), algorithms: server.algorithms)
        }
        self.logIn = logIn
        self.journal = journal
    }

    /// Logs in everywhere, on a login thread. The hops' links go to `worker`, where the destination's belongs too. Each
    /// server has an authority of its own, which `finished` is shown once its login is over. `watch` is for the way to the
    /// first server.
    func link(
        worker: Mailbox<WorkerMessage<Engine>>, watch: LoginWatch? = nil, open: Open, authority: MakeAuthority,
        finished: (any LoginAuthority) -> Void = { _ in }
    ) throws(SSHError) -> LoggedInLink<Engine> {
        let isDirect = steps.count == 1 && steps[0].plan.command == nil
        let path = isDirect ? nil : LinkPath()
        var stream: Descriptor?
        for (step, next) in zip(steps, steps.dropFirst()) {
            guard let number = step.hop, let path else { preconditionFailure("a path has hops before its end") }
            let link = try login(step, stream, path, watch, open, authority, finished)
            journal.verbose("\(step.name): logged in (\(link.summary))")
            let ends: (Descriptor, Descriptor)
            do throws(IOError) { ends = try SocketOption.pair() } catch {
                throw SSHError(.local, error.description)
            }
            let hop = Hop(
                name: step.name, number: number, host: next.plan.host, port: next.plan.port, alive: step.alive,
                path: path)
            worker.post(.hop(Parcel(link), hop, channel: Parcel(BlockingSocket(adopting: ends.1))))
            stream = ends.0
        }
        guard let last = steps.last else { preconditionFailure("there is a destination") }
        return try login(last, stream, path, watch, open, authority, finished)
    }

    private func login(
        _ step: Step, _ stream: Descriptor?, _ path: LinkPath?, _ watch: LoginWatch?, _ open: Open,
        _ makeAuthority: MakeAuthority, _ finished: (any LoginAuthority) -> Void
    ) throws(SSHError) -> LoggedInLink<Engine> {
        do throws(SSHError) {
            let socket = if let stream { BlockingSocket(adopting: stream) } else { try open(step, path) }
            let authority = makeAuthority(step)
            defer { finished(authority) }
            if stream == nil, step.plan.command == nil, let address = SocketAddress.peer(of: socket.descriptor) {
                authority.connects(to: address.host)
            }
            let link = try logIn(step, socket, path, authority, step.isWatched ? watch : nil)
            let proofs =
                authority.accepted.isEmpty ? "no proof of who we are" : authority.accepted.joined(separator: ", then ")
            journal.verbose("\(step.name.isEmpty ? "" : "\(step.name): ")the server took \(proofs)")
            return link
        } catch {
            throw explained(error, step, stream, path)
        }
    }

    /// The error, with the host it happened at. A connection that broke may have done so elsewhere on the path.
    private func explained(_ error: SSHError, _ step: Step, _ stream: Descriptor?, _ path: LinkPath?) -> SSHError {
        var text = error.description
        if error.kind == .transport, let path {
            if let failure = path.failure { return SSHError(.transport, failure) }
            // A program that closes the connection ends then, in most cases: how, is known a moment later.
            if stream == nil { text = path.programEnding(by: Tick.current() + .seconds(1)) ?? text }
        }
        return SSHError(error.kind, step.hop == nil ? text : "\(step.name): \(text)")
    }
}
