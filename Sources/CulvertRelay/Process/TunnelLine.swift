internal import CulvertIO

/// What others have of a tunnel for as long as the process lives: its control thread's mailbox while it runs, and its last
/// words from then on. The mailbox goes with the tunnel, and with it what came into it too late: a link that logged in
/// meanwhile is closed.
final class TunnelLine: Sendable {
    private enum State: Sendable {
        case runs(Mailbox<ControlMessage>)
        case over(TunnelReport)
    }

    private let state: Guarded<State>

    init(_ control: Mailbox<ControlMessage>) { state = Guarded(.runs(control)) }

    /// Nobody hears it once the tunnel is over.
    func post(_ message: ControlMessage) {
        if case .runs(let control) = state.withLock({ $0 }) { control.post(message) }
    }

    func report(to answer: @escaping @Sendable (TunnelReport) -> Void) {
        switch state.withLock({ $0 }) {
        case .runs(let control): control.post(.report(answer: answer))
        case .over(let last): answer(last)
        }
    }

    func end(_ last: TunnelReport) { state.withLock { $0 = .over(last) } }
}
