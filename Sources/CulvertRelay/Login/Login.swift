internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// Where a link goes, and how long each step may take.
struct LoginPlan: Sendable {
    var host: String
    var port: UInt16
    var family: SocketAddress.Family
    /// The address to connect from (`-b`).
    var source: String?
    /// The interface whose address it is where none is named (`-B`).
    var interface: String?
    /// Run in place of a TCP connection.
    var command: ProxyCommand?
    /// A connection must stand, and the server must have said its version, within this.
    var connect: Tick.Span
    /// ConnectTimeout where none is set: the kernel gives up after about two minutes.
    static let patience = Tick.Span.seconds(120)
    /// No later step of a login waits longer for the server.
    var silence = Tick.Span.seconds(60)
    /// Nor all of them together, however many bytes come one by one; what people and agents take does not count. sshd
    /// gives a login 120 s, theirs included.
    var waiting = Tick.Span.seconds(180)
    var tcpKeepAlive: Bool
}

extension LoginPlan {
    init(_ server: ServerPlan) {
        let options = server.connection
        self.init(
            host: server.destination.host, port: server.destination.port, family: options.addressFamily.socketFamily,
            source: options.bindAddress, interface: options.bindInterface, command: server.proxyCommand,
            connect: options.connectTimeout.map { Tick.Span($0) } ?? Self.patience, tcpKeepAlive: options.tcpKeepAlive)
    }
}

/// Connects, and takes an engine through its login. Runs on a thread of its own and waits there: for names, for the
/// network, and inside the authority for people and agents.
enum Login {
    /// Packets of a login are small, and the ring goes on to serve the link: it holds what a busy link receives in
    /// one go.
    static let ringCapacity = 1024 * 1024
    /// What every server's first words begin with (RFC 4253 §4.2), but for lines that hardly one puts before them.
    private static let opening = Array("SSH-".utf8)
    /// As much of the first words as is told where they are others, bytes.
    private static let openingLength = 60

    /// `path` is what `socket` runs over, nil for a TCP connection; `engine` is what a login that is over comes to.
    static func perform<Way: SSHLogin & ~Copyable, Engine: SSHEngine & ~Copyable>(
        _ plan: LoginPlan, over socket: consuming BlockingSocket, path: LinkPath? = nil, login made: consuming Way,
        authority: any LoginAuthority, watch: LoginWatch? = nil, engine: (consuming Way) -> Engine
    ) throws(SSHError) -> LoggedInLink<Engine> {
        var login = made
        var ring: MirroredRing
        do throws(IOError) { ring = try MirroredRing(capacity: ringCapacity) } catch {
            throw SSHError(.local, error.description)
        }
        var isFirst = true
        var opening: [UInt8] = []
        var waiting = plan.waiting
        do throws(SSHError) {
            while true {
                unsafe login.receive(ring.readable)
                let progress = try login.advance(authority)
                ring.release(login.takeConsumed())
                let begun = Tick.current()
                let deadline = begun + (isFirst ? plan.connect : min(plan.silence, waiting))
                try send(&login, socket, deadline)
                if progress == .loggedIn { break }
                guard try receive(&ring, socket, deadline, watch) else {
                    throw noSSH(plan, opening)
                        ?? SSHError(.transport, "the server closed the connection during the login")
                }
                if opening.isEmpty { opening = unsafe Array(ring.readable.prefix(Self.openingLength)) }
                if !isFirst { waiting.nanoseconds -= (Tick.current() - begun).nanoseconds }
                isFirst = false
            }
        } catch {
            // The last word (SSH_MSG_DISCONNECT), as far as it goes.
            try? send(&login, socket, Tick.current() + .seconds(1))
            // Who says a line and closes without having read ours resets the connection.
            let isCut = !opening.isEmpty && [ECONNRESET, EPIPE].contains { error == transport(IOError($0, "")) }
            if error.kind == .protocolViolation || isCut, let mend = noSSH(plan, opening) { throw mend }
            throw explained(error, authority)
        }
        let summary = login.summary
        return LoggedInLink(
            socket: socket, engine: engine(login), ring: ring, summary: summary, path: path,
            hostKeyKeeper: authority.hostKeyKeeper)
    }

    /// A refusal, with all that was tried, and all that was not.
    private static func explained(_ error: SSHError, _ authority: any LoginAuthority) -> SSHError {
        if error.kind == .disconnected, error.description.contains(tooMany) {
            authority.refused(reason: "the server ended the login then")
            let left = authority.untried
            let mend =
                left.isEmpty
                ? ""
                : "; not tried any more: \(left.joined(separator: "; ")) (name the key with -i, and set IdentitiesOnly=yes)"
            return SSHError(error.kind, "\(error); tried \(authority.attempted.joined(separator: "; "))\(mend)")
        }
        let tried = authority.attempted
        guard error.kind == .authentication, !tried.isEmpty else { return error }
        return SSHError(error.kind, "\(error); tried \(tried.joined(separator: "; "))")
    }

