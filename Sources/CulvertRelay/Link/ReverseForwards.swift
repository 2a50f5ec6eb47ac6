internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The reverse forwards of one link: what was asked for, what stands, and what is asked for again.
struct ReverseForwards {
    struct Standing {
        let number: ForwardNumber
        let forward: ReverseID
        /// Where the server listens.
        let port: UInt16
    }

    private struct Refused {
        let forward: ReverseID
        /// nil: it has been asked for again.
        var due: Tick?
        let attempts: Int
    }

    private var asked: [(number: ForwardNumber, forward: ReverseID)] = []
    private(set) var standing: [Standing] = []
    private var refused: [Refused] = []

    mutating func wasAsked(_ forward: ReverseID, _ number: ForwardNumber) { asked.append((number, forward)) }

    /// Which forward the server's answer is about; nil when nobody asked.
    mutating func answered(_ number: ForwardNumber) -> ReverseID? {
        guard let place = asked.firstIndex(where: { $0.number == number }) else { return nil }
        return asked.remove(at: place).forward
    }

    mutating func stands(_ forward: ReverseID, _ number: ForwardNumber, port: UInt16) {
        standing.append(Standing(number: number, forward: forward, port: port))
        refused.removeAll { $0.forward == forward }
    }

    /// Asked for again until it stands: an old session of ours may hold the port for a while yet. Returns when.
    mutating func wasRefused(_ forward: ReverseID, now: Tick) -> Tick {
        let attempts = (refused.first { $0.forward == forward }?.attempts ?? 0) + 1
        refused.removeAll { $0.forward == forward }
        let due = now + .seconds(min(30, 0.5 * Double(1 << min(attempts, 6))))
        refused.append(Refused(forward: forward, due: due, attempts: attempts))
        return due
    }

    /// Those whose time to be asked for again has come: each is named once until its answer comes.
    mutating func takeDue(_ now: Tick) -> [ReverseID] {
        var due: [ReverseID] = []
        for place in refused.indices {
            guard let moment = refused[place].due, moment <= now else { continue }
            refused[place].due = nil
            due.append(refused[place].forward)
        }
        return due
    }

    var nextDue: Tick? { refused.compactMap(\.due).min() }

    /// A newer link has their place: nothing is asked for any more. Returns what is to be cancelled.
    mutating func retire() -> [ForwardNumber] {
        defer {
            standing = []
            refused = []
        }
        return standing.map(\.number)
    }

    /// Which of the forwards that stand a channel belongs to. `listens` tells what a forward was asked to listen on.
    func forward(of request: ChannelOpenRequest, listens: (ReverseID) -> ReverseForward.Listen) -> ReverseID? {
        switch request {
        case .forwardedTCPIP(let address, let port, _, _):
            // Two forwards may have one port and different addresses. The address may come back as the server
            // understood it, so where none is as it was asked for, the port decides.
            var found: ReverseID?
            for each in standing where each.port == port && port != 0 {
                if case .tcp(address, _) = listens(each.forward) { return each.forward }
                found = found ?? each.forward
            }
            return found
        case .forwardedStreamLocal(let path):
            return standing.first { listens($0.forward) == .unix(path: path) }?.forward
        case .directTCPIP, .directStreamLocal: return nil
        }
    }
}
