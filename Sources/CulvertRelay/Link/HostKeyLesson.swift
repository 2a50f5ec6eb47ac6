internal import CulvertSSH

/// How far a link is with learning its server's other host keys (UpdateHostKeys). One step at a time is under way, on a
/// thread of its own; what the server says meanwhile of its keys is let go.
struct HostKeyLesson {
    enum Phase: Equatable {
        case idle
        /// Somebody looks at the files, or asks a person.
        case working
        /// The server has been asked for a proof.
        case asked
    }

    /// nil: nobody learns.
    let keeper: (any HostKeyKeeper)?
    private(set) var phase = Phase.idle

    init(keeper: (any HostKeyKeeper)?) { self.keeper = keeper }

    /// The keeper, where an offer is to be looked at now.
    mutating func begin() -> (any HostKeyKeeper)? {
        guard phase == .idle, let keeper else { return nil }
        phase = .working
        return keeper
    }

    /// What was worked at is done. True: a proof is to be asked for.
    mutating func worked(asks: Bool) -> Bool {
        guard phase == .working else { return false }
        phase = asks ? .asked : .idle
        return asks
    }

    /// The keeper, where the answer is to be looked at.
    mutating func answered() -> (any HostKeyKeeper)? {
        guard phase == .asked, let keeper else { return nil }
        phase = .working
        return keeper
    }

    /// No thread could be had.
    mutating func giveUp() { phase = .idle }
}
