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

    private static func clash(_ old: Listener, _ new: Listener) -> Bool {
        let isRemote = new.forward.kind == .remote
        guard (old.forward.kind == .remote) == isRemote else { return false }
        let (one, other) = (old.tunnel.configuration, new.tunnel.configuration)
        if isRemote {
            let isSameServer =
                one.destination.host == other.destination.host && one.destination.port == other.destination.port
            guard isSameServer else { return false }
        }
        switch (old.forward.listen, new.forward.listen) {
        case (.unix(let left), .unix(let right)): return left == right
        case (.tcp(let left, let port), .tcp(let right, let otherPort)):
            // Port 0: the server chooses.
            guard port == otherPort, port != 0 else { return false }
            // What the server makes of an address is its affair.
            if isRemote { return left.remoteBindAddress == right.remoteBindAddress }
            return left.localBinding(gatewayPorts: one.forwarding.gatewayPorts)
                .overlaps(right.localBinding(gatewayPorts: other.forwarding.gatewayPorts))
        case (.unix, _), (.tcp, _), (.standardStreams, _): return false
        }
    }
}

extension LocalBinding {
    /// Whether the two cannot be listened on at one port, as far as that can be told from what was written.
    fileprivate func overlaps(_ other: LocalBinding) -> Bool {
        switch (self, other) {
        case (.everywhere, _), (_, .everywhere), (.loopback, .loopback): true
        case (.address(let address), .loopback), (.loopback, .address(let address)):
            ["127.0.0.1", "::1", "0.0.0.0", "::"].contains(HostName.canonicalAddress(address) ?? address)
        case (.address(let left), .address(let right)):
            (HostName.canonicalAddress(left) ?? left.lowercased())
                == (HostName.canonicalAddress(right) ?? right.lowercased())
        }
    }
}

extension ForwardSpecification {
    /// "-L 5432:db:5432".
    var typed: String { "\(flag) \(text)" }
}
