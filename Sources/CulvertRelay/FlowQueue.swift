/// The flows of a link that have payload to send, in the order in which they are served: sparse flows (new to the
/// queue) first, then deficit round robin. The order of fq_codel (RFC 8290 §4), without its dropping.
///
/// Invariant: a flow stands in it at most once; whoever adds one keeps its own mark of that.
struct FlowQueue: ~Copyable {
    /// Bytes a flow may send before the next one's turn: two full packets.
    static let quantum = 64 * 1024

    private var sparse = IndexQueue()
    private var backlogged = IndexQueue()

    var isEmpty: Bool { sparse.isEmpty && backlogged.isEmpty }
    var count: Int { sparse.count + backlogged.count }

    /// A flow that had nothing to send until now.
    mutating func addSparse(_ flow: Int) { sparse.append(Int32(flow)) }

    /// A flow that has used its turn and has more.
    mutating func addBacklogged(_ flow: Int) { backlogged.append(Int32(flow)) }

    mutating func takeFirst() -> Int? {
        if let flow = sparse.takeFirst() { return Int(flow) }
        if let flow = backlogged.takeFirst() { return Int(flow) }
        return nil
    }

    /// Back to the front: its turn is not over, only the link is full.
    mutating func putBack(_ flow: Int) { sparse.prepend(Int32(flow)) }
}

/// A queue of small integers in one growing ring.
struct IndexQueue: ~Copyable {
    private var items: [Int32] = .init(repeating: 0, count: 64)
    private var first = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ item: Int32) {
        if count == items.count { grow() }
        items[(first + count) & (items.count - 1)] = item
        count += 1
    }

    mutating func prepend(_ item: Int32) {
        if count == items.count { grow() }
        first = (first - 1) & (items.count - 1)
        items[first] = item
        count += 1
    }

    mutating func takeFirst() -> Int32? {
        guard count > 0 else { return nil }
        let item = items[first]
        first = (first + 1) & (items.count - 1)
        count -= 1
        return item
    }

    private mutating func grow() {
        var larger = [Int32](repeating: 0, count: items.count * 2)
        for index in 0..<count { larger[index] = items[(first + index) & (items.count - 1)] }
        items = larger
        first = 0
    }
}
