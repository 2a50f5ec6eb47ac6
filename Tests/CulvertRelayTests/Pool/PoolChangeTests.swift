import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Forwards that are added and cancelled while a tunnel runs.
@Suite struct PoolChangeTests {
    private let one = ChangeID(number: 1)
    private let two = ChangeID(number: 2)

    @Test func aListenerIsAddedAndClosed() {
        let bench = PoolBench.settled(onePlan())
        #expect(bench.tell(.changeOrdered(one, .listen(1, choosesPort: false))) == [.openListeners([1])])
        let opened = bench.tell(.listenersOpened(PoolBench.opened([1])))
        #expect(opened.contains(.answer(one, .done(port: nil))) && opened.contains(.tell(.forwards(2))))
        #expect(bench.tell(.changeOrdered(two, .listen(1, choosesPort: false))) == [.answer(two, .isThere(port: nil))])

        let closed = bench.tell(.changeOrdered(two, .unlisten(1)))
        #expect(closed.deeds == [.post(.closeListeners(1))] && closed.news == [.listensNoMore(forward: 1)])
        #expect(
            bench.tell(.changeOrdered(one, .listen(1, choosesPort: false)))
                == [.answer(one, .failed("another change of it is under way"))], "its port may not be free yet")
        #expect(bench.tell(.listenersClosed(1)) == [.answer(two, .done(port: nil))])
        #expect(bench.tell(.changeOrdered(one, .listen(1, choosesPort: false))) == [.openListeners([1])])
    }

    @Test func aListenerThatCannotBeOpenedHasChangedNothing() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.changeOrdered(one, .listen(1, choosesPort: false)))
        let failed = bench.tell(.listenersOpened(PoolBench.failed([1])))
        #expect(failed.contains(.answer(one, .failed("no"))))
        #expect(bench.pool.listening == [0] && bench.pool.unopened.isEmpty && bench.pool.openAgainAt == nil)
        #expect(bench.tell(.changeOrdered(two, .unlisten(1))) == [.answer(two, .failed("port not forwarded"))])
    }

    /// It is tried again every ten seconds: the last of these comes late.
    @Test func oneThatWasNeverOpenedIsCancelledWhileItIsTried() {
        let bench = PoolBench(onePlan { $0.listening = [0, 1] })
        _ = bench.tell(.begun)
        _ = bench.tell(.loggedIn(first, summary: ""))
        _ = bench.tell(.listenersOpened(PoolBench.failed([0]) + PoolBench.opened([1])))
        #expect(bench.pass(10).contains(.openListeners([0])))
        #expect(bench.tell(.changeOrdered(one, .unlisten(0))).contains(.answer(one, .done(port: nil))))
        #expect(bench.tell(.listenersOpened(PoolBench.opened([0]))).contains(.post(.closeListeners(0))))
        #expect(bench.pass(20).deeds.allSatisfy { $0 == .settled(first, .age) })
    }

    @Test func aReverseForwardIsAskedForOnItsLinkAndOnTheNext() {
        let bench = PoolBench.settled(onePlan { $0.reverse = 1 })
        _ = bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 1)))
        let asked = bench.tell(.changeOrdered(one, .ask(1)))
        #expect(asked.deeds == [.post(.askReverse(first, 1))])
        let stands = bench.tell(.reverseAnswered(first, forward: 1, .standing(port: 9)))
        #expect(stands.deeds == [.answer(one, .done(port: 9))])
        #expect(stands.news == [.reverseStands(forward: 1, port: 9)])

        _ = bench.tell(.linkLost(first, reason: ""))
        let id = bench.pass(1).logins[0]
        #expect(bench.tell(.loggedIn(id, summary: "")).contains(.deliver(id, reverse: [0, 1])))
        #expect(
            bench.tell(.changeOrdered(two, .cancel(0))).deeds == [
                .post(.cancelReverse(0)), .answer(two, .done(port: nil)),
            ])
        _ = bench.tell(.linkLost(id, reason: ""))
        let later = bench.pass(60).logins
        #expect(bench.tell(.loggedIn(later[0], summary: "")).contains(.deliver(later[0], reverse: [1])))
    }

    @Test func oneThatIsRefusedIsForgotten() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.changeOrdered(one, .ask(0)))
        let refused = bench.tell(.reverseAnswered(first, forward: 0, .refused))
        #expect(refused.deeds == [.answer(one, .failed("the server refused to listen")), .post(.cancelReverse(0))])
        #expect(refused.news.isEmpty && bench.pool.reverseCount == 0)
        #expect(bench.tell(.reverseAnswered(first, forward: 0, .standing(port: 4))).isEmpty, "nobody wants it")
    }

    @Test func aServerThatDoesNotAnswerIsWaitedForHalfAMinute() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.changeOrdered(one, .ask(0)))
        #expect(bench.pass(29.9).deeds.isEmpty)
        #expect(
            bench.pass(0.1).deeds == [
                .answer(one, .failed("the server has not answered within 30 s")), .post(.cancelReverse(0)),
            ])
    }

    @Test func oneThatIsAddedWithoutALinkIsAskedForByTheNext() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: ""))
        _ = bench.pass(1)
        #expect(bench.tell(.changeOrdered(one, .ask(0))).deeds.isEmpty)
        #expect(bench.tell(.loggedIn(second, summary: "")).contains(.deliver(second, reverse: [0])))
        #expect(
            bench.tell(.reverseAnswered(second, forward: 0, .standing(port: 3))).contains(.answer(one, .done(port: 3))))
    }

    @Test func theEndAnswersEverybody() {
        let bench = PoolBench.settled(onePlan())
        #expect(bench.tell(.changeOrdered(one, .listen(1, choosesPort: true))) == [.openListeners([1])])
        #expect(bench.tell(.stopOrdered).contains(.answer(one, .failed("the tunnel is ending"))))
        #expect(bench.tell(.changeOrdered(two, .ask(0))) == [.answer(two, .failed("the tunnel is ending"))])
    }

    @Test func beforeTheFirstLinkNothingIsAdded() {
        let bench = PoolBench(onePlan())
        _ = bench.tell(.begun)
        #expect(bench.tell(.changeOrdered(one, .ask(0))) == [.answer(one, .failed("the tunnel has not stood yet"))])
    }
}
