import CulvertIO
import Glibc

/// A driver over a `SimulatedNetwork`: what a worker does through it moves that world on. Its slots are few and small,
/// and filled with rubbish when they are given back, so that a reader who looks at one too late is found out.
///
/// `turn` waits in simulated time. When nothing can happen and there is no deadline it returns without a completion, as
/// it does when only another driver of the same network could go on: whoever runs the workers decides what is next.
public struct SimulatedDriver: ~Copyable, IODriver {
    public static var kind: DriverKind { .epoll }

    public let network: SimulatedNetwork
    public private(set) var now: Tick
    public private(set) var freeSlots: Int

    /// A ready operation that this turn tells of.
    private struct Ready {
        let descriptor: Descriptor
        let life: Int
        let isWriter: Bool
    }

    private let identity: Int
    private let slotCount: Int
    private let slotLength: Int
    private let memory: UnsafeMutableRawPointer
    private var isLent: [Bool]
    private var ready: [Ready] = []
    private var cursor = 0
    /// Real descriptors that are waited for, in order.
    private var real: [(descriptor: Descriptor, token: Token)] = []
    private var realReady: [Token] = []

    public init(_ network: SimulatedNetwork, slotCount: Int = 4, slotLength: Int = 4096) {
        precondition(slotCount > reservedSlots, "somebody must be able to keep a slot")
        self.network = network
        self.slotCount = slotCount
        self.slotLength = slotLength
        identity = network.addDriver()
        now = network.now
        freeSlots = slotCount
        isLent = Array(repeating: false, count: slotCount)
        memory = .allocate(byteCount: slotCount * slotLength, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0xdb, count: slotCount * slotLength)
    }

    deinit { memory.deallocate() }

    private static func isReal(_ descriptor: Descriptor) -> Bool { descriptor < SimulatedNetwork.firstDescriptor }

    // MARK: Operations

    public mutating func receive(_ descriptor: Descriptor, _ token: Token) {
        precondition(!Self.isReal(descriptor), "only readiness of a real descriptor is simulated")
        begin(reading: descriptor, token, receives: true)
    }

    public mutating func awaitReadable(_ descriptor: Descriptor, _ token: Token) {
        guard Self.isReal(descriptor) else { return begin(reading: descriptor, token, receives: false) }
        precondition(!real.contains { $0.descriptor == descriptor }, "one reading operation at a time on a descriptor")
        real.append((descriptor, token))
    }

    private func begin(reading descriptor: Descriptor, _ token: Token, receives: Bool) {
        let open = network[descriptor]
        precondition(open.reader == nil, "one reading operation at a time on a descriptor")
        claim(open)
        open.reader = token
        open.receives = receives
    }

    public mutating func awaitWritable(_ descriptor: Descriptor, _ token: Token) {
        let open = network[descriptor]
        precondition(open.writer == nil, "one writing operation at a time on a descriptor")
        claim(open)
        open.writer = token
    }

    private func claim(_ open: OpenDescriptor) {
        precondition(open.driver == -1 || open.driver == identity, "a descriptor belongs to one driver")
        open.driver = identity
    }

    public mutating func stopReading(_ descriptor: Descriptor) {
        if Self.isReal(descriptor) {
            real.removeAll { $0.descriptor == descriptor }
        } else {
            network[descriptor].reader = nil
        }
    }

    public mutating func redirectWriting(_ descriptor: Descriptor, _ token: Token) -> Bool {
        guard network[descriptor].writer != nil else { return false }
        network[descriptor].writer = token
        return true
    }

    public mutating func letGo(_ descriptor: Descriptor) {
        let open = network[descriptor]
        precondition(open.reader == nil && open.writer == nil, "nothing is under way on it")
        open.driver = -1
    }

    public mutating func close(_ descriptor: Descriptor) {
        if Self.isReal(descriptor) {
            real.removeAll { $0.descriptor == descriptor }
            SocketOption.close(descriptor)
        } else {
            network.close(descriptor)
        }
    }

