internal import CulvertIO
public import CulvertPlan

/// A tunnel's plan as its files say it now, or why they say none.
public enum RenewedPlan: Sendable {
    case plan(TunnelPlan)
    case failed(String)
}

/// The plan that a tunnel's logins go by. Keys and certificates that live for hours, hosts of a cloud and conditions
/// (`Match exec`) change while a tunnel stands: before each login but the first its files are read again, on a thread that
/// nobody waits for too long. What they say of who logs in where, and of who is trusted, is taken over; a file with an
/// error leaves what was good last.
///
/// Shared by the login threads of a tunnel.
final class PlanRenewal: Sendable {
    /// Programs may be run meanwhile.
    static let patience = Tick.Span.seconds(30)
    /// Threads that wait for files that do not come.
    private static let mostHanging = 4

    private struct State {
        var current: TunnelPlan
        /// Files are being read since then: whoever needs them as well waits for the same.
        var begun: Tick?
        /// Readings that hang: what they find is of no use any more.
        var hanging = 0
        var number = 0
        var readings = 0
        /// Said once, until it is over.
        var told: String?
    }

    private let state: Monitor<State>
    private let read: @Sendable () -> RenewedPlan
    private let journal: Journal
    private let patience: Tick.Span

    init(
        _ plan: TunnelPlan, journal: Journal, patience: Tick.Span = PlanRenewal.patience,
        read: @escaping @Sendable () -> RenewedPlan
    ) {
        state = Monitor(State(current: plan))
        self.read = read
        self.journal = journal
        self.patience = patience
    }

    /// As it was at the last reading.
    var current: TunnelPlan { state.withLock { $0.current } }

    /// The plan of a login that begins now. Waits for the files, and for no longer than for their deadline.
    func renewed() -> TunnelPlan {
        let now = Tick.current()
        let (number, begun, begins) = state.withLock { state in
            // One that hangs, on a file system that is not there, is left to itself, and others are tried.
            if let begun = state.begun, now - begun >= patience, state.hanging < Self.mostHanging {
                state.hanging += 1
                state.begun = nil
            }
            let begins = state.begun == nil
            if begins {
                state.begun = now
                state.number += 1
            }
            return (state.readings, state.begun ?? now, begins ? state.number : nil)
        }
        if let begins { begin(begins) }
        let deadline = begun + patience
        let isRead = state.wait { state in
            if state.readings != number { return .done(true) }
            return Tick.current() < deadline ? .again(by: deadline) : .done(false)
        }
        if !isRead { tell("this takes more than \(Int(patience.seconds)) s") }
        return current
    }

    private func begin(_ number: Int) {
        do throws(IOError) {
            try Thread.start(name: "culvert-files") { [self] in take(read(), of: number) }
        } catch {
            take(.failed("\(error)"), of: number)
        }
    }

    private func take(_ renewed: RenewedPlan, of number: Int) {
        let isWanted = state.withLock { state in
            if state.number == number { return true }
            state.hanging -= 1
            return false
        }
        guard isWanted else { return }
        if case .failed(let reason) = renewed { tell(reason) }
        // In one step: whoever sees the new plan sees that the reading is over, and what is to be said of it was said.
        state.withLock { state in
            let before = state.current.destination
            if case .plan(let plan) = renewed {
                state.current.renewLogin(from: plan)
                state.told = nil
            }
            state.begun = nil
            state.readings += 1
            let now = state.current.destination
            if before != now { journal.info("the configuration leads to \(now) now") }
        }
    }

    private func tell(_ reason: String) {
        let isNews = state.withLock { state in
            defer { state.told = reason }
            return state.told != reason
        }
        if isNews { journal.error("the configuration is not read again, what was good last counts: \(reason)") }
    }
}
