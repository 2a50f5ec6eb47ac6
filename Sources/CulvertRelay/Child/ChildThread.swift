internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// The thread of a `ChildHost`: starts the child, hands it what is posted, hears what it tells, and sees to it that nothing is
/// lost with it but its links and the flows that it had begun to carry.
///
/// It waits for nobody: what the child does not take yet lies in `outgoing`.
struct ChildThread {
    /// A child that runs.
    private final class Running {
        let process: ChildProcess
        var reader: ProcessLineReader
        /// What it says on standard error.
        var errors: ErrorLines
        var speaks = true
        var lastLine: String?
        var watch: ChildWatch

        init(_ process: ChildProcess, _ line: ProcessLine, errors: consuming ErrorLines, _ watch: ChildWatch) {
            self.process = process
            reader = ProcessLineReader(line)
            self.errors = errors
            self.watch = watch
        }
    }

    /// A packet for the child, and the descriptors that are this thread's only until it is sent.
    private struct Outgoing {
        let packet: ProcessLine.Message
        let closing: [Descriptor]
    }

    /// A connection that the child has, and of which nothing is known yet.
    private struct Lent {
        let connection: IncomingConnection
        let place: Int
    }

    private let host: ChildHost
    private var child: Running?
    private var outgoing: [Outgoing] = []
    /// What became of the last packet.
    private var sending = ProcessLine.Sending.sent
    private var lent: [Arrival: Lent] = [:]
    /// Links that the present child has, or is logging in for.
    private var known: Set<LinkID> = []
    private var delivered: Set<LinkID> = []
    /// Places where a link was given a channel.
    private var useful: Set<Int> = []
    private var paths: [LinkID: LinkPath] = [:]
    private var chosenPorts: [ReverseID: UInt16] = [:]
    private var loads: [Int]
    private var owedParts = OwedParts()
    private var isStopping = false
    private var isOver = false

    /// Messages that are read before others have their turn.
    private static var batch: Int { 256 }

    init(_ host: ChildHost) {
        self.host = host
        loads = host.links.map { _ in 0 }
    }

    mutating func run() {
        do throws(IOError) {
            try begin()
            host.started(.success(()))
        } catch {
            host.started(.failure(error))
            return host.isOver()
        }
        while !isOver {
            wait()
            // In this order: what was ordered before a connection came is done before.
            let connections = host.connections.takeAll()
            for order in host.orders.takeAll() { follow(order) }
            for message in connections { follow(message) }
            readErrors()
            readNews()
            lookAtChild()
            flush()
        }
        if child != nil { childEnded(said: nil) }
        host.isOver()
    }

    private func wait() {
        var awaited = [host.orders.descriptor, host.connections.descriptor]
        if let child {
            awaited.append(child.reader.line.descriptor)
            if child.speaks { awaited.append(child.errors.descriptor) }
        }
        let line = sending == .full ? child?.reader.line.descriptor : nil
        let delay = sending == .delayed ? Tick.current() + ProcessLine.pause : nil
        let until = [delay, child?.watch.nextMoment].compactMap { $0 }.min()
        _ = Wait.forReadable(awaited, orWritable: line, until: until)
    }

    // MARK: The child's beginning and end

    private mutating func begin() throws(IOError) {
        let (own, theirs) = try ProcessLine.pair()
        let line = ProcessLine(adopting: own)
        defer { SocketOption.close(theirs) }
        var errors = try ErrorLines()
        guard let writing = errors.writing else { preconditionFailure("a new pipe can be written to") }
        let process = try ChildProcess.start(argument: LibSSH2Child.argument, line: theirs, errors: writing)
        errors.closeWriting()
        child = Running(
            process, line, errors: errors, ChildWatch(workers: host.workers, now: Tick.current()))
        send(
            .begin(
                ChildPlan(
                    plan: host.plan, workers: host.workers, kind: host.kind, level: host.journal.level,
                    newsLevel: host.journal.newsLevel, chosenPorts: chosenPorts)))
    }

    /// It has gone, or is to go: what it had is lost or waits again. `said`: why it is ended, where that is not its own doing.
    private mutating func childEnded(said: String?) {
        readErrors()
        guard let gone = child else { return }
        child = nil
        let ending =
            said == nil && !isOver ? gone.process.end(by: Tick.current() + ChildHost.patience) : gone.process.end()
        let words = said ?? Self.words(ending, gone.lastLine)
        for each in outgoing { each.closing.forEach(SocketOption.close) }
        outgoing = []
        for place in host.links.indices {
            host.links[place].isOpen = false
            setLoad(place, 0)
        }
        host.died(words)
        giveBackLent()
        paths = [:]
        known = []
        let lost = delivered
        delivered = []
        answerReport()
        guard !isStopping else { return tellStopped() }
        for id in lost.sorted(by: { $0.serial < $1.serial }) {
            var life = LinkLife()
            life.hasCarried = useful.contains(id.place)
            host.control.post(.linkLost(id, reason: words, life: life))
        }
    }

