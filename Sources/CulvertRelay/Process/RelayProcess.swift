internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// The control thread of `culvert relay`: opens the listeners, spreads them over the workers, answers signals.
struct PlainSupervisor {
    let settings: RelaySettings
    let group: WorkerGroup<NativeEngine>
    let signals: SignalSource
    let journal: Journal
    let service = ServiceNotifier()
    private var ending: Ending?
    private var isStopping = false
    private var stoppedWorkers = 0

    init(settings: RelaySettings, group: WorkerGroup<NativeEngine>, signals: SignalSource, journal: Journal) {
        self.settings = settings
        self.group = group
        self.signals = signals
        self.journal = journal
    }

    mutating func run() -> Ending {
        guard openListeners() else { return .connectionFailed }
        service.tell("READY=1")
        while ending == nil {
            _ = Wait.forReadable([group.control.descriptor, signals.descriptor], until: nil)
            readSignals()
            readMailbox()
        }
        return ending ?? .asAsked
    }

    private func openListeners() -> Bool {
        var descriptors: [(descriptor: Descriptor, forward: Int)] = []
        for (number, forward) in settings.forwards.enumerated() {
            do throws(Listening.Failure) {
                for (descriptor, address) in try Listening.open(forward, family: .any) {
                    journal.info("listening on \(address) for \(forward.target)")
                    descriptors.append((descriptor, number))
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
            if isStopping { return ending = .signalled(signal) }
            isStopping = true
            journal.info("stopping")
            service.tell("STOPPING=1")
            group.post(.stop)
        }
    }

    private mutating func readMailbox() {
        for message in group.control.takeAll() {
            switch message {
            case .snapshot(let worker, let text):
                journal.error("snapshot of worker \(worker) (\(group.kind.rawValue)):\n\(text)")
            case .stopped:
                stoppedWorkers += 1
                if stoppedWorkers == group.mailboxes.count { ending = .asAsked }
            case .failed(_, let error):
                journal.error("a worker failed: \(error)")
                ending = .systemError
            case .commandRefused, .loggedIn, .loginFailed, .linkLost, .linkSuspect, .linkRecovered, .reverseAnswered,
                .connectionWaits, .streamsEnded, .order:
                preconditionFailure("a relay without SSH has no links, and reads its signals itself")
            }
        }
    }
}
