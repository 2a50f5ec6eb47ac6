internal import Synchronization

/// What payload may lie in memory because its reader is slow, over all workers, in bytes.
final class MemoryBudget: Sendable {
    let ceiling: Int
    private let used = Atomic<Int>(0)

    init(ceiling: Int) { self.ceiling = ceiling }

    var inUse: Int { used.load(ordering: .relaxed) }

    /// Takes `count` bytes of the budget, or none of it.
    func take(_ count: Int) -> Bool {
        let after = used.add(count, ordering: .relaxed).newValue
        if after <= ceiling { return true }
        used.subtract(count, ordering: .relaxed)
        return false
    }

    func give(back count: Int) { used.subtract(count, ordering: .relaxed) }
}