    /// Oldest first: they wait in the order in which they came.
    private mutating func giveBackLent() {
        let all = lent.values.sorted { $0.connection.arrival < $1.connection.arrival }
        lent = [:]
        for each in all { giveBack(each) }
    }

    private func giveBack(_ each: Lent) {
        host.links[each.place].flowEnded()
        if isStopping { drop(each.connection) } else { host.front.post(.takeBack(each.connection)) }
    }

    /// Closed here too; the socket's own setting resets it.
    private func release(_ connection: IncomingConnection) {
        SocketOption.close(connection.descriptor)
        if connection.sink != connection.descriptor { SocketOption.close(connection.sink) }
    }

    private func drop(_ connection: IncomingConnection) {
        release(connection)
        if connection.isStandardStreams { host.control.post(.streamsEnded(cleanly: false)) }
    }

    /// How a child ended, for a person.
    static func words(_ ending: ChildProcess.Ending, _ lastLine: String?) -> String {
        switch ending {
        case .signalled(let number):
            let faults = [
                SIGABRT: "ABRT", SIGSEGV: "SEGV", SIGBUS: "BUS", SIGILL: "ILL", SIGTRAP: "TRAP", SIGFPE: "FPE",
            ]
            if let fault = faults[number] {
                let isAssertion = lastLine?.contains("Assertion") ?? false
                return "the libssh2 process was ended by signal SIG\(fault) (libssh2 failed on what the server sent"
                    + (isAssertion ? ")" : ", or was short of memory)")
            }
            return "the libssh2 process was ended by signal \(number == SIGKILL ? "SIGKILL" : "\(number)")"
        case .exited(let status):
            return "the libssh2 process ended with exit status \(status)" + (lastLine.map { ": \($0)" } ?? "")
        }
    }

    // MARK: Orders

    private mutating func follow(_ order: ChildHost.Order) {
        switch order {
        case .login(let id, let way, let line): beginLogin(id, way, line)
        case .keep(let path, let id): if known.contains(id) { paths[id] = path }
        case .deliver(let id, let reverse):
            guard known.contains(id) else {
                return host.control.post(.linkLost(id, reason: "the libssh2 process has ended", life: LinkLife()))
            }
            delivered = delivered.filter { $0.place != id.place }
            delivered.insert(id)
            useful.remove(id.place)
            send(.deliver(id, reverse: reverse))
        case .drop(let id): if known.contains(id) { send(.drop(id)) }
        case .end: (isStopping, isOver) = (true, true)
        }
    }

    private mutating func beginLogin(_ id: LinkID, _ way: ChildWay, _ line: Descriptor) {
        guard !isStopping else { return SocketOption.close(line) }
        do throws(IOError) {
            if child == nil { try begin() }
        } catch {
            host.died(error.description)
            return SocketOption.close(line)
        }
        // Logins that failed are not told of: those of long ago are over.
        if known.count > 1024 { known = known.filter { delivered.contains($0) || $0.serial + 512 > id.serial } }
        known.insert(id)
        send(.login(id, way), [line], closing: [line])
    }

    private mutating func follow(_ message: WorkerMessage<NativeEngine>) {
        switch message {
        case .carry(let connection, let place): lend(connection, place)
        case .probe: if child != nil { send(.probe) }
        // Connections wait elsewhere.
        case .refuse: break
        case .report:
            owedParts.asked(of: host.workers)
            if child != nil { send(.report) } else { answerReport() }
        case .stop(let drain):
            guard !isStopping else { return }
            isStopping = true
            if child != nil { send(.stop(drain: drain)) } else { tellStopped() }
        // No change is taken where the links are a child's.
        case .learnDirect, .learnReverse, .closeListeners, .askReverse, .cancelReverse: break
        case .listen, .takeBack, .link, .hop, .linksChanged, .resolved, .resolvedRequest, .giveMemory, .ping,
            .proveHostKeys:
            preconditionFailure("a worker without links says that to none that has them")
        }
    }

    private mutating func lend(_ connection: IncomingConnection, _ place: Int) {
        let each = Lent(connection: connection, place: place)
        guard child != nil, !isStopping else { return giveBack(each) }
        lent[connection.arrival] = each
        let request = connection.socks.flatMap { socks in
            socks.request.map { LentConnection.LentRequest(request: $0, isVersion4: socks.isVersion4) }
        }
        let isOne = connection.sink == connection.descriptor
        send(
            .carry(
                LentConnection(
                    place: place, forward: connection.forward, peer: connection.peer, arrival: connection.arrival,
                    request: request)),
            isOne ? [connection.descriptor] : [connection.descriptor, connection.sink])
    }