    static func connect(
        _ plan: LoginPlan, _ knocks: LoginKnocks, _ journal: Journal, _ watch: LoginWatch? = nil
    ) throws(SSHError) -> BlockingSocket {
        var addresses = try resolve(plan.host, plan.port, plan.family)
        let sources = try sources(plan)
        if !sources.isEmpty {
            addresses.removeAll { address in !sources.contains { $0.isIPv6 == address.isIPv6 } }
            if addresses.isEmpty {
                throw SSHError(
                    .transport,
                    "connect to host \(plan.host) port \(plan.port): no address of it is of the family of"
                        + " \(sources.map(\.host).joined(separator: ", ")), which is to be connected from")
            }
        }
        knocks.intends(addresses)
        journal.debug("connecting to \(addresses.map(\.description).joined(separator: ", "))")
        do throws(IOError) {
            let socket = try BlockingSocket.connect(
                toAnyOf: addresses, from: sources, deadline: Tick.current() + plan.connect
            ) { watch?.isOver == true ? .never : knocks.ask($0, $1) }
            knocks.stands(at: SocketAddress.peer(of: socket.descriptor))
            SocketOption.setNoDelay(socket.descriptor)
            if plan.tcpKeepAlive { SocketOption.setKeepAlive(socket.descriptor) }
            return socket
        } catch {
            throw SSHError(
                .transport, "connect to host \(plan.host) port \(plan.port): \(errorText(error.number))")
        }
    }

    /// Where to connect from, as ssh has it: the address that is named, else an interface's. Empty: the system chooses.
    private static func sources(_ plan: LoginPlan) throws(SSHError) -> [SocketAddress] {
        if let name = plan.source { return try resolve(name, 0, plan.family) }
        guard let interface = plan.interface else { return [] }
        let found: [SocketAddress]
        do throws(IOError) { found = try SocketAddress.of(interface: interface) } catch {
            throw SSHError(.local, "BindInterface \(PeerText(interface)): \(error)")
        }
        if found.isEmpty {
            throw SSHError(
                .transport,
                "BindInterface \(PeerText(interface)): no suitable addresses: no interface of that name is up with one")
        }
        return found
    }

    private static func resolve(_ host: String, _ port: UInt16, _ family: SocketAddress.Family) throws(SSHError)
        -> [SocketAddress]
    {
        do throws(ResolveError) { return try SocketAddress.resolve(host: host, port: port, family: family) } catch {
            throw SSHError(.transport, error.description)
        }
    }

    private static func send<Way: SSHLogin & ~Copyable>(
        _ login: inout Way, _ socket: borrowing BlockingSocket, _ deadline: Tick
    ) throws(SSHError) {
        while true {
            let output = unsafe login.output
            guard unsafe !output.isEmpty else { return }
            do throws(IOError) { try unsafe socket.send(output, deadline: deadline) } catch { throw transport(error) }
            login.outputSent(output.count)
        }
    }

    /// Most likely a wrong port, which "closed" or "no version" would not say; nil where the first words are SSH's.
    private static func noSSH(_ plan: LoginPlan, _ opening: [UInt8]) -> SSHError? {
        let place = "\(plan.host) port \(plan.port)"
        guard !opening.starts(with: Self.opening) else { return nil }
        guard !opening.isEmpty else {
            return SSHError(
                .transport,
                "the server closed the connection during the login, without a word (\(place): is the port right?)")
        }
        let said = PeerText(opening.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
        if let reason = refusals.first(where: { said.description.hasPrefix($0.words) })?.reason {
            return SSHError(.transport, "\(place) lets nobody in for now: it said \"\(said)\": \(reason)")
        }
        return SSHError(.transport, "\(place) speaks no SSH: it said \"\(said)\": is the port right?")
    }

    /// What OpenSSH's sshd says in place of its version to whom it does not let in, and what that means.
    private static let refusals: [(words: String, reason: String)] = [
        (
            "Not allowed at this time",
            "a penalty for logins from here that failed or were broken off, which ends by itself after 15 s to 10 min"
                + " (PerSourcePenalties in its sshd_config)"
        ),
        (
            "Exceeded MaxStartups",
            "too many connections there have not logged in yet, and there is room again when they have, or after its"
                + " LoginGraceTime (MaxStartups in its sshd_config)"
        ),
    ]

    /// What ends a login that offered too much, in sshd's words.
    private static let tooMany = "Too many authentication failures"

    /// False when the server has closed the connection.
    private static func receive(
        _ ring: inout MirroredRing, _ socket: borrowing BlockingSocket, _ deadline: Tick, _ watch: LoginWatch?
    ) throws(SSHError) -> Bool {
        precondition(ring.writableCount > 0, "no packet is as long as the ring")
        var count: Int?
        do throws(IOError) {
            if let watch, watch.isOpen { count = try receive(&ring, socket, until: deadline, watch) }
            if count == nil { count = try unsafe socket.receive(into: ring.writable, deadline: deadline) }
        } catch {
            throw transport(error)
        }
        guard let count else { preconditionFailure("a receive returns or throws") }
        guard count > 0 else { return false }
        ring.advance(count)
        return true
    }

    /// nil: the server fell silent, and that was told.
    private static func receive(
        _ ring: inout MirroredRing, _ socket: borrowing BlockingSocket, until deadline: Tick, _ watch: LoginWatch
    ) throws(IOError) -> Int? {
        let patience = Tick.current() + watch.patience
        do throws(IOError) {
            return try unsafe socket.receive(into: ring.writable, deadline: min(patience, deadline))
        } catch {
            guard error.number == ETIMEDOUT, patience < deadline else { throw error }
            watch.fellSilent()
            return nil
        }
    }

    private static func transport(_ error: IOError) -> SSHError {
        if error.number == ETIMEDOUT {
            return SSHError(.transport, "the server did not answer in time during the login")
        }
        return SSHError(.transport, "the connection failed during the login: \(errorText(error.number))")
    }
}
