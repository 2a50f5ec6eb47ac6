import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// How a pool ends, what `-W` makes of it, and reports.
@Suite struct PoolEndTests {
    @Test func itEndsWhenEveryWorkerHasStopped() {
        let bench = PoolBench.standing(
            onePlan {
                $0.workers = 2
                $0.drain = .seconds(60)
            })
        #expect(bench.tell(.stopOrdered) == [.post(.stop(drain: .seconds(60)))])
        #expect(bench.tell(.stopOrdered).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(1))).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(1))).isEmpty, "one worker counts once")
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.asAsked)])
        #expect(bench.pool.nextMoment == nil)
    }

    @Test func itWaitsForTheDrainAndTwoSecondsMore() {
        let bench = PoolBench.standing(onePlan { $0.drain = .seconds(3) })
        _ = bench.tell(.stopOrdered)
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
        _ = bench.tell(.stopOrdered)
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
        #expect(bench.tell(.stopOrdered) == [.drop(first), .post(.stop(drain: .seconds(5)))])
        #expect(bench.tell(.listenersOpened(PoolBench.opened([0]))).isEmpty)
    }

    @Test func aLoginThatComesAfterTheOrderIsDropped() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        _ = bench.tell(.stopOrdered)
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
        _ = bench.tell(.stopOrdered)
        _ = bench.tell(.streamsEnded(cleanly: false))
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.connectionFailed)])
    }

    // MARK: Snapshots

    @Test func aReportIsMadeOnceEveryWorkerHasAnswered() throws {
        let bench = PoolBench.standing(
            onePlan {
                $0.links = 2
                $0.workers = 2
                $0.reverse = 2
            })
        _ = bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 8)))
        _ = bench.tell(.linkLost(LinkID(place: 1, serial: 2), reason: "because"))
        #expect(bench.tell(.reportWanted) == [.post(.report)])
        #expect(bench.tell(.reportWanted).isEmpty, "it is under way")
        var (one, other) = (WorkerReport(), WorkerReport())
        (one.held, other.held) = (1, 2)
        #expect(bench.tell(.reported(WorkerID(1), other)).isEmpty)
        let reports = bench.tell(.reported(WorkerID(0), one)).compactMap {
            if case .report(let report) = $0 { report } else { nil as PoolReport? }
        }
        let report = try #require(reports.first)
        #expect(reports.count == 1 && report.workers == [one, other])
        #expect(report.reverse == [.standing(port: 8), .unasked])
        #expect(report.state == .partly)
        #expect(report.places[0].state == .up)
        guard case .waiting(let span) = report.places[1].state, span > .zero else {
            throw Missed("\(report.places[1])")
        }
        #expect(report.places.map(\.connects) == [1, 1])
        #expect(report.places.map(\.losses) == [0, 1])
        #expect(report.places[1].lost.map(\.text) == ["because"])
        #expect(bench.tell(.reported(WorkerID(0), one)).isEmpty)
        #expect(bench.tell(.reportWanted) == [.post(.report)])
    }
}
