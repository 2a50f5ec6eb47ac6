internal import CulvertIO
internal import CulvertSSH

/// The logins of one place of a pool that run side by side, because the first fell silent. The first that comes to judge the
/// server's key goes on, and the others are over: so nobody is asked twice, and no credential is used twice.
///
/// Shared by their threads and the control thread.
final class LoginRace: Sendable {
    private struct State {
        var winner: LinkID?
        /// A duplicate of each login's socket, which is its own until the login gives it up.
        var sockets: [LinkID: Descriptor] = [:]
    }

    private let state = Guarded(State())

    deinit { for (_, socket) in state.withLock({ $0.sockets }) { SocketOption.close(socket) } }

    /// The login has a connection. Where there is no duplicate to be had it is not cut, and ends by its own times.
    func runs(_ login: LinkID, over descriptor: Descriptor) {
        guard let socket = SocketOption.duplicate(descriptor) else { return }
        state.withLock { state in
            if let winner = state.winner, winner != login { SocketOption.cut(socket) }
            state.sockets[login] = socket
        }
    }

    /// The login is over, or its connection another's.
    func leaves(_ login: LinkID) {
        if let socket = state.withLock({ $0.sockets.removeValue(forKey: login) }) { SocketOption.close(socket) }
    }

    /// The login is about to judge the server's key. Throws where another did.
    func wins(_ login: LinkID) throws(SSHError) {
        let isWinner = state.withLock { state in
            if let winner = state.winner { return winner == login }
            state.winner = login
            for (other, socket) in state.sockets where other != login { SocketOption.cut(socket) }
            return true
        }
        guard isWinner else { throw SSHError(.transport, "another login was quicker") }
    }

    func isLost(_ login: LinkID) -> Bool { state.withLock { $0.winner != nil && $0.winner != login } }
    func isWon(by login: LinkID) -> Bool { state.withLock { $0.winner == login } }

    /// It is connected, and waits for the server.
    func isWaiting(_ login: LinkID) -> Bool { state.withLock { $0.winner == nil && $0.sockets[login] != nil } }
}

/// One login as its race sees it: until the server's key is to be judged, silence is told. Its own thread's alone.
struct LoginWatch {
    let login: LinkID
    let race: LoginRace
    /// A server that says nothing for so long, before that, is tried once more.
    var patience = Tick.Span.seconds(5)
    /// Told once a silence.
    let fellSilent: () -> Void

    func runs(over descriptor: Descriptor) { race.runs(login, over: descriptor) }
    func leaves() { race.leaves(login) }
    func judges() throws(SSHError) { try race.wins(login) }

    /// Nobody has come to judge the server's key.
    var isOpen: Bool { race.isWaiting(login) }
    var isOver: Bool { race.isLost(login) }
}
