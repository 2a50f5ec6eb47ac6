internal import CulvertIO
internal import Glibc

/// What the far side sent whole, and its reader has not got yet: it stays until the reader's kernel has acknowledged all
/// of it, whatever has become of its flow and its link meanwhile.
///
/// Until then nothing of ours resets the connection, and it is not closed over input that nobody read, which would do the
/// same: the sink is shut, and what the socket still says is read and dropped (a lingering close). `reset`: the stream
/// was cut after what lies here, so its end is a reset, once the reader has that.
struct Delivery: ~Copyable, SlabElement {
    typealias ID = DeliveryID

    enum Ending: Hashable {
        case finish
        case reset
    }

    /// What becomes of it.
    enum Verdict: Hashable {
        case goesOn
        /// The reader has everything that it was to have.
        case delivered
        /// The reader has gone, or takes nothing: what is left is dropped.
        case cut
    }

    /// What is waited for after everything is written is looked at after this long at first, then after twice as long.
    static let firstLook = Tick.Span.milliseconds(2)
    static let longestLook = Tick.Span.milliseconds(500)
    /// A reader that takes nothing for this long before a reset is not waited for any more.
    static let resetPatience = Tick.Span.seconds(30)

    let descriptor: Descriptor
    /// It is read as well as written; not so the output of `-W`, where that is a pipe or a file.
    let hasInput: Bool
    let ending: Ending
    /// For a person.
    let name: String
    var rest: Spill
    var awaitsWritable = false
    var isShut = false
    /// The end of the socket's own stream was read.
    var inputEnded: Bool
    var look = firstLook
    /// A timer is set for the next look.
    var awaitsLook = false
    /// What the reader did not have then, bytes.
    var owedAtLook = Int.max
    var progressSince: Tick
    /// Set once: it is over.
    var verdict: Verdict?

    init(
        _ descriptor: Descriptor, rest: Spill, _ ending: Ending, hasInput: Bool = true, inputEnded: Bool,
        isShut: Bool = false, name: String, now: Tick
    ) {
        self.descriptor = descriptor
        self.rest = rest
        self.ending = ending
        self.hasInput = hasInput
        self.inputEnded = inputEnded
        self.isShut = isShut
        self.name = name
        progressSince = now
    }
}

/// The deliveries of one worker. A leaf: it says what becomes of each, and the worker's `reap` frees.
@safe struct Deliveries: ~Copyable {
    private(set) var slab: Slab<Delivery>
    /// Over, and not freed yet.
    private(set) var over: [(id: DeliveryID, verdict: Delivery.Verdict)] = []
    /// What is read here is dropped.
    private let scratch: UnsafeMutableRawPointer
    private static var scratchLength: Int { 64 * 1024 }
    /// Reads of one socket before others have their turn.
    private static var readsInTurn: Int { 16 }

    init(capacity: Int) {
        slab = Slab(capacity: capacity)
        unsafe scratch = .allocate(byteCount: Self.scratchLength, alignment: 16)
    }

    deinit { unsafe scratch.deallocate() }

    var isEmpty: Bool { slab.count == 0 }
    var count: Int { slab.count }

    /// Takes the socket over, with what its former owner waited for on it.
    mutating func adopt<Driver: IODriver & ~Copyable>(
        _ delivery: consuming Delivery, _ driver: inout Driver, _ pool: inout SpillPool, _ timers: inout TimerQueue
    ) {
        let descriptor = delivery.descriptor
        let id = slab.add(delivery)
        slab[id].awaitsWritable = driver.redirectWriting(descriptor, Token(.deliveryWrite, id))
        if slab[id].hasInput {
            driver.stopReading(descriptor)
            if !slab[id].inputEnded { driver.awaitReadable(descriptor, Token(.deliveryRead, id)) }
        }
        proceed(id, &driver, &pool, &timers)
    }

    mutating func writable<Driver: IODriver & ~Copyable>(
        _ id: DeliveryID, _ driver: inout Driver, _ pool: inout SpillPool, _ timers: inout TimerQueue
    ) {
        slab[id].awaitsWritable = false
        guard !isOver(id) else { return }
        proceed(id, &driver, &pool, &timers)
    }

    /// The time has come to look how much the reader has.
    mutating func check<Driver: IODriver & ~Copyable>(
        _ id: DeliveryID, _ driver: inout Driver, _ pool: inout SpillPool, _ timers: inout TimerQueue
    ) {
        slab[id].awaitsLook = false
        guard !isOver(id) else { return }
        proceed(id, &driver, &pool, &timers)
    }

    mutating func readable<Driver: IODriver & ~Copyable>(
        _ id: DeliveryID, _ driver: inout Driver, _ pool: inout SpillPool, _ timers: inout TimerQueue
    ) {
        guard !isOver(id) else { return }
        for _ in 0..<Self.readsInTurn {
            let count = unsafe driver.receive(
                slab[id].descriptor, into: scratch, stride: Self.scratchLength, slotLength: Self.scratchLength,
                lastLength: Self.scratchLength, count: 1)
            if count > 0 { continue }
            if count == -Int(EAGAIN) { break }
            if count < 0 { return end(id, .cut) }
            slab[id].inputEnded = true
            return proceed(id, &driver, &pool, &timers)
        }
        driver.awaitReadable(slab[id].descriptor, Token(.deliveryRead, id))
    }

