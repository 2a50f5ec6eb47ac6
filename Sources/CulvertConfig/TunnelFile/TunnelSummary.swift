internal import CulvertPlan

extension TunnelConfiguration {
    /// What the tunnel would do, a line each, for a person.
    public var summary: [String] {
        let server = plan.server
        var lines = [
            "connects to \(Self.text(server.destination))\(plan.links > 1 ? " with \(plan.links) links" : "")"
        ]
        for hop in plan.hops { lines.append("through \(Self.text(hop.destination))\(Self.text(hop.proxyCommand))") }
        lines[0] += Self.text(server.proxyCommand)
        for forward in forwards { lines.append("\(forward.typed): \(effect(of: forward))") }
        lines.append("logs in with \(loginText)")
        lines.append("knows the server by \(hostKeyText)")
        return (lines + notes.map { "note: \($0)" }).map(\.oneLine)
    }

    private static func text(_ command: ProxyCommand?) -> String {
        command.map { " over the command \($0.text)" } ?? ""
    }

    private static func text(_ destination: Destination) -> String {
        let name = destination.typedHost == destination.host ? "" : " (\(destination.typedHost))"
        return "\(destination.user) at \(destination.host)\(name) port \(destination.port)"
    }

    private func effect(of forward: ForwardSpecification) -> String {
        let target = forward.target == .requested ? "what each client asks for in SOCKS" : "\(forward.target)"
        switch forward.kind {
        case .local, .dynamic: return "listens here on \(local(forward.listen)), and the server dials \(target)"
        case .remote: return "the server listens on \(remote(forward.listen)), and \(target) is dialled from here"
        case .streams: return "standard input and output, and the server dials \(target)"
        }
    }

    private func local(_ listen: ListenEndpoint) -> String {
        switch listen {
        case .unix(let path): return path
        case .standardStreams: return "nothing"
        case .tcp(let bind, let port):
            switch bind.localBinding(gatewayPorts: forwarding.gatewayPorts) {
            case .loopback: return port == 0 ? "loopback, \(Self.text(port))" : "loopback port \(port)"
            case .everywhere: return "every address, \(Self.text(port))"
            case .address(let address):
                return port == 0 ? "\(address), \(Self.text(port))" : "\(address) port \(port)"
            }
        }
    }

    private static func text(_ port: UInt16) -> String { port == 0 ? "a port of its choice" : "port \(port)" }

    private func remote(_ listen: ListenEndpoint) -> String {
        switch listen {
        case .unix(let path): return path
        case .standardStreams: return "nothing"
        case .tcp(let bind, let port):
            let address = bind.remoteBindAddress
            let place = address.isEmpty ? "every address that its GatewayPorts allows" : address
            return "\(place), \(Self.text(port))"
        }
    }

    private var loginText: String {
        var ways: [String] = []
        let login = plan.server.login
        switch login.identityFiles {
        case .defaults: ways.append("the usual keys in ~/.ssh")
        case .listed(let files): ways += files
        }
        ways += login.certificateFiles
        if let agent = login.agentSocket { ways.append("the agent at \(agent)") }
        return ways.isEmpty ? "no key" : ways.joined(separator: ", ")
    }

    private var hostKeyText: String {
        let hostKeys = plan.server.hostKeys
        let name = hostKeys.alias.map { " as \($0)" } ?? ""
        let files = hostKeys.userKnownHostsFiles + hostKeys.globalKnownHostsFiles
        return "\(files.isEmpty ? "no file" : files.joined(separator: ", "))\(name)"
            + " (StrictHostKeyChecking \(hostKeys.checking.rawValue))"
    }
}
