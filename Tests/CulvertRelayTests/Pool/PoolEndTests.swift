import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// How a pool ends, what `-W` makes of it, and snapshots.
@Suite struct PoolEndTests {
    @Test func itEndsWhenEveryWorkerHasStopped() {
        let bench = PoolBench.standing(
            onePlan {
                $0.workers = 2
                $0.drain = .seconds(60)
            })
        #expect(bench.tell(.ordered(.stop)) == [.post(.stop(drain: .seconds(60)))])
        #expect(bench.tell(.ordered(.stop)).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(1))).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(1))).isEmpty, "one worker counts once")
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.asAsked)])
        #expect(bench.pool.nextMoment == nil)
    }

    @Test func itWaitsForTheDrainAndTwoSecondsMore() {
        let bench = PoolBench.standing(onePlan { $0.drain = .seconds(3) })
        _ = bench.tell(.ordered(.stop))
        #expect(bench.pass(4.9).isEmpty)
        #expect(bench.pass(0.1) == [.end(.asAsked)])
        #expect(bench.pass(100).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(0))).isEmpty, "there is one end")
        #expect(bench.tell(.loggedIn(second, summary: "")) == [.drop(second)])
    }

    @Test func afterTheOrderNothingBegins() {
        let bench = PoolBench.standing(
            onePlan {
                $0.links = 2
                $0.reverse = 1
                $0.persistence = .always
            })
        let other = LinkID(place: 1, serial: 2)
        _ = bench.tell(.linkSuspect(first))
        _ = bench.tell(.linkLost(other, reason: ""))
        _ = bench.tell(.ordered(.stop))
        let events: [PoolEvent] = [
            .loginFailed(third, PoolBench.transport), .linkLost(first, reason: "gone"), .connectionWaits,
            .networkChanged, .slept, .timePassed,
        ]
        for event in events { #expect(bench.tell(event).logins.isEmpty, "\(event)") }
        #expect(bench.pass(6.9).logins.isEmpty)
    }

    /// Between the order and the listeners' answer.
    @Test func aLinkThatWaitsForItsListenersIsDropped() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        _ = bench.tell(.loggedIn(first, summary: ""))
        #expect(bench.tell(.ordered(.stop)) == [.drop(first), .post(.stop(drain: .seconds(5)))])
        #expect(bench.tell(.listenersOpened(PoolBench.opened([0]))).isEmpty)
    }

    @Test func aLoginThatComesAfterTheOrderIsDropped() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        _ = bench.tell(.ordered(.stop))
        #expect(bench.tell(.loggedIn(first, summary: "")) == [.drop(first)])
    }

    @Test func aWorkerThatFailsEndsAllAtOnce() {
        let bench = PoolBench.standing(onePlan { $0.workers = 2 })
        let error = IOError(5, "reading")
        #expect(
            bench.tell(.workerFailed(WorkerID(1), error)) == [
                .say(.workerFailed(error)), .post(.stop(drain: .zero)), .end(.systemError),
            ])
    }

    // MARK: Standard input and output

    private func carrying() -> PoolBench {
        PoolBench.standing(
            onePlan {
                $0.listening = []
                $0.carriesStreams = true
            })
    }

    @Test func theStreamsFollowTheirLink() {
        var plan = PoolPlan()
        plan.carriesStreams = true
        let bench = PoolBench(plan)
        _ = bench.tell(.begun)
        #expect(bench.tell(.loggedIn(first, summary: "")) == [.openListeners([])])
        #expect(bench.tell(.listenersOpened([])).deeds == [.deliver(first, reverse: []), .carryStreams(first)])
    }

    @Test func aCleanEndOfTheStreamsIsTheEnd() {
        let bench = carrying()
        #expect(bench.tell(.streamsEnded(cleanly: true)) == [.post(.stop(drain: .seconds(5)))])
        #expect(bench.tell(.linkLost(first, reason: "stopped")).isEmpty, "nobody is told that the link went with it")
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.asAsked)])
    }

    @Test func streamsThatAreCutAreToldTheReason() {
        let bench = carrying()
        #expect(bench.tell(.streamsEnded(cleanly: false)) == [.post(.stop(drain: .seconds(5)))])
        #expect(bench.tell(.linkLost(first, reason: "gone")) == [.say(.lostForGood(reason: "gone"))])
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.connectionFailed)])
    }

    @Test func theStreamsDoNotOutliveTheirLink() {
        let bench = carrying()
        #expect(bench.tell(.linkSuspect(first)).isEmpty, "there is nothing to try beside it")
        #expect(
            bench.tell(.linkLost(first, reason: "gone")) == [
                .say(.lostForGood(reason: "gone")), .post(.stop(drain: .seconds(5))),
            ])
        #expect(bench.pass(7) == [.end(.connectionFailed)])
    }

    @Test func streamsThatTheOrderCutAreNoCleanEnd() {
        let bench = carrying()
        _ = bench.tell(.ordered(.stop))
        _ = bench.tell(.streamsEnded(cleanly: false))
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.connectionFailed)])
    }

    // MARK: Snapshots

    @Test func aSnapshotIsSaidOnceEveryWorkerHasAnswered() {
        let bench = PoolBench.standing(
            onePlan {
                $0.links = 2
                $0.workers = 2
                $0.reverse = 2
            })
        _ = bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 8)))
        _ = bench.tell(.linkLost(LinkID(place: 1, serial: 2), reason: ""))
        #expect(bench.tell(.ordered(.snapshot)) == [.post(.snapshot)])
        #expect(bench.tell(.ordered(.snapshot)).isEmpty, "it is under way")
        #expect(bench.tell(.snapshot(WorkerID(1), "b")).isEmpty)
        #expect(
            bench.tell(.snapshot(WorkerID(0), "a")).news == [
                .snapshot(PoolSnapshot(down: [1], reverse: [.standing(port: 8), .unasked], workers: ["a", "b"]))
            ])
        #expect(bench.tell(.snapshot(WorkerID(0), "late")).isEmpty)
        #expect(bench.tell(.ordered(.snapshot)) == [.post(.snapshot)])
    }
}
