internal import Synchronization

/// What every worker may know of a link: whether it takes new flows, and how many it has.
final class LinkStatus: Sendable {
    /// What another process wants to know.
    enum Change: Sendable {
        case isOpen(Bool)
        case flows
    }

    let worker: WorkerID
    private let open = Atomic<Bool>(false)
    private let flows = Atomic<Int>(0)
    /// Called with each change, before anything follows from it.
    private let tell: (@Sendable (Change) -> Void)?

    init(worker: WorkerID, isOpen: Bool = false, tell: (@Sendable (Change) -> Void)? = nil) {
        self.worker = worker
        self.tell = tell
        open.store(isOpen, ordering: .releasing)
    }

    /// New flows may be opened on it.
    var isOpen: Bool {
        get { open.load(ordering: .acquiring) }
        set {
            open.store(newValue, ordering: .releasing)
            tell?(.isOpen(newValue))
        }
    }

    var flowCount: Int { flows.load(ordering: .relaxed) }
    func flowBegan() { flowsChanged(by: 1) }
    func flowEnded() { flowsChanged(by: -1) }
    func flowsChanged(by count: Int) {
        flows.add(count, ordering: .relaxed)
        tell?(.flows)
    }

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
