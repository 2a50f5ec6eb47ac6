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
        openListeners()
        while ending == nil {
            _ = Wait.forReadable([group.control.descriptor, signals.descriptor], until: deadline)
            readSignals()
            for message in group.control.takeAll() { read(message) }
            if let deadline, deadline <= Tick.current() { ending = ending ?? .asAsked }
        }
        return ending ?? .asAsked
    }

    private func openListeners() {
        let control = group.control
        let forwards = plan.forwards.enumerated().map { (id: DirectID(index: $0.offset), forward: $0.element) }
        ListenerOpening.begin(forwards, family: .any) { control.post(.listenersOpened($0)) }
    }

    /// All of them, or the process ends.
    private mutating func listenersOpened(_ opened: [ListenerOpening.Opened]) {
        guard deadline == nil else { return }
        for each in opened {
            guard case .failure(let failure) = each.outcome else { continue }
            journal.error("\(plan.forwards[each.forward].text): \(failure.description)")
            return ending = .connectionFailed
        }
        var number = 0
        for each in opened {
            guard case .success(let addresses) = each.answer.outcome else { continue }
            for address in addresses {
                journal.info("listening on \(address) for \(plan.forwards[each.forward].target)")
            }
            each.take { descriptor in
                group.mailboxes[number % group.mailboxes.count].post(.listen(descriptor, forward: each.forward))
                number += 1
            }
        }
        service.tell("READY=1")
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
        case .listenersOpened(let opened): listenersOpened(opened)
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
