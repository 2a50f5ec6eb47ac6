internal import CulvertPlan

/// The forwards of a tunnel by their names: those of its plan, and those that were added since.
///
/// Invariant: a name means the same forward for as long as the process lives, since connections keep it. One that was
/// cancelled and is added again has its old name, so that only forwards that are new take room.
struct TunnelForwards: Sendable {
    /// More different forwards than any process is asked for, and few enough that nobody can fill the memory with them.
    static let most = 16_384

    private(set) var direct: [LocalForward]
    private(set) var reverse: [ReverseForward]

    init(_ plan: TunnelPlan) {
        direct = plan.forwards
        reverse = plan.reverse
    }

    /// nil: there never was one.
    func name(of forward: TunnelForward) -> ForwardID? {
        switch forward {
        case .direct:
            direct.firstIndex { TunnelForward.direct($0).isSame(as: forward) }.map { .direct(DirectID(index: $0)) }
        case .reverse:
            reverse.firstIndex { TunnelForward.reverse($0).isSame(as: forward) }.map { .reverse(ReverseID(index: $0)) }
        }
    }

    /// Whether there is room for one more.
    var hasRoom: Bool { direct.count + reverse.count < Self.most }

    /// `forward` is one that has no name.
    mutating func add(_ forward: TunnelForward) -> ForwardID {
        precondition(hasRoom, "somebody has looked whether there is room")
        switch forward {
        case .direct(let one):
            direct.append(one)
            return .direct(DirectID(index: direct.count - 1))
        case .reverse(let one):
            reverse.append(one)
            return .reverse(ReverseID(index: reverse.count - 1))
        }
    }
}
