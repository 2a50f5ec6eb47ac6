import CulvertIO
import CulvertPlan

@testable import CulvertRelay

/// The budget of knocks in a storm, asked as login threads ask it, and what must hold of it: once something has failed, no
/// more than five knocks in any 30 s, whatever the pool wants.
struct StormKnocks {
    private static let address = try! SocketAddress.resolve(host: "10.0.0.1", port: 22, numeric: true)[0]
    private static let limit = KnockLimit.perHalfMinute(5)

    private var budget = KnockBudget()
    private var tickets: [LinkID: KnockBudget.Ticket] = [:]
    /// Logins that have no leave yet.
    private(set) var waiting: Set<LinkID> = []

    // What is so, counted by other means.
    private var isWatched = false
    private var made: [Tick] = []
    private var clearings: [Tick] = []

    func earliest(_ now: Tick) -> Tick? { budget.earliest([Self.address], limit: Self.limit, now: now) }

    mutating func loginBegun(_ id: LinkID) {
        tickets[id] = budget.beginLogin(isFirst: id.isFirst)
        waiting.insert(id)
    }

    mutating func knock(_ now: Tick) throws {
        for id in waiting.sorted(by: { $0.serial < $1.serial }) {
            guard let ticket = tickets[id] else { throw Missed("\(id) was never begun") }
            switch budget.ask(.begins, at: Self.address, of: ticket, limit: Self.limit, now: now) {
            case .granted:
                waiting.remove(id)
                made.append(now)
                let recent = made.count { now - $0 < .seconds(30) }
                guard !isWatched || recent <= 5 else { throw Missed("\(recent) knocks in 30 s") }
            case .never: throw Missed("the budget forbids \(id)")
            case .notBefore(let moment):
                guard moment > now else { throw Missed("\(id) would ask for ever") }
                guard moment - now <= .seconds(31) else { throw Missed("\(id) waits for \((moment - now).seconds) s") }
            }
        }
    }

    mutating func loginEnded(_ id: LinkID, succeeds: Bool) {
        if let ticket = tickets.removeValue(forKey: id) { budget.finished(ticket) }
        if !succeeds { failed() }
    }

    mutating func failed() {
        budget.failed(at: Self.address)
        isWatched = true
    }

    mutating func settled(_ settling: KnockBudget.Settling, _ now: Tick) {
        budget.settled(settling, at: Self.address, now: now)
        clearings.removeAll { now - $0 >= .seconds(3600) }
        if settling == .payload {
            guard clearings.count < 10 else { return isWatched = true }
            if isWatched { clearings.append(now) }
        }
        isWatched = false
        made = []
    }
}
