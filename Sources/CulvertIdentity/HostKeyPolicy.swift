internal import CulvertPlan

/// What to do with a host key, from what is known of it. Pure: the same answer for the same facts.
enum HostKeyPolicy {
    enum Decision: Hashable, Sendable {
        case trust
        case ask
        /// Trust it and write it down, without a question.
        case add
        case refuse(Refusal)
    }

    enum Refusal: Hashable, Sendable {
        case changed(KnownHosts.Entry)
        /// Unknown to the files, and another one was accepted earlier in this process.
        case changedSinceAccepted(PublicKey)
        case revoked(KnownHosts.Place)
        /// The authority of its certificate is.
        case authorityRevoked(PublicKey, KnownHosts.Place)
        case unknown
    }

    /// - Parameter accepted: the keys that this process accepted for the host before, or that its server proved.
    /// - Parameter mayAsk: somebody is there to answer.
    static func decide(
        _ key: PublicKey, verdict: KnownHosts.Verdict, accepted: IdentityMemory.TrustedKeys,
        checking: HostKeyOptions.Checking, mayAsk: Bool
    ) -> Decision {
        switch verdict {
        case .revoked(let place): return .refuse(.revoked(place))
        case .known: return .trust
        // The file may be one that could not be written.
        case .changed(let entry):
            return accepted.areProved && accepted.keys.contains(key) ? .trust : .refuse(.changed(entry))
        case .unknown: break
        }
        if let first = accepted.keys.first {
            guard accepted.keys.contains(key) else { return .refuse(.changedSinceAccepted(first)) }
            return checking == .yes && !accepted.areProved ? .refuse(.unknown) : .trust
        }
        return switch checking {
        case .yes: .refuse(.unknown)
        case .ask: mayAsk ? .ask : .refuse(.unknown)
        case .acceptNew, .no: .add
        }
    }
}
