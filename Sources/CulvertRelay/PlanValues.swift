internal import CulvertIO
internal import CulvertPlan

/// What `CulvertIO` makes of a plan's values.
extension Tick.Span {
    init(_ duration: Duration) {
        let parts = duration.components
        self.init(nanoseconds: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
}

extension ConnectionOptions.AddressFamily {
    var socketFamily: SocketAddress.Family {
        switch self {
        case .any: .any
        case .inet: .ipv4
        case .inet6: .ipv6
        }
    }
}

extension IOChoice {
    /// io_uring where it can be had, epoll otherwise, with one line that says why. Throws when io_uring was asked for
    /// by name and cannot be had.
    func driver(_ journal: Journal) throws(IOError) -> DriverKind {
        let asked: DriverKind? =
            switch self {
            case .auto: nil
            case .uring: .uring
            case .epoll: .epoll
            }
        return try DriverKind.choose(asked) { journal.info("io_uring is not available (\($0)): using epoll") }
    }
}
