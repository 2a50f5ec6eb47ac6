import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// A tunnel that stays for a time and then for as long as it is used, and ports that are chosen.
@Suite struct PoolStayTests {
    @Test func itEndsAfterItsTimeOnceNobodyUsesIt() {
        let bench = PoolBench.standing(onePlan { $0.stay = .seconds(10) })
        #expect(bench.pass(9.9).isEmpty)
        #expect(bench.pass(0.1) == [.countFlows])
        #expect(bench.tell(.flows(1)).isEmpty)
        #expect(bench.pass(0.25) == [.countFlows])
        let ends = bench.tell(.flows(0))
        #expect(ends == [.say(.endsUnused), .post(.stop(drain: .seconds(5)))])
        #expect(bench.pass(1).isEmpty && bench.tell(.flows(0)).isEmpty)
        #expect(bench.tell(.workerStopped(WorkerID(0))) == [.end(.asAsked)])
    }

    @Test func aConnectionThatWaitsForALinkIsAUse() {
        let bench = PoolBench.standing(
            onePlan {
                $0.stay = .seconds(10)
                $0.hold = .seconds(30)
            })
        _ = bench.pass(9)
        _ = bench.tell(.linkLost(first, reason: "r"))
        _ = bench.tell(.connectionWaits)
        _ = bench.pass(1)
        #expect(bench.tell(.flows(0)).isEmpty)
        _ = bench.pass(30)
        #expect(bench.tell(.flows(0)).news == [.endsUnused])
    }

    /// Whoever waited has been served by the link that came: only flows count then.
    @Test func aLinkServesThoseThatWaited() {
        let bench = PoolBench.standing(
            onePlan {
                $0.stay = .seconds(3)
                $0.hold = .seconds(3600)
            })
        _ = bench.tell(.linkLost(first, reason: "r"))
        _ = bench.tell(.connectionWaits)
        let again = bench.pass(1).logins[0]
        _ = bench.tell(.loggedIn(again, summary: ""))
        _ = bench.pass(2)
        #expect(bench.tell(.flows(0)).news == [.endsUnused])
    }

    /// The time counts from when it stood.
    @Test func itsTimeBeginsWhenItStands() {
        let bench = PoolBench(
            onePlan {
                $0.listening = []
                $0.stay = .seconds(1)
            })
        _ = bench.tell(.begun)
        #expect(!bench.pass(5).contains(.countFlows))
        _ = bench.tell(.loggedIn(first, summary: ""))
        #expect(bench.tell(.listenersOpened([])).contains(.tell(.ready)))
        #expect(bench.pass(1).contains(.countFlows))
    }

    @Test func withoutAForwardItStaysConnected() {
        let bench = PoolBench(onePlan { $0.listening = [] })
        _ = bench.tell(.begun)
        #expect(bench.tell(.loggedIn(first, summary: "")) == [.openListeners([])])
        let actions = bench.tell(.listenersOpened([]))
        #expect(actions.deeds == [.deliver(first, reverse: [])] && actions.contains(.tell(.ready)))
        #expect(!bench.pass(100).contains { if case .end = $0 { true } else { false } })
        #expect((bench.tell(.linkLost(first, reason: "r")) + bench.pass(1)).logins == [second])
    }

    @Test func aPortThatWasChosenIsTold() throws {
        let bench = PoolBench(
            onePlan {
                $0.listening = [0, 1]
                $0.choosing = [1]
            })
        _ = bench.tell(.begun)
        _ = bench.tell(.loggedIn(first, summary: ""))
        let addresses = try ["127.0.0.1", "::1"].map { try SocketAddress.resolve(host: $0, port: 7, numeric: true)[0] }
        let answers = [0, 1].map { ListenerAnswer(forward: DirectID(index: $0), outcome: .success(addresses)) }
        let news = bench.tell(.listenersOpened(answers)).news
        #expect(news.count { if case .listening = $0 { true } else { false } } == 4)
        #expect(news.filter { if case .allocated = $0 { true } else { false } } == [.allocated(forward: 1, port: 7)])
    }
}
