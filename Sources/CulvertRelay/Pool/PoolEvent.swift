internal import CulvertIO
internal import CulvertSSH

/// What happens to a pool. Of a link that is not the pool's any more nothing counts.
enum PoolEvent: Sendable {
    /// Once, before everything else.
    case begun
    case loggedIn(LinkID, summary: String)
    /// `hasWon`: a login beside it was over before, because this one had come further.
    case loginFailed(LinkID, SSHError, secret: SecretUse = .none, hasWon: Bool = false)
    /// Before the server's key was judged: nothing comes, or the network is another now.
    case loginSilent(LinkID)
    case linkLost(LinkID, reason: String, life: LinkLife = LinkLife())
    case linkSuspect(LinkID)
    case linkRecovered(LinkID)
    case reverseAnswered(LinkID, forward: ReverseID, ReverseAnswer)
    case nodelayRefused
    case questionsUnanswered
    case connectionWaits
    case streamsEnded(cleanly: Bool)
    /// The answer to `.countFlows`: so many are open.
    case flows(Int)
    /// The answer to `.openListeners`: each forward that was named there.
    case listenersOpened([ListenerAnswer])
    /// The kernel has news of interfaces, addresses or routes.
    case networkChanged
    /// The machine was suspended.
    case slept
    /// The tunnel is to end.
    case stopOrdered
    /// Somebody wants a forward added or cancelled: answered by `.answer`.
    case changeOrdered(ChangeID, PoolChange)
    /// The answer to `.closeListeners`.
    case listenersClosed(DirectID)
    /// Somebody wants to know how all is: answered by `.report`, once the workers have said it.
    case reportWanted
    case reported(WorkerID, WorkerReport)
    case workerStopped(WorkerID)
    case workerFailed(WorkerID, IOError)
    /// After everything that was read at a time, and whenever `nextMoment` has come.
    case timePassed
}

/// One change that was ordered.
struct ChangeID: Hashable, Sendable, BitwiseCopyable {
    let number: UInt64
}

/// A change to the forwards of a pool. New names follow those that it has.
enum PoolChange: Hashable, Sendable {
    /// `choosesPort`: the kernel chooses it.
    case listen(DirectID, choosesPort: Bool)
    case unlisten(DirectID)
    case ask(ReverseID)
    case cancel(ReverseID)
}

/// Whether a login handed out what may not be tried again and again.
enum SecretUse: Equatable, Sendable {
    case none
    /// A password, or answers of a person's or a token's.
    case handedOut
}

/// What became of the opening of one forward's listeners.
struct ListenerAnswer: Sendable {
    let forward: DirectID
    /// Where it is listened on, or why it is not.
    let outcome: Result<[SocketAddress], Listening.Failure>
}

/// What a pool wants done, in this order.
enum PoolAction: Equatable, Sendable {
    /// Answered by `.loggedIn` or `.loginFailed` with the same name. `beside`: one that fell silent; whichever comes to
    /// judge the server's key first ends the other.
    case beginLogin(LinkID, mayPrompt: Bool, beside: LinkID? = nil)
    /// The network has changed under that login: answered by `.loginSilent` where it waits for the server's first words.
    case doubtLogin(LinkID)
    /// The link whose login was told goes to its worker, to ask for these reverse forwards.
    case deliver(LinkID, reverse: [ReverseID])
    /// The link whose login was told is not wanted.
    case drop(LinkID)
    /// Of these direct forwards. Answered by `.listenersOpened`.
    case openListeners([DirectID])
    /// Standard input and output become a flow of this link, which was delivered.
    case carryStreams(LinkID)
    case post(WorkerOrder)
    /// What became of a change that was ordered; the last word about it.
    case answer(ChangeID, ForwardAnswer)
    /// For those who wanted one.
    case report(PoolReport)
    /// Answered by `.flows`.
    case countFlows
    /// The link has proved itself: the address where it stands owes nothing to the budget of knocks.
    case settled(LinkID, KnockBudget.Settling)
    /// The link ended before that.
    case unsettled(LinkID)
    /// To the process.
    case tell(TunnelNews)
    /// To people.
    case say(PoolNews)
    /// The last one.
    case end(Ending)
}

/// What people may want to know of a pool. The words are the narrator's.
enum PoolNews: Equatable, Sendable {
    /// Before the first success; the next try follows.
    case firstLoginFailed(SSHError, again: Tick.Span)
    /// Before the first success; the tunnel ends.
    case loginGivenUp(SSHError)
    /// `isOldNews`: the same was said often enough already.
    case loginFailed(SSHError, again: Tick.Span, isOldNews: Bool)
    /// Another login is begun beside one that fell silent.
    case loginSilent
    case connected(summary: String)
    case back(place: Int, after: Tick.Span?, summary: String)
    case lost(place: Int, reason: String)
    /// The server has closed a link that nobody used, as it closes all.
    case closedUnused(place: Int, after: Tick.Span)
    /// The server does so to links that have reverse forwards, and need to stand, too.
    case closesUnused(after: Tick.Span)
    /// The tunnel ends with it (`-W`).
    case lostForGood(reason: String)
    case silent
    case answersAgain
    case nodelayRefused
    case questionsUnanswered
    case checksLinks(PathDoubt)
    case listening(forward: DirectID, SocketAddress)
    /// The kernel chose the port of a forward.
    case allocated(forward: DirectID, port: UInt16)
    case listenerFailed(forward: DirectID, reason: String)
    case listenerStillFails(forward: DirectID, reason: String)
    case reverseStands(forward: ReverseID, port: UInt16)
    case reverseFailed(forward: ReverseID, ReverseAnswer)
    case reverseStillFails(forward: ReverseID)
    /// A forward was cancelled.
    case listensNoMore(forward: DirectID)
    case reverseCancelled(forward: ReverseID)
    /// The tunnel ends: a forward failed, and that was not allowed.
    case endsForForward
    /// The tunnel ends: no link is left, and no login may be begun.
    case loginsUsedUp(Int)
    /// The tunnel ends: no forward stands.
    case endsWithoutForward
    /// The tunnel ends: the time that it was to stay has passed, and no connection is open.
    case endsUnused
    case workerFailed(IOError)
}

/// Why every link is asked whether it lives.
enum PathDoubt: Equatable, Sendable {
    case networkChange
    case sleep
}

/// How a reverse forward is.
enum ReverseState: Equatable, Sendable {
    case unasked
    /// Nobody wants it: it was taken back, or is not asked for yet.
    case unwanted
    case standing(port: UInt16)
    case refused
}
