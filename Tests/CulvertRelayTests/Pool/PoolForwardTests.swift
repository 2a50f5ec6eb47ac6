import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Listeners, reverse forwards, and when a tunnel stands or does not.
@Suite struct PoolForwardTests {
    /// A pool whose first link waits for its listeners.
    private func opening(_ plan: PoolPlan) -> PoolBench {
        let bench = PoolBench(plan)
        _ = bench.tell(.begun)
        _ = bench.tell(.loggedIn(first, summary: ""))
        return bench
    }

    @Test func oneListenerOfTwoIsEnough() {
        let bench = opening(onePlan { $0.listening = [0, 1] })
        let actions = bench.tell(.listenersOpened(PoolBench.failed([0]) + PoolBench.opened([1])))
        #expect(actions.news == [.listenerFailed(forward: 0, reason: "no"), .connected(summary: "")])
        #expect(actions.contains(.tell(.ready)))
        #expect(actions.contains(.tell(.standing(TunnelStanding(linksUp: 1, forwardsUp: 1)))))
        #expect(bench.pass(9.9).isEmpty)
        #expect(bench.pass(0.1) == [.openListeners([0])], "the other one stands: it goes on, and tries again")
    }

    @Test func noListenerIsTheEnd() {
        let bench = opening(onePlan())
        let actions = bench.tell(.listenersOpened(PoolBench.failed([0])))
        #expect(actions.news == [.listenerFailed(forward: 0, reason: "no"), .endsWithoutForward])
        #expect(actions.deeds == [.drop(first), .post(.stop(drain: .seconds(5)))])
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.connectionFailed)])
    }

    @Test func aReverseForwardMayStandAlone() {
        let bench = opening(onePlan { $0.reverse = 1 })
        #expect(bench.tell(.listenersOpened(PoolBench.failed([0]))).deeds == [.deliver(first, reverse: [0])])
        let refused = bench.tell(.reverseAnswered(first, forward: 0, .refused))
        #expect(refused.news == [.reverseFailed(forward: 0, .refused), .endsWithoutForward])
    }

    @Test func exitOnForwardFailureEndsAtTheFirst() {
        let bench = opening(
            onePlan {
                $0.listening = [0, 1]
                $0.exitOnForwardFailure = true
            })
        let actions = bench.tell(.listenersOpened(PoolBench.failed([0]) + PoolBench.opened([1])))
        #expect(actions.news == [.listenerFailed(forward: 0, reason: "no"), .endsForForward])
        #expect(actions.deeds == [.drop(first), .post(.stop(drain: .seconds(5)))])
    }

    @Test func exitOnForwardFailureCountsReverseForwardsToo() {
        let bench = PoolBench.standing(
            onePlan {
                $0.reverse = 2
                $0.exitOnForwardFailure = true
            })
        #expect(
            bench.tell(.reverseAnswered(first, forward: 1, .refused)).news == [.reverseFailed(forward: 1, .refused)])
        #expect(
            bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 3))).news == [
                .reverseStands(forward: 0, port: 3), .endsForForward,
            ])
    }

    /// As autossh, whose ssh ends and is begun again: it stands once all of them do.
    @Test func aTunnelThatPersistsIsNotEndedByAForward() {
        let bench = opening(
            onePlan {
                $0.listening = [0]
                $0.reverse = 1
                $0.exitOnForwardFailure = true
                $0.persistence = .always
            })
        #expect(bench.tell(.listenersOpened(PoolBench.failed([0]))).deeds == [.deliver(first, reverse: [0])])
        let refused = bench.tell(.reverseAnswered(first, forward: 0, .refused))
        #expect(refused.news == [.reverseFailed(forward: 0, .refused)])
        #expect(refused.contains(.tell(.delayed)) && !refused.contains(.tell(.ready)))
        #expect(bench.pass(10).contains(.openListeners([0])))
        #expect(!bench.tell(.listenersOpened(PoolBench.opened([0]))).contains(.tell(.ready)))
        #expect(bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 3))).contains(.tell(.ready)))
    }

    @Test func aTunnelThatPersistsWaitsForItsOnlyListeners() {
        let bench = opening(
            onePlan {
                $0.listening = [0, 1]
                $0.persistence = .always
            })
        let begun = bench.tell(.listenersOpened(PoolBench.failed([0, 1])))
        #expect(begun.contains(.tell(.ready)) && begun.deeds == [.deliver(first, reverse: [])])
        #expect(bench.pass(9.9).isEmpty)
        #expect(bench.pass(0.1) == [.openListeners([0, 1])])
        #expect(bench.pass(100) == [.settled(first, .age)], "not before the answer")
        #expect(
            bench.tell(.listenersOpened(PoolBench.failed([0]) + PoolBench.opened([1]))) == [
                .say(.listenerStillFails(forward: 0, reason: "no")),
                .tell(.standing(TunnelStanding(linksUp: 1, forwardsUp: 1))),
            ])
        #expect(bench.pass(10) == [.openListeners([0])])
        _ = bench.tell(.listenersOpened(PoolBench.opened([0])))
        #expect(bench.pass(100).isEmpty)
    }

    @Test func aRefusalIsToldOnceUntilItStands() {
        let bench = PoolBench.standing(onePlan { $0.reverse = 1 })
        let unasked = ReverseAnswer.notAsked("too long")
        #expect(bench.tell(.reverseAnswered(first, forward: 0, unasked)).news == [.reverseFailed(forward: 0, unasked)])
        #expect(bench.tell(.reverseAnswered(first, forward: 0, .refused)).news == [.reverseStillFails(forward: 0)])
        _ = bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 1)))
        #expect(
            bench.tell(.reverseAnswered(first, forward: 0, .refused)).news == [.reverseFailed(forward: 0, .refused)])
    }

    @Test func readyIsToldOnceAndAfterEveryAnswer() {
        let bench = PoolBench.standing(onePlan { $0.reverse = 2 })
        #expect(!bench.tell(.reverseAnswered(first, forward: 0, .refused)).contains(.tell(.ready)))
        #expect(bench.tell(.reverseAnswered(first, forward: 1, .refused)).contains(.tell(.ready)))
        _ = bench.tell(.linkLost(first, reason: ""))
        #expect(bench.pool.reverseStates == [.unasked, .unasked])
        let id = bench.pass(1).logins[0]
        _ = bench.tell(.loggedIn(id, summary: ""))
        #expect(!bench.tell(.reverseAnswered(id, forward: 0, .standing(port: 1))).contains(.tell(.ready)))
        #expect(!bench.tell(.reverseAnswered(id, forward: 1, .standing(port: 1))).contains(.tell(.ready)))
    }
}
