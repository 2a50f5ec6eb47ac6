internal import CulvertIO
internal import CulvertLibSSH2
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc
internal import Synchronization

/// The process that carries one tunnel with the libssh2 engine: its links and flows, and the SSH part of its logins. All else
/// is its parent's (`ChildHost`), which it hears and tells on one line; it ends when the parent says so or goes.
struct LibSSH2Child {
    /// The program's first argument in such a process.
    static let argument = "libssh2-child"
    /// Beside `--memory`: the program itself, its threads, and what libssh2 holds before a host key is judged, bytes.
    static let memoryBeside = 512 << 20
    /// How often the parent is told how many flows there are, while that changes.
    private static var loadPause: Tick.Span { .milliseconds(50) }

    private let plan: TunnelPlan
    private let group: WorkerGroup<LibSSH2Engine>
    private let journal: Journal
    private let line: ProcessLine
    private var reader: ProcessLineReader
    /// Links that have logged in and that the parent has not decided about.
    private let ready = Guarded<[LinkID: ReadyLink]>([:])
    private let loads: LoadChanges
    private var toldLoads: [Int]
    /// When the parent is to be told of loads that have changed; nil: they have not.
    private var loadsDue: Tick?
    private var stoppedWorkers: Set<WorkerID> = []
    private var status: Int32?

    /// The whole life of the process: its exit status.
    static func run() -> Int32 {
        guard let line = ChildProcess.begin() else { return refuseToBegin() }
        var reader = ProcessLineReader(line)
        guard let first = reader.wait(), case .begin(let plan)? = try? ChildOrder(message: first.bytes) else {
            return toldNonsense(line)
        }
        ChildProcess.limitMemory(plan.plan.runtime.memory + memoryBeside)
        do throws(IOError) {
            var child = try LibSSH2Child(plan, reader)
            return child.run()
        } catch {
            line.tell(.said(Journal.Line(.error, "the libssh2 process: \(error)", kind: nil)))
            return Ending.systemError.exitStatus
        }
    }

    /// The status of EX_SOFTWARE.
    private static func toldNonsense(_ line: ProcessLine) -> Int32 {
        line.tell(.said(Journal.Line(.error, "the libssh2 process was told what it cannot read", kind: nil)))
        return 70
    }

    /// A person has typed it.
    private static func refuseToBegin() -> Int32 {
        let text = "culvert \(argument): culvert starts this itself, for a tunnel with --engine libssh2\n"
        _ = unsafe text.withCString { unsafe write(STDERR_FILENO, $0, strlen($0)) }
        return 64
    }

    private init(_ begun: ChildPlan, _ reader: ProcessLineReader) throws(IOError) {
        let line = reader.line
        plan = begun.plan
        self.line = line
        self.reader = reader
        let journal = Journal(level: begun.level, newsLevel: begun.newsLevel) { line.tell(.said($0)) }
        let processors = Thread.processors(startingAt: HostProcess.identifier)
        let loads = try LoadChanges()
        self.loads = loads
        let statuses = (0..<plan.links).map { place in
            LinkStatus(worker: WorkerID(place % begun.workers)) { change in
                switch change {
                case .isOpen(let isOpen): line.tell(.isOpen(place: place, isOpen))
                case .flows: loads.note()
                }
            }
        }
        group = try WorkerGroup<LibSSH2Engine>.start(
            processors: (0..<begun.workers).map { processors[$0 % processors.count] }, kind: begun.kind,
            forwards: plan.forwards, reverse: plan.reverse, links: statuses, memory: plan.runtime.memory,
            limits: RelayLimits(plan), alive: KeepAlive(plan.server), journal: journal,
            lender: ConnectionLender(line), chosenPorts: begun.chosenPorts)
        self.journal = journal
        toldLoads = statuses.map { _ in 0 }
    }

    private static func logIn(
        _ step: Route<LibSSH2Engine>.Step, _ socket: consuming BlockingSocket, _ path: LinkPath?,
        _ authority: any LoginAuthority, _ watch: LoginWatch?
    ) throws(SSHError) -> LoggedInLink<LibSSH2Engine> {
        let lists = step.algorithms
        let settings = LibSSH2Settings(
            keyExchange: lists.keyExchanges, ciphers: lists.ciphers,
            macs: lists.macs, hostKeyAlgorithms: lists.hostKeys)
        return try Login.perform(
            step.plan, over: socket, path: path, login: LibSSH2Login(settings: settings), authority: authority,
            watch: watch
        ) { $0.engine() }
    }

    // MARK: The loop

    private mutating func run() -> Int32 {
        while status == nil {
            var awaited = [line.descriptor, group.control.descriptor]
            if loadsDue == nil { awaited.append(loads.descriptor) }
            let readable = Wait.forReadable(awaited, until: loadsDue)
            if readable.contains(loads.descriptor) {
                loads.take()
                loadsDue = Tick.current() + Self.loadPause
            }
            readOrders()
            for message in group.control.takeAll() { tell(message) }
            tellLoads()
        }
        return status ?? 0
    }

