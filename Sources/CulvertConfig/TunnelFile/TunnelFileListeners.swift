internal import CulvertPlan

/// Where the tunnels of a file listen, to find two that want the same place: only one of them could have it, and the
/// other would try again for ever.
///
/// Addresses are compared as they were written: names are not looked up, so two of one address are not found.
struct TunnelFileListeners {
    private struct Listener {
        let forward: ForwardSpecification
        let tunnel: TunnelFile.Entry
        let place: TextPosition
    }

    private var all: [Listener] = []

    /// Why the forward cannot listen beside those that were added before; nil: it can.
    mutating func add(_ forward: ForwardSpecification, of tunnel: TunnelFile.Entry, at place: TextPosition) -> String? {
        let new = Listener(forward: forward, tunnel: tunnel, place: place)
        defer { all.append(new) }
        guard let old = all.first(where: { Self.clash($0, new) }) else { return nil }
        let owner = old.tunnel.name == tunnel.name ? "" : " of \(old.tunnel.name)"
        return "\(forward.typed) listens where \(old.forward.typed)\(owner) at line \(old.place.line), column"
            + " \(old.place.column) does: only one of them can"
    }

    /// The way to the machine, in words: the same name behind another hop is another machine.
    private static func server(_ configuration: TunnelConfiguration) -> [String] {
        let plan = configuration.plan
        return (plan.hops + [plan.server]).map { "\($0.destination.host) \($0.destination.port)" }
            + [plan.server.proxyCommand?.text ?? ""]
    }

    private static func clash(_ old: Listener, _ new: Listener) -> Bool {
        let isRemote = new.forward.kind == .remote
        guard (old.forward.kind == .remote) == isRemote else { return false }
        let (one, other) = (old.tunnel.configuration, new.tunnel.configuration)
        if isRemote {
            guard Self.server(one) == Self.server(other) else { return false }
        }
        switch (old.forward.listen, new.forward.listen) {
        case (.unix(let left), .unix(let right)): return left == right
        case (.tcp(let left, let port), .tcp(let right, let otherPort)):
            // Port 0: whoever listens chooses.
            guard port == otherPort, port != 0 else { return false }
            // What the server makes of an address is its affair.
            if isRemote { return left.remoteBindAddress == right.remoteBindAddress }
            let mine = left.localBinding(gatewayPorts: one.forwarding.gatewayPorts)
                .addresses(one.plan.server.connection.addressFamily)
            let theirs = right.localBinding(gatewayPorts: other.forwarding.gatewayPorts)
                .addresses(other.plan.server.connection.addressFamily)
            return mine.contains { address in theirs.contains { address.overlaps($0) } }
        case (.unix, _), (.tcp, _), (.standardStreams, _): return false
        }
    }
}

extension LocalBinding {
    /// What is listened on, as far as that can be told from what was written.
    fileprivate func addresses(_ family: ConnectionOptions.AddressFamily) -> [WrittenAddress] {
        func both(_ ipv4: String, _ ipv6: String) -> [WrittenAddress] {
            let texts = (family != .inet6 ? [ipv4] : []) + (family != .inet ? [ipv6] : [])
            return texts.map(WrittenAddress.init)
        }
        return switch self {
        case .loopback: both("127.0.0.1", "::1")
        case .everywhere: both("0.0.0.0", "::")
        case .address(let address): [WrittenAddress(text: HostName.canonicalAddress(address) ?? address.lowercased())]
        }
    }
}

/// An address, or a name whose addresses are not known.
private struct WrittenAddress {
    let text: String

    private var isIPv6: Bool { text.contains(":") }
    private var isIPv4: Bool { !isIPv6 && HostName.canonicalAddress(text) != nil }

    /// Whether the two cannot be listened on at one port.
    func overlaps(_ other: WrittenAddress) -> Bool {
        if text == other.text { return true }
        let pair = [self, other]
        return pair.allSatisfy(\.isIPv4) && pair.contains { $0.text == "0.0.0.0" }
            || pair.allSatisfy(\.isIPv6) && pair.contains { $0.text == "::" }
    }
}
