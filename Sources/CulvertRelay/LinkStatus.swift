internal import Synchronization

/// What every worker may know of a link: whether it takes new flows, and how many it has.
final class LinkStatus: Sendable {
    let worker: WorkerID
    private let open = Atomic<Bool>(false)
    private let flows = Atomic<Int>(0)

    init(worker: WorkerID, isOpen: Bool = false) {
        self.worker = worker
        open.store(isOpen, ordering: .releasing)
    }

    /// New flows may be opened on it.
    var isOpen: Bool {
        get { open.load(ordering: .acquiring) }
        set { open.store(newValue, ordering: .releasing) }
    }

    var flowCount: Int { flows.load(ordering: .relaxed) }
    func flowBegan() { flows.add(1, ordering: .relaxed) }
    func flowEnded() { flows.subtract(1, ordering: .relaxed) }

    /// The open link with the fewest flows, nil when none is open.
    static func leastLoaded(_ links: [LinkStatus]) -> Int? {
        var best: Int?
        for index in links.indices where links[index].isOpen {
            if let chosen = best, links[chosen].flowCount <= links[index].flowCount { continue }
            best = index
        }
        return best
    }
}
