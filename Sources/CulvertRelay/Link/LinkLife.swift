internal import CulvertIO

/// What a link's life has shown by its end, as far as the pool asks: whether it was of use, and whether its server ends
/// links that are of none.
struct LinkLife: Equatable, Sendable {
    /// Payload went through it, in either direction.
    var hasCarried = false
    /// nil: it did not end so.
    var endedUnused: Tick.Span?

    init() {}

    /// `closedByServer`: the server has closed the connection in order. `idleSince`: no channel has been open since then;
    /// nil while one is.
    init(hasCarried: Bool, closedByServer: Bool, idleSince: Tick?, now: Tick) {
        self.hasCarried = hasCarried
        if closedByServer, let idleSince { endedUnused = now - idleSince }
    }
}
