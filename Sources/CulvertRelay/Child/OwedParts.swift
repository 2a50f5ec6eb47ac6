/// The parts of a report that a child owes, one from each of its workers: whoever asked waits for all of them, and a child
/// may die after some.
struct OwedParts {
    private var workers: Set<WorkerID> = []

    mutating func asked(of count: Int) { workers = Set((0..<count).map { WorkerID($0) }) }

    /// Whether the part was owed: what comes unasked is no part.
    mutating func came(from worker: WorkerID) -> Bool { workers.remove(worker) != nil }

    /// The child has gone: those that will not come.
    mutating func lost() -> [WorkerID] {
        defer { workers = [] }
        return workers.sorted { $0.number < $1.number }
    }
}
