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

    /// A descriptor in one of its lives.
    private struct Reader {
        let descriptor: Descriptor
        let generation: UInt32
    }

    private let ring: OpaquePointer
    private var table: DescriptorTable
    private var slots = SlotPool()
    private let provided: UnsafeMutableRawPointer
    private let completions: UnsafeMutablePointer<culvert_completion>
    private var cursor = 0
    private var completionCount = 0
    /// Readers that found bytes kept for them: they complete before anything of the kernel's. Rare.
    private var served: [Reader] = []
    /// Readers that found every slot lent: they go on when slots are back. Rare.
    private var starved: [Reader] = []
    private var gathering: WakeGathering
    /// What the kernel refused where nobody could be told, an error number, 0 for nothing: the next turn throws it.
    private var refusal: Int32 = 0
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
        gathering = WakeGathering(isSupported: unsafe culvert_ring_gathers(made) != 0)
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
    public func mayKeep(_ slot: LentSlot) -> Bool { slot.number < Self.providedNumber && freeSlots >= reservedSlots }

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
        startReading(descriptor)
    }

    public mutating func awaitReadable(_ descriptor: Descriptor, _ token: Token) {
        begin(reading: descriptor, token, receives: false)
        startReading(descriptor)
    }

    public mutating func awaitWritable(_ descriptor: Descriptor, _ token: Token) {
        precondition(table[descriptor].writer == 0, "one writing operation at a time on a descriptor")
        table[descriptor].writer = token.raw
        let data = userData(descriptor, .writable)
        note(unsafe culvert_ring_poll(ring, descriptor, CULVERT_OUT, data, &table[descriptor].writePosition))
    }

    /// A receive may have taken its bytes already: they are kept, and the next read gets them.
    public mutating func stopReading(_ descriptor: Descriptor) {
        guard table[descriptor].reader != 0 else { return }
        endReading(descriptor)
        table[descriptor].reader = 0
        table[descriptor].pollSequence &+= 1
    }

    public mutating func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool {
        guard table[descriptor].writer != 0 else { return false }
        table[descriptor].writer = token.raw
        return true
    }

    public mutating func letGo(_ descriptor: Descriptor) {
        let isIdle =
            table[descriptor].reader == 0 && table[descriptor].writer == 0 && !table[descriptor].receiveInFlight
        precondition(isIdle && table[descriptor].keptResult == 0, "nothing is under way on it")
        table[descriptor].generation &+= 1
    }

    public mutating func close(_ descriptor: Descriptor) {
        endReading(descriptor)
        if table[descriptor].writer != 0 { end(descriptor, .writable, table[descriptor].writePosition) }
        if table[descriptor].keptResult > 0 { release(keptSlot(descriptor)) }
        let generation = table[descriptor].generation &+ 1
        table[descriptor] = DescriptorTable.Entry()
        table[descriptor].generation = generation
        _ = culvert_close(descriptor)
    }

    /// As for every driver, but what a stopped receive has taken, or may still take, comes first.
    public mutating func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int {
        if table[descriptor].receiveInFlight { return -Int(EAGAIN) }
        if table[descriptor].keptResult != 0 {
            return unsafe takeKept(descriptor, first, stride, slotLength, lastLength, count)
        }
        return unsafe Int(culvert_receive_slots(descriptor, first, stride, slotLength, lastLength, Int32(count)))
    }

    private mutating func begin(reading descriptor: Descriptor, _ token: Token, receives: Bool) {
        precondition(table[descriptor].reader == 0, "one reading operation at a time on a descriptor")
        table[descriptor].reader = token.raw
        table[descriptor].receives = receives
    }

    /// Asks the kernel for what the reader waits for.
    private mutating func startReading(_ descriptor: Descriptor) {
        // A receive that was stopped and has not ended: its end serves this reader.
        if table[descriptor].receiveInFlight { return }
        if table[descriptor].keptResult != 0 {
            served.append(Reader(descriptor: descriptor, generation: table[descriptor].generation))
        } else if table[descriptor].receives && !table[descriptor].isHot {
            receiveProvided(descriptor)
        } else {
            pollReadable(descriptor)
        }
    }

    private mutating func pollReadable(_ descriptor: Descriptor) {
        let data = userData(descriptor, .readable)
        note(unsafe culvert_ring_poll(ring, descriptor, CULVERT_IN, data, &table[descriptor].readPosition))
    }

    private mutating func receiveProvided(_ descriptor: Descriptor) {
        table[descriptor].receiveInFlight = true
        let data = userData(descriptor, .provided)
        note(unsafe culvert_ring_receive(ring, descriptor, data, &table[descriptor].readPosition))
    }

    /// Takes the reading request back from the kernel, if it has one.
    private mutating func endReading(_ descriptor: Descriptor) {
        if table[descriptor].receiveInFlight {
            if end(descriptor, .provided, table[descriptor].readPosition) { table[descriptor].receiveInFlight = false }
        } else if table[descriptor].reader != 0 {
            end(descriptor, .readable, table[descriptor].readPosition)
        }
    }

    /// Whether the kernel never saw the request; otherwise it is asked to cancel it. A request that is still queued
    /// must not be left there: its descriptor may be closed and the number taken by another socket, whose bytes it
    /// would eat.
    @discardableResult
    private mutating func end(_ descriptor: Descriptor, _ request: Request, _ position: UInt32) -> Bool {
        let target = userData(descriptor, request)
        let quiet = Request.cancel.rawValue << 60
        if unsafe culvert_ring_withdraw(ring, position, target, quiet) != 0 { return true }
        note(unsafe culvert_ring_cancel(ring, target, quiet))
        return false
    }

    private static func generationBits(_ generation: UInt32) -> UInt64 { UInt64(generation & 0xf_ffff) }

    /// Request, generation, sequence (of readiness only) and descriptor: 4, 20, 8 and 32 bits.
    private func userData(_ descriptor: Descriptor, _ request: Request) -> UInt64 {
        let sequence = request == .readable ? UInt64(table[descriptor].pollSequence) : 0
        return request.rawValue << 60 | Self.generationBits(table[descriptor].generation) << 40 | sequence << 32
            | UInt64(UInt32(bitPattern: descriptor))
    }

    /// A request for which even a submission made no room ends this driver's thread: what it waits for would never come.
    private mutating func note(_ result: Int32) {
        if result != 0 { refusal = -result }
    }

    /// That the kernel takes a request and gives its completion: a filter may allow to make a ring, and forbid its use.
    mutating func prove() throws(IOError) {
        let result = unsafe culvert_ring_prove(ring)
        guard result == 0 else { throw IOError(-result, "io_uring_enter") }
    }

    // MARK: Turns

    public mutating func turn(until deadline: Tick?) throws(IOError) {
        precondition(cursor == completionCount, "every completion of a turn is taken before the next")
        if refusal != 0 { throw IOError(refusal, "a request to io_uring") }
        resumeStarved()
        var wait: Int64 = -1
        if let deadline { wait = max(0, (deadline - Tick.current()).nanoseconds) }
        if !served.isEmpty { wait = 0 }
        let expected = gathering.expected
        let result =
            expected > 1
            ? unsafe culvert_ring_turn_gathering(ring, wait, expected, WakeGathering.microseconds)
            : unsafe culvert_ring_turn(ring, wait)
        guard result >= 0 else { throw IOError(-result, "io_uring_enter") }
        now = Tick.current()
        cursor = 0
        completionCount = unsafe Int(culvert_ring_reap(ring, completions, UInt32(Self.batch)))
        gathering.woke(completionCount)
    }

    public mutating func next() -> Completion? {
        while let reader = served.popLast() {
            if let completion = serveKept(reader) { return completion }
        }
        while cursor < completionCount {
            let entry = unsafe completions[cursor]
            cursor += 1
            guard let request = Request(rawValue: entry.token >> 60), request != .cancel else { continue }
            let descriptor = Descriptor(bitPattern: UInt32(truncatingIfNeeded: entry.token))
            var slot = LentSlot.none
            if entry.flags & UInt32(CULVERT_COMPLETION_BUFFER) != 0 {
                slot = providedSlot(Int(entry.flags >> 16))
            }
            // Of a descriptor that was closed, or of a wait that was stopped.
            let isStale = entry.token != userData(descriptor, request)
            if !slot.isNone && (isStale || entry.result <= 0) {
                release(slot)
                slot = .none
            }
            if isStale { continue }
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
            return finishRead(descriptor, 0)
        case .provided:
            table[descriptor].receiveInFlight = false
            return completeProvided(descriptor, result, slot)
        case .cancel:
            return nil
        }
    }

    private mutating func completeProvided(_ descriptor: Descriptor, _ result: Int, _ slot: LentSlot) -> Completion? {
        let isWanted = table[descriptor].reader != 0
        if result == -Int(ECANCELED) {
            if isWanted { startReading(descriptor) }
            return nil
        }
        // No provided buffer is left, or the kernel would not wait: readiness and a large slot serve instead.
        if result == -Int(ENOBUFS) || result == -Int(EAGAIN) {
            if isWanted { pollReadable(descriptor) }
            return nil
        }
        if isWanted && table[descriptor].receives {
            if result == Self.providedLength { table[descriptor].isHot = true }
            return finishRead(descriptor, result, slot)
        }
        // Stopped too late. The end of the stream needs no keeping: it is read again.
        table[descriptor].keptResult = Int32(result)
        table[descriptor].keptOffset = 0
        if !slot.isNone { table[descriptor].keptNumber = UInt16(slot.number - Self.providedNumber) }
        return isWanted ? finishRead(descriptor, 0) : nil
    }

    private mutating func readLarge(_ descriptor: Descriptor) -> Completion? {
        guard let slot = slots.take() else {
            starved.append(Reader(descriptor: descriptor, generation: table[descriptor].generation))
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
            return finishRead(descriptor, result)
        }
        if result < Self.providedLength { table[descriptor].isHot = false }
        return finishRead(descriptor, result, slot)
    }

    private mutating func finishRead(
        _ descriptor: Descriptor, _ result: Int, _ slot: LentSlot = .none
    ) -> Completion {
        let token = Token(raw: table[descriptor].reader)
        table[descriptor].reader = 0
        return Completion(token: token, result: result, slot: slot)
    }

    /// As many starved readers as slots are free, the longest waiting first: more would only starve again.
    private mutating func resumeStarved() {
        guard !starved.isEmpty && slots.freeCount > 0 else { return }
        let count = min(starved.count, slots.freeCount)
        for reader in starved[..<count] where isWaiting(reader) { pollReadable(reader.descriptor) }
        starved.removeFirst(count)
    }

    // MARK: What a stopped receive took

    private func providedSlot(_ number: Int) -> LentSlot {
        unsafe LentSlot(number: Self.providedNumber + Int32(number), start: provided + number * Self.providedLength)
    }

    private func keptSlot(_ descriptor: Descriptor) -> LentSlot { providedSlot(Int(table[descriptor].keptNumber)) }

    private func isWaiting(_ reader: Reader) -> Bool {
        table[reader.descriptor].generation == reader.generation && table[reader.descriptor].reader != 0
    }

    private mutating func serveKept(_ reader: Reader) -> Completion? {
        let descriptor = reader.descriptor
        guard isWaiting(reader), table[descriptor].keptResult != 0 else { return nil }
        guard table[descriptor].receives else { return finishRead(descriptor, 0) }
        let result = Int(table[descriptor].keptResult)
        table[descriptor].keptResult = 0
        guard result > 0 else { return finishRead(descriptor, result) }
        let whole = keptSlot(descriptor)
        let start = unsafe whole.start! + Int(table[descriptor].keptOffset)
        return finishRead(descriptor, result, unsafe LentSlot(number: whole.number, start: start))
    }

    private mutating func takeKept(
        _ descriptor: Descriptor, _ first: UnsafeMutableRawPointer, _ stride: Int, _ slotLength: Int,
        _ lastLength: Int, _ count: Int
    ) -> Int {
        let kept = Int(table[descriptor].keptResult)
        guard kept > 0 else {
            table[descriptor].keptResult = 0
            return kept
        }
        let whole = keptSlot(descriptor)
        var taken = 0
        for slot in 0..<count where taken < kept {
            let length = min(slot == count - 1 ? lastLength : slotLength, kept - taken)
            let start = unsafe whole.start! + Int(table[descriptor].keptOffset) + taken
            unsafe (first + slot * stride).copyMemory(from: start, byteCount: length)
            taken += length
        }
        table[descriptor].keptOffset += UInt16(taken)
        table[descriptor].keptResult -= Int32(taken)
        if taken == kept { release(whole) }
        return taken
    }
}
