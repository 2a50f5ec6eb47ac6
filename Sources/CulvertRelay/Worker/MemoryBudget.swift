internal import CulvertIO
internal import Synchronization

/// What payload may lie in memory because its reader is slow, over all workers, in bytes; and who holds most.
///
/// Half of the ceiling is for whoever comes, half is a floor for each: a flow that holds no more than the ceiling's half
/// divided by the stalled flows is never the one to go. At the ceiling the flow that holds most goes, on whichever worker
/// it is; until it has, the memory may be exceeded by one receive of each worker.
final class MemoryBudget: Sendable {
    /// What one receive of a link can bring, bytes.
    static let overdraft = 1024 * 1024

    /// One worker's flow that holds most, as it was last told.
    private final class Greatest: Sendable {
        let rank = Atomic<Int>(0)
    }

    let ceiling: Int
    /// Never more than this, bytes.
    let limit: Int
    private let used = Atomic<Int>(0)
    private let stalled = Atomic<Int>(0)
    private let greatest: [Greatest]

    init(ceiling: Int, workers: Int = 1) {
        self.ceiling = ceiling
        limit = ceiling + workers * Self.overdraft
        greatest = (0..<workers).map { _ in Greatest() }
    }

    var inUse: Int { used.load(ordering: .relaxed) }
    var isOver: Bool { inUse > ceiling }

    /// At three quarters of the ceiling no window grows.
    var isNear: Bool { inUse >= ceiling / 4 * 3 }

    /// What every stalled flow may hold, whatever the others do, bytes.
    var floor: Int { ceiling / 2 / max(1, stalled.load(ordering: .relaxed)) }

    /// Takes `count` bytes, or none when that is more than there can be.
    func take(_ count: Int) -> Bool {
        let after = used.add(count, ordering: .relaxed).newValue
        if after <= limit { return true }
        used.subtract(count, ordering: .relaxed)
        return false
    }

    func give(back count: Int) { used.subtract(count, ordering: .relaxed) }

    func stallBegan() { stalled.add(1, ordering: .relaxed) }
    func stallEnded() { stalled.subtract(1, ordering: .relaxed) }

    func publish(_ rank: HoldRank?, by worker: WorkerID) {
        greatest[worker.number].rank.store(rank?.number ?? 0, ordering: .relaxed)
    }

    /// What a worker that finds the ceiling passed is to do.
    enum Relief: Hashable {
        case none
        /// Its own greatest holder goes.
        case own
        /// Another one's holds more: that worker is asked.
        case ask(WorkerID)
    }

    /// Asked again when nothing has come of it after this long.
    static let patience = Tick.Span.milliseconds(5)

    /// `lastAsked`: when this worker last asked another one.
    func relief(for worker: WorkerID, lastAsked: Tick?, now: Tick) -> Relief {
        var found: (worker: WorkerID, rank: Int)?
        for (number, each) in greatest.enumerated() {
            let rank = each.rank.load(ordering: .relaxed)
            if rank > found?.rank ?? 0 { found = (WorkerID(number), rank) }
        }
        guard let found else { return .none }
        if found.worker == worker { return .own }
        if let lastAsked, now - lastAsked < Self.patience { return .none }
        return .ask(found.worker)
    }
}

/// How much of the memory a flow holds, for comparing: whoever holds more goes first, and of those that hold the same
/// whoever has been stalled for longer.
struct HoldRank: Comparable, Sendable, BitwiseCopyable {
    /// Units of payload in the upper bits, milliseconds in the lower ones.
    let number: Int
    /// What differs by less is the same: a reader that moves and one that does not may have the same window, bytes.
    static let unit = 16 * 1024

    /// `held`: bytes of payload.
    init(held: Int, stalled: Tick.Span) {
        let milliseconds = min(max(0, stalled.nanoseconds / 1_000_000), 0xff_ffff)
        number = ((held + Self.unit - 1) / Self.unit) << 24 | Int(milliseconds)
    }

    static func < (left: HoldRank, right: HoldRank) -> Bool { left.number < right.number }
}
