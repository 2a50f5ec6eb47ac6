import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// When logins are made, and how long is waited between them.
@Suite struct PoolLoginTests {
    @Test func theFirstLoginOpensTheListenersAndGoesToItsWorker() {
        let bench = PoolBench(onePlan { $0.reverse = 1 })
        #expect(bench.tell(.begun) == [.beginLogin(first, mayPrompt: true)])
        #expect(bench.tell(.loggedIn(first, summary: "aes")) == [.openListeners([0])])
        #expect(
            bench.tell(.listenersOpened(PoolBench.opened([0]))) == [
                .say(.connected(summary: "aes")), .deliver(first, reverse: [0]),
                .tell(.standing(TunnelStanding(linksUp: 1, forwardsUp: 1))),
            ])
        #expect(
            bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 9))) == [
                .say(.reverseStands(forward: 0, port: 9)), .tell(.ready),
                .tell(.standing(TunnelStanding(linksUp: 1, forwardsUp: 2))),
            ])
        #expect(bench.pool.nextMoment == nil)
    }

    @Test func placesLogInOneAfterTheOtherAndAskNothing() {
        let bench = PoolBench(onePlan { $0.links = 3 })
        _ = bench.tell(.begun)
        #expect(bench.tell(.loggedIn(first, summary: "")).logins.isEmpty)
        let next = LinkID(place: 1, serial: 2)
        #expect(
            bench.tell(.listenersOpened(PoolBench.opened([0]))).deeds == [
                .deliver(first, reverse: []), .beginLogin(next, mayPrompt: false),
            ])
        // One that fails does not keep the others from their first try.
        #expect(bench.tell(.loginFailed(next, PoolBench.transport)).logins == [LinkID(place: 2, serial: 3)])
        #expect(bench.pass(0.2).logins == [LinkID(place: 1, serial: 4)])
    }

    @Test func reverseForwardsAreSpreadOverThePlaces() {
        var plan = PoolPlan()
        plan.links = 2
        plan.reverse = 5
        #expect(plan.reverse(of: 0) == [0, 2, 4])
        #expect(plan.reverse(of: 1) == [1, 3])
    }

    @Test func theFirstFailureEndsTheTunnel() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        #expect(
            bench.tell(.loginFailed(first, PoolBench.transport)) == [
                .say(.loginGivenUp(PoolBench.transport)), .post(.stop(drain: .seconds(5))),
            ])
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.connectionFailed)])
    }

    @Test func connectionAttemptsAreTriedASecondApart() {
        let bench = PoolBench(onePlan { $0.connectionAttempts = 3 })
        _ = bench.tell(.begun)
        #expect(
            bench.tell(.loginFailed(first, PoolBench.transport)) == [
                .say(.firstLoginFailed(PoolBench.transport, again: .seconds(1)))
            ])
        #expect(bench.pass(0.9).isEmpty)
        #expect(bench.pass(0.1) == [.beginLogin(second, mayPrompt: true)])
        _ = bench.tell(.loginFailed(second, PoolBench.transport))
        #expect(bench.pass(1).logins == [third])
        #expect(bench.tell(.loginFailed(third, PoolBench.transport)).news == [.loginGivenUp(PoolBench.transport)])
    }

    @Test func onlyTheNetworksFailuresAreAttemptedAgain() {
        let bench = PoolBench(onePlan { $0.connectionAttempts = 3 })
        _ = bench.tell(.begun)
        #expect(bench.tell(.loginFailed(first, PoolBench.refusal)).news == [.loginGivenUp(PoolBench.refusal)])
    }

    /// The waits double, and what is said again and again is said once a while.
    @Test func aTunnelThatPersistsTriesForEver() {
        let bench = PoolBench(onePlan { $0.persist = true })
        var id = bench.tell(.begun).logins[0]
        var waits: [Double] = []
        var old: [Bool] = []
        for attempt in 1...20 {
            let actions = bench.tell(.loginFailed(id, PoolBench.transport))
            #expect(actions.contains(.tell(.delayed)))
            for case .loginFailed(_, let again, let isOldNews) in actions.news {
                waits.append(again.seconds)
                old.append(isOldNews)
            }
            let logins = bench.pass(30).logins
            #expect(logins.count == 1, "attempt \(attempt)")
            id = logins[0]
        }
        for (wait, most) in zip(waits, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]) {
            #expect(wait <= most && wait >= most * 0.75)
        }
        #expect(old == (1...20).map { $0 > 3 && $0 != 16 })
    }

    @Test func aRefusedLoginWaitsForMinutesWhateverHappens() {
        let bench = PoolBench.standing(onePlan())
        _ = bench.pass(5)
        _ = bench.tell(.linkLost(first, reason: "gone"))
        #expect(bench.pass(0).logins == [second])
        _ = bench.tell(.loginFailed(second, PoolBench.refusal))
        _ = bench.tell(.connectionWaits)
        _ = bench.tell(.networkChanged)
        _ = bench.tell(.slept)
        #expect(bench.pass(89).logins.isEmpty)
        #expect(bench.pass(31) == [.beginLogin(third, mayPrompt: false)])
    }

    @Test func whileAConnectionWaitsNoWaitIsLong() {
        let bench = PoolBench(onePlan { $0.persist = true })
        var id = bench.tell(.begun).logins[0]
        for _ in 0..<8 {
            _ = bench.tell(.loginFailed(id, PoolBench.transport))
            id = bench.pass(30).logins[0]
        }
        _ = bench.tell(.loginFailed(id, PoolBench.transport))
        #expect(bench.pass(5).logins.isEmpty)
        _ = bench.tell(.connectionWaits)
        let logins = bench.pass(0).logins
        #expect(logins.count == 1, "somebody waits: at once")
        _ = bench.tell(.loginFailed(logins[0], PoolBench.transport))
        let again = bench.pass(1).logins
        #expect(again.count == 1, "and every second")
        // Nobody waits any more.
        _ = bench.pass(30)
        _ = bench.tell(.loginFailed(again[0], PoolBench.transport))
        #expect(bench.pass(20).logins.isEmpty)
    }
}
