/// Moments at which somebody wants to be called, soonest first: a binary heap. A timer is not taken out: whoever is
/// called with a stale token, or before its time has really come, looks and goes on.
public struct TimerQueue: Sendable {
    private var heap: [(moment: Tick, token: Token)] = []

    public init() {}

    public var count: Int { heap.count }
    public var soonest: Tick? { heap.first?.moment }

    public mutating func add(_ moment: Tick, _ token: Token) {
        heap.append((moment, token))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if heap[parent].moment <= heap[child].moment { break }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    /// The soonest token whose moment has come, or nil.
    public mutating func takeDue(_ now: Tick) -> Token? {
        guard let first = heap.first, first.moment <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first.token }
        heap[0] = last
        var parent = 0
        while true {
            var smallest = parent
            // No loop over a literal: a link that rests is here some thousand times a second.
            let left = 2 * parent + 1
            let right = left + 1
            if left < heap.count && heap[left].moment < heap[smallest].moment { smallest = left }
            if right < heap.count && heap[right].moment < heap[smallest].moment { smallest = right }
            if smallest == parent { break }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
        return first.token
    }
}