    // MARK: Turns

    public mutating func turn(until deadline: Tick?) throws(IOError) {
        precondition(cursor == ready.count && realReady.isEmpty, "every completion of a turn is taken before the next")
        ready = []
        cursor = 0
        while true {
            network.passTime()
            network.step()
            now = network.now
            collect()
            if !ready.isEmpty || !realReady.isEmpty { return }
            if let deadline, deadline <= now { return }
            if network.canMove || network.hasReadyOperation(of: identity, slotsAreFree: freeSlots > 0) { continue }
            if network.hasReadyOperation(of: nil, otherThan: identity) { return }
            guard let moment = [deadline, network.nextMoment].compactMap({ $0 }).min() else { return }
            network.advance(to: moment)
        }
    }

    private mutating func collect() {
        var unready: [Ready] = []
        for (descriptor, open) in network.allOpen where open.driver == identity {
            if open.reader != nil, !open.receives || freeSlots > 0 {
                let operation = Ready(descriptor: descriptor, life: open.life, isWriter: false)
                if open.isReadable { ready.append(operation) } else if !open.receives { unready.append(operation) }
            }
            if open.writer != nil {
                let operation = Ready(descriptor: descriptor, life: open.life, isWriter: true)
                if network.isWriterReady(open) {
                    ready.append(operation)
                } else if !open.isConnecting {
                    unready.append(operation)
                }
            }
        }
        ready.removeAll { _ in network.happens(network.faults.delayed) }
        if !ready.isEmpty { ready += unready.filter { _ in network.happens(network.faults.spurious) } }
        network.shuffle(&ready)
        collectReal()
    }

    private mutating func collectReal() {
        guard !real.isEmpty else { return }
        let found = Wait.forReadable(real.map(\.descriptor), until: Tick(nanoseconds: 0))
        realReady = real.filter { found.contains($0.descriptor) }.map(\.token)
        real.removeAll { found.contains($0.descriptor) }
    }

    public mutating func next() -> Completion? {
        if let token = realReady.popLast() { return Completion(token: token, result: 0) }
        while cursor < ready.count {
            let operation = ready[cursor]
            cursor += 1
            // Closed meanwhile, by the handler of an earlier completion.
            guard let open = network.find(operation.descriptor, life: operation.life) else { continue }
            if let completion = operation.isWriter ? completeWriter(open) : completeReader(open) { return completion }
        }
        return nil
    }

    private func completeWriter(_ open: OpenDescriptor) -> Completion? {
        guard let token = open.writer else { return nil }
        open.writer = nil
        return Completion(token: token, result: 0)
    }

    private mutating func completeReader(_ open: OpenDescriptor) -> Completion? {
        guard let token = open.reader else { return nil }
        guard open.receives else {
            open.reader = nil
            return Completion(token: token, result: 0)
        }
        // Every slot is lent, or it was another wait when the turn began: it comes again.
        guard freeSlots > 0, open.isReadable, case .stream(let endpoint) = open.role else { return nil }
        let number = isLent.firstIndex(of: false)!
        let start = memory + number * slotLength
        let result = endpoint.read(into: UnsafeMutableRawBufferPointer(start: start, count: shortened(slotLength)))
        precondition(result != -Int(EAGAIN), "what is readable can be read")
        open.reader = nil
        guard result > 0 else { return Completion(token: token, result: result) }
        isLent[number] = true
        freeSlots -= 1
        return Completion(token: token, result: result, slot: LentSlot(number: Int32(number), start: start))
    }

    public mutating func release(_ slot: LentSlot) {
        let number = Int(slot.number)
        precondition(isLent.indices.contains(number) && isLent[number], "a lent slot is given back, once")
        isLent[number] = false
        freeSlots += 1
        (memory + number * slotLength).initializeMemory(as: UInt8.self, repeating: 0xdb, count: slotLength)
    }

    private func shortened(_ length: Int) -> Int {
        length > 1 && network.happens(network.faults.shortRead) ? network.some(upTo: length) : length
    }

