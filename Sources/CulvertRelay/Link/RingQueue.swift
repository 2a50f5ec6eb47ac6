/// A queue in one ring of memory of its own, which grows by doubling and is never given back while the queue lasts.
///
/// Invariant: `first` ≤ `mask`, `count` ≤ `mask` + 1, a power of two; the items stand from `first` on, round the ring.
@safe struct RingQueue<Item: BitwiseCopyable & Equatable>: ~Copyable {
    private var items: UnsafeMutablePointer<Item>
    /// The places less one.
    private var mask = 15
    private var first = 0
    private(set) var count = 0

    init() {
        unsafe items = .allocate(capacity: mask + 1)
    }

    deinit {
        unsafe items.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ item: Item) {
        if count > mask { grow() }
        unsafe (items + ((first + count) & mask)).initialize(to: item)
        count += 1
    }

    mutating func prepend(_ item: Item) {
        if count > mask { grow() }
        first = (first - 1) & mask
        unsafe (items + first).initialize(to: item)
        count += 1
    }

    mutating func takeFirst() -> Item? {
        guard count > 0 else { return nil }
        let item = unsafe items[first]
        first = (first + 1) & mask
        count -= 1
        return item
    }

    func places(of item: Item) -> Int {
        (0..<count).count { unsafe items[(first + $0) & mask] == item }
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Item>.allocate(capacity: 2 * (mask + 1))
        for index in 0..<count { unsafe (larger + index).initialize(to: items[(first + index) & mask]) }
        unsafe items.deallocate()
        unsafe items = larger
        mask = 2 * mask + 1
        first = 0
    }
}
