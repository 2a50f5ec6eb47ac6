internal import CulvertIO
internal import CulvertPlan

/// The addresses of one forward's target, and who waits for them.
struct TargetCache<Waiter> {
    /// A name's addresses are believed for this long: short enough to follow a failover, long enough that a burst of
    /// connections asks once.
    static var lifetime: Tick.Span { .seconds(5) }

    let target: Target
    /// Where it is known without asking: a number or a path.
    private var fixed: [SocketAddress] = []
    private var looked: [SocketAddress] = []
    private var lookedAt = Tick(nanoseconds: 0)
    var isAsked = false
    /// Who waits for the answer.
    var waiting: [Waiter] = []

    init(_ target: Target) {
        self.target = target
        switch target {
        case .unix(let path):
            if let address = SocketAddress(path: path) { fixed = [address] }
        case .requested: break
        case .tcp(let host, let port):
            if let numeric = try? SocketAddress.resolve(host: host, port: port, numeric: true) { fixed = numeric }
        }
    }

    /// nil: a name must be looked up.
    func addresses(now: Tick) -> [SocketAddress]? {
        if !fixed.isEmpty { return fixed }
        if case .unix = target { return [] }
        guard !looked.isEmpty, now - lookedAt < Self.lifetime else { return nil }
        return looked
    }

    /// The answer has come. Returns who waited for it.
    mutating func learn(_ addresses: [SocketAddress], now: Tick) -> [Waiter] {
        looked = addresses
        lookedAt = now
        isAsked = false
        defer { waiting = [] }
        return waiting
    }
}
