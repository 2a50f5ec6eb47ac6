import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Links that are lost, fall silent, speak again and are replaced.
@Suite struct PoolLinkTests {
    @Test func aLinkThatLivedIsMadeAgainAtOnce() {
        let bench = PoolBench.standing(onePlan())
        #expect(bench.pass(30) == [.settled(first, .age)])
        #expect(
            bench.tell(.linkLost(first, reason: "gone")) == [
                .say(.lost(place: 0, reason: "gone")), .tell(.standing(TunnelStanding(linksUp: 0, forwardsUp: 1))),
            ])
        #expect(bench.pass(0) == [.beginLogin(second, mayPrompt: false)])
        _ = bench.pass(3)
        let back = bench.tell(.loggedIn(second, summary: "s"))
        #expect(back.news == [.back(place: 0, after: .seconds(3), summary: "s")])
        #expect(back.deeds == [.deliver(second, reverse: [])])
    }

    /// A server that ends every link after its login is not knocked at without a pause.
    @Test func aLinkThatDidNotLiveIsMadeAgainLaterAndLater() {
        let bench = PoolBench.standing(onePlan())
        var id = first
        var waits: [Double] = []
        for _ in 0..<5 {
            #expect(bench.tell(.linkLost(id, reason: "gone")).deeds == [.unsettled(id)])
            let lost = bench.now
            while true {
                if let login = bench.pass(0.01).logins.first {
                    id = login
                    break
                }
            }
            waits.append((bench.now - lost).seconds)
            _ = bench.tell(.loggedIn(id, summary: ""))
        }
        for (wait, most) in zip(waits, [0.4, 1.1, 2.5, 5, 10]) {
            #expect(wait <= most + 0.02 && wait >= most * 0.75)
        }
    }

    @Test func asSuspectLinkHasAnotherTriedBesideIt() {
        let bench = PoolBench.settled(onePlan())
        #expect(
            bench.tell(.linkSuspect(first)) == [
                .say(.silent), .beginLogin(second, mayPrompt: false),
                .tell(.standing(TunnelStanding(linksUp: 0, forwardsUp: 1))),
            ])
        _ = bench.pass(2)
        let replaced = bench.tell(.loggedIn(second, summary: "s"))
        #expect(replaced.news == [.back(place: 0, after: .seconds(2), summary: "s")])
        #expect(replaced.deeds == [.deliver(second, reverse: [])])
    }

    /// The race: the worker loses the old link before the new one is in its mailbox, and says so afterwards.
    @Test func anOldLinksEndIsNotItsReplacements() {
        let bench = PoolBench.settled(onePlan { $0.reverse = 1 })
        _ = bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 1)))
        _ = bench.tell(.linkSuspect(first))
        _ = bench.tell(.loggedIn(second, summary: "s"))
        let late: [PoolEvent] = [
            .linkLost(first, reason: "reset"), .linkSuspect(first), .linkRecovered(first),
            .reverseAnswered(first, forward: 0, .refused),
        ]
        for event in late { #expect(bench.tell(event).isEmpty, "\(event)") }
        #expect(bench.pass(100) == [.settled(second, .age)], "nothing is made again")
        #expect(bench.pool.reverseStates == [.standing(port: 1)])
        #expect(bench.tell(.linkLost(second, reason: "reset")).news == [.lost(place: 0, reason: "reset")])
    }

    @Test func aLinkThatSpeaksAgainStays() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkSuspect(first))
        #expect(bench.tell(.linkRecovered(first)).news == [.answersAgain])
        // Its replacement came too late.
        #expect(bench.tell(.loggedIn(second, summary: "")) == [.drop(second)])
        // Of a link that serves nothing is missing.
        _ = bench.tell(.linkSuspect(first))
        _ = bench.tell(.linkRecovered(first))
        #expect(bench.tell(.loginFailed(third, PoolBench.transport)).isEmpty)
        #expect(bench.pass(100).isEmpty)
        #expect(bench.tell(.linkRecovered(first)).isEmpty, "it is not suspect")
    }

    @Test func aReplacementThatFailsIsTriedAgainUntilTheLinkSpeaks() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkSuspect(first))
        _ = bench.tell(.loginFailed(second, PoolBench.transport))
        #expect(bench.pass(0.4).logins == [third])
        _ = bench.tell(.loginFailed(third, PoolBench.transport))
        _ = bench.tell(.linkRecovered(first))
        #expect(bench.pass(100).isEmpty)
    }

    @Test func aLinkThatIsLostWhileItsReplacementIsMadeWaitsForThat() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.pass(5)
        _ = bench.tell(.linkSuspect(first))
        #expect(bench.tell(.linkLost(first, reason: "gone")).logins.isEmpty)
        #expect(bench.pass(100).isEmpty)
        #expect(bench.tell(.loggedIn(second, summary: "")).deeds == [.deliver(second, reverse: [])])
    }

    @Test func aLoginIsToldOnceAndUnderItsName() {
        let bench = PoolBench.standing(onePlan())
        #expect(
            bench.tell(.loggedIn(LinkID(place: 0, serial: 99), summary: "")) == [.drop(LinkID(place: 0, serial: 99))])
        #expect(bench.tell(.loginFailed(LinkID(place: 0, serial: 99), PoolBench.transport)).isEmpty)
        #expect(bench.tell(.loggedIn(first, summary: "")) == [.drop(first)])
    }

    // MARK: The network

    @Test func aBurstOfNewsIsOneChange() {
        let bench = PoolBench.settled(onePlan())
        #expect(bench.tell(.networkChanged).isEmpty)
        let looked: [PoolAction] = [.say(.checksLinks(.networkChange)), .post(.probe)]
        #expect(bench.pass(0) == looked)
        // The next news is a second away.
        for _ in 0..<5 { #expect(bench.tell(.networkChanged).isEmpty) }
        #expect(bench.pass(0.9).isEmpty)
        #expect(bench.pass(0.1) == looked)
        #expect(bench.pass(100).isEmpty)
    }

    @Test func whatWaitsIsTriedWhenTheNetworkChangesOrTheMachineWakes() {
        for event in [PoolEvent.networkChanged, .slept] {
            let bench = PoolBench(onePlan { $0.persistence = .always })
            var id = bench.tell(.begun).logins[0]
            for _ in 0..<8 {
                _ = bench.tell(.loginFailed(id, PoolBench.transport))
                id = bench.pass(30).logins[0]
            }
            _ = bench.tell(.loginFailed(id, PoolBench.transport))
            _ = bench.tell(event)
            #expect(bench.pass(0).logins.count == 1, "\(event)")
        }
    }

    /// The age of a link that is silent proves nothing: its address owes the budget what it owed.
    @Test func aSilentLinkDoesNotSettle() {
        let bench = PoolBench.standing(onePlan())
        _ = bench.pass(10)
        _ = bench.tell(.linkSuspect(first))
        let actions = bench.pass(100)
        #expect(!actions.contains { if case .settled = $0 { true } else { false } }, "\(actions)")
        _ = bench.tell(.linkRecovered(first))
        #expect(bench.pass(0).contains(.settled(first, .age)))
    }

    @Test func aMachineThatSleptLooksAtItsLinks() {
        let bench = PoolBench.standing(onePlan())
        #expect(bench.tell(.slept) == [.say(.checksLinks(.sleep)), .post(.probe)])
    }

    @Test func whatTheServerRunsIsToldOnce() {
        let bench = PoolBench.standing(onePlan())
        #expect(bench.tell(.nodelayRefused) == [.say(.nodelayRefused)])
        #expect(bench.tell(.nodelayRefused).isEmpty)
        #expect(bench.tell(.questionsUnanswered) == [.say(.questionsUnanswered)])
        #expect(bench.tell(.questionsUnanswered).isEmpty)
    }

    @Test func sleepIsSeenInTheDriftOfTwoClocks() {
        func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 0) + .seconds(seconds) }
        var watch = SleepWatch(at(10), withSleep: at(500))
        // Two seconds are no sleep, and neither is a clock that is set back.
        let looks: [(Double, Double)] = [(15, 505), (20, 512), (25, 520), (30, 525), (35, 520)]
        let slept = looks.map { watch.hasSlept(at($0), withSleep: at($1)) }
        #expect(slept == [false, false, true, false, false])
    }
}
