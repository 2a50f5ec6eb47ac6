import CulvertIO
import CulvertSSH

@testable import CulvertRelay

/// A pool by itself, with a clock that goes on when the test says so.
final class PoolBench {
    private(set) var pool: LinkPool
    private var dice = Dice(seed: 1)
    private(set) var now = Tick(nanoseconds: 1_000_000_000)

    /// When the budget has a knock again.
    var knockable: Tick?

    init(_ plan: PoolPlan) { pool = LinkPool(plan) }

    func tell(_ event: PoolEvent) -> [PoolAction] { pool.handle(event, now: now, knockable: knockable, dice: &dice) }

    /// Time goes on, by no more than to its next moment at a time; everything that comes of it.
    func pass(_ seconds: Double) -> [PoolAction] {
        let end = now + .seconds(seconds)
        var actions: [PoolAction] = []
        while let next = pool.nextMoment, next <= end {
            now = max(now, next)
            actions += tell(.timePassed)
        }
        now = end
        return actions + tell(.timePassed)
    }

    /// A pool whose every link stands, with its local forwards.
    static func standing(_ plan: PoolPlan) -> PoolBench {
        let bench = PoolBench(plan)
        _ = bench.tell(.begun)
        for place in 0..<plan.links {
            let id = LinkID(place: place, serial: UInt64(place + 1))
            let actions = bench.tell(.loggedIn(id, summary: "s"))
            if case .openListeners(let forwards)? = actions.last { _ = bench.tell(.listenersOpened(opened(forwards))) }
        }
        return bench
    }

    /// Whose links have settled.
    static func settled(_ plan: PoolPlan) -> PoolBench {
        let bench = standing(plan)
        _ = bench.pass(Backoff.settled.seconds)
        return bench
    }

    static func opened(_ forwards: [DirectID]) -> [ListenerAnswer] {
        forwards.map { ListenerAnswer(forward: $0, outcome: .success([])) }
    }

    static func failed(_ forwards: [DirectID]) -> [ListenerAnswer] {
        forwards.map { ListenerAnswer(forward: $0, outcome: .failure(Listening.Failure(description: "no"))) }
    }

    static let transport = SSHError(.transport, "no route")
    static let refusal = SSHError(.authentication, "refused")
}

/// One local forward, one link, one worker.
func onePlan(_ change: (inout PoolPlan) -> Void = { _ in }) -> PoolPlan {
    var plan = PoolPlan()
    plan.listening = [0]
    change(&plan)
    return plan
}

extension [PoolAction] {
    /// The logins that were begun.
    var logins: [LinkID] { compactMap { if case .beginLogin(let id, _, _) = $0 { id } else { nil } } }
    var news: [PoolNews] { compactMap { if case .say(let news) = $0 { news } else { nil } } }
    /// Without what is only said and shown.
    var deeds: [PoolAction] {
        filter {
            switch $0 {
            case .say, .tell: false
            default: true
            }
        }
    }
}

let first = LinkID(place: 0, serial: 1)
let second = LinkID(place: 0, serial: 2)
let third = LinkID(place: 0, serial: 3)