    private func isOver(_ id: DeliveryID) -> Bool { slab[id].verdict != nil }

    private mutating func end(_ id: DeliveryID, _ verdict: Delivery.Verdict) {
        guard !isOver(id) else { return }
        slab[id].verdict = verdict
        over.append((id, verdict))
    }

    /// For a person: why it has to go.
    func ceilingText(_ id: DeliveryID) -> String {
        "ended \(slab[id].name): its reader is slow and the memory ceiling is reached (--memory)"
    }

    /// Ends one that has to go: memory is short, and what it holds is given back at once.
    mutating func cut(_ id: DeliveryID, _ pool: inout SpillPool) {
        end(id, .cut)
        pool.removeAll(&slab[id].rest)
    }

    /// The worker ends: what was handed to the kernel is the kernel's to deliver.
    mutating func endAll() {
        var next = slab.first()
        while let id = next {
            let isHanded = slab[id].rest.isEmpty && slab[id].isShut
            end(id, isHanded ? .delivered : .cut)
            next = slab.next(after: id)
        }
    }

    private mutating func proceed<Driver: IODriver & ~Copyable>(
        _ id: DeliveryID, _ driver: inout Driver, _ pool: inout SpillPool, _ timers: inout TimerQueue
    ) {
        guard writeRest(id, &driver, &pool) else { return end(id, .cut) }
        if slab[id].ending == .finish {
            // However long its reader takes: the socket says when there is room.
            guard slab[id].rest.isEmpty else { return }
            if !slab[id].isShut {
                slab[id].isShut = true
                if slab[id].hasInput { driver.shutdownWriting(slab[id].descriptor) }
            }
            // Nothing is unread, nor will be: the kernel does the rest, and needs nobody for it.
            if slab[id].inputEnded || !slab[id].hasInput { return end(id, .delivered) }
        }
        let owed = slab[id].rest.count + driver.unacknowledged(slab[id].descriptor)
        if owed == 0 { return end(id, .delivered) }
        if owed < slab[id].owedAtLook {
            slab[id].owedAtLook = owed
            slab[id].progressSince = driver.now
        } else if slab[id].ending == .reset, driver.now - slab[id].progressSince >= Delivery.resetPatience {
            return end(id, .cut)
        }
        guard !slab[id].awaitsLook else { return }
        slab[id].awaitsLook = true
        timers.add(driver.now + slab[id].look, Token(.deliveryCheck, id))
        slab[id].look = min(Delivery.longestLook, Tick.Span(nanoseconds: slab[id].look.nanoseconds * 2))
    }

    /// Returns false when the socket has failed.
    private mutating func writeRest<Driver: IODriver & ~Copyable>(
        _ id: DeliveryID, _ driver: inout Driver, _ pool: inout SpillPool
    ) -> Bool {
        guard !slab[id].awaitsWritable else { return true }
        while !slab[id].rest.isEmpty {
            let first = pool.first(of: slab[id].rest)
            let sent = unsafe driver.send(slab[id].descriptor, first.start, count: first.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return false }
            if sent > 0 { pool.consume(sent, of: &slab[id].rest) }
            if sent < first.count {
                slab[id].awaitsWritable = true
                driver.awaitWritable(slab[id].descriptor, Token(.deliveryWrite, id))
                return true
            }
        }
        return true
    }

    /// Frees those that are over. `tell` is given the name of each and whether its reader has everything.
    mutating func reap<Driver: IODriver & ~Copyable>(
        _ driver: inout Driver, _ pool: inout SpillPool, tell: (String, Delivery.Verdict) -> Void
    ) {
        guard !over.isEmpty else { return }
        for (id, verdict) in over {
            var delivery = slab.remove(id)
            pool.removeAll(&delivery.rest)
            if delivery.hasInput {
                if verdict == .delivered && delivery.ending == .finish {
                    driver.finishOnClose(delivery.descriptor)
                } else {
                    driver.resetOnClose(delivery.descriptor)
                }
            }
            driver.close(delivery.descriptor)
            tell(delivery.name, verdict)
        }
        over = []
    }

    /// The one that holds most, and more than the floor.
    func greatest(above floor: Int, now: Tick) -> (id: DeliveryID, rank: HoldRank)? {
        var found: (id: DeliveryID, rank: HoldRank)?
        var next = slab.first()
        while let id = next {
            next = slab.next(after: id)
            guard slab[id].rest.held > floor, !isOver(id) else { continue }
            let rank = HoldRank(held: slab[id].rest.count, stalled: now - slab[id].progressSince)
            if found.map({ $0.rank < rank }) ?? true { found = (id, rank) }
        }
        return found
    }
}
