import CulvertIO
import Glibc

/// The test's end of a simulated connection: an actor that sends what it is given and takes what comes, a random piece
/// at each step of the world.
public final class SimulatedPeer {
    /// What it does with the bytes that come.
    public enum Behaviour: Sendable {
        /// Collects them in `received`.
        case collect
        /// Sends them back; ends when the stream ends.
        case echo
        /// Takes at most `bytes` of them every `every`: a slow reader. Collects them too, and ends when the stream ends.
        case sink(bytes: Int, every: Tick.Span)
    }

    private let endpoint: Endpoint
    private unowned let network: SimulatedNetwork
    private let behaviour: Behaviour
    private var outbox: [UInt8] = []
    private var outboxHead = 0
    private var wantsFinish = false
    private var mayReadAt: Tick
    private var buffer = [UInt8](repeating: 0, count: 64 * 1024)

    /// Everything that came, for `collect` and `sink`.
    public private(set) var received: [UInt8] = []
    /// The other side ended its direction, and everything before that was read.
    public private(set) var sawEnd = false
    /// A read or a write failed.
    public private(set) var sawReset = false
    /// This side's end has been sent.
    public private(set) var hasFinished = false
    public private(set) var isClosed = false
    /// A reader that stops reads again when this is set again.
    public var isReading = true

    init(_ endpoint: Endpoint, _ network: SimulatedNetwork, _ behaviour: Behaviour) {
        self.endpoint = endpoint
        self.network = network
        self.behaviour = behaviour
        mayReadAt = network.now
        network.peers.append(self)
    }

    /// Bytes given to `write` that have not left yet.
    public var unsent: Int { outbox.count - outboxHead }

    /// Queues bytes; they leave as the socket takes them.
    public func write(_ bytes: some Sequence<UInt8>) {
        precondition(!wantsFinish && !isClosed, "nothing is written after the end")
        outbox.append(contentsOf: bytes)
    }

    /// Ends this direction once everything queued has left.
    public func finish() { wantsFinish = true }

    /// Cuts the connection: what is queued is dropped.
    public func reset() { end(reset: true) }

    /// Closes, as close(2) does: a reset if bytes wait unread.
    public func close() { end(reset: false) }

    private func end(reset: Bool) {
        guard !isClosed else { return }
        isClosed = true
        outbox = []
        outboxHead = 0
        endpoint.close(reset: reset)
    }

    // MARK: The world's steps

    private var canSend: Bool {
        unsent > 0 ? endpoint.isDead || endpoint.outgoing.room > 0 : wantsFinish && !hasFinished
    }
    private var canRead: Bool { isReading && !sawEnd && endpoint.isReadable && unsent <= mostKept }
    /// An echo that cannot send reads no more; the others send of themselves.
    private var mostKept: Int { if case .echo = behaviour { 64 * 1024 } else { Int.max } }

    /// Whether it could do something now.
    var canMove: Bool { !isDone && (canSend || canRead && mayReadAt <= network.now) }
    /// When a slow reader reads again, if it waits only for that.
    var nextMoment: Tick? { !isDone && canRead && mayReadAt > network.now ? mayReadAt : nil }
    /// Closed, reset, or ended both ways.
    public var isDone: Bool { isClosed || sawReset || (sawEnd && hasFinished) }

    func step() {
        guard canMove, !network.happens(network.faults.delayed) else { return }
        if canSend { send() }
        if !isDone && canRead && mayReadAt <= network.now { read() }
    }

    private func send() {
        if unsent > 0 {
            let count = network.faults.shortWrite > 0 ? network.some(upTo: unsent) : unsent
            let result = outbox.withUnsafeBytes {
                endpoint.write(UnsafeRawBufferPointer(rebasing: $0[outboxHead..<outboxHead + count]))
            }
            if result < 0 {
                sawReset = true
                return
            }
            outboxHead += result
            if outboxHead == outbox.count || outboxHead > 1 << 18 {
                outbox.removeFirst(outboxHead)
                outboxHead = 0
            }
        }
        if unsent == 0 && wantsFinish && !hasFinished {
            endpoint.finish()
            hasFinished = true
        }
    }

    private func read() {
        var limit = buffer.count
        if case .sink(let bytes, let every) = behaviour {
            limit = min(limit, bytes)
            mayReadAt = network.now + every
        }
        if network.faults.shortRead > 0 { limit = network.some(upTo: limit) }
        let result = buffer.withUnsafeMutableBytes {
            endpoint.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<limit]))
        }
        if result < 0 {
            sawReset = true
            return
        }
        switch behaviour {
        case .echo:
            outbox.append(contentsOf: buffer[..<result])
        case .collect, .sink:
            received.append(contentsOf: buffer[..<result])
        }
        guard result == 0 else { return }
        sawEnd = true
        switch behaviour {
        case .echo, .sink: wantsFinish = true
        case .collect: break
        }
    }
}

/// A place that workers connect to.
public final class SimulatedTarget {
    /// What becomes of a connection to it.
    public enum Answer: Sendable {
        case accept(SimulatedPeer.Behaviour)
        case refuse
        /// Packets vanish: the connection stays under way for ever.
        case silent
    }

    public var answer: Answer
    /// The accepted connections' far ends, oldest first.
    public internal(set) var peers: [SimulatedPeer] = []
    init(_ answer: Answer) { self.answer = answer }
}
