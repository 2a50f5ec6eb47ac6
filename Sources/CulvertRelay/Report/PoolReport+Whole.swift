internal import CulvertIO
internal import CulvertPlan

extension PoolReport {
    /// With what names mean, what every worker said put together.
    func whole(_ plan: TunnelPlan, _ names: TunnelForwards, destination: String, _ crew: WorkerCrew) -> TunnelReport {
        let flows = Dictionary(grouping: workers.flatMap(\.flows), by: \.forward)
        var forwards: [ForwardReport] = []
        func add(_ id: ForwardID, _ kind: ForwardReport.Kind, _ text: String, _ state: ForwardReport.State) {
            var tally = ForwardTally()
            for worker in workers { tally.add(worker.tallies[id]) }
            forwards.append(
                ForwardReport(kind: kind, text: text, state: state, tally: tally, flows: flows[id] ?? []))
        }
        let paused = Set(workers.flatMap(\.listeners).filter(\.isPaused).map(\.forward))
        for (index, forward) in names.direct.enumerated() {
            let id = DirectID(index: index)
            let kind: ForwardReport.Kind =
                forward.isStandardStreams ? .stdio : forward.target == .requested ? .dynamic : .local
            switch direct[id] {
            case .open where paused.contains(id): add(.direct(id), kind, forward.text, .paused)
            case .open(let port)?: add(.direct(id), kind, forward.text, .standing(port: port ?? forward.port))
            case .failed(let reason)?: add(.direct(id), kind, forward.text, .failed(reason: reason))
            case .closed?: add(.direct(id), kind, forward.text, .waiting)
            // Nobody listens for it: standard streams, what was handed over, and what was cancelled and is in use yet.
            case nil where forward.isStandardStreams: add(.direct(id), kind, forward.text, .standing(port: nil))
            case nil: if flows[.direct(id)] != nil { add(.direct(id), kind, forward.text, .waiting) }
            }
        }
        for (index, forward) in names.reverse.enumerated() {
            let id = ForwardID.reverse(ReverseID(index: index))
            // One that was added is asked for behind what was known when the report was gathered.
            switch index < reverse.count ? reverse[index] : .unwanted {
            case .standing(let port): add(id, .remote, forward.text, .standing(port: forward.isUnix ? nil : port))
            case .refused: add(id, .remote, forward.text, .failed(reason: "the server refuses to listen"))
            case .unasked: add(id, .remote, forward.text, .waiting)
            case .unwanted: if flows[id] != nil { add(id, .remote, forward.text, .waiting) }
            }
        }
        var carried = LinkTotals()
        for each in workers.map(\.carried) {
            carried.add(sent: each.sent, received: each.received, keyRenewals: each.keyRenewals)
        }
        return TunnelReport(
            destination: destination, engine: plan.engine, driver: crew.kind, workers: crew.count, state: state,
            since: since, places: places, links: workers.flatMap(\.links), forwards: forwards, hops: flows[nil] ?? [],
            greetings: sum(\.greetings), deliveries: sum(\.deliveries), held: sum(\.held),
            carried: carried, buffers: workers.map(\.buffers).max() ?? 0, bufferLimit: plan.runtime.memory)
    }

    /// What another process says may be anything.
    private func sum(_ part: KeyPath<WorkerReport, Int>) -> Int { workers.reduce(0) { $0 &+ $1[keyPath: part] } }
}

extension LocalForward {
    /// nil: it listens at none.
    fileprivate var port: UInt16? {
        switch listen {
        case .loopback(let port), .everywhere(let port), .address(_, let port): port
        case .unix, .standardStreams, .handedOver: nil
        }
    }
}

extension ReverseForward {
    fileprivate var isUnix: Bool { if case .unix = listen { true } else { false } }
}
