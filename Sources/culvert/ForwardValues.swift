internal import CulvertConfig
internal import CulvertIO
internal import CulvertRelay

/// Forwards as typed become forwards as the relay knows them.
struct ForwardValues {
    struct Failure: Error {
        let description: String
    }

    let gatewayPorts: Bool
    var family = SocketAddress.Family.any
    var modeMask: UInt32 = 0o177
    var unlinks = false

    func local(_ specification: ForwardSpecification) throws(Failure) -> LocalForward {
        LocalForward(
            addresses: try addresses(specification), target: target(specification.target), unixModeMask: modeMask,
            unlinksFirst: unlinks, text: "\(specification.flag) \(specification.text)")
    }

    func reverse(_ specification: ForwardSpecification) -> ReverseForward {
        let listen: ReverseForward.Listen
        switch specification.listen {
        case .tcp(let bind, let port): listen = .tcp(address: bind.remoteBindAddress, port: port)
        case .unix(let path): listen = .unix(path: path)
        }
        return ReverseForward(
            listen: listen, target: target(specification.target), text: "\(specification.flag) \(specification.text)")
    }

    private func target(_ endpoint: TargetEndpoint) -> Target {
        switch endpoint {
        case .tcp(let host, let port): .tcp(host: host, port: port)
        case .unix(let path): .unix(path: path)
        }
    }

    private func addresses(_ specification: ForwardSpecification) throws(Failure) -> [SocketAddress] {
        switch specification.listen {
        case .unix(let path):
            guard let address = SocketAddress(path: path) else {
                throw Failure(description: "\(specification.flag) \(specification.text): the path is too long")
            }
            return [address]
        case .tcp(let bind, let port):
            do throws(ResolveError) {
                switch bind.localBinding(gatewayPorts: gatewayPorts) {
                case .loopback: return try resolve("127.0.0.1", port, .ipv4) + resolve("::1", port, .ipv6)
                case .everywhere: return try resolve("0.0.0.0", port, .ipv4) + resolve("::", port, .ipv6)
                case .address(let host): return try resolve(host, port, family)
                }
            } catch {
                throw Failure(description: "\(specification.flag) \(specification.text): \(error)")
            }
        }
    }

    /// Nothing for a family that `-4` or `-6` excludes.
    private func resolve(_ host: String, _ port: UInt16, _ wanted: SocketAddress.Family) throws(ResolveError)
        -> [SocketAddress]
    {
        if family != .any && wanted != .any && family != wanted { return [] }
        return try SocketAddress.resolve(host: host, port: port, family: wanted)
    }
}
