/// A link of a pool, from the beginning of its login on: its place there, and a serial number that no other link of the
/// pool ever has. So what is said of a link is never taken to be about the one that has its place now.
struct LinkID: Hashable, Sendable, CustomStringConvertible {
    /// 0..<`--links`.
    let place: Int
    let serial: UInt64

    /// The first login of its tunnel.
    var isFirst: Bool { serial == 1 }

    var description: String { "link \(place).\(serial)" }
}

/// One of a tunnel's workers, or of a relay's.
struct WorkerID: Hashable, Sendable {
    /// 0..<the number of workers: where its mailbox stands.
    let number: Int

    init(_ number: Int) { self.number = number }
}
