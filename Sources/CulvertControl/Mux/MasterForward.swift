internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// A port at the server that a running master has asked it to listen on for us: what comes there the master connects to a
/// socket of ours.
struct MasterForward {
    let request: ForwardRequest
    let mux: MuxForward
    let listener: ControlListener
    /// Where the server listens; 0 for a Unix socket, and until it is known.
    var port: UInt16

    /// Throws where there is no place for the socket.
    init(_ request: ForwardRequest, at path: String) throws(IOError) {
        guard let address = SocketAddress(path: path) else { throw IOError(ENAMETOOLONG, "listen") }
        listener = try ControlListener(at: address)
        self.request = request
        let listen: MuxForward.End
        switch request {
        case .tcp(let host, let wanted):
            // Where nothing is said a master means the loopback.
            listen = MuxForward.End(host: host.isEmpty ? "*" : host, port: wanted)
            port = wanted
        case .streamLocal(let path):
            listen = MuxForward.End(host: path, port: nil)
            port = 0
        }
        mux = MuxForward(kind: .remote, listen: listen, connect: MuxForward.End(host: path, port: nil))
    }

    /// Whether the link means it, which names it by the port that stands.
    func isMeant(by other: ForwardRequest) -> Bool {
        switch request {
        case .tcp(let address, _): other == .tcp(address: address, port: port)
        case .streamLocal: other == request
        }
    }

    /// What the link is told of a connection that has come there; who connected only the master knows.
    var opening: ChannelOpenRequest {
        switch request {
        case .tcp(let address, _):
            .forwardedTCPIP(address: address, port: port, originator: "127.0.0.1", originatorPort: 0)
        case .streamLocal(let path): .forwardedStreamLocal(path: path)
        }
    }
}

/// A Unix socket that a running master listens on for us: what connects there goes to one target at the server.
struct MasterDoor {
    let mux: MuxForward
    let address: SocketAddress
    /// The master listens.
    var stands = false
    /// Channels that wait for that, or for room in the master's queue, and since when.
    var waiting: [(channel: ChannelNumber, since: Tick)] = []
    var flows = 0

    var path: String { mux.listen.host }

    /// Throws where there is no place for the socket.
    init(to target: MuxForward.End, at path: String) throws(IOError) {
        guard let address = SocketAddress(path: path) else { throw IOError(ENAMETOOLONG, "listen") }
        self.address = address
        mux = MuxForward(kind: .local, listen: MuxForward.End(host: path, port: nil), connect: target)
    }
}
