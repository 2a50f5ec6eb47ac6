import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Links that were of use, and servers that close those that are of none (UnusedConnectionTimeout).
@Suite struct PoolUnusedTests {
    private func unused(_ seconds: Double) -> LinkLife {
        LinkLife(
            hasCarried: false, closedByServer: true, idleSince: Tick(nanoseconds: 0),
            now: Tick(nanoseconds: 0) + .seconds(seconds))
    }

    private var used: LinkLife {
        LinkLife(hasCarried: true, closedByServer: false, idleSince: nil, now: Tick(nanoseconds: 9))
    }

    @Test func payloadSettlesALinkThatDidNotLiveForLong() {
        let bench = PoolBench.standing(onePlan())
        #expect(bench.tell(.linkLost(first, reason: "gone", life: used)).deeds == [.settled(first, .payload)])
        #expect(bench.pass(0).logins == [second])
    }

    @Test func aSettledLinkIsSettledOnce() {
        let bench = PoolBench.standing(onePlan())
        #expect(bench.pass(1000) == [.settled(first, .age)])
        #expect(bench.tell(.linkLost(first, reason: "gone", life: used)).deeds.isEmpty)
    }

    @Test func twoAfterTheSameTimeAreRecognised() {
        var timeout = UnusedTimeout()
        let ends: [(Double, Bool)] = [
            (60, false), (65, true), (60, true), (50, false), (54, true), (1, false), (1, false), (60, false),
            (60, true),
        ]
        for (number, (seconds, isClosedForThat)) in ends.enumerated() {
            #expect((timeout.ended(unused(seconds)) != nil) == isClosedForThat, "end \(number)")
        }
        #expect(timeout.ended(used) == nil)
        #expect(timeout.ended(unused(60)) == nil, "not twice running")
    }

    @Test func aLinkThatIsCutOrHasAChannelIsNotUnused() {
        let zero = Tick(nanoseconds: 0)
        #expect(LinkLife(hasCarried: false, closedByServer: false, idleSince: zero, now: zero).endedUnused == nil)
        #expect(LinkLife(hasCarried: false, closedByServer: true, idleSince: nil, now: zero).endedUnused == nil)
        #expect(unused(7).endedUnused == .seconds(7))
    }

    private func dormant() -> PoolBench {
        let bench = PoolBench.standing(onePlan())
        _ = bench.pass(60)
        _ = bench.tell(.linkLost(first, reason: "closed", life: unused(60)))
        _ = bench.tell(.loggedIn(bench.pass(0).logins[0], summary: ""))
        _ = bench.pass(61)
        let lost = bench.tell(.linkLost(second, reason: "closed", life: unused(61)))
        #expect(lost.news == [.closedUnused(place: 0, after: .seconds(61))])
        return bench
    }

    @Test func itIsKnockedAtWhenAConnectionComes() {
        let bench = dormant()
        for event in [PoolEvent.networkChanged, .slept] { #expect(bench.tell(event).logins.isEmpty) }
        #expect(bench.pass(100_000).logins.isEmpty)
        #expect(bench.pool.nextMoment == nil)
        #expect(bench.tell(.connectionWaits).logins == [third])
        #expect(bench.tell(.connectionWaits).logins.isEmpty)
        // Where that fails it goes on as ever.
        _ = bench.tell(.loginFailed(third, PoolBench.transport))
        let next = bench.pass(0.4).logins
        #expect(next.count == 1)
        _ = bench.tell(.loggedIn(next[0], summary: ""))
        _ = bench.pass(61)
        #expect(bench.tell(.linkLost(next[0], reason: "closed", life: unused(60))).news.count == 1)
        #expect(bench.pass(20).logins.isEmpty && bench.pool.places[0].attempt == .dormant)
    }

    @Test func aConnectionThatWaitsAlreadyIsServed() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "closed", life: unused(60)))
        _ = bench.tell(.loggedIn(bench.pass(0).logins[0], summary: ""))
        _ = bench.tell(.connectionWaits)
        _ = bench.tell(.linkLost(second, reason: "closed", life: unused(60)))
        #expect(bench.pass(0).logins == [third])
    }

    @Test func aConnectionThatWaitedBeforeTheLinkStoodHasBeenServed() {
        let bench = dormant()
        let next = bench.tell(.connectionWaits).logins
        _ = bench.pass(0.1)
        _ = bench.tell(.loggedIn(next[0], summary: ""))
        _ = bench.pass(5)
        _ = bench.tell(.linkLost(next[0], reason: "closed", life: unused(61)))
        #expect(bench.pass(100).logins.isEmpty && bench.pool.places[0].attempt == .dormant)
    }

    /// Who waits at the server cannot say so.
    @Test func aReverseForwardKeepsItsLink() {
        let bench = PoolBench.settled(onePlan { $0.reverse = 1 })
        _ = bench.tell(.linkLost(first, reason: "closed", life: unused(60)))
        _ = bench.tell(.loggedIn(bench.pass(0).logins[0], summary: ""))
        _ = bench.pass(60)
        let news = bench.tell(.linkLost(second, reason: "closed", life: unused(60))).news
        #expect(news == [.closesUnused(after: .seconds(60)), .lost(place: 0, reason: "closed")])
        #expect(bench.pass(0).logins == [third])
        _ = bench.tell(.loggedIn(third, summary: ""))
        _ = bench.pass(60)
        let again = bench.tell(.linkLost(third, reason: "closed", life: unused(60))).news
        #expect(again == [.lost(place: 0, reason: "closed")], "told once")
    }

    @Test func itEndsAsEver() {
        let bench = dormant()
        _ = bench.tell(.stopOrdered)
        #expect(bench.tell(.connectionWaits).logins.isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.asAsked)])
    }
}