    /// For the workers that cannot answer it any more.
    private mutating func answerReport() { for worker in owedParts.lost() { tellPart(worker, WorkerReport()) } }

    /// The worker here is the first.
    private func tellPart(_ worker: WorkerID, _ report: WorkerReport) {
        host.control.post(.reported(WorkerID(1 + worker.number), report))
    }

    private func tellStopped() { for worker in 1...host.workers { host.control.post(.stopped(WorkerID(worker))) } }

    // MARK: The line

    private mutating func send(_ order: ChildOrder, _ descriptors: [Descriptor] = [], closing: [Descriptor] = []) {
        let packets = ProcessLine.packets(of: ProcessLine.Message(order.message, descriptors: descriptors))
        for (number, packet) in packets.enumerated() {
            outgoing.append(Outgoing(packet: packet, closing: number == packets.count - 1 ? closing : []))
        }
    }

    private mutating func flush() {
        var sent = 0
        sending = .sent
        defer { outgoing.removeFirst(sent) }
        while sent < outgoing.count, let line = child?.reader.line {
            sending = line.send(packet: outgoing[sent].packet)
            // One that has gone is found so when it is read.
            guard sending == .sent else { return }
            outgoing[sent].closing.forEach(SocketOption.close)
            sent += 1
        }
    }

    private mutating func readErrors() {
        guard let child, child.speaks else { return }
        // Not as long as it talks: it may talk for ever.
        for _ in 0..<Self.batch {
            guard let lines = child.errors.take() else { return child.speaks = false }
            if lines.isEmpty { return }
            for line in lines {
                let text = PeerText(line).description
                child.lastLine = text
                host.journal.verbose("the libssh2 process: \(text)")
            }
        }
    }

    private mutating func readNews() {
        for _ in 0..<Self.batch {
            switch child?.reader.next() {
            case nil, .nothing?: return
            case .gone?: return childEnded(said: nil)
            case .message(let message)?:
                message.descriptors.forEach(SocketOption.close)
                guard let news = try? ChildNews(message: message.bytes), news.fits(host.plan, workers: host.workers)
                else {
                    return childEnded(said: "the libssh2 process was ended: what it said cannot be read")
                }
                take(news)
            }
        }
    }

    /// After its answers have been read.
    private mutating func lookAtChild() {
        switch child?.watch.look(Tick.current()) {
        case nil, .nothing?: break
        case .ask?: send(.ping)
        case .hangs?:
            let patience = Int(ChildWatch.patience.seconds)
            childEnded(said: "the libssh2 process was ended: it had not answered for \(patience) s")
        }
    }

    private mutating func take(_ news: ChildNews) {
        switch news {
        case .said(let line): host.journal.pass(line)
        case .isOpen(let place, let isOpen):
            host.links[place].isOpen = isOpen
            if isOpen { host.front.post(.linksChanged) }
        case .load(let place, let flows): setLoad(place, flows)
        case .settled(let arrival, let isOpen):
            guard let each = lent.removeValue(forKey: arrival) else { return }
            if isOpen { useful.insert(each.place) }
            host.links[each.place].flowEnded()
            release(each.connection)
        case .returned(let arrival): if let each = lent.removeValue(forKey: arrival) { giveBack(each) }
        case .pathEnded(let id): paths[id] = nil
        case .linkLost(let id, let reason, let life):
            delivered.remove(id)
            host.control.post(.linkLost(id, reason: paths[id]?.cause(of: reason) ?? reason, life: life))
        case .linkSuspect(let id): host.control.post(.linkSuspect(id))
        case .linkRecovered(let id): host.control.post(.linkRecovered(id))
        case .reverseAnswered(let id, let forward, let answer):
            if case .standing(let port) = answer, host.plan.reverse[forward].request.leavesPortToPeer {
                chosenPorts[forward] = port
            }
            host.control.post(.reverseAnswered(id, forward: forward, answer))
        case .nodelayRefused: host.control.post(.nodelayRefused)
        case .streamsEnded(let cleanly): host.control.post(.streamsEnded(cleanly: cleanly))
        case .reported(let worker, let report): if owedParts.came(from: worker) { tellPart(worker, report) }
        case .answered(let voice): child?.watch.answered(voice)
        }
    }

    private mutating func setLoad(_ place: Int, _ flows: Int) {
        host.links[place].flowsChanged(by: flows - loads[place])
        loads[place] = flows
    }
}
