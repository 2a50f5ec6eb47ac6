import CulvertIO
import Glibc

/// A kernel and a network in memory, for one thread: the drivers made over it and the test share it.
///
/// Goal: the relay runs against it unchanged, under thousands of orders of events that a real kernel shows once in a
/// month, and each of them can be had again from its seed. Method: every choice (which ready operation completes, how
/// many bytes a call moves, when a connection stands, how far time goes) is drawn from one seeded generator, and
/// nothing depends on real time, addresses or hash order. Time goes on only in turns: a little in each, by leaps where
/// the faults say so, and to the next moment at which something is due when nothing else can happen.
///
/// Invariant: a descriptor number is given to the next socket at once when it is closed, lowest first, as the kernel
/// does. Misuse that a real kernel would punish later stops the test at once: two operations of one direction, a call on
/// a closed descriptor, a read beside a pending receive, a slot given back twice.
public final class SimulatedNetwork {
    /// Simulated descriptors begin here. What is lower is a real one (a mailbox's eventfd), and really looked at.
    public static let firstDescriptor: Descriptor = 1 << 20

    public var faults: Faults
    /// Bytes that a socket holds in each direction.
    public let bufferLength: Int
    /// Sockets and listeners that may be open; beyond it `accept` and `connect` give -EMFILE.
    public var descriptorLimit = 20_000
    public private(set) var now = Tick(nanoseconds: 1_000_000_000)

    private var random: SeededRandom
    var endpoints: [Endpoint] = []
    var peers: [SimulatedPeer] = []
    private var open: [OpenDescriptor?] = []
    private var lives = 0
    private var listeners: [SimulatedListener] = []
    private var targets: [SocketAddress: SimulatedTarget] = [:]
    private var actions: [(moment: Tick, order: Int, body: () -> Void)] = []
    private var actionCount = 0
    private var driverCount = 0

    public init(seed: UInt64, faults: Faults = .none, bufferLength: Int = 64 * 1024) {
        random = SeededRandom(seed: seed)
        self.faults = faults
        self.bufferLength = bufferLength
    }

    // MARK: The test's side

    /// A listening descriptor, for a worker to own.
    public func listen(at address: SocketAddress) -> Descriptor {
        precondition(!listeners.contains { $0.address == address }, "an address is listened on once")
        let listener = SimulatedListener(address)
        listeners.append(listener)
        return add(.listener(listener))
    }

    /// A client's connection to a listener of a worker's: it waits there to be accepted. nil: nobody listens.
    public func connect(
        to address: SocketAddress, from source: SocketAddress = SocketAddress(),
        _ behaviour: SimulatedPeer.Behaviour = .collect
    ) -> SimulatedPeer? {
        guard let listener = listeners.first(where: { $0.address == address }) else { return nil }
        let (near, far) = Endpoint.pair(self)
        listener.waiting.append((near, source))
        return SimulatedPeer(far, self, behaviour)
    }

    /// From now on a worker's `connect` to this address meets this answer. Elsewhere it is refused.
    @discardableResult
    public func addTarget(at address: SocketAddress, _ answer: SimulatedTarget.Answer) -> SimulatedTarget {
        let target = SimulatedTarget(answer)
        targets[address] = target
        return target
    }

    /// A connected socket for a worker, and its far end for the test. `bufferLength`: other than the network's.
    public func pair(_ behaviour: SimulatedPeer.Behaviour = .collect, bufferLength: Int? = nil) -> (
        Descriptor, SimulatedPeer
    ) {
        let (near, far) = Endpoint.pair(self, bufferLength: bufferLength)
        return (add(.stream(near)), SimulatedPeer(far, self, behaviour))
    }

    /// Both ends of a connection for workers: a link between two of them.
    public func descriptorPair() -> (Descriptor, Descriptor) {
        let (first, second) = Endpoint.pair(self)
        return (add(.stream(first)), add(.stream(second)))
    }

    /// Does `body` when simulated time has gone on by `span`.
    public func schedule(after span: Tick.Span, _ body: @escaping () -> Void) {
        actionCount += 1
        actions.append((now + span, actionCount, body))
    }

    public private(set) var openDescriptors = 0

    /// Nothing can happen any more unless the test or a worker's own timer does something.
    public var isQuiet: Bool { !canMove && nextMoment == nil && !hasReadyOperation(of: nil) }

    // MARK: Chance

    func happens(_ chance: Int) -> Bool { random.happens(chance) }
    func some(upTo limit: Int) -> Int { random.some(upTo: limit) }
    func shuffle<Element>(_ list: inout [Element]) { list.shuffle(using: &random) }

    // MARK: Time

    /// The beginning of a turn or of a step within it.
    func passTime() {
        var span = Int64(random.some(upTo: 20_000))
        if happens(faults.timeJump) { span += Int64.random(in: 0...faults.longestJump.nanoseconds, using: &random) }
        now = now + Tick.Span(nanoseconds: span)
    }

    func advance(to moment: Tick) { now = max(now, moment) }

    /// When something is due by itself.
    var nextMoment: Tick? {
        var soonest: Tick?
        func consider(_ moment: Tick?) {
            guard let moment else { return }
            soonest = min(soonest ?? moment, moment)
        }
        for action in actions { consider(action.moment) }
        for peer in peers { consider(peer.nextMoment) }
        for case let descriptor? in open {
            // A failure that is due and that nobody waits for is no event.
            if case .connecting(_, let due?, let error) = descriptor.role, error == 0 || due > now { consider(due) }
        }
        return soonest
    }

