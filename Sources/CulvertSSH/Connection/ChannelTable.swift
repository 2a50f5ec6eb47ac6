/// The channels of a connection, by our own numbers.
///
/// Numbers are dense from 0 and are reused, the latest freed first. A number is out of reach until it is freed, which
/// the connection does when both CLOSEs are seen. The memory grows by doubling and is never given back while the
/// connection lasts: a reference into it is valid until the next `insert`.
@safe struct ChannelTable: ~Copyable {
    private static let none = UInt32.max

    private var slots: UnsafeMutablePointer<Channel>
    private var capacity: Int
    /// Numbers that were ever given out.
    private(set) var high = 0
    /// Channels that are not free.
    private(set) var count = 0
    private var firstFree = Self.none
    private var firstOwing = Self.none
    private var lastOwing = Self.none

    init() {
        capacity = 16
        unsafe slots = UnsafeMutablePointer<Channel>.allocate(capacity: capacity)
    }

    deinit {
        unsafe slots.deallocate()
    }

    /// The channel of a number that was given out.
    subscript(_ number: ChannelNumber) -> Channel {
        unsafeAddress {
            precondition(number.index < high, "the number was given out by this engine")
            return unsafe UnsafePointer(slots + number.index)
        }
        unsafeMutableAddress {
            precondition(number.index < high, "the number was given out by this engine")
            return unsafe slots + number.index
        }
    }

    /// Our number as the peer wrote it, nil when no channel in use has it.
    func number(_ value: UInt32) -> ChannelNumber? {
        let number = ChannelNumber(value)
        guard number.index < high, self[number].phase != .free else { return nil }
        return number
    }

    /// A new channel under a free number.
    mutating func insert(_ phase: Channel.Phase) -> ChannelNumber {
        precondition(phase != .free, "a channel that is free is not inserted")
        count += 1
        if firstFree != Self.none {
            let number = ChannelNumber(firstFree)
            firstFree = self[number].nextFree
            self[number].phase = phase
            return number
        }
        if high == capacity { grow() }
        let number = ChannelNumber(UInt32(high))
        unsafe (slots + high).initialize(to: Channel())
        high += 1
        self[number].phase = phase
        return number
    }

    mutating func remove(_ number: ChannelNumber) {
        precondition(self[number].phase != .free, "a channel is freed once")
        var freed = Channel()
        // It may stand in the list of owing channels still, and must not enter it twice.
        freed.isOwing = self[number].isOwing
        freed.nextOwing = self[number].nextOwing
        freed.nextFree = firstFree
        self[number] = freed
        firstFree = number.value
        count -= 1
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Channel>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: slots, count: high)
        unsafe slots.deallocate()
        unsafe slots = larger
        capacity *= 2
    }

    /// Channels that were ended in order here, by EOF, and that the peer has not closed.
    var unconfirmedCount: Int {
        (0..<high).count { index in
            let channel = self[ChannelNumber(UInt32(index))]
            return channel.phase == .open && channel.sentEOF && !channel.receivedClose
        }
    }

    // MARK: Channels that owe a WINDOW_ADJUST

    /// Remembers that the peer is to be granted what was credited, first come first served. Twice is once.
    mutating func appendOwing(_ number: ChannelNumber) {
        guard !self[number].isOwing else { return }
        self[number].isOwing = true
        self[number].nextOwing = Self.none
        if lastOwing == Self.none {
            firstOwing = number.value
        } else {
            self[ChannelNumber(lastOwing)].nextOwing = number.value
        }
        lastOwing = number.value
    }

    /// The channel that has owed longest; it may have been closed or freed since.
    mutating func removeFirstOwing() -> ChannelNumber? {
        guard firstOwing != Self.none else { return nil }
        let number = ChannelNumber(firstOwing)
        firstOwing = self[number].nextOwing
        if firstOwing == Self.none { lastOwing = Self.none }
        self[number].isOwing = false
        return number
    }

    func invariants() {
        precondition(count <= high && high <= capacity, "count ≤ high ≤ capacity")
        var free = 0
        var next = firstFree
        while next != Self.none {
            precondition(self[ChannelNumber(next)].phase == .free, "the free list holds free numbers")
            next = self[ChannelNumber(next)].nextFree
            free += 1
            precondition(free <= high, "the free list has no circle")
        }
        precondition(free + count == high, "every number is in use or in the free list")
        for index in 0..<high where self[ChannelNumber(UInt32(index))].phase != .free {
            self[ChannelNumber(UInt32(index))].receiveWindow.invariants()
        }
    }
}
