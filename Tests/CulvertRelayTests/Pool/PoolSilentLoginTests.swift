import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// A login that falls silent gets one more beside it.
@Suite struct PoolSilentLoginTests {
    /// A pool whose link was lost, and whose next login, the second, is under way.
    private func logging() -> PoolBench {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "gone"))
        _ = bench.pass(0)
        return bench
    }

    @Test func oneMoreIsBegunAndNoThird() {
        let bench = logging()
        #expect(
            bench.tell(.loginSilent(second)) == [
                .say(.loginSilent), .beginLogin(third, mayPrompt: false, beside: second),
            ])
        #expect(bench.tell(.loginSilent(second)).isEmpty)
        #expect(bench.tell(.loginSilent(third)).isEmpty)
        #expect(bench.tell(.loginSilent(first)).isEmpty, "it is over")
    }

    @Test(arguments: [(second, third), (third, second)])
    func whicheverLogsInServes(_ winner: LinkID, _ loser: LinkID) {
        let bench = logging()
        _ = bench.tell(.loginSilent(second))
        #expect(bench.tell(.loggedIn(winner, summary: "s")).deeds == [.deliver(winner, reverse: [])])
        #expect(bench.tell(.loginFailed(loser, PoolBench.transport)).isEmpty, "it was ended")
        #expect(bench.tell(.loggedIn(loser, summary: "s")).deeds == [.drop(loser)])
        #expect(bench.pool.places[0].isServing)
    }

    @Test(arguments: [(second, third), (third, second)])
    func oneThatFailsLeavesTheOther(_ failed: LinkID, _ other: LinkID) {
        let bench = logging()
        _ = bench.tell(.loginSilent(second))
        #expect(bench.tell(.loginFailed(failed, PoolBench.transport)).isEmpty)
        #expect(bench.pool.places[0].retryAt == nil)
        // The other may fall silent in turn.
        let fourth = LinkID(place: 0, serial: 4)
        #expect(bench.tell(.loginSilent(other)).logins == [fourth])
        _ = bench.tell(.loginFailed(other, PoolBench.transport))
        #expect(bench.tell(.loginFailed(fourth, PoolBench.transport)).news.count == 1)
        #expect(bench.pool.places[0].retryAt != nil)
    }

    /// The second may be as silent as the first, and is known to be when that one ends.
    @Test func oneThatIsLeftAloneInSilenceHasAnotherBesideIt() {
        let bench = logging()
        _ = bench.tell(.loginSilent(second))
        #expect(bench.tell(.loginSilent(third)).isEmpty, "no third one")
        let fourth = LinkID(place: 0, serial: 4)
        #expect(
            bench.tell(.loginFailed(second, PoolBench.transport)) == [
                .say(.loginSilent), .beginLogin(fourth, mayPrompt: false, beside: third),
            ])
    }

    /// One that came to judge the server's key has ended the other: its failure is the place's.
    @Test func theFailureOfOneThatHadWonCounts() {
        let bench = logging()
        _ = bench.tell(.loginSilent(second))
        guard
            case .loginFailed(PoolBench.refusal, _, _)? = bench.tell(
                .loginFailed(third, PoolBench.refusal, hasWon: true)
            ).news.first
        else {
            Issue.record("it is not told")
            return
        }
        #expect(bench.pool.places[0].retryAt != nil)
        #expect(bench.tell(.loginFailed(second, PoolBench.transport)).isEmpty)
    }

    @Test func theFirstLoginOfAllMayAsk() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        #expect(bench.tell(.loginSilent(first)).deeds == [.beginLogin(second, mayPrompt: true, beside: first)])
        #expect(bench.tell(.loggedIn(second, summary: "s")) == [.openListeners([0])])
        #expect(bench.tell(.loggedIn(first, summary: "s")) == [.drop(first)], "it does no harm")
        #expect(bench.tell(.loginFailed(first, PoolBench.transport)).isEmpty)
        #expect(bench.tell(.listenersOpened(PoolBench.opened([0]))).deeds == [.deliver(second, reverse: [])])
    }

    @Test func theNetworksNewsCastDoubtOnALogin() {
        let bench = logging()
        #expect(bench.tell(.networkChanged).isEmpty)
        #expect(bench.pass(0).deeds == [.doubtLogin(second), .post(.probe)])
        _ = bench.tell(.loggedIn(second, summary: "s"))
        _ = bench.tell(.networkChanged)
        #expect(bench.pass(2).deeds == [.post(.probe)])
    }

    @Test func nothingIsBegunAfterTheOrderToStop() {
        let bench = logging()
        _ = bench.tell(.stopOrdered)
        #expect(bench.tell(.loginSilent(second)).isEmpty)
    }
}

/// Which of the logins of one place goes on.
@Suite struct LoginRaceTests {
    @Test func theFirstToJudgeCutsTheOthers() throws {
        let race = LoginRace()
        let (near, far) = try SocketOption.pair()
        let socket = BlockingSocket(adopting: near)
        let other = BlockingSocket(adopting: far)
        race.runs(first, over: socket.descriptor)
        #expect(race.isWaiting(first) && !race.isWaiting(second))
        try race.wins(second)
        try race.wins(second)
        #expect(race.isWon(by: second) && race.isLost(first) && !race.isLost(second) && !race.isWaiting(first))
        #expect(throws: SSHError.self) { try race.wins(first) }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        defer { room.deallocate() }
        let soon = Tick.current() + .seconds(10)
        #expect(try socket.receive(into: room, deadline: soon) == 0, "whoever waits there is woken")
        #expect(try other.receive(into: room, deadline: soon) == 0)
        race.leaves(first)
        race.leaves(first)
    }

    @Test func oneThatConnectsTooLateIsCutAtOnce() throws {
        let race = LoginRace()
        try race.wins(second)
        let (near, far) = try SocketOption.pair()
        let socket = BlockingSocket(adopting: near)
        let other = BlockingSocket(adopting: far)
        race.runs(first, over: socket.descriptor)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        defer { room.deallocate() }
        #expect(try other.receive(into: room, deadline: Tick.current() + .seconds(10)) == 0)
    }
}
