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

    /// - Parameter accepted: the key that this process accepted for the host before.
    /// - Parameter mayAsk: somebody is there to answer.
    static func decide(
        _ key: PublicKey, verdict: KnownHosts.Verdict, accepted: PublicKey?,
        checking: HostKeyOptions.Checking, mayAsk: Bool
    ) -> Decision {
        switch verdict {
        case .revoked(let place): return .refuse(.revoked(place))
        case .changed(let entry): return .refuse(.changed(entry))
        case .known: return .trust
        case .unknown: break
        }
        if let accepted, accepted != key { return .refuse(.changedSinceAccepted(accepted)) }
        switch checking {
        case .yes: return .refuse(.unknown)
        case .ask: return accepted != nil ? .trust : mayAsk ? .ask : .refuse(.unknown)
        case .acceptNew, .no: return accepted != nil ? .trust : .add
        }
    }
}
