internal import CulvertIO

/// The blocks that one worker spills into: memory grows with use, the last freed block is handed out first. A spill begins
/// with small blocks, so that many readers that owe a little cost a little, and goes on with large ones, so that what is
/// much leaves in few sends.
@safe struct SpillPool: ~Copyable {
    static let smallLength = 4 * 1024
    static let largeLength = 64 * 1024
    /// From here on a spill grows by large blocks, bytes of payload.
    static let smallBelow = 16 * 1024

    private let budget: MemoryBudget
    private var small: BlockPool
    private var large: BlockPool

    init(budget: MemoryBudget) {
        self.budget = budget
        small = BlockPool(length: Self.smallLength, capacity: budget.limit / Self.smallLength + 1, warm: 1024)
        large = BlockPool(length: Self.largeLength, capacity: budget.limit / Self.largeLength + 1, warm: 64)
    }

    /// Appends a copy of the bytes. Returns false when there is no memory at all for them: then nothing was taken.
    mutating func append(_ start: UnsafeRawPointer, _ count: Int, to spill: inout Spill) -> Bool {
        guard reserve(count, spill) else { return false }
        if spill.isEmpty { budget.stallBegan() }
        var taken = 0
        while taken < count {
            if spill.tail < 0 || Int(spill.tailFill) == length(spill.tail) { grow(&spill) }
            let length = min(count - taken, length(spill.tail) - Int(spill.tailFill))
            unsafe (block(spill.tail) + Int(spill.tailFill)).copyMemory(from: start + taken, byteCount: length)
            spill.tailFill += Int32(length)
            spill.count += length
            taken += length
        }
        return true
    }

    /// Takes from the budget what `grow` will use for so many bytes more.
    private func reserve(_ count: Int, _ spill: Spill) -> Bool {
        var missing = count - (spill.tail < 0 ? 0 : length(spill.tail) - Int(spill.tailFill))
        var size = spill.count + count - missing
        var needed = 0
        while missing > 0 {
            let length = size < Self.smallBelow ? Self.smallLength : Self.largeLength
            needed += length
            missing -= length
            size += length
        }
        return needed == 0 || budget.take(needed)
    }

    /// Contiguous bytes of a spill.
    @safe struct Piece: BitwiseCopyable {
        let start: UnsafeRawPointer
        let count: Int
    }

    /// The first contiguous bytes; valid until they are consumed.
    func first(of spill: Spill) -> Piece {
        let end = spill.head == spill.tail ? Int(spill.tailFill) : length(spill.head)
        return unsafe Piece(
            start: block(spill.head) + Int(spill.headOffset), count: end - Int(spill.headOffset))
    }

    /// The first `count` bytes, all within `first`, are gone.
    mutating func consume(_ count: Int, of spill: inout Spill) {
        spill.count -= count
        spill.headOffset += Int32(count)
        let end = spill.head == spill.tail ? spill.tailFill : Int32(length(spill.head))
        precondition(spill.count >= 0 && spill.headOffset <= end, "only what was spilled is consumed")
        guard spill.headOffset == end else { return }
        let freed = spill.head
        spill.held -= length(freed)
        if spill.head == spill.tail {
            spill = Spill()
            budget.stallEnded()
        } else {
            spill.head = next(freed)
            spill.headOffset = 0
        }
        free(freed)
    }

    mutating func removeAll(_ spill: inout Spill) {
        while !spill.isEmpty { consume(first(of: spill).count, of: &spill) }
    }

    // MARK: Blocks: the large ones have odd numbers

    private func isLarge(_ number: Int32) -> Bool { number & 1 == 1 }
    private func length(_ number: Int32) -> Int { isLarge(number) ? Self.largeLength : Self.smallLength }

    private func block(_ number: Int32) -> UnsafeMutableRawPointer {
        unsafe isLarge(number) ? large.block(number >> 1) : small.block(number >> 1)
    }

    private func next(_ number: Int32) -> Int32 {
        isLarge(number) ? large.next(number >> 1) : small.next(number >> 1)
    }

    private mutating func setNext(_ number: Int32, _ next: Int32) {
        if isLarge(number) { large.setNext(number >> 1, next) } else { small.setNext(number >> 1, next) }
    }

    private mutating func grow(_ spill: inout Spill) {
        let isLarge = spill.count >= Self.smallBelow
        let number = isLarge ? large.take() << 1 | 1 : small.take() << 1
        setNext(number, -1)
        if spill.tail >= 0 { setNext(spill.tail, number) } else { spill.head = number }
        spill.tail = number
        spill.tailFill = 0
        spill.held += length(number)
    }

    private mutating func free(_ number: Int32) {
        if isLarge(number) { large.give(back: number >> 1) } else { small.give(back: number >> 1) }
        budget.give(back: length(number))
    }
}

/// Blocks of one length, each with the number of another one behind it.
@safe private struct BlockPool: ~Copyable {
    private let length: Int
    private let capacity: Int
    /// Free blocks that keep their memory, so that a reader that is a little slow costs no page faults.
    private let warm: Int
    /// As many blocks as there is address space for now: it grows, and then lies elsewhere.
    private var room: Int
    private var memory: UnsafeMutableRawPointer
    private var links: UnsafeMutablePointer<Int32>
    private var unused = 0
    private var firstFree: Int32 = -1
    private var freeCount = 0

    init(length: Int, capacity: Int, warm: Int) {
        self.length = length
        self.capacity = capacity
        self.warm = warm
        room = min(capacity, max(1, Self.firstLength / length))
        unsafe memory = MappedMemory.reserve(room * length, for: Self.purpose)
        unsafe links = MappedMemory.reserve(room * MemoryLayout<Int32>.stride, for: Self.purpose)
            .bindMemory(to: Int32.self, capacity: room)
    }

    deinit {
        unsafe MappedMemory.unreserve(memory, room * length)
        unsafe MappedMemory.unreserve(links, room * MemoryLayout<Int32>.stride)
    }

    private static var firstLength: Int { 4 * 1024 * 1024 }
    private static var purpose: StaticString { "payload whose readers are slow (--memory)" }

    func block(_ number: Int32) -> UnsafeMutableRawPointer { unsafe memory + Int(number) * length }
    func next(_ number: Int32) -> Int32 { unsafe links[Int(number)] }
    mutating func setNext(_ number: Int32, _ next: Int32) { unsafe links[Int(number)] = next }

    mutating func take() -> Int32 {
        if firstFree >= 0 {
            let number = firstFree
            unsafe firstFree = links[Int(number)]
            freeCount -= 1
            return number
        }
        precondition(unused < capacity, "the budget was asked first")
        if unused == room { grow() }
        unused += 1
        return Int32(unused - 1)
    }

    private mutating func grow() {
        let larger = min(capacity, room * 2)
        unsafe memory = MappedMemory.grow(memory, room * length, to: larger * length, for: Self.purpose)
        let stride = MemoryLayout<Int32>.stride
        unsafe links = MappedMemory.grow(links, room * stride, to: larger * stride, for: Self.purpose)
            .bindMemory(to: Int32.self, capacity: larger)
        room = larger
    }

    mutating func give(back number: Int32) {
        if freeCount >= warm { unsafe MappedMemory.discard(block(number), length) }
        unsafe links[Int(number)] = firstFree
        firstFree = number
        freeCount += 1
    }
}
