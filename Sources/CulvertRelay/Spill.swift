internal import CulvertIO
internal import CulvertSSH

/// Payload of one direction of one flow that its socket would not take: a chain of blocks in a `SpillPool`, first in,
/// first out. Trivial: the pool owns the memory.
struct Spill: BitwiseCopyable {
    fileprivate(set) var count = 0
    fileprivate var head: Int32 = -1
    fileprivate var tail: Int32 = -1
    fileprivate var headOffset: Int32 = 0
    fileprivate var tailFill: Int32 = 0

    var isEmpty: Bool { count == 0 }
}

/// The blocks that one worker spills into: address space for the whole ceiling, memory only where it is used, the last
/// freed block handed out first.
@safe struct SpillPool: ~Copyable {
    static let blockLength = 64 * 1024
    /// Free blocks that keep their memory, so that a reader that is a little slow costs no page faults.
    private static let warmBlocks = 64

    private let budget: MemoryBudget
    private let memory: UnsafeMutableRawPointer
    private let next: UnsafeMutablePointer<Int32>
    private let capacity: Int
    private var unused = 0
    private var firstFree: Int32 = -1
    private var freeCount = 0

    init(budget: MemoryBudget) {
        self.budget = budget
        capacity = max(1, budget.ceiling / Self.blockLength)
        unsafe memory = MappedMemory.reserve(capacity * Self.blockLength)
        unsafe next = MappedMemory.reserve(capacity * MemoryLayout<Int32>.stride)
            .bindMemory(to: Int32.self, capacity: capacity)
    }

    deinit {
        unsafe MappedMemory.unreserve(memory, capacity * Self.blockLength)
        unsafe MappedMemory.unreserve(next, capacity * MemoryLayout<Int32>.stride)
    }

    /// Appends a copy of the bytes. False when the memory ceiling forbids it: then nothing was taken.
    mutating func append(_ start: UnsafeRawPointer, _ count: Int, to spill: inout Spill) -> Bool {
        let room = spill.tail < 0 ? 0 : Self.blockLength - Int(spill.tailFill)
        let needed = max(0, count - room + Self.blockLength - 1) / Self.blockLength
        guard needed == 0 || budget.take(needed * Self.blockLength) else { return false }
        var taken = 0
        while taken < count {
            if spill.tail < 0 || Int(spill.tailFill) == Self.blockLength { grow(&spill) }
            let length = min(count - taken, Self.blockLength - Int(spill.tailFill))
            unsafe (block(spill.tail) + Int(spill.tailFill)).copyMemory(from: start + taken, byteCount: length)
            spill.tailFill += Int32(length)
            taken += length
        }
        spill.count += count
        return true
    }

    /// The first contiguous bytes; valid until they are consumed.
    func first(of spill: Spill) -> Payload {
        let end = spill.head == spill.tail ? Int(spill.tailFill) : Self.blockLength
        return unsafe Payload(
            start: block(spill.head) + Int(spill.headOffset), count: end - Int(spill.headOffset))
    }

    /// The first `count` bytes, all within `first`, are gone.
    mutating func consume(_ count: Int, of spill: inout Spill) {
        spill.count -= count
        spill.headOffset += Int32(count)
        let end = spill.head == spill.tail ? spill.tailFill : Int32(Self.blockLength)
        precondition(spill.count >= 0 && spill.headOffset <= end, "only what was spilled is consumed")
        if spill.headOffset == end {
            let freed = spill.head
            if spill.head == spill.tail {
                spill = Spill()
            } else {
                unsafe spill.head = next[Int(freed)]
                spill.headOffset = 0
            }
            free(freed)
        }
    }

    mutating func removeAll(_ spill: inout Spill) {
        while !spill.isEmpty { consume(first(of: spill).count, of: &spill) }
    }

    private func block(_ number: Int32) -> UnsafeMutableRawPointer { unsafe memory + Int(number) * Self.blockLength }

    private mutating func grow(_ spill: inout Spill) {
        let number: Int32
        if firstFree >= 0 {
            number = firstFree
            unsafe firstFree = next[Int(number)]
            freeCount -= 1
        } else {
            precondition(unused < capacity, "the budget was asked first")
            number = Int32(unused)
            unused += 1
        }
        unsafe next[Int(number)] = -1
        if spill.tail >= 0 { unsafe next[Int(spill.tail)] = number } else { spill.head = number }
        spill.tail = number
        spill.tailFill = 0
    }

    private mutating func free(_ number: Int32) {
        if freeCount >= Self.warmBlocks { unsafe MappedMemory.discard(block(number), Self.blockLength) }
        unsafe next[Int(number)] = firstFree
        firstFree = number
        freeCount += 1
        budget.give(back: Self.blockLength)
    }
}
