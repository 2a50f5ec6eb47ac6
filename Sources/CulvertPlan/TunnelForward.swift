/// One forward of a tunnel, whichever end it listens at.
public enum TunnelForward: Hashable, Sendable {
    case direct(LocalForward)
    case reverse(ReverseForward)

    /// The same forward, however it was typed: it listens at the same place and leads to the same target.
    public func isSame(as other: TunnelForward) -> Bool {
        switch (self, other) {
        case (.direct(let one), .direct(let two)): one.listen.isSame(as: two.listen) && one.target == two.target
        case (.reverse(let one), .reverse(let two)): one.listen == two.listen && one.target == two.target
        case (.direct, .reverse), (.reverse, .direct): false
        }
    }
}

extension LocalForward.Listen {
    fileprivate func isSame(as other: LocalForward.Listen) -> Bool {
        if case .unix(let path, _, _) = self, case .unix(path, _, _) = other { return true }
        return self == other
    }
}
