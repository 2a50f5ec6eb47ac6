import Foundation

/// The ways a connection can be carried from an address to a target.
enum ForwardKind: String, CaseIterable, CustomStringConvertible {
    case direct = "-L port:host:port"
    case reverse = "-R port:host:port"
    case directFromUnix = "-L path:host:port"
    case reverseToUnix = "-R port:path"
    case relay = "relay -L port:host:port"
    case relayFromUnix = "relay -L path:host:port"
    case relayToUnix = "relay -L port:path"

    var description: String { rawValue }

    /// The kinds that the subject has: ssh has no relay.
    static var choices: [ForwardKind] {
        Subject.isCulvert ? allCases : [.direct, .reverse, .directFromUnix, .reverseToUnix]
    }

    var needsServer: Bool {
        switch self {
        case .direct, .reverse, .directFromUnix, .reverseToUnix: true
        case .relay, .relayFromUnix, .relayToUnix: false
        }
    }

    /// Where the target of such a forward listens.
    func targetAddress(_ stage: Stage) -> Address {
        switch self {
        case .reverseToUnix, .relayToUnix: .unix("\(stage.directory)/target.sock")
        case .direct, .reverse, .directFromUnix, .relay, .relayFromUnix: .tcp(0)
        }
    }

    private static func hostAndPort(_ address: Address) -> String {
        switch address {
        case .tcp(let port): "127.0.0.1:\(port)"
        case .tcpAt(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }

    /// Starts such a forward to `target` and returns the address to connect to, which accepts already.
    func start(
        on stage: Stage, to target: Address, options: [String] = [], serverOptions: [String] = []
    ) throws -> (process: Child, address: Address, server: SSHServer?) {
        let incoming: Address
        switch self {
        case .directFromUnix, .relayFromUnix: incoming = .unix("\(stage.directory)/incoming.sock")
        case .direct, .reverse, .reverseToUnix, .relay, .relayToUnix: incoming = .tcp(try Ports.free())
        }
        let door: String
        switch incoming {
        case .tcp(let port), .tcpAt(_, let port): door = "\(port)"
        case .unix(let path): door = path
        }
        let specification = "\(door):\(Self.hostAndPort(target))"
        let process: Child
        var server: SSHServer?
        if needsServer {
            let flag = self == .reverse || self == .reverseToUnix ? "-R" : "-L"
            let started = try SSHServer(on: stage, options: serverOptions)
            process = try Tunnel(to: started, options + [flag, specification]).process
            server = started
        } else {
            process = try stage.start(
                "culvert", Subject.command(["relay"] + options + ["-L", specification]),
                environment: Tunnel.environment(stage))
        }
        try waitUntil("\(incoming) is open") {
            guard process.isRunning else { throw Failure("the tunnel ended: \(process.ending!)") }
            switch incoming {
            case .tcp(let port), .tcpAt(_, let port): return !ProcFS.listeners(port: port).isEmpty
            case .unix(let path): return access(path, F_OK) == 0
            }
        }
        return (process, incoming, server)
    }
}

/// One flow through a forward, both of whose ends the test holds.
struct Flow: Sendable {
    let near: TestSocket
    let far: TestSocket

    init(through address: Address, arrivals: Mailbox<TestSocket>) throws {
        near = try TestSocket.connectWhenListening(address)
        near.setDeadline(60)
        far = try arrivals.wait("the flow arrives at its target")
    }

    /// Sends both ways at once, ends both ways, and compares every byte. Each direction ends as soon as its bytes are
    /// sent; where `isCareful` the near side speaks first, and the far side ends first, once everything has arrived: some
    /// servers lose what is said otherwise.
    func transfer(
        up: Int, down: Int, seed: UInt64, chunk: Int = 64 << 10, isRandomlyCut: Bool = false, isCareful: Bool = false
    ) throws {
        let upStream = RandomStream(seed: seed)
        let downStream = RandomStream(seed: seed ^ 0xffff)
        let near = near
        let far = far
        let hasSpoken = DispatchSemaphore(value: 0)
        try concurrently(4) { role in
            switch role {
            case 0:
                try upStream.send(up, over: near, chunk: chunk, isRandomlyCut: isRandomlyCut)
                if !isCareful { near.endWriting() }
            case 1:
                let count = try upStream.receive(upTo: isCareful ? up : .max, over: far) { _ in hasSpoken.signal() }
                guard count == up else { throw Failure("\(count) of \(up) bytes arrived at the target") }
            case 2:
                if isCareful, hasSpoken.wait(timeout: .now() + 60) == .timedOut { throw Failure("nothing arrives") }
                try downStream.send(down, over: far, chunk: chunk, isRandomlyCut: isRandomlyCut)
                if !isCareful { far.endWriting() }
            default:
                let count = try downStream.receive(upTo: isCareful ? down : .max, over: near)
                guard count == down else { throw Failure("\(count) of \(down) bytes arrived back") }
            }
        }
        guard isCareful else { return }
        for (first, second) in [(far, near), (near, far)] {
            first.endWriting()
            try second.drainToEnd(within: 10)
        }
    }
}
