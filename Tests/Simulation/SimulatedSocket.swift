import CulvertIO
import Glibc

/// One direction of a simulated connection: bytes in order, at most `capacity` of them, then perhaps an end.
final class SimulatedStream {
    let capacity: Int
    private var bytes: [UInt8] = []
    private var head = 0
    /// The writer sends no more.
    var isFinished = false

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { bytes.count - head }
    var room: Int { capacity - count }

    func append(_ source: UnsafeRawBufferPointer) {
        precondition(source.count <= room, "no more is written than there is room for")
        bytes.append(contentsOf: source)
    }

    func take(into target: UnsafeMutableRawBufferPointer) {
        precondition(target.count <= count, "no more is read than is there")
        bytes.withUnsafeBytes {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[head..<head + target.count]))
        }
        head += target.count
        if head == bytes.count || head > 64 * 1024 {
            bytes.removeFirst(head)
            head = 0
        }
    }

    func removeAll() {
        bytes = []
        head = 0
    }
}

/// One end of a simulated connection, with TCP's manners: half-close, reset, a reset for who closes over unread bytes
/// or is written to after closing.
final class Endpoint {
    let incoming: SimulatedStream
    let outgoing: SimulatedStream
    unowned let network: SimulatedNetwork
    /// The other end; both live as long as the network.
    private(set) unowned var other: Endpoint!
    /// Told once, by a read or a write.
    private(set) var error: Int32 = 0
    /// A reset came, or this end made one.
    private(set) var isDead = false
    private(set) var isClosed = false

    private init(_ network: SimulatedNetwork, incoming: SimulatedStream, outgoing: SimulatedStream) {
        self.network = network
        self.incoming = incoming
        self.outgoing = outgoing
    }

    static func pair(_ network: SimulatedNetwork, bufferLength: Int? = nil) -> (Endpoint, Endpoint) {
        let there = SimulatedStream(capacity: bufferLength ?? network.bufferLength)
        let back = SimulatedStream(capacity: bufferLength ?? network.bufferLength)
        let first = Endpoint(network, incoming: back, outgoing: there)
        let second = Endpoint(network, incoming: there, outgoing: back)
        first.other = second
        second.other = first
        network.endpoints.append(first)
        network.endpoints.append(second)
        return (first, second)
    }

    var isReadable: Bool { incoming.count > 0 || error != 0 || isDead || incoming.isFinished }

    /// As the kernel's: only when a third of the buffer is free.
    var isWritable: Bool { isDead || outgoing.isFinished || outgoing.room * 3 >= outgoing.capacity }

    /// Bytes read, 0 at the end, or -errno.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        guard incoming.count > 0 else {
            // As Linux has it: an end that came before a reset is told before it.
            if error != 0, !incoming.isFinished { return takeError() }
            return isDead || incoming.isFinished ? 0 : -Int(EAGAIN)
        }
        let count = min(target.count, incoming.count)
        incoming.take(into: UnsafeMutableRawBufferPointer(rebasing: target[..<count]))
        return count
    }

    /// Bytes written, or -errno.
    func write(_ source: UnsafeRawBufferPointer) -> Int {
        if error != 0 { return takeError() }
        if isDead || outgoing.isFinished { return -Int(EPIPE) }
        if other.isClosed {
            // The bytes leave, and the answer to them is a reset.
            receiveReset()
            return source.count
        }
        let count = min(source.count, outgoing.room)
        guard count > 0 else { return source.isEmpty ? 0 : -Int(EAGAIN) }
        outgoing.append(UnsafeRawBufferPointer(rebasing: source[..<count]))
        return count
    }

    func finish() { if !isDead { outgoing.isFinished = true } }

    func close(reset: Bool) {
        precondition(!isClosed, "an end is closed once")
        isClosed = true
        if isDead { return }
        if reset || incoming.count > 0 {
            isDead = true
            if !other.isClosed { other.receiveReset() }
        } else {
            outgoing.isFinished = true
        }
    }

    private func receiveReset() {
        guard !isDead else { return }
        isDead = true
        error = ECONNRESET
        if !incoming.isFinished, network.happens(network.faults.lostByReset) { incoming.removeAll() }
    }

    private func takeError() -> Int {
        let told = error
        error = 0
        return -Int(told)
    }
}

/// What a descriptor of the simulated kernel stands for, and the operations under way on it.
final class OpenDescriptor {
    enum Role {
        case stream(Endpoint)
        case listener(SimulatedListener)
        /// A connection that is not made yet; nil: it never will be.
        case connecting(Endpoint?, due: Tick?, error: Int32)
    }

    var role: Role
    let life: Int
    var reader: Token?
    var receives = false
    var writer: Token?
    /// The driver whose operations these are.
    var driver = -1
    var resetOnClose = false

    init(_ role: Role, life: Int) {
        self.role = role
        self.life = life
    }

    var isReadable: Bool {
        switch role {
        case .stream(let endpoint): endpoint.isReadable
        case .listener(let listener): !listener.waiting.isEmpty
        case .connecting: false
        }
    }

    var isWritable: Bool {
        switch role {
        case .stream(let endpoint): endpoint.isWritable
        case .listener, .connecting: false
        }
    }

    var isConnecting: Bool {
        if case .connecting = role { return true }
        return false
    }
}

/// A port of the simulated world that a worker listens on.
final class SimulatedListener {
    let address: SocketAddress
    var waiting: [(endpoint: Endpoint, from: SocketAddress)] = []
    init(_ address: SocketAddress) { self.address = address }
}
