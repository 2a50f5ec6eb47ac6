internal import CulvertIO
internal import CulvertPlan
internal import Glibc

/// The control thread of `culvert relay`: opens the listeners, spreads them over the workers, answers signals.
struct RelayProcess {
    let plan: RelayPlan
    let group: PlainGroup
    let signals: SignalSource
    let journal: Journal
    private let service = ServiceNotifier()
    private var ending: Ending?
    /// Once it was told to end: the workers are waited for until then.
    private var deadline: Tick?
    private var stoppedWorkers: Set<WorkerID> = []

    init(_ plan: RelayPlan, group: PlainGroup, signals: SignalSource, journal: Journal) {
        self.plan = plan
        self.group = group
        self.signals = signals
        self.journal = journal
    }

    mutating func run() -> Ending {
        guard openListeners() else { return .connectionFailed }
        service.tell("READY=1")
        while ending == nil {
            _ = Wait.forReadable([group.control.descriptor, signals.descriptor], until: deadline)
            readSignals()
            for message in group.control.takeAll() { read(message) }
            if let deadline, deadline <= Tick.current() { ending = ending ?? .asAsked }
        }
        return ending ?? .asAsked
    }

    private func openListeners() -> Bool {
        var descriptors: [(descriptor: Descriptor, forward: DirectID)] = []
        for (number, forward) in plan.forwards.enumerated() {
            do throws(Listening.Failure) {
                for (descriptor, address) in try Listening.open(forward, family: .any) {
                    journal.info("listening on \(address) for \(forward.target)")
                    descriptors.append((descriptor, DirectID(index: number)))
                }
            } catch {
                journal.error("\(forward.text): \(error.description)")
                return false
            }
        }
        for (number, each) in descriptors.enumerated() {
            group.mailboxes[number % group.mailboxes.count].post(.listen(each.descriptor, forward: each.forward))
        }
        return true
    }

    private mutating func readSignals() {
        while let signal = signals.next() {
            if signal == SIGUSR1 {
                group.post(.snapshot)
                continue
            }
            if deadline != nil { return ending = .signalled(signal) }
            let drain = Tick.Span(plan.drain)
            deadline = Tick.current() + drain + LinkPool.stopPatience
            journal.info("stopping")
            service.tell("STOPPING=1")
            group.post(.stop(drain: drain))
        }
    }

    private mutating func read(_ message: PlainNews) {
        switch message {
        case .snapshot(let worker, let text):
            journal.report("snapshot of worker \(worker.number) (\(group.kind.rawValue)):\n\(text)")
        case .stopped(let worker):
            stoppedWorkers.insert(worker)
            if stoppedWorkers.count == group.mailboxes.count { ending = ending ?? .asAsked }
        case .failed(_, let error):
            journal.error("a worker failed: \(error)")
            ending = .systemError
        }
    }
}
