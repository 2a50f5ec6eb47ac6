internal import CulvertIO
internal import Scenario

/// A thousand flows come and go in a slab, in another order than they came.
private struct SlotRound: ~Copyable, Round {
    private static let count = 1000
    private var slab = Slab<(UInt64, UInt64)>(capacity: 4096)
    private var slots = [Int](repeating: 0, count: count)

    mutating func run() {
        for index in 0..<Self.count { slots[index] = slab.insert((UInt64(index), 1)) }
        var sum: UInt64 = 0
        // 7 and 1000 have no common divisor, so every slot comes once.
        for index in 0..<Self.count {
            let slot = slots[index * 7 % Self.count]
            let token = Token(operation: 1, slot: slot, generation: slab.generation(slot))
            guard slab.isCurrent(token) else { giveUp("a slot in use has a stale token") }
            sum += slab.remove(slot).0
        }
        guard sum == UInt64(Self.count * (Self.count - 1) / 2) else { giveUp("a slab lost a value") }
    }
}

let slots = [Scenario("slots-1000") { SlotRound() }]
