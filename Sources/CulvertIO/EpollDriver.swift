internal import CLinux
internal import Glibc

/// Readiness turned into completions. Level-triggered; interest is taken back lazily, when an event comes that
/// nobody waits for, so a socket that is read again and again costs no control call.
@safe public struct EpollDriver: ~Copyable, IODriver {
    public static var kind: DriverKind { .epoll }
    private static let batch = 256

    private let epoll: Descriptor
    private var table: DescriptorTable
    private var slots = SlotPool()
    private let events: UnsafeMutablePointer<culvert_event>
    private var cursor = 0
    private var eventCount = 0
    /// Readers that found every slot lent: their interest is taken back, or the wait would spin, and given again when
    /// slots are back. Rare.
    private var starved: [Reader] = []

    /// Waits for what epoll does not take, and which is always ready: files, /dev/null. Each completes in the next turn.
    /// Rare.
    private var unpolled: [Reader] = []
    private var unpolledNow: [Reader] = []

    /// What the kernel refused where nobody could be told (ENOSPC: more is watched than the user may, ENOMEM): the next
    /// turn throws it, since what is waited for would never come. An error number, 0 for nothing.
    private var refusal: Int32 = 0

    /// A descriptor in one of its lives.
    private struct Reader {
        let descriptor: Descriptor
        let generation: UInt32
    }

    public private(set) var now = Tick.current()

    /// `descriptorLimit`: one more than the highest descriptor that can occur.
    public init(descriptorLimit: Int) throws(IOError) {
        let descriptor = culvert_epoll_create()
        guard descriptor >= 0 else { throw IOError(-descriptor, "epoll_create1") }
        epoll = descriptor
        table = DescriptorTable(capacity: descriptorLimit)
        unsafe events = .allocate(capacity: Self.batch)
    }

    deinit {
        unsafe events.deallocate()
        _ = culvert_close(epoll)
    }

    public var freeSlots: Int { slots.freeCount }
    public mutating func release(_ slot: LentSlot) { slots.give(back: slot) }

    // MARK: Operations

    public mutating func receive(_ descriptor: Descriptor, _ token: Token) {
        arm(descriptor, reader: token, receives: true)
    }

    public mutating func awaitReadable(_ descriptor: Descriptor, _ token: Token) {
        arm(descriptor, reader: token, receives: false)
    }

    public mutating func awaitWritable(_ descriptor: Descriptor, _ token: Token) {
        precondition(table[descriptor].writer == 0, "one writing operation at a time on a descriptor")
        table[descriptor].writer = token.raw
        register(descriptor, adding: CULVERT_OUT)
    }

    public mutating func stopReading(_ descriptor: Descriptor) { table[descriptor].reader = 0 }

    public mutating func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool {
        guard table[descriptor].writer != 0 else { return false }
        table[descriptor].writer = token.raw
        return true
    }

    public mutating func letGo(_ descriptor: Descriptor) {
        precondition(table[descriptor].reader == 0 && table[descriptor].writer == 0, "nothing is under way on it")
        if table[descriptor].mask != 0 { setMask(descriptor, 0) }
        table[descriptor].generation &+= 1
    }

    public mutating func close(_ descriptor: Descriptor) {
        let generation = table[descriptor].generation &+ 1
        table[descriptor] = DescriptorTable.Entry()
        table[descriptor].generation = generation
        _ = culvert_close(descriptor)
    }

    private mutating func arm(_ descriptor: Descriptor, reader token: Token, receives: Bool) {
        precondition(table[descriptor].reader == 0, "one reading operation at a time on a descriptor")
        table[descriptor].reader = token.raw
        table[descriptor].receives = receives
        register(descriptor, adding: CULVERT_IN)
    }

    private mutating func register(_ descriptor: Descriptor, adding events: UInt32) {
        let mask = table[descriptor].mask
        if mask & events != events { setMask(descriptor, mask | events) }
    }