    // MARK: Calls that never wait

    public mutating func send(_ descriptor: Descriptor, _ start: UnsafeRawPointer, count: Int) -> Int {
        var allowed = count
        if count > 1 && network.happens(network.faults.shortWrite) { allowed = network.some(upTo: count) }
        return write(descriptor, UnsafeRawBufferPointer(start: start, count: allowed))
    }

    public mutating func send(_ descriptor: Descriptor, _ ranges: borrowing RangeList) -> Int {
        var total = 0
        for index in 0..<ranges.count {
            let length = ranges.length(index)
            let result = send(descriptor, ranges.start(index), count: length)
            if result < 0 { return total > 0 ? total : result }
            total += result
            if result < length { break }
        }
        return total
    }

    private func write(_ descriptor: Descriptor, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard case .stream(let endpoint) = network[descriptor].role else {
            preconditionFailure("bytes are sent on a connection that is made")
        }
        if !endpoint.isDead && network.happens(network.faults.wouldBlock) { return -Int(EAGAIN) }
        return endpoint.write(bytes)
    }

    public mutating func receive(
        _ descriptor: Descriptor, into first: UnsafeMutableRawPointer, stride: Int, slotLength: Int, lastLength: Int,
        count: Int
    ) -> Int {
        let open = network[descriptor]
        guard case .stream(let endpoint) = open.role else { preconditionFailure("bytes come on a connection") }
        precondition(open.reader == nil || !open.receives, "two reads at once would mix up the stream")
        if network.happens(network.faults.wouldBlock) { return -Int(EAGAIN) }
        var left = shortened(slotLength * (count - 1) + lastLength)
        var total = 0
        for slot in 0..<count where left > 0 {
            let length = min(slot == count - 1 ? lastLength : slotLength, left)
            let target = UnsafeMutableRawBufferPointer(start: first + slot * stride, count: length)
            // Errors and the end wait for a call of their own once bytes have come.
            if total > 0 && endpoint.incoming.count == 0 { break }
            let result = endpoint.read(into: target)
            if result <= 0 { return result }
            total += result
            left -= result
            if result < length { break }
        }
        return total
    }

    public mutating func accept(_ listener: Descriptor, peer: inout SocketAddress) -> Int {
        network.accept(listener, peer: &peer)
    }

    public mutating func connect(to address: SocketAddress, from source: SocketAddress?, pending: inout Bool) -> Int {
        network.connect(to: address, pending: &pending)
    }

    /// 0 for a connection that stands, -errno for one that does not. Asked only after `awaitWritable` has completed.
    public mutating func connectionError(_ descriptor: Descriptor) -> Int {
        switch network[descriptor].role {
        case .stream: return 0
        case .connecting(_, _, let error): return -Int(error)
        case .listener: preconditionFailure("a listener connects to nothing")
        }
    }

    public mutating func shutdownWriting(_ descriptor: Descriptor) {
        if case .stream(let endpoint) = network[descriptor].role { endpoint.finish() }
    }

    public mutating func resetOnClose(_ descriptor: Descriptor) { network[descriptor].resetOnClose = true }

    public mutating func finishOnClose(_ descriptor: Descriptor) { network[descriptor].resetOnClose = false }

    public mutating func unacknowledged(_ descriptor: Descriptor) -> Int {
        guard case .stream(let endpoint) = network[descriptor].role else { return 0 }
        return endpoint.isDead || endpoint.other.isClosed ? 0 : endpoint.outgoing.count
    }

    public mutating func isReset(_ descriptor: Descriptor) -> Bool {
        guard case .stream(let endpoint) = network[descriptor].role else { return false }
        return endpoint.isDead
    }

    public mutating func peerHasGone(_ descriptor: Descriptor) -> Bool {
        guard case .stream(let endpoint) = network[descriptor].role else { return false }
        return endpoint.isDead || endpoint.incoming.isFinished
    }
}
