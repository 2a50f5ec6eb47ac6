internal import CulvertIO
internal import CulvertSSH

/// What a worker has, when it is asked.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    func report() -> WorkerReport {
        var report = WorkerReport(
            listeners: listeners.report(), tallies: tallies, greetings: greetings.count, deliveries: deliveries.count,
            held: held.count, carried: carriedBefore, buffers: context.budget.inUse)
        var link = links.first()
        while let id = link {
            link = links.next(after: id)
            let one = self.report(of: id)
            report.links.append(one)
            if one.place != nil {
                report.carried.add(sent: one.sent, received: one.received, keyRenewals: one.keyRenewals ?? 0)
            }
        }
        var flow = flows.first()
        while let id = flow {
            flow = flows.next(after: id)
            let one = self.report(of: id)
            report.flows.append(one)
            // It is counted there itself once it is freed.
            if let forward = one.forward {
                report.tallies[forward].sent += one.sent
                report.tallies[forward].received += one.received
            }
        }
        return report
    }

    private func report(of id: LinkSlot) -> LinkReport {
        let place: Int? = if case .pool(let id) = links[id].place { id.place } else { nil }
        return LinkReport(
            name: links[id].name, place: place, isReplaced: links[id].duty == .retired,
            isSuspect: links[id].liveness.isSuspect, age: driver.now - links[id].since,
            silence: driver.now - links[id].liveness.lastHeard,
            roundTrip: SocketOption.roundTrip(links[id].descriptor), flows: links[id].flowCount,
            sent: links[id].bytesSent, received: links[id].bytesReceived, keyRenewals: links[id].engine.keyRenewals)
    }

    private func report(of id: FlowID) -> FlowReport {
        FlowReport(
            forward: forward(of: id), peer: flows[id].peer.shown, target: flows[id].socks?.request.map { "\($0)" },
            age: driver.now - flows[id].started, sent: flows[id].sent, received: flows[id].received,
            held: flows[id].spill.count, state: flows[id].state)
    }

    /// nil: it carries a link.
    func forward(of flow: FlowID) -> ForwardID? {
        if case .forward(let id) = flows[flow].purpose { id } else { nil }
    }
}
