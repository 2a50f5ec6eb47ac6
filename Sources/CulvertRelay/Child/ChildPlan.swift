internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// What a child is told of its tunnel: as much of the plan as links and flows need. How to reach a server, who logs in and
/// whom it trusts is its parent's.
struct ChildPlan: Sendable {
    var plan: TunnelPlan
    var workers: Int
    var kind: DriverKind
    /// Lines above it are not made.
    var level: Journal.Level
    var newsLevel: Journal.Level
    /// Ports that the server chose for former links, to be asked for again.
    var chosenPorts: [ReverseID: UInt16] = [:]
}

extension ChildPlan: Portable {
    func write(to out: inout WireBytes) {
        out.put(plan.hops.map(PortableServer.init), PortableServer(server: plan.server), plan.forwards, plan.reverse)
        out.put(plan.links, plan.nodelay, plan.runtime.memory, workers, kind.rawValue)
        out.put(UInt8(level.rawValue), UInt8(newsLevel.rawValue))
        let ports = chosenPorts.sorted { $0.key.index < $1.key.index }
        out.put(ports.map(\.key.index), ports.map(\.value))
    }

    init(from reader: inout WireReader) throws(SSHError) {
        let hops: [PortableServer] = try reader.take()
        plan = TunnelPlan(server: try reader.take(PortableServer.self).server)
        plan.hops = hops.map(\.server)
        plan.forwards = try reader.take()
        plan.reverse = try reader.take()
        plan.engine = .libssh2
        plan.links = try reader.take()
        plan.nodelay = try reader.take()
        plan.runtime.memory = try reader.take()
        workers = try reader.take()
        guard let kind = DriverKind(rawValue: try reader.take()),
            let level = Journal.Level(rawValue: Int(try reader.byte())),
            let newsLevel = Journal.Level(rawValue: Int(try reader.byte()))
        else { throw .unreadable }
        self.kind = kind
        self.level = level
        self.newsLevel = newsLevel
        let forwards: [Int] = try reader.take()
        let ports: [UInt16] = try reader.take()
        for (forward, port) in zip(forwards, ports) { chosenPorts[ReverseID(index: forward)] = port }
    }
}

/// The way of one login: jump hosts, then the destination. The files may have changed since the child began.
struct ChildWay: Sendable {
    private let servers: [ServerPlan]

    init(_ plan: TunnelPlan) { servers = plan.hops + [plan.server] }

    /// `plan` with that way.
    func taken(by plan: TunnelPlan) -> TunnelPlan {
        var taken = plan
        guard let last = servers.last else { preconditionFailure("there is a destination") }
        taken.hops = Array(servers.dropLast())
        taken.server = last
        return taken
    }
}

extension ChildWay: Portable {
    func write(to out: inout WireBytes) { out.put(servers.map(PortableServer.init)) }
    init(from reader: inout WireReader) throws(SSHError) {
        let read: [PortableServer] = try reader.take()
        guard !read.isEmpty else { throw .unreadable }
        servers = read.map(\.server)
    }
}

/// A server of the way as a child knows it: its names, for messages; its times; and what may be negotiated there.
private struct PortableServer: Portable {
    let server: ServerPlan

    init(server: ServerPlan) { self.server = server }

    func write(to out: inout WireBytes) {
        let (destination, connection, lists) = (server.destination, server.connection, server.algorithms)
        out.put(destination.host, destination.typedHost, destination.port, destination.user)
        out.put(connection.connectTimeout, connection.serverAliveInterval, connection.serverAliveCountMax)
        out.put(lists.ciphers, lists.macs, lists.keyExchanges, lists.hostKeys, lists.publicKeys)
        out.put(lists.rekeyLimit?.bytes, lists.rekeyLimit?.interval, server.proxyCommand != nil)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        var server = ServerPlan(
            destination: Destination(
                host: try reader.take(), typedHost: try reader.take(), port: try reader.take(), user: try reader.take()),
            home: "")
        server.connection.connectTimeout = try reader.take()
        server.connection.serverAliveInterval = try reader.take()
        server.connection.serverAliveCountMax = try reader.take()
        server.algorithms.ciphers = try reader.take()
        server.algorithms.macs = try reader.take()
        server.algorithms.keyExchanges = try reader.take()
        server.algorithms.hostKeys = try reader.take()
        server.algorithms.publicKeys = try reader.take()
        server.algorithms.rekeyLimit = RekeyLimit(bytes: try reader.take(), interval: try reader.take())
        // Which program it is only its parent knows, who runs it.
        if try reader.boolean() { server.proxyCommand = ProxyCommand(shell: "", text: "") }
        self.server = server
    }
}

extension AlgorithmList: Portable {
    func write(to out: inout WireBytes) { out.put(change.rawValue, names, place) }
    init(from reader: inout WireReader) throws(SSHError) {
        guard let change = Change(rawValue: try reader.take()) else { throw .unreadable }
        self.init(change: change, names: try reader.take(), place: try reader.take())
    }
}

extension Target: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .tcp(let host, let port): out.put(UInt8(0), host, port)
        case .unix(let path): out.put(UInt8(1), path)
        case .requested: out.put(UInt8(2))
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .tcp(host: try reader.take(), port: try reader.take())
        case 1: self = .unix(path: try reader.take())
        case 2: self = .requested
        default: throw .unreadable
        }
    }
}

/// Where it is listened on only its parent knows, but for standard input and output.
extension LocalForward: Portable {
    func write(to out: inout WireBytes) { out.put(isStandardStreams, target, text) }
    init(from reader: inout WireReader) throws(SSHError) {
        let isStandardStreams = try reader.boolean()
        self.init(
            listen: isStandardStreams ? .standardStreams : .loopback(port: 0), target: try reader.take(),
            text: try reader.take())
    }
}

extension ReverseForward: Portable {
    func write(to out: inout WireBytes) {
        switch listen {
        case .tcp(let address, let port): out.put(false, address, port)
        case .unix(let path): out.put(true, path)
        }
        out.put(target, text, permitted)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        let listen: Listen =
            try reader.boolean()
            ? .unix(path: try reader.take()) : .tcp(address: try reader.take(), port: try reader.take())
        self.init(
            listen: listen, target: try reader.take(), text: try reader.take(), permitted: try reader.take())
    }
}

extension PermittedTarget: Portable {
    func write(to out: inout WireBytes) { out.put(host, port) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(host: try reader.take(), port: try reader.take()) }
}
