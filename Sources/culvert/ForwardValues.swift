internal import CulvertConfig
internal import CulvertRelay

/// Forwards as typed become forwards as the relay knows them.
struct ForwardValues {
    let gatewayPorts: Bool
    var modeMask: UInt32 = 0o177
    var unlinksFirst = false
    var permitted: [PermittedTarget]?

    func local(_ specification: ForwardSpecification) -> LocalForward {
        LocalForward(
            listen: listen(specification.listen), target: target(specification.target),
            text: "\(specification.flag) \(specification.text)")
    }

    func reverse(_ specification: ForwardSpecification) -> ReverseForward {
        let listen: ReverseForward.Listen
        switch specification.listen {
        case .tcp(let bind, let port): listen = .tcp(address: bind.remoteBindAddress, port: port)
        case .unix(let path): listen = .unix(path: path)
        case .standardStreams: preconditionFailure("the server listens on no standard streams")
        }
        return ReverseForward(
            listen: listen, target: target(specification.target), text: "\(specification.flag) \(specification.text)",
            permitted: permitted?.map { RemoteOpenPermission(host: $0.host, port: $0.port) })
    }

    private func listen(_ endpoint: ListenEndpoint) -> LocalForward.Listen {
        switch endpoint {
        case .unix(let path): .unix(path: path, modeMask: modeMask, unlinksFirst: unlinksFirst)
        case .standardStreams: .standardStreams
        case .tcp(let bind, let port):
            switch bind.localBinding(gatewayPorts: gatewayPorts) {
            case .loopback: .loopback(port: port)
            case .everywhere: .everywhere(port: port)
            case .address(let host): .address(host, port: port)
            }
        }
    }

    private func target(_ endpoint: TargetEndpoint) -> Target {
        switch endpoint {
        case .tcp(let host, let port): .tcp(host: host, port: port)
        case .unix(let path): .unix(path: path)
        case .requested: .requested
        }
    }
}

extension RuntimeSettings {
    init(_ options: RuntimeOptions) {
        self.init()
        switch options.io {
        case .auto: driver = .auto
        case .uring: driver = .uring
        case .epoll: driver = .epoll
        }
        threads = options.threads
        memory = options.memory
    }
}
