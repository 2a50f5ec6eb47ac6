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

    struct Asked: Equatable {
        let number: ForwardNumber
        let forward: ReverseID
        /// 0: the server is to choose.
        let port: UInt16
    }

    private var asked: [Asked] = []
    private(set) var standing: [Standing] = []
    private var refused: [Refused] = []
    /// What is answered from now on is cancelled.
    private var isRetired = false

    mutating func wasAsked(_ forward: ReverseID, _ number: ForwardNumber, port: UInt16) {
        asked.append(Asked(number: number, forward: forward, port: port))
    }

    /// What the server's answer is about; nil when nobody asked.
    mutating func answered(_ number: ForwardNumber) -> Asked? {
        guard let place = asked.firstIndex(where: { $0.number == number }) else { return nil }
        return asked.remove(at: place)
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

    /// Those that stand, or may: the server may be listening.
    var held: [ReverseID] { isRetired ? [] : standing.map(\.forward) + asked.map(\.forward) }

    /// A newer link asks for those that were refused.
    mutating func leaveRefused() { refused = [] }

    var nextDue: Tick? { refused.compactMap(\.due).min() }

    /// Nobody wants it any more: it is asked for no more. Returns what is to be cancelled.
    mutating func cancel(_ forward: ReverseID) -> [ForwardNumber] {
        let numbers =
            standing.filter { $0.forward == forward }.map(\.number)
            + asked.filter { $0.forward == forward }.map(\.number)
        standing.removeAll { $0.forward == forward }
        asked.removeAll { $0.forward == forward }
        refused.removeAll { $0.forward == forward }
        return numbers
    }

    /// A newer link has their place: nothing is asked for any more. Returns what is to be cancelled.
    mutating func retire() -> [ForwardNumber] {
        defer {
            standing = []
            refused = []
            isRetired = true
        }
        return standing.map(\.number)
    }

    /// Which of the forwards a channel belongs to: of those that stand, or, as many servers listen before they answer, of
    /// those that were asked for. `listens` tells what a forward was asked to listen on.
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
            return found ?? unanswered(address, port, listens)
        case .forwardedStreamLocal(let path):
            let candidates = standing.map(\.forward) + (isRetired ? [] : asked.map(\.forward))
            return candidates.first { listens($0) == .unix(path: path) }
        case .directTCPIP, .directStreamLocal: return nil
        }
    }

    private func unanswered(_ address: String, _ port: UInt16, _ listens: (ReverseID) -> ReverseForward.Listen)
        -> ReverseID?
    {
        guard !isRetired else { return nil }
        func isAt(_ address: String, _ each: Asked) -> Bool {
            if case .tcp(address, _) = listens(each.forward) { true } else { false }
        }
        let named = asked.filter { $0.port == port && port != 0 }
        if let found = named.first(where: { isAt(address, $0) }) ?? named.first { return found.forward }
        // Only where there is one whose port the server chooses is it clear which is meant.
        let choosing = asked.filter {
            if case .tcp(_, 0) = listens($0.forward) { $0.port == 0 } else { false }
        }
        return choosing.count == 1 && port != 0 ? choosing[0].forward : nil
    }
}
