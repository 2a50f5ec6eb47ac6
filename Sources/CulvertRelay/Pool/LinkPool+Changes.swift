internal import CulvertIO

/// A change that was ordered and is not answered.
struct PendingChange: Equatable {
    let id: ChangeID
    let change: PoolChange
    /// When it is given up; nil: what it waits for comes.
    var deadline: Tick?
}

/// Forwards that are added and cancelled while the tunnel runs. Each order is answered once, and what fails has changed
/// nothing. One forward has one change at a time.
extension LinkPool {
    /// A server that does not answer a request for a forward, or cannot be reached, is waited for so long.
    static let changePatience = Tick.Span.seconds(30)

    mutating func changeOrdered(_ id: ChangeID, _ change: PoolChange, now: Tick) {
        guard isRunning else { return answer(id, .failed("the tunnel is ending")) }
        // Nothing is listened for yet, and what was asked for is asked for by the first link.
        guard listeners == .open else { return answer(id, .failed("the tunnel has not stood yet")) }
        guard !isChanging(change) else { return answer(id, .failed("another change of it is under way")) }
        switch change {
        case .listen(let forward, let choosesPort): listen(forward, choosesPort: choosesPort, id)
        case .unlisten(let forward): unlisten(forward, id)
        case .ask(let forward): ask(forward, id, now: now)
        case .cancel(let forward): cancel(forward, id)
        }
    }

    private mutating func answer(_ id: ChangeID, _ answer: ForwardAnswer) { act(.answer(id, answer)) }

    private func isChanging(_ change: PoolChange) -> Bool {
        switch change {
        case .listen(let forward, _), .unlisten(let forward): isChanging(forward)
        case .ask(let forward), .cancel(let forward): pendingAsk(forward) != nil
        }
    }

    func isChanging(_ forward: DirectID) -> Bool {
        changes.contains {
            switch $0.change {
            case .listen(forward, _), .unlisten(forward): true
            case .listen, .unlisten, .ask, .cancel: false
            }
        }
    }

    private func pendingAsk(_ forward: ReverseID) -> Int? { changes.firstIndex { $0.change == .ask(forward) } }

    private mutating func changed() {
        act(.tell(.forwards(directCount + reverseCount)))
        tellStanding()
    }

    // MARK: Here

    private mutating func listen(_ forward: DirectID, choosesPort: Bool, _ id: ChangeID) {
        if listening.contains(forward) {
            let isOpen = !unopened.contains(forward)
            return answer(
                id,
                isOpen ? .isThere(port: chosenPorts[forward]) : .failed("it cannot be listened on, and is tried again"))
        }
        if choosesPort { choosing.insert(forward) }
        changes.append(PendingChange(id: id, change: .listen(forward, choosesPort: choosesPort)))
        act(.openListeners([forward]))
    }

    /// Of a forward for which a change waits.
    mutating func openedForChange(_ opened: ListenerAnswer) {
        guard let place = changes.firstIndex(where: { $0.change.listens(opened.forward) }) else {
            // Being cancelled while it was tried again.
            if case .success = opened.outcome { act(.post(.closeListeners(opened.forward))) }
            return
        }
        let id = changes.remove(at: place).id
        switch opened.outcome {
        case .success(let addresses):
            listening.append(opened.forward)
            sayListening(opened.forward, addresses)
            answer(id, .done(port: chosenPorts[opened.forward]))
            changed()
        case .failure(let failure): answer(id, .failed(failure.description))
        }
    }

    private mutating func unlisten(_ forward: DirectID, _ id: ChangeID) {
        guard listening.contains(forward) else { return answer(id, .failed("port not forwarded")) }
        listening.removeAll { $0 == forward }
        chosenPorts[forward] = nil
        if unopened.contains(forward) {
            unopened.removeAll { $0 == forward }
            if unopened.isEmpty { openAgainAt = nil }
            answer(id, .done(port: nil))
        } else {
            // Its port is free when that is answered.
            changes.append(PendingChange(id: id, change: .unlisten(forward)))
            act(.post(.closeListeners(forward)))
        }
        say(.listensNoMore(forward: forward))
        changed()
    }

    mutating func listenersClosed(_ forward: DirectID) {
        guard let place = changes.firstIndex(where: { $0.change == .unlisten(forward) }) else { return }
        answer(changes.remove(at: place).id, .done(port: nil))
    }

    // MARK: At the server

    private mutating func ask(_ forward: ReverseID, _ id: ChangeID, now: Tick) {
        while reverseStates.count <= forward.index { reverseStates.append(.unwanted) }
        switch reverseStates[forward.index] {
        case .standing(let port): return answer(id, .isThere(port: port))
        case .unasked: return answer(id, .failed("it waits for its link already"))
        case .refused: return answer(id, .failed("the server refuses it, and is asked again"))
        case .unwanted: break
        }
        reverseStates[forward.index] = .unasked
        changes.append(PendingChange(id: id, change: .ask(forward), deadline: now + Self.changePatience))
        // Without a link it is asked for by the next one.
        let place = forward.index % plan.links
        if let link = places[place].link { act(.post(.askReverse(link.id, forward))) }
        // A server that closes unused links has left none: no connection would bring the next.
        if places[place].attempt == .dormant { beginLogin(place, now: now) }
        changed()
    }

    /// Whether a change has waited for that answer, and has failed by it.
    mutating func answeredForChange(_ forward: ReverseID, _ answer: ReverseAnswer) -> Bool {
        guard let place = pendingAsk(forward) else { return false }
        let id = changes.remove(at: place).id
        switch answer {
        case .standing(let port):
            act(.answer(id, .done(port: port)))
            return false
        case .refused: act(.answer(id, .failed("the server refused to listen")))
        case .notAsked(let reason): act(.answer(id, .failed(reason)))
        }
        forget(forward)
        return true
    }

    private mutating func cancel(_ forward: ReverseID, _ id: ChangeID) {
        guard forward.index < reverseStates.count, reverseStates[forward.index] != .unwanted else {
            return answer(id, .failed("port not forwarded"))
        }
        forget(forward)
        answer(id, .done(port: nil))
        say(.reverseCancelled(forward: forward))
        tellStanding()
    }

    private mutating func forget(_ forward: ReverseID) {
        reverseStates[forward.index] = .unwanted
        act(.post(.cancelReverse(forward)))
        act(.tell(.forwards(directCount + reverseCount)))
    }

    // MARK: The end of patience

    mutating func giveUpChanges(now: Tick) {
        let late = changes.filter { change in change.deadline.map { $0 <= now } ?? false }
        guard !late.isEmpty else { return }
        changes.removeAll(where: late.contains)
        for each in late {
            answer(each.id, .failed("the server has not answered within \(Int(Self.changePatience.seconds)) s"))
            if case .ask(let forward) = each.change { forget(forward) }
        }
        tellStanding()
    }

    mutating func failChanges(_ reason: String) {
        for each in changes { answer(each.id, .failed(reason)) }
        changes = []
    }
}

extension PoolChange {
    fileprivate func listens(_ forward: DirectID) -> Bool {
        if case .listen(forward, _) = self { true } else { false }
    }
}
