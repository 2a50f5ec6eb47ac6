import CulvertSSH

@testable import CulvertRelay

/// Changes to the forwards of a pool in a storm: what was ordered, what was answered, and what is so by that.
struct StormChanges {
    /// Ordered, and not answered.
    private(set) var open: [ChangeID: PoolChange] = [:]
    /// Listeners that workers were told to close.
    var closing: Set<DirectID> = []
    private var listening: Set<DirectID> = []
    private var reverse: Set<ReverseID> = []
    private var last: UInt64 = 0
    private var direct = 0
    private var reverseCount = 0

    init() {}

    init(_ plan: PoolPlan) {
        listening = Set(plan.listening)
        reverse = Set((0..<plan.reverse).map { ReverseID(index: $0) })
        // Some more than the plan has. -W is a name of its own.
        direct = plan.listening.count + 3
        reverseCount = plan.reverse + 3
    }

    mutating func order(_ dice: inout Dice) -> (ChangeID, PoolChange) {
        last += 1
        let here = DirectID(index: Int.random(in: 0..<direct, using: &dice))
        let there = ReverseID(index: Int.random(in: 0..<reverseCount, using: &dice))
        let change: PoolChange =
            switch Int.random(in: 0..<4, using: &dice) {
            case 0: .listen(here, choosesPort: Bool.random(using: &dice))
            case 1: .unlisten(here)
            case 2: .ask(there)
            default: .cancel(there)
            }
        open[ChangeID(number: last)] = change
        return (ChangeID(number: last), change)
    }

    mutating func answered(_ id: ChangeID, _ answer: ForwardAnswer) throws {
        guard let change = open.removeValue(forKey: id) else { throw Missed("\(id) is answered twice") }
        switch (change, answer) {
        case (_, .failed): break
        case (.listen(let forward, _), .done):
            guard listening.insert(forward).inserted else { throw Missed("\(forward) is new, and was there") }
        case (.listen(let forward, _), .isThere):
            guard listening.contains(forward) else { throw Missed("\(forward) is there, and was never opened") }
        case (.unlisten(let forward), .done):
            guard listening.remove(forward) != nil else { throw Missed("\(forward) is cancelled, and was not there") }
        case (.ask(let forward), .done):
            guard reverse.insert(forward).inserted else { throw Missed("\(forward) is new, and was there") }
        case (.ask(let forward), .isThere):
            guard reverse.contains(forward) else { throw Missed("\(forward) is there, and was never asked for") }
        case (.cancel(let forward), .done):
            guard reverse.remove(forward) != nil else { throw Missed("\(forward) is cancelled, and was not there") }
        case (.unlisten, .isThere), (.cancel, .isThere): throw Missed("what is cancelled is there")
        }
    }

    private func isOpen(_ change: PoolChange) -> Bool { open.values.contains(change) }

    /// What a link asks for: everything that was promised, and perhaps what is to be.
    func allows(_ asked: [ReverseID], at place: Int, of links: Int) -> Bool {
        let promised = reverse.filter { $0.index % links == place }
        return promised.isSubset(of: asked) && asked.allSatisfy { promised.contains($0) || isOpen(.ask($0)) }
    }

    func mayListen(_ forward: DirectID) -> Bool {
        listening.contains(forward)
            || [true, false].contains { isOpen(.listen(forward, choosesPort: $0)) }
    }

    /// That a server may say something about.
    func known(at place: Int, of links: Int) -> [ReverseID] {
        let asked = open.values.compactMap { if case .ask(let forward) = $0 { forward } else { nil } }
        return reverse.union(asked).filter { $0.index % links == place }.sorted { $0.index < $1.index }
    }
}
