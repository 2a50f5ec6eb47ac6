import CulvertIO
import Glibc

/// The kernel's loopback as a place. Its far ends act in `pump`, on the thread of the worker itself.
final class KernelPlace: Place {
    private var peers: [KernelPeer] = []
    private var targets: [KernelTarget] = []
    private var steps: [() -> Bool] = []

    private static func loopback() throws -> SocketAddress {
        try SocketAddress.resolve(host: "127.0.0.1", port: 0, numeric: true)[0]
    }

    func listen() throws -> (Descriptor, SocketAddress) {
        let descriptor = try Self.loopback().listen()
        guard let address = SocketAddress.local(of: descriptor) else { throw Missed("a listener has an address") }
        return (descriptor, address)
    }

    func client(to address: SocketAddress) throws -> any Peer {
        let socket = try BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5))
        return add(KernelPeer(socket.release()))
    }

    private func add(_ peer: KernelPeer) -> KernelPeer {
        peers.append(peer)
        return peer
    }

    func target(_ answer: TargetAnswer) throws -> any Destination {
        let (descriptor, address) = try listen()
        let target = KernelTarget(address, descriptor, echoes: answer == .echo)
        switch answer {
        case .collect, .echo: targets.append(target)
        // Nobody else listens there: the kernel refuses.
        case .refuse: target.close()
        case .silent: throw Missed("the kernel's loopback loses nothing")
        }
        return target
    }

    func link() throws -> (Descriptor, any Peer) {
        let (near, far) = try SocketOption.pair()
        return (near, add(KernelPeer(far)))
    }

    func drive(_ step: @escaping () -> Bool) { steps.append(step) }

    func pump() {
        for target in targets { target.acceptAll(add) }
        for peer in peers { peer.pump() }
        for step in steps { _ = step() }
        for peer in peers { peer.pump() }
    }

    var longestTurn: Tick.Span { .milliseconds(1) }

    deinit {
        for target in targets { target.close() }
    }
}

final class KernelTarget: Destination {
    let address: SocketAddress
    private let descriptor: Descriptor
    private let echoes: Bool
    private(set) var connections: [any Peer] = []
    private var isClosed = false

    init(_ address: SocketAddress, _ descriptor: Descriptor, echoes: Bool) {
        self.address = address
        self.descriptor = descriptor
        self.echoes = echoes
    }

    func acceptAll(_ add: (KernelPeer) -> KernelPeer) {
        while !Wait.forReadable([descriptor], until: Tick(nanoseconds: 0)).isEmpty {
            let accepted = accept(descriptor, nil, nil)
            guard accepted >= 0 else { return }
            connections.append(add(KernelPeer(accepted, echoes: echoes)))
        }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        SocketOption.close(descriptor)
    }
}

/// A real socket that moves what it can at each `pump`.
final class KernelPeer: Peer {
    private let descriptor: Descriptor
    private let echoes: Bool
    private var outbox: [UInt8] = []
    private var head = 0
    private var wantsFinish = false
    private var hasFinished = false
    private var isClosed = false
    private var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    private(set) var received: [UInt8] = []
    private(set) var sawEnd = false
    private(set) var sawReset = false
    var isReading = true

    init(_ descriptor: Descriptor, echoes: Bool = false) {
        self.descriptor = descriptor
        self.echoes = echoes
    }

    deinit { close() }

    private func close() {
        guard !isClosed else { return }
        isClosed = true
        SocketOption.close(descriptor)
    }

    func write(_ bytes: [UInt8]) { outbox += bytes }
    func finish() { wantsFinish = true }
    var unsent: Int { outbox.count - head }

    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        close()
    }

    func pump() {
        guard !isClosed, !sawReset else { return }
        send()
        if isReading { read() }
    }

    private func send() {
        while head < outbox.count {
            let count = outbox.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress! + head, outbox.count - head, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                if errno != EAGAIN { sawReset = true }
                return
            }
            head += count
        }
        outbox.removeAll(keepingCapacity: true)
        head = 0
        if wantsFinish && !hasFinished {
            hasFinished = true
            shutdown(descriptor, Int32(SHUT_WR))
        }
    }

    private func read() {
        // Some of it in one go: others have their turn.
        for _ in 0..<8 where !sawEnd {
            let count = buffer.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress!, $0.count, Int32(MSG_DONTWAIT))
            }
            if count > 0 {
                received += buffer[..<count]
                if echoes { outbox += buffer[..<count] }
            } else if count == 0 {
                sawEnd = true
                if echoes { wantsFinish = true }
            } else {
                if errno != EAGAIN { sawReset = true }
                return
            }
        }
    }
}
