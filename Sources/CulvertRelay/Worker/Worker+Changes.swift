internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// Forwards that come and go while the worker runs.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func learn(_ id: DirectID, _ forward: LocalForward) {
        precondition(id.index == directForwards.count, "forwards are told in the order of their names")
        directForwards.append(forward)
    }

    mutating func learn(_ id: ReverseID, _ forward: ReverseForward) {
        precondition(id.index == reverseForwards.count, "forwards are told in the order of their names")
        reverseForwards.append(forward)
        targets.append(TargetCache(forward.target))
    }

    /// What was accepted before goes on.
    mutating func closeListeners(_ forward: DirectID) {
        if listeners.close(forward, &driver) { context.control.post(.listenersClosed(forward)) }
    }

    /// One that is lost meanwhile leaves it to its successor, as everything that it was asked for.
    mutating func askReverse(_ id: LinkID, _ forward: ReverseID) {
        guard !isStopping else { return }
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            guard links[link].poolID == id, links[link].end == nil else { continue }
            return askReverse(link, forward)
        }
    }

    /// No link has it, or asks for it, any more. Its connections go on.
    mutating func cancelReverse(_ forward: ReverseID) {
        chosenPorts[forward] = nil
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            guard links[link].hop == nil, links[link].end == nil else { continue }
            links[link].heritage.removeAll { $0 == forward }
            let numbers = links[link].reverse.cancel(forward)
            guard !numbers.isEmpty else { continue }
            for number in numbers { links[link].engine.cancelForward(number) }
            wake(link)
            // One that was replaced may have had nothing else.
            scheduleCheck(link, at: driver.now)
        }
    }
}
