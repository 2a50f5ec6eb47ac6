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
        #expect(bench.pool.nextMoment == bench.now + Backoff.settled, "then it has settled")
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
        #expect(bench.pass(0.4).logins == [LinkID(place: 1, serial: 4)])
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
        let bench = PoolBench(onePlan { $0.persistence = .always })
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
        for (wait, most) in zip(waits, [0.4, 1.1, 2.5, 5, 10, 20, 30, 30]) {
            #expect(wait <= most && wait >= most * 0.75)
        }
        #expect(old == (1...20).map { $0 > 3 && $0 != 16 })
    }

    /// autossh's gate: what fails soon ends the tunnel, what fails late is tried again.
    @Test(arguments: [29.0, 31]) func aGateIsForWhatFailsSoon(_ seconds: Double) {
        let bench = PoolBench(onePlan { $0.persistence = .after(.seconds(30)) })
        _ = bench.tell(.begun)
        _ = bench.pass(seconds)
        let news = bench.tell(.loginFailed(first, PoolBench.transport)).news
        if seconds < 30 {
            #expect(news == [.loginGivenUp(PoolBench.transport)])
        } else {
            #expect(bench.pass(1).logins == [second])
        }
    }

    /// A login that is begun beside a silent one is the same start; links that stand are kept when none is left.
    @Test func loginsAreUsedUp() {
        let bench = PoolBench.settled(onePlan { $0.logins = 2 })
        _ = bench.tell(.linkLost(first, reason: "gone"))
        let again = bench.pass(0).logins[0]
        let beside = bench.tell(.loginSilent(again)).logins[0]
        #expect(beside != again)
        let news = bench.tell(.loginFailed(again, PoolBench.transport)).news
        #expect(news.isEmpty)
        _ = bench.tell(.loginFailed(beside, PoolBench.transport))
        let actions = bench.pass(30)
        #expect(actions.news == [.loginsUsedUp(2)])
        #expect(actions.contains(.end(.asAsked)))
    }

    @Test func theLinksThatStandAreKept() {
        let bench = PoolBench.settled(onePlan { $0.logins = 1 })
        #expect(bench.tell(.linkSuspect(first)).logins.isEmpty)
        #expect(bench.pool.isRunning)
        _ = bench.tell(.linkRecovered(first))
        #expect(bench.pool.isRunning && bench.tell(.linkSuspect(first)).logins.isEmpty)
        #expect(bench.tell(.linkLost(first, reason: "gone")).news.contains(.lost(place: 0, reason: "gone")))
        #expect(bench.pass(0).news == [.loginsUsedUp(1)])
    }

    /// A password that is wrong, and a login that never led in.
    @Test(arguments: [true, false]) func aRefusedLoginWaitsForMinutesWhateverHappens(_ hasStood: Bool) {
        let bench = hasStood ? PoolBench.settled(onePlan()) : PoolBench(onePlan { $0.persistence = .always })
        if hasStood { _ = bench.tell(.linkLost(first, reason: "gone")) } else { _ = bench.tell(.begun) }
        let refused = hasStood ? bench.pass(0).logins[0] : first
        _ = bench.tell(.loginFailed(refused, PoolBench.refusal, secret: hasStood ? .handedOut : .none))
        _ = bench.tell(.connectionWaits)
        _ = bench.tell(.networkChanged)
        _ = bench.tell(.slept)
        #expect(bench.pass(89).logins.isEmpty)
        #expect(bench.pass(31).logins.count == 1)
    }

    /// No home yet, pam_nologin, a key command that is not up: it lasts for seconds.
    @Test func aServerThatBootsIsTriedAgainSoon() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "gone"))
        var id = bench.pass(0).logins[0]
        for most in [1.0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let failed = bench.tell(.loginFailed(id, PoolBench.refusal))
            guard case .loginFailed(_, let again, isOldNews: false)? = failed.news.first else {
                Issue.record("\(failed)")
                return
            }
            #expect(again.seconds <= most && again.seconds >= most * 0.75)
            id = bench.pass(again.seconds + 0.001).logins[0]
        }
        // Once each step a connection or the network shortens it.
        _ = bench.tell(.loginFailed(id, PoolBench.refusal))
        _ = bench.tell(.connectionWaits)
        var early = bench.pass(Backoff.longestWhileWaited.seconds).logins
        guard early.count == 1 else {
            Issue.record("\(early)")
            return
        }
        _ = bench.tell(.loginFailed(early[0], PoolBench.refusal))
        _ = bench.tell(.connectionWaits)
        #expect(bench.pass(60).logins.isEmpty, "once")
        early = bench.pass(300).logins
        // Let in, and lost soon: what was refused before does not count.
        _ = bench.tell(.loggedIn(early[0], summary: ""))
        _ = bench.tell(.linkLost(early[0], reason: "gone"))
        let next = bench.pass(1).logins[0]
        guard case .loginFailed(_, let again, _)? = bench.tell(.loginFailed(next, PoolBench.refusal)).news.first else {
            Issue.record("nothing is said")
            return
        }
        #expect(again.seconds <= 1)
    }

    /// A changed host key is no cause to knock often; it ends a tunnel that had no link for ten minutes.
    @Test func anotherHostKeyIsLookedAtNowAndThen() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "gone"))
        var id = bench.pass(0).logins[0]
        let key = SSHError(.hostKey, "changed")
        var waits: [Double] = []
        while true {
            let actions = bench.tell(.loginFailed(id, key))
            guard case .loginFailed(_, let again, _)? = actions.news.first else {
                #expect(actions == [.say(.loginGivenUp(key)), .post(.stop(drain: .seconds(5)))])
                break
            }
            waits.append(again.seconds)
            _ = bench.tell(.connectionWaits)
            #expect(bench.pass(again.seconds - 0.01).logins.isEmpty, "a connection does not hasten it")
            id = bench.pass(0.02).logins[0]
        }
        #expect(waits.count == 5 && abs(waits.reduce(0, +) - 600) < 1, "\(waits)")
        for (wait, most) in zip(waits, [30.0, 60, 120, 240]) { #expect(wait <= most && wait >= most * 0.75) }
    }

    /// Connections that wait bring a try every ten seconds, and do not use up what the network's return is worth.
    @Test func waitersLeaveTheNetworkItsEarlyTry() {
        let bench = PoolBench(onePlan { $0.persistence = .always })
        var id = bench.tell(.begun).logins[0]
        for _ in 0..<6 {
            _ = bench.tell(.loginFailed(id, PoolBench.transport))
            id = bench.pass(30).logins[0]
        }
        _ = bench.tell(.connectionWaits)
        _ = bench.tell(.loginFailed(id, PoolBench.transport))
        var waited: [LinkID] = []
        for _ in 0..<102 where waited.isEmpty { waited = bench.pass(0.1).logins }
        guard waited.count == 1 else {
            Issue.record("nothing in 10.2 s")
            return
        }
        _ = bench.tell(.loginFailed(waited[0], PoolBench.transport))
        _ = bench.tell(.connectionWaits)
        #expect(bench.pass(1).logins.isEmpty)
        _ = bench.tell(.networkChanged)
        let back = bench.pass(0).logins
        guard back.count == 1 else {
            Issue.record("the network's news are worth nothing")
            return
        }
        _ = bench.tell(.loginFailed(back[0], PoolBench.transport))
        _ = bench.tell(.networkChanged)
        #expect(bench.pass(1.5).logins.isEmpty, "once a step")
    }

    /// Nobody waits for what a person has to mend, until something else is the matter.
    @Test func meanwhileConnectionsAreRefused() {
        let bench = PoolBench.settled(onePlan { $0.links = 2 })
        func orders(_ actions: [PoolAction]) -> [WorkerOrder] {
            actions.compactMap { if case .post(let order) = $0 { order } else { nil } }
        }
        let key = SSHError(.hostKey, "changed")
        let standing = LinkID(place: 1, serial: 2)
        _ = bench.tell(.linkLost(first, reason: "gone"))
        var id = bench.pass(0).logins[0]
        #expect(orders(bench.tell(.loginFailed(id, key))).isEmpty, "a link stands")
        _ = bench.tell(.linkLost(standing, reason: "gone"))
        let other = bench.pass(0).logins[0]
        #expect(orders(bench.tell(.loginFailed(other, key))) == [.refuse("changed")])
        id = bench.pass(40).logins[0]
        #expect(orders(bench.tell(.loginFailed(id, key))).isEmpty, "once")
        let next = bench.pass(100).logins
        #expect(orders(bench.tell(.loginFailed(next[0], PoolBench.transport))) == [.refuse(nil)])
    }

    @Test func thatEndsNoTunnelThatPersistsAndNoneThatStands() {
        let key = SSHError(.hostKey, "changed")
        for plan in [onePlan { $0.persistence = .always }, onePlan { $0.links = 2 }] {
            let bench = PoolBench.settled(plan)
            _ = bench.tell(.linkLost(first, reason: "gone"))
            var id = bench.pass(0).logins[0]
            for _ in 0..<10 {
                let actions = bench.tell(.loginFailed(id, key))
                guard case .loginFailed(_, let again, _)? = actions.news.first else {
                    Issue.record("\(actions)")
                    return
                }
                id = bench.pass(again.seconds + 0.001).logins[0]
            }
            _ = bench.tell(.loginFailed(id, key))
            // The network may lead elsewhere now.
            _ = bench.tell(.networkChanged)
            #expect(bench.pass(0).logins.count == 1)
        }
    }

    /// The next try follows the last one within ten seconds, however late it was due.
    @Test func whileAConnectionWaitsNoWaitIsLong() {
        let bench = PoolBench(onePlan { $0.persistence = .always })
        var id = bench.tell(.begun).logins[0]
        for _ in 0..<8 {
            _ = bench.tell(.loginFailed(id, PoolBench.transport))
            id = bench.pass(30).logins[0]
        }
        _ = bench.tell(.loginFailed(id, PoolBench.transport))
        var tries: [Double] = []
        for _ in 0..<500 {
            _ = bench.tell(.connectionWaits)
            guard let login = bench.pass(0.1).logins.first else { continue }
            tries.append((bench.now - Tick(nanoseconds: 0)).seconds)
            _ = bench.tell(.loginFailed(login, PoolBench.transport))
        }
        #expect(tries.count >= 4, "\(tries)")
        for (one, next) in zip(tries, tries.dropFirst()) {
            let most = Backoff.longestWhileWaited.seconds
            #expect(next - one <= most + 0.1 && next - one >= most - 0.1, "\(tries)")
        }
        // Nobody waits any more.
        _ = bench.pass(30)
        guard let login = bench.pass(30).logins.first else { return }
        _ = bench.tell(.loginFailed(login, PoolBench.transport))
        #expect(bench.pass(20).logins.isEmpty)
    }

    /// A routing daemon makes news all the time, and clients come back each second: neither switches the backoff off.
    @Test func newsHastenEachStepOnce() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "gone"))
        var logins = 0
        var id = bench.pass(0).logins[0]
        for _ in 0..<240 {
            _ = bench.tell(.loginFailed(id, PoolBench.transport))
            while true {
                _ = bench.tell(.networkChanged)
                let next = bench.pass(0.5).logins
                guard let login = next.first else { continue }
                id = login
                logins += 1
                break
            }
            if bench.now - Tick(nanoseconds: 0) > .seconds(31 + 240) { break }
        }
        // Steps at 0.4, 1.5, 4, 9, 19, 39, 69 s and every 30 s, each with one early try.
        #expect(logins <= 2 * 15, "\(logins) in 240 s")
        #expect(logins >= 13)
    }

    @Test func theBudgetHasTheLastWord() {
        let bench = PoolBench.settled(onePlan())
        _ = bench.tell(.linkLost(first, reason: "gone"))
        let id = bench.pass(0).logins[0]
        bench.knockable = bench.now + .seconds(7)
        #expect(
            bench.tell(.loginFailed(id, PoolBench.transport)).news == [
                .loginFailed(PoolBench.transport, again: .seconds(7), isOldNews: false)
            ])
        // No early try is lost on it.
        _ = bench.tell(.connectionWaits)
        #expect(bench.pass(6.9).logins.isEmpty)
        bench.knockable = bench.now + .seconds(3)
        #expect(bench.pass(2.9).logins.isEmpty, "another tunnel has knocked meanwhile")
        bench.knockable = nil
        #expect(bench.pass(0.2).logins.count == 1)
    }
}
