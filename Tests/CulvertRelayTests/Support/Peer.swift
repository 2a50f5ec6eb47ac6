import CulvertIO
import Simulation

/// One far end of something that a worker carries: a client, a target, or a channel in the far engine. What one peer
/// writes, its opposite number must read.
protocol Peer: AnyObject {
    func write(_ bytes: [UInt8])
    /// Ends this direction once everything written has left.
    func finish()
    /// Cuts the connection.
    func reset()
    /// A peer that does not read takes nothing.
    var isReading: Bool { get set }
    var received: [UInt8] { get }
    var sawEnd: Bool { get }
    var sawReset: Bool { get }
    /// Bytes written that have not left.
    var unsent: Int { get }
}

/// What a target does with connections to it.
enum TargetAnswer {
    case collect
    case echo
    case refuse
    /// Packets vanish. Only in the simulated world.
    case silent
}

/// A place that a worker connects to.
protocol Destination: AnyObject {
    var address: SocketAddress { get }
    /// Connections to it, oldest first.
    var connections: [any Peer] { get }
}

/// What lies beyond a worker's sockets: the kernel's loopback, or the simulated network.
protocol Place: AnyObject {
    func listen() throws -> (Descriptor, SocketAddress)
    func client(to address: SocketAddress) throws -> any Peer
    func target(_ answer: TargetAnswer) throws -> any Destination
    /// The stream of a link, and its far end.
    func link() throws -> (Descriptor, any Peer)
    /// Calls `step` whenever the far ends may act. It says whether it did something.
    func drive(_ step: @escaping () -> Bool)
    /// Lets the far ends act, where nothing else does.
    func pump()
    /// A turn takes no longer than this.
    var longestTurn: Tick.Span { get }
}

/// Something did not happen.
struct Missed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension SimulatedPeer: Peer {
    func write(_ bytes: [UInt8]) { write(bytes[...]) }
}

/// The simulated network as a place.
final class SimulatedPlace: Place {
    let network: SimulatedNetwork
    private var nextPort: UInt16 = 1000
    /// How the far end of the next link reads: a slow one makes the link slow.
    var linkReader = SimulatedPeer.Behaviour.collect
    /// What the next link's socket holds, bytes; nil: as much as every other.
    var linkBufferLength: Int?

    init(seed: UInt64, faults: Faults = .none, bufferLength: Int = 64 * 1024) {
        network = SimulatedNetwork(seed: seed, faults: faults, bufferLength: bufferLength)
    }

    private func address() throws -> SocketAddress {
        nextPort += 1
        return try SocketAddress.resolve(host: "127.0.0.1", port: nextPort, numeric: true)[0]
    }

    func listen() throws -> (Descriptor, SocketAddress) {
        let address = try address()
        return (network.listen(at: address), address)
    }

    func client(to address: SocketAddress) throws -> any Peer {
        guard let peer = network.connect(to: address) else { throw Missed("nobody listens on \(address)") }
        return peer
    }

    private final class Host: Destination {
        let address: SocketAddress
        let target: SimulatedTarget
        init(_ address: SocketAddress, _ target: SimulatedTarget) {
            self.address = address
            self.target = target
        }
        var connections: [any Peer] { target.peers }
    }

    func target(_ answer: TargetAnswer) throws -> any Destination {
        let address = try address()
        let simulated: SimulatedTarget.Answer =
            switch answer {
            case .collect: .accept(.collect)
            case .echo: .accept(.echo)
            case .refuse: .refuse
            case .silent: .silent
            }
        return Host(address, network.addTarget(at: address, simulated))
    }

    func link() throws -> (Descriptor, any Peer) { network.pair(linkReader, bufferLength: linkBufferLength) }

    /// Often while there is something to do, seldom while there is not: simulated time is what passes meanwhile.
    func drive(_ step: @escaping () -> Bool) {
        drive(step, after: Tick.Span(nanoseconds: 20_000))
    }

    private func drive(_ step: @escaping () -> Bool, after span: Tick.Span) {
        // Weak: the network keeps the action, and this keeps the network.
        network.schedule(after: span) { [weak self] in
            let next = step() ? 20_000 : min(span.nanoseconds * 2, 5_000_000)
            self?.drive(step, after: Tick.Span(nanoseconds: next))
        }
    }

    func pump() {}
    var longestTurn: Tick.Span { .milliseconds(100) }
}