    private mutating func readOrders() {
        while status == nil {
            switch reader.next() {
            case .nothing: return
            // Nothing is waited for: what is not whole is reset by the kernel.
            case .gone: status = 0
            case .message(let message):
                guard let order = try? ChildOrder(message: message.bytes) else {
                    return status = Self.toldNonsense(line)
                }
                follow(order, message.descriptors)
            }
        }
    }

    private mutating func follow(_ order: ChildOrder, _ descriptors: [Descriptor]) {
        switch order {
        case .begin: status = Self.toldNonsense(line)
        case .login(let id, let way): if let line = descriptors.first { beginLogin(id, way, line) }
        case .deliver(let id, let reverse):
            ready.withLock { $0.removeValue(forKey: id) }?.deliver(as: id, reverse: reverse)
        case .drop(let id): _ = ready.withLock { $0.removeValue(forKey: id) }
        case .carry(let connection): carry(connection, descriptors)
        case .probe: group.crew.post(.probe)
        case .report: group.crew.post(.report)
        case .stop(let drain): group.crew.post(.stop(drain: drain))
        case .ping: answer()
        }
    }

    private func answer() {
        line.tell(.answered(.first))
        for (number, mailbox) in group.mailboxes.enumerated() where !stoppedWorkers.contains(WorkerID(number)) {
            mailbox.post(.ping)
        }
        for worker in stoppedWorkers { line.tell(.answered(.worker(worker))) }
    }

    private func carry(_ lent: LentConnection, _ descriptors: [Descriptor]) {
        // Every descriptor is in use here: it waits where it came from.
        guard let first = descriptors.first else { return line.tell(.returned(lent.arrival)) }
        group.crew.carry(
            IncomingConnection(
                first, sink: descriptors.last, forward: lent.forward, peer: lent.peer, arrival: lent.arrival,
                socks: lent.request.map { SocksNegotiation(requested: $0.request, isVersion4: $0.isVersion4) }),
            LinkID(place: lent.place, serial: 0))
    }

    private func beginLogin(_ id: LinkID, _ way: ChildWay, _ descriptor: Descriptor) {
        let (line, ready) = (line, ready)
        let route = Route(way.taken(by: plan), journal, logIn: Self.logIn)
        let worker = group.mailboxes[group.links[id.place].worker.number]
        let asker = LoginAsker(descriptor)
        do throws(IOError) {
            try Thread.start(name: "culvert-login") {
                do throws(SSHError) {
                    let link = try route.link(
                        worker: worker,
                        open: { step, path throws(SSHError) in
                            try asker.open(hop: step.hop, path, program: ParentsProgram(line, id, asker))
                        },
                        authority: { AskingAuthority(asker, hop: $0.hop) })
                    let summary = link.summary
                    let readyLink = ReadyLink(link, for: worker)
                    ready.withLock { $0[id] = readyLink }
                    asker.tell(.loggedIn(summary: summary))
                } catch {
                    asker.tell(.failed(error))
                }
            }
        } catch {
            asker.tell(.failed(SSHError(.local, error.description)))
        }
    }

    // MARK: The parent's ears

    private mutating func tell(_ message: ControlMessage) {
        switch message {
        case .linkLost(let id, let reason, let life): line.tell(.linkLost(id, reason: reason, life: life))
        case .linkSuspect(let id): line.tell(.linkSuspect(id))
        case .linkRecovered(let id): line.tell(.linkRecovered(id))
        case .reverseAnswered(let id, let forward, let answer):
            line.tell(.reverseAnswered(id, forward: forward, answer))
        case .nodelayRefused: line.tell(.nodelayRefused)
        case .streamsEnded(let cleanly): line.tell(.streamsEnded(cleanly: cleanly))
        case .reported(let worker, let report): line.tell(.reported(worker, report))
        case .stopped(let worker):
            stoppedWorkers.insert(worker)
            // It may have been asked and not have heard it.
            line.tell(.answered(.worker(worker)))
            if stoppedWorkers.count == group.mailboxes.count { status = 0 }
        case .failed(_, let error):
            line.tell(.said(Journal.Line(.error, "a worker failed: \(error)", kind: nil)))
            status = Ending.systemError.exitStatus
        case .connectionWaits, .loggedIn, .loginFailed, .loginSilent, .listenersOpened, .questionsUnanswered, .order,
            .report, .change, .handedOver, .listenersClosed:
            preconditionFailure("nobody in a child says that")
        }
    }

    private mutating func tellLoads() {
        guard let due = loadsDue, due <= Tick.current() else { return }
        loadsDue = nil
        for place in toldLoads.indices {
            let flows = max(0, group.links[place].flowCount)
            guard flows != toldLoads[place] else { continue }
            toldLoads[place] = flows
            line.tell(.load(place: place, flows: flows))
        }
    }
}

/// That some link has another number of flows than before: noted by any worker, which costs it a system call only when the
/// last note has been taken.
private final class LoadChanges: Sendable {
    private let isNoted = Atomic(false)
    private let notes: Mailbox<Void>

    init() throws(IOError) { notes = try Mailbox() }

    var descriptor: Descriptor { notes.descriptor }

    func note() { if !isNoted.exchange(true, ordering: .relaxed) { notes.post(()) } }

    func take() {
        _ = notes.takeAll()
        isNoted.store(false, ordering: .relaxed)
    }
}
