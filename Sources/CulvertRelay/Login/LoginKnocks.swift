internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// One login as the process's budget of knocks sees it: asks for leave before each knock, and remembers at which door it
/// stands. Used by the login's thread alone; the login is over for the budget when this goes.
final class LoginKnocks {
    private let budget: Guarded<KnockBudget>
    private let limit: KnockLimit
    private let ticket: KnockBudget.Ticket
    /// Every address that it was to connect to.
    private(set) var addresses: [SocketAddress] = []
    /// Where its connection stands; nil while it has none, and over a ProxyCommand.
    private(set) var door: SocketAddress?
    private(set) var secret = SecretUse.none

    init(_ budget: Guarded<KnockBudget>, _ limit: KnockLimit, isFirst: Bool) {
        self.budget = budget
        self.limit = limit
        ticket = budget.withLock { $0.beginLogin(isFirst: isFirst) }
    }

    deinit { budget.withLock { [ticket] in $0.finished(ticket) } }

    /// At whichever hop.
    func handedOutSecret() { secret = .handedOut }

    func intends(_ addresses: [SocketAddress]) { self.addresses = addresses }

    func ask(_ address: SocketAddress, _ knock: Knock) -> KnockAnswer {
        budget.withLock { [ticket, limit] in $0.ask(knock, at: address, of: ticket, limit: limit, now: .current()) }
    }

    /// Called before a person is asked.
    var asksPerson: @Sendable () -> Void { { [budget, ticket] in budget.withLock { $0.waitsForPerson(ticket) } } }

    func stands(at address: SocketAddress?) { door = address }

    /// It came to nothing.
    func failed() {
        let tried = door.map { [$0] } ?? addresses
        budget.withLock { for address in tried { $0.failed(at: address) } }
    }
}

/// A login that came to nothing.
struct LoginFailure: Error {
    let error: SSHError
    /// It came to judge the server's key, and another beside it was over by that.
    var hasWon = false
    /// Where it knocked, or was about to.
    var addresses: [SocketAddress] = []
    var secret = SecretUse.none
}
