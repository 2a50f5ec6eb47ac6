internal import CulvertIO

/// Recognises a server that closes connections which carry no channel (UnusedConnectionTimeout, sshd_config(5)): two links
/// running were closed in order after the same time without a channel, give or take a tenth.
struct UnusedTimeout {
    /// A server that ends every link right after its login does so for another reason.
    static let shortest = Tick.Span.seconds(2)

    private var last: Tick.Span?

    /// A link has ended. Returns the time, when it was closed for that.
    mutating func ended(_ life: LinkLife) -> Tick.Span? {
        guard let idle = life.endedUnused, idle >= Self.shortest else {
            last = nil
            return nil
        }
        let before = last
        last = idle
        guard let before, isLike(before, idle) else { return nil }
        return idle
    }

    private func isLike(_ one: Tick.Span, _ other: Tick.Span) -> Bool {
        abs(one.nanoseconds - other.nanoseconds) <= max(one.nanoseconds, other.nanoseconds) / 10
    }
}