    /// A peer could do something, but idled in the last step.
    var canMove: Bool { peers.contains { $0.canMove } }

    public func step() {
        let due = actions.filter { $0.moment <= now }.sorted { ($0.moment, $0.order) < ($1.moment, $1.order) }
        actions.removeAll { $0.moment <= now }
        for action in due { action.body() }
        for case let descriptor? in open { finishConnecting(descriptor) }
        peers.removeAll { $0.isDone }
        for peer in peers { peer.step() }
    }

    private func finishConnecting(_ descriptor: OpenDescriptor) {
        guard case .connecting(let endpoint?, let due?, 0) = descriptor.role, due <= now else { return }
        descriptor.role = .stream(endpoint)
    }

    // MARK: The drivers' side

    func addDriver() -> Int {
        driverCount += 1
        return driverCount - 1
    }

    subscript(descriptor: Descriptor) -> OpenDescriptor {
        let index = Int(descriptor - Self.firstDescriptor)
        guard open.indices.contains(index), let found = open[index] else {
            preconditionFailure("descriptor \(descriptor) is not open")
        }
        return found
    }

    /// nil when it was closed, even if another has its number since.
    func find(_ descriptor: Descriptor, life: Int) -> OpenDescriptor? {
        let found = open[Int(descriptor - Self.firstDescriptor)]
        return found?.life == life ? found : nil
    }

    /// In the order of their numbers.
    var allOpen: [(Descriptor, OpenDescriptor)] {
        open.enumerated().compactMap { index, found in found.map { (Self.firstDescriptor + Int32(index), $0) } }
    }

    /// Whether an operation could complete: of one driver, or of any.
    func hasReadyOperation(of driver: Int?, otherThan excluded: Int? = nil, slotsAreFree: Bool = true) -> Bool {
        open.contains { found in
            guard let found, driver == nil || found.driver == driver, found.driver != excluded else { return false }
            let reads = found.reader != nil && found.isReadable && (slotsAreFree || !found.receives)
            return reads || found.writer != nil && isWriterReady(found)
        }
    }

    /// A connection that failed is told like one that was made.
    func isWriterReady(_ descriptor: OpenDescriptor) -> Bool {
        if case .connecting(_, let due?, let error) = descriptor.role, error != 0 { return due <= now }
        return descriptor.isWritable
    }

    private func add(_ role: OpenDescriptor.Role) -> Descriptor {
        lives += 1
        openDescriptors += 1
        let made = OpenDescriptor(role, life: lives)
        if let free = open.firstIndex(where: { $0 == nil }) {
            open[free] = made
            return Self.firstDescriptor + Int32(free)
        }
        open.append(made)
        return Self.firstDescriptor + Int32(open.count - 1)
    }

    func accept(_ descriptor: Descriptor, peer: inout SocketAddress) -> Int {
        guard case .listener(let listener) = self[descriptor].role else {
            preconditionFailure("only a listener accepts")
        }
        if openDescriptors >= descriptorLimit { return -Int(EMFILE) }
        guard !listener.waiting.isEmpty else { return -Int(EAGAIN) }
        let (endpoint, from) = listener.waiting.removeFirst()
        peer = from
        let accepted = add(.stream(endpoint))
        // As the kernel has it: SO_LINGER is inherited from the listener.
        self[accepted].resetOnClose = self[descriptor].resetOnClose
        return Int(accepted)
    }

    func connect(to address: SocketAddress, pending: inout Bool) -> Int {
        if openDescriptors >= descriptorLimit { return -Int(EMFILE) }
        let isImmediate = happens(256)
        let due = now + Tick.Span(nanoseconds: Int64(random.some(upTo: 2_000_000)))
        pending = !isImmediate
        if let listener = listeners.first(where: { $0.address == address }) {
            let (near, far) = Endpoint.pair(self)
            listener.waiting.append((far, SocketAddress()))
            return Int(add(isImmediate ? .stream(near) : .connecting(near, due: due, error: 0)))
        }
        let target = targets[address]
        switch target?.answer ?? .refuse {
        case .accept(let behaviour):
            let (near, far) = Endpoint.pair(self)
            target?.peers.append(SimulatedPeer(far, self, behaviour))
            return Int(add(isImmediate ? .stream(near) : .connecting(near, due: due, error: 0)))
        case .refuse:
            if isImmediate { return -Int(ECONNREFUSED) }
            return Int(add(.connecting(nil, due: due, error: ECONNREFUSED)))
        case .silent:
            pending = true
            return Int(add(.connecting(nil, due: nil, error: 0)))
        }
    }

    func close(_ descriptor: Descriptor) {
        let closed = self[descriptor]
        open[Int(descriptor - Self.firstDescriptor)] = nil
        openDescriptors -= 1
        switch closed.role {
        case .stream(let endpoint): endpoint.close(reset: closed.resetOnClose)
        case .listener(let listener):
            listeners.removeAll { $0 === listener }
            for (endpoint, _) in listener.waiting { endpoint.close(reset: true) }
        case .connecting(let endpoint, _, _): endpoint?.close(reset: true)
        }
    }
}
