/// The large slots that a driver lends to completions: few, so that they stay in the second-level cache, and handed
/// out last in, first out, so that the warm one is used next.
@safe struct SlotPool: ~Copyable {
    /// A read of 256 KiB cost 0.087 CPU-s a GB where 64 KiB cost 0.100; pools beyond 2 MiB fell out of the cache.
    static let slotLength = 256 * 1024
    static let slotCount = 8

    private let base: UnsafeMutableRawPointer
    private let free: UnsafeMutablePointer<Int32>
    private(set) var freeCount = slotCount

    init() {
        unsafe base = MappedMemory.reserve(Self.slotLength * Self.slotCount, for: "a worker's slots")
        unsafe free = .allocate(capacity: Self.slotCount)
        for number in 0..<Self.slotCount { unsafe free[number] = Int32(Self.slotCount - 1 - number) }
    }

    deinit {
        unsafe free.deallocate()
        unsafe MappedMemory.unreserve(base, Self.slotLength * Self.slotCount)
    }

    /// nil when every slot is lent.
    mutating func take() -> LentSlot? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        let number = unsafe free[freeCount]
        return unsafe LentSlot(number: number, start: base + Int(number) * Self.slotLength)
    }

    mutating func give(back slot: LentSlot) {
        precondition(freeCount < Self.slotCount, "a slot is given back once")
        unsafe free[freeCount] = slot.number
        freeCount += 1
    }
}
