internal import CLinux
internal import Glibc

/// Completions from io_uring. Small receives land in provided buffers; a socket whose receives come full is *hot*
/// and is polled, then read into one large warm slot, which was the cheapest form measured for bulk. Sends are made
/// directly, and polled for only when the socket is full.
@safe public struct UringDriver: ~Copyable, IODriver {
    public static var kind: DriverKind { .uring }

    /// Requests between two submissions; the completion queue is eight times that: a full one ends nothing here, but
    /// costs a call.
    private static let entries: UInt32 = 1024
    private static let completionEntries: UInt32 = 8192
    private static let batch = 256
    /// 128 buffers of 16 KiB: as many small messages in one turn, 2 MiB in all, of which only used pages are touched.
    private static let providedLength = 16 * 1024
    private static let providedCount = 128
    private static let providedNumber: Int32 = 1 << 16

    /// What a request was, beside the descriptor and its generation, in its user data.
    private enum Request: UInt64 {
        case readable = 1
        case writable = 2
        case provided = 3
        case cancel = 4
    }

    private let ring: OpaquePointer
    private var table: DescriptorTable
    private var slots = SlotPool()
    private let provided: UnsafeMutableRawPointer
    private let completions: UnsafeMutablePointer<culvert_completion>
    private var cursor = 0
    private var completionCount = 0
    public private(set) var now = Tick.current()

    /// Throws where the kernel, a container or a sysctl forbids io_uring, or knows too little of it.
    public init(descriptorLimit: Int) throws(IOError) {
        var made: OpaquePointer?
        let result = unsafe culvert_ring_create(&made, Self.entries, Self.completionEntries)
        guard result == 0, let made = unsafe made else { throw IOError(-result, "io_uring_setup") }
        guard let memory = unsafe culvert_memory_map(Self.providedLength * Self.providedCount) else {
            unsafe culvert_ring_destroy(made)
            throw IOError(ENOMEM, "memory for provided buffers")
        }
        let registered = unsafe culvert_ring_provide(
            made, memory, UInt32(Self.providedLength), UInt32(Self.providedCount))
        guard registered == 0 else {
            unsafe culvert_ring_destroy(made)
            unsafe culvert_memory_unmap(memory, Self.providedLength * Self.providedCount)
            throw IOError(-registered, "io_uring_register of a buffer ring")
        }
        unsafe ring = made
        unsafe provided = memory
        table = DescriptorTable(capacity: descriptorLimit)
        unsafe completions = .allocate(capacity: Self.batch)
    }

    deinit {
        unsafe culvert_ring_destroy(ring)
        unsafe culvert_memory_unmap(provided, Self.providedLength * Self.providedCount)
        unsafe completions.deallocate()
    }

    public var freeSlots: Int { slots.freeCount }

    /// Provided buffers are small, and the ring needs them: what is in one is copied out.
    public func mayKeep(_ slot: LentSlot) -> Bool { slot.number < Self.providedNumber && freeSlots >= 2 }

    public mutating func release(_ slot: LentSlot) {
        if slot.number >= Self.providedNumber {
            unsafe culvert_ring_return(ring, UInt32(slot.number - Self.providedNumber))
        } else {
            slots.give(back: slot)
        }
    }

    // MARK: Operations

    public mutating func receive(_ descriptor: Descriptor, _ token: Token) {
        begin(reading: descriptor, token, receives: true)
        if table[descriptor].isHot { pollReadable(descriptor) } else { receiveProvided(descriptor) }
    }

    public mutating func awaitReadable(_ descriptor: Descriptor, _ token: Token) {
        begin(reading: descriptor, token, receives: false)
        pollReadable(descriptor)
    }

    public mutating func awaitWritable(_ descriptor: Descriptor, _ token: Token) {
        precondition(table[descriptor].writer == 0, "one writing operation at a time on a descriptor")
        table[descriptor].writer = token.raw
        check(unsafe culvert_ring_poll(ring, descriptor, CULVERT_OUT, userData(descriptor, .writable)))
    }

    public mutating func stopReading(_ descriptor: Descriptor) {
        guard table[descriptor].reader != 0 else { return }
        table[descriptor].reader = 0
        cancel(descriptor, table[descriptor].readsProvided ? .provided : .readable)
        // The generation moves on: a completion that is already under way is not taken for the next operation's.
        renew(descriptor)
    }

    public mutating func close(_ descriptor: Descriptor) {
        if table[descriptor].reader != 0 {
            cancel(descriptor, table[descriptor].readsProvided ? .provided : .readable)
        }
        if table[descriptor].writer != 0 { cancel(descriptor, .writable) }
        let generation = table[descriptor].generation &+ 1
        table[descriptor] = DescriptorTable.Entry()
        table[descriptor].generation = generation
        _ = culvert_close(descriptor)
    }

    private mutating func begin(reading descriptor: Descriptor, _ token: Token, receives: Bool) {
        precondition(table[descriptor].reader == 0, "one reading operation at a time on a descriptor")
        table[descriptor].reader = token.raw
        table[descriptor].receives = receives
    }