    private mutating func setMask(_ descriptor: Descriptor, _ mask: UInt32) {
        let before = table[descriptor].mask
        // EPOLL_CTL_ADD, _DEL and _MOD.
        let operation: Int32 = before == 0 ? 1 : mask == 0 ? 2 : 3
        let data = UInt64(table[descriptor].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
        let result = culvert_epoll_control(epoll, operation, descriptor, mask, data)
        guard result != -EPERM else {
            return unpolled.append(Reader(descriptor: descriptor, generation: table[descriptor].generation))
        }
        // EBADF, EEXIST and ENOENT are faults of ours.
        precondition(result != -EBADF && result != -EEXIST && result != -ENOENT, "the mask is what epoll has")
        if result != 0 { refusal = -result }
        table[descriptor].mask = mask
    }

    // MARK: Turns

    public mutating func turn(until deadline: Tick?) throws(IOError) {
        precondition(cursor == eventCount, "every completion of a turn is taken before the next")
        if refusal != 0 { throw IOError(refusal, "epoll_ctl") }
        resumeStarved()
        var wait: Int64 = -1
        if let deadline { wait = max(0, (deadline - Tick.current()).nanoseconds) }
        if !unpolled.isEmpty { wait = 0 }
        let count = unsafe culvert_epoll_wait(epoll, events, Int32(Self.batch), wait)
        guard count >= 0 else { throw IOError(-count, "epoll_wait") }
        now = Tick.current()
        cursor = 0
        eventCount = Int(count)
        if !unpolled.isEmpty { swap(&unpolled, &unpolledNow) }
    }

    public mutating func next() -> Completion? {
        while let waiter = unpolledNow.popLast() {
            if let completion = completeUnpolled(waiter) { return completion }
        }
        while cursor < eventCount {
            let event = unsafe events[cursor]
            let descriptor = Descriptor(bitPattern: UInt32(truncatingIfNeeded: event.data))
            guard table[descriptor].generation == UInt32(event.data >> 32) else {
                cursor += 1
                continue
            }
            let failed = event.events & (CULVERT_ERROR | CULVERT_HANGUP) != 0
            if event.events & CULVERT_OUT != 0 || failed, table[descriptor].writer != 0 {
                // The rest of the event is the reader's. Left whole, it would answer a writer that waits again at
                // once, round and round.
                unsafe events[cursor].events = failed ? CULVERT_IN : event.events & CULVERT_IN
                let token = Token(raw: table[descriptor].writer)
                table[descriptor].writer = 0
                return Completion(token: token, result: 0)
            }
            cursor += 1
            if event.events & CULVERT_IN != 0 || failed, table[descriptor].reader != 0 {
                if let completion = read(descriptor) { return completion }
                continue
            }
            dropInterest(descriptor)
        }
        return nil
    }

    /// One operation for each time that it was asked for.
    private mutating func completeUnpolled(_ waiter: Reader) -> Completion? {
        let descriptor = waiter.descriptor
        guard table[descriptor].generation == waiter.generation else { return nil }
        if table[descriptor].writer != 0 {
            let token = Token(raw: table[descriptor].writer)
            table[descriptor].writer = 0
            return Completion(token: token, result: 0)
        }
        return table[descriptor].reader != 0 ? read(descriptor) : nil
    }

    /// As many starved readers as slots are free, the longest waiting first: more would only starve again.
    private mutating func resumeStarved() {
        guard !starved.isEmpty && slots.freeCount > 0 else { return }
        let count = min(starved.count, slots.freeCount)
        for reader in starved[..<count] {
            let isSame = table[reader.descriptor].generation == reader.generation
            if isSame && table[reader.descriptor].reader != 0 { register(reader.descriptor, adding: CULVERT_IN) }
        }
        starved.removeFirst(count)
    }

    /// An event that nobody waits for: without this a level-triggered wait would return at once for ever.
    private mutating func dropInterest(_ descriptor: Descriptor, readerStays isWanted: Bool = true) {
        var mask = table[descriptor].mask
        if table[descriptor].reader == 0 || !isWanted { mask &= ~CULVERT_IN }
        if table[descriptor].writer == 0 { mask &= ~CULVERT_OUT }
        if mask != table[descriptor].mask { setMask(descriptor, mask) }
    }

    private mutating func read(_ descriptor: Descriptor) -> Completion? {
        let token = Token(raw: table[descriptor].reader)
        guard table[descriptor].receives else {
            table[descriptor].reader = 0
            return Completion(token: token, result: 0)
        }
        guard let slot = slots.take() else {
            starved.append(Reader(descriptor: descriptor, generation: table[descriptor].generation))
            dropInterest(descriptor, readerStays: false)
            return nil
        }
        let memory = unsafe UnsafeMutableRawPointer(mutating: slot.start!)
        let result = unsafe Int(culvert_receive(descriptor, memory, SlotPool.slotLength))
        if result > 0 {
            table[descriptor].reader = 0
            return Completion(token: token, result: result, slot: slot)
        }
        slots.give(back: slot)
        if result == -Int(EAGAIN) { return nil }
        table[descriptor].reader = 0
        return Completion(token: token, result: result)
    }
}
