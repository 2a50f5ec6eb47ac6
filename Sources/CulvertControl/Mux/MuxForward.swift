internal import CulvertConfig
internal import CulvertPlan
internal import CulvertSSH

/// A forward as OpenSSH's mux protocol writes it (PROTOCOL.mux, 6).
struct MuxForward: Hashable {
    enum Kind: UInt32 {
        case local = 1
        case remote = 2
        case dynamic = 3
    }

    /// A host and its port, or a path in the host's place.
    struct End: Hashable {
        /// In a port's place: the host is the path of a Unix socket.
        static let pathMark: UInt32 = 0xffff_fffe

        var host: String
        /// nil: a path.
        var port: UInt16?

        /// What it leads to, where it is one that can be dialled.
        var target: Target { port.map { .tcp(host: host, port: $0) } ?? .unix(path: host) }

        var mark: UInt32 { port.map(UInt32.init) ?? Self.pathMark }
    }

    var kind: Kind
    var listen: End
    var connect: End

    /// Port 0, and a listener that takes one: whoever listens chooses, and says which.
    var leavesChoice: Bool { listen.port == 0 }
}

// MARK: As it was typed

extension MuxForward {
    /// As a client of ssh's sends it. nil for `-W`, which is no forward of a master's.
    init?(_ specification: ForwardSpecification) {
        switch specification.kind {
        case .local: kind = .local
        case .remote: kind = .remote
        case .dynamic: kind = .dynamic
        case .streams: return nil
        }
        switch specification.listen {
        case .tcp(let bind, let port): listen = End(host: bind.muxText, port: port)
        case .unix(let path): listen = End(host: path)
        case .standardStreams: return nil
        }
        switch specification.target {
        case .tcp(let host, let port): connect = End(host: host, port: port)
        case .unix(let path): connect = End(host: path)
        case .requested: connect = End(host: "socks", port: 0)
        }
    }

    /// What it means for a tunnel; nil for one that cannot be, as ssh judges it.
    func meaning(_ options: ForwardingOptions) -> TunnelForward? {
        let target: Target
        switch (kind, connect.port) {
        case (.dynamic, _), (.remote, 0): target = .requested
        case (_, nil): target = .unix(path: connect.host)
        case (.local, 0): return nil
        case (_, let port?): target = .tcp(host: connect.host, port: port)
        }
        guard isPossible(target) else { return nil }
        let endpoint: ListenEndpoint
        if let port = listen.port {
            endpoint = .tcp(bind: BindAddress(muxText: listen.host), port: port)
        } else {
            guard kind != .dynamic else { return nil }
            endpoint = .unix(path: listen.host)
        }
        let kinds: [Kind: ForwardSpecification.Kind] = [.local: .local, .remote: .remote, .dynamic: .dynamic]
        guard let known = kinds[kind] else { return nil }
        let specification = ForwardSpecification(kind: known, listen: endpoint, target: target, text: text)
        return kind == .remote
            ? .reverse(specification.reverseForward(options)) : .direct(specification.localForward(options))
    }

    private func isPossible(_ target: Target) -> Bool {
        func isText(_ end: End) -> Bool {
            let count = end.host.utf8.count
            return end.port == nil
                ? (1...ForwardParser.maximumPathLength).contains(count) : count <= ForwardParser.maximumHostLength
        }
        return isText(listen) && isText(connect) && (target == .requested || !connect.host.isEmpty)
    }

    /// As one would have typed it; escaped, since it comes from elsewhere and goes to logs.
    var text: String {
        func shown(_ end: End) -> String {
            guard let port = end.port else { return end.host }
            if end.host.isEmpty { return "\(port)" }
            return end.host.contains(":") ? "[\(end.host)]:\(port)" : "\(end.host):\(port)"
        }
        let isOneSided = kind == .dynamic || kind == .remote && connect.port == 0
        return PeerText(isOneSided ? shown(listen) : "\(shown(listen)):\(shown(connect))").description
    }
}

extension BindAddress {
    /// Nothing is written where nothing was typed; "*" for every address.
    fileprivate var muxText: String {
        switch self {
        case .default: ""
        case .everywhere: "*"
        case .loopback: "localhost"
        case .address(let address): address
        }
    }

    fileprivate init(muxText text: String) {
        switch text {
        case "": self = .default
        case "*": self = .everywhere
        case "localhost": self = .loopback
        default: self = .address(text)
        }
    }
}
