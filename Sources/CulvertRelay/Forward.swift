internal import CulvertPlan
internal import CulvertSSH

extension ForwardRequest {
    /// 0: the peer is to choose, or it is a path.
    var port: UInt16 {
        if case .tcp(_, let port) = self { port } else { 0 }
    }
}

extension ReverseForward {
    /// As the server is asked for it.
    var request: ForwardRequest {
        switch listen {
        case .tcp(let address, let port): .tcp(address: address, port: port)
        case .unix(let path): .streamLocal(path: path)
        }
    }

    /// With a port that is asked for where the server may choose.
    func request(port chosen: UInt16?) -> ForwardRequest {
        if case .tcp(let address, 0) = listen, let chosen { return .tcp(address: address, port: chosen) }
        return request
    }

    /// Asked for at the server's own loopback, or at a path, which no other host reaches.
    var isLoopback: Bool {
        switch listen {
        case .tcp(let address, _): ["localhost", "127.0.0.1", "::1"].contains(address)
        case .unix: true
        }
    }

    var listenDescription: String {
        switch listen {
        case .tcp(let address, let port): "\(address.isEmpty ? "*" : address):\(port)"
        case .unix(let path): path
        }
    }

    func permits(_ request: SocksRequest) -> Bool {
        permitted?.contains { $0.covers(host: request.host, port: request.port) } ?? true
    }
}
