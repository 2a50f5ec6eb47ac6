import CLinux
import CulvertIO
import Glibc
import Simulation

/// What lies beyond a driver's sockets: the kernel's loopback, or the simulated network.
protocol World: AnyObject {
    /// A connected socket for the driver, and its far end.
    func pair() throws -> (Descriptor, any Peer)
    func listen() throws -> (Descriptor, SocketAddress)
    /// A connection to a listener of the driver's.
    func client(to address: SocketAddress) throws -> any Peer
    /// An address where nobody listens.
    func refusing() throws -> SocketAddress
    /// Lets the far ends move.
    func pump()
}

/// The far end of a connection.
protocol Peer: AnyObject {
    func write(_ bytes: [UInt8])
    func finish()
    func reset()
    func close()
    var isReading: Bool { get set }
    var received: [UInt8] { get }
    var sawEnd: Bool { get }
    var sawReset: Bool { get }
}

struct Missed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

final class KernelWorld: World {
    private var peers: [KernelPeer] = []
    private var listener: (Descriptor, SocketAddress)?

    static func loopback(port: UInt16 = 0) throws -> SocketAddress {
        try SocketAddress.resolve(host: "127.0.0.1", port: port, numeric: true)[0]
    }

    deinit { if let listener { SocketOption.close(listener.0) } }

    func pair() throws -> (Descriptor, any Peer) {
        if listener == nil { listener = try listen() }
        let (descriptor, address) = listener!
        let peer = try KernelPeer(BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5)))
        _ = Wait.forReadable([descriptor], until: .current() + .seconds(5))
        var from = culvert_address()
        let accepted = culvert_accept(descriptor, &from)
        guard accepted >= 0 else { throw Missed("accept: \(errorText(-accepted))") }
        peers.append(peer)
        return (accepted, peer)
    }

    func listen() throws -> (Descriptor, SocketAddress) {
        let descriptor = try Self.loopback().listen(backlog: 4096)
        return (descriptor, SocketAddress.local(of: descriptor)!)
    }

    func client(to address: SocketAddress) throws -> any Peer {
        let peer = try KernelPeer(BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5)))
        peers.append(peer)
        return peer
    }

    func refusing() throws -> SocketAddress {
        // Bound and not listening: nobody else can take the port, and the kernel refuses.
        let (descriptor, address) = try listen()
        SocketOption.close(descriptor)
        return address
    }

    func pump() { for peer in peers { peer.pump() } }
}

final class KernelPeer: Peer {
    private let descriptor: Descriptor
    private var isOpen = true
    private var outbox: [UInt8] = []
    private var wantsFinish = false
    private var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    var isReading = true
    private(set) var received: [UInt8] = []
    private(set) var sawEnd = false
    private(set) var sawReset = false

    init(_ socket: consuming BlockingSocket) { descriptor = socket.release() }
    deinit { if isOpen { SocketOption.close(descriptor) } }

    func write(_ bytes: [UInt8]) {
        outbox += bytes
        pump()
    }

    func finish() {
        wantsFinish = true
        pump()
    }

    func reset() {
        _ = culvert_set_linger_reset(descriptor)
        close()
    }

    func close() {
        isOpen = false
        SocketOption.close(descriptor)
    }

    func pump() {
        guard isOpen, !sawReset else { return }
        while !outbox.isEmpty {
            let count = outbox.withUnsafeBytes { Int(culvert_send(descriptor, $0.baseAddress, $0.count)) }
            if count < 0 {
                sawReset = count != -Int(EAGAIN)
                break
            }
            outbox.removeFirst(count)
        }
        if outbox.isEmpty && wantsFinish {
            _ = culvert_shutdown(descriptor, 1)
            wantsFinish = false
        }
        while isReading && !sawEnd && !sawReset {
            let count = Int(culvert_receive(descriptor, &buffer, buffer.count))
            if count == -Int(EAGAIN) { return }
            if count < 0 { sawReset = true }
            if count == 0 { sawEnd = true }
            if count > 0 { received += buffer[..<count] }
        }
    }
}

extension SimulatedPeer: Peer {
    func write(_ bytes: [UInt8]) { write(bytes[...]) }
}

final class SimulatedWorld: World {
    let network: SimulatedNetwork
    private var port: UInt16 = 1000

    init(seed: UInt64, _ faults: Faults) { network = SimulatedNetwork(seed: seed, faults: faults) }

    private func address() throws -> SocketAddress {
        port += 1
        return try SocketAddress.resolve(host: "192.0.2.1", port: port, numeric: true)[0]
    }

    func pair() -> (Descriptor, any Peer) { network.pair() }
    func listen() throws -> (Descriptor, SocketAddress) {
        let free = try address()
        return (network.listen(at: free), free)
    }
    func client(to address: SocketAddress) throws -> any Peer {
        guard let peer = network.connect(to: address) else { throw Missed("nobody listens") }
        return peer
    }
    func refusing() throws -> SocketAddress { try address() }
    func pump() {}
}
