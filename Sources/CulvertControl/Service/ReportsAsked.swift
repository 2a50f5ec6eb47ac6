internal import CulvertRelay
internal import Synchronization

/// One question to several tunnels how they are: answered once, when all have said it or nobody waits any longer.
final class ReportsAsked: Sendable {
    private struct State {
        var reports: [TunnelReport?]
        var missing: Int
        var hasAnswered = false
    }

    private let state: Mutex<State>
    private let answer: @Sendable ([TunnelReport?]) -> Void

    /// `answer` is called from any thread, with nil for those that have not said anything.
    static func ask(_ tunnels: [ShownTunnel], answer: @escaping @Sendable ([TunnelReport?]) -> Void) -> ReportsAsked {
        let asked = ReportsAsked(tunnels.count, answer)
        for (number, tunnel) in tunnels.enumerated() { tunnel.control.report { asked.came($0, number) } }
        if tunnels.isEmpty { asked.giveUp() }
        return asked
    }

    private init(_ count: Int, _ answer: @escaping @Sendable ([TunnelReport?]) -> Void) {
        state = Mutex(State(reports: Array(repeating: nil, count: count), missing: count))
        self.answer = answer
    }

    private func came(_ report: TunnelReport, _ number: Int) {
        let isWhole = state.withLock { state in
            if state.reports[number] == nil { state.missing -= 1 }
            state.reports[number] = report
            return state.missing == 0
        }
        if isWhole { giveUp() }
    }

    /// Answers with what is there, unless it has answered.
    func giveUp() {
        let reports = state.withLock { state in
            defer { state.hasAnswered = true }
            return state.hasAnswered ? nil : state.reports
        }
        if let reports { answer(reports) }
    }
}