    private mutating func pollReadable(_ descriptor: Descriptor) {
        table[descriptor].readsProvided = false
        check(unsafe culvert_ring_poll(ring, descriptor, CULVERT_IN, userData(descriptor, .readable)))
    }

    private mutating func receiveProvided(_ descriptor: Descriptor) {
        table[descriptor].readsProvided = true
        check(unsafe culvert_ring_receive(ring, descriptor, userData(descriptor, .provided)))
    }

    private mutating func cancel(_ descriptor: Descriptor, _ request: Request) {
        let target = userData(descriptor, request)
        check(unsafe culvert_ring_cancel(ring, target, Request.cancel.rawValue << 60))
    }

    /// A new generation while a writing operation may be under way: that one is asked for again under the new number.
    private mutating func renew(_ descriptor: Descriptor) {
        let writer = table[descriptor].writer
        if writer != 0 { cancel(descriptor, .writable) }
        table[descriptor].generation &+= 1
        if writer != 0 {
            check(unsafe culvert_ring_poll(ring, descriptor, CULVERT_OUT, userData(descriptor, .writable)))
        }
    }

    private func userData(_ descriptor: Descriptor, _ request: Request) -> UInt64 {
        request.rawValue << 60 | UInt64(table[descriptor].generation & 0xfff_ffff) << 32
            | UInt64(UInt32(bitPattern: descriptor))
    }

    private func check(_ result: Int32) {
        precondition(result == 0, "a submission makes room in the submission queue")
    }

    // MARK: Turns

    public mutating func turn(until deadline: Tick?) throws(IOError) {
        precondition(cursor == completionCount, "every completion of a turn is taken before the next")
        var wait: Int64 = -1
        if let deadline { wait = max(0, (deadline - Tick.current()).nanoseconds) }
        let result = unsafe culvert_ring_turn(ring, wait)
        guard result >= 0 else { throw IOError(-result, "io_uring_enter") }
        now = Tick.current()
        cursor = 0
        completionCount = unsafe Int(culvert_ring_reap(ring, completions, UInt32(Self.batch)))
    }

    public mutating func next() -> Completion? {
        while cursor < completionCount {
            let entry = unsafe completions[cursor]
            cursor += 1
            let descriptor = Descriptor(bitPattern: UInt32(truncatingIfNeeded: entry.token))
            guard let request = Request(rawValue: entry.token >> 60), request != .cancel else { continue }
            let generation = UInt32(truncatingIfNeeded: entry.token >> 32) & 0xfff_ffff
            let isStale = table[descriptor].generation & 0xfff_ffff != generation
            var slot = LentSlot.none
            if entry.flags & UInt32(CULVERT_COMPLETION_BUFFER) != 0 {
                let number = Int32(entry.flags >> 16)
                slot = unsafe LentSlot(
                    number: Self.providedNumber + number, start: provided + Int(number) * Self.providedLength)
            }
            if isStale || (entry.result <= 0 && !slot.isNone) {
                if !slot.isNone { release(slot) }
                slot = .none
                if isStale { continue }
            }
            if let completion = complete(descriptor, request, Int(entry.result), slot) { return completion }
        }
        return nil
    }

    private mutating func complete(
        _ descriptor: Descriptor, _ request: Request, _ result: Int, _ slot: LentSlot
    ) -> Completion? {
        switch request {
        case .writable:
            let token = Token(raw: table[descriptor].writer)
            table[descriptor].writer = 0
            return Completion(token: token, result: 0)
        case .readable where table[descriptor].receives:
            return readLarge(descriptor)
        case .readable:
            return finishRead(descriptor, 0, .none)
        case .provided:
            // No provided buffer is left, or the kernel would not wait: readiness and a large slot serve instead.
            if result == -Int(ENOBUFS) || result == -Int(EAGAIN) {
                pollReadable(descriptor)
                return nil
            }
            if result == Self.providedLength { table[descriptor].isHot = true }
            return finishRead(descriptor, result, slot)
        case .cancel:
            return nil
        }
    }

    private mutating func readLarge(_ descriptor: Descriptor) -> Completion? {
        guard let slot = slots.take() else {
            // Every slot is kept elsewhere for now.
            pollReadable(descriptor)
            return nil
        }
        let memory = unsafe UnsafeMutableRawPointer(mutating: slot.start!)
        let result = unsafe Int(culvert_receive(descriptor, memory, SlotPool.slotLength))
        if result <= 0 {
            slots.give(back: slot)
            if result == -Int(EAGAIN) {
                pollReadable(descriptor)
                return nil
            }
            return finishRead(descriptor, result, .none)
        }
        if result < Self.providedLength { table[descriptor].isHot = false }
        return finishRead(descriptor, result, slot)
    }

    private mutating func finishRead(_ descriptor: Descriptor, _ result: Int, _ slot: LentSlot) -> Completion? {
        let token = Token(raw: table[descriptor].reader)
        table[descriptor].reader = 0
        return Completion(token: token, result: result, slot: slot)
    }
}
