/// A queue in one ring of memory of its own, which grows by doubling and is never given back while the queue lasts.
///
/// Invariant: `head` ≤ `mask`, `count` ≤ `mask` + 1, a power of two; the items stand from `head` on, round the ring.
@safe struct RingQueue<Item: BitwiseCopyable>: ~Copyable {
    private var items: UnsafeMutablePointer<Item>
    /// The places less one.
    private var mask = 15
    private var head = 0
    private(set) var count = 0

    init() {
        unsafe items = .allocate(capacity: mask + 1)
    }

    deinit {
        unsafe items.deallocate()
    }

    var isEmpty: Bool { count == 0 }
    var first: Item? { count == 0 ? nil : unsafe items[head] }

    mutating func append(_ item: Item) {
        if count > mask { grow() }
        unsafe (items + ((head + count) & mask)).initialize(to: item)
        count += 1
    }

    mutating func prepend(_ item: Item) {
        if count > mask { grow() }
        head = (head - 1) & mask
        unsafe (items + head).initialize(to: item)
        count += 1
    }

    mutating func takeFirst() -> Item? {
        guard count > 0 else { return nil }
        let item = unsafe items[head]
        head = (head + 1) & mask
        count -= 1
        return item
    }

    func places(where isIt: (Item) -> Bool) -> Int {
        (0..<count).count { isIt(unsafe items[(head + $0) & mask]) }
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Item>.allocate(capacity: 2 * (mask + 1))
        for index in 0..<count { unsafe (larger + index).initialize(to: items[(head + index) & mask]) }
        unsafe items.deallocate()
        unsafe items = larger
        mask = 2 * mask + 1
        head = 0
    }
}
