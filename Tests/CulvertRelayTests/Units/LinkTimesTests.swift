import CulvertIO
import CulvertPlan
import Testing

@testable import CulvertRelay

/// The times of a link, in seconds: when it is asked whether it lives, how old its keys become, how long it is kept for
/// what is over.
@Suite struct LinkTimesTests {
    private static func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 1_000_000_000) + .seconds(seconds) }

    private static func alive(every seconds: Double, count: Int = 3) -> KeepAlive {
        var times = KeepAlive()
        times.serverAliveInterval = seconds > 0 ? .seconds(seconds) : nil
        times.serverAliveCountMax = count
        return times
    }

    private static let quick = Tick.Span.milliseconds(1)

    // MARK: Liveness

    @Test func aLinkThatSpeaksIsNotAsked() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        for second in stride(from: 0.0, to: 100, by: 10) {
            #expect(liveness.heard(Self.at(second)) == false, "it was never suspect")
            #expect(liveness.look(Self.at(second + 9), roundTrip: Self.quick) == .wait(until: Self.at(second + 15)))
        }
        #expect(!liveness.isSuspect)
    }

    /// ServerAliveCountMax 0.
    @Test func silenceEndsALinkThatIsNotAsked() {
        var liveness = Liveness(Self.alive(every: 15, count: 0), habit: .answers, now: Self.at(0))
        #expect(liveness.look(Self.at(14), roundTrip: Self.quick) == .wait(until: Self.at(15)))
        #expect(liveness.heard(Self.at(14)) == false)
        #expect(liveness.look(Self.at(28), roundTrip: Self.quick) == .wait(until: Self.at(29)))
        #expect(liveness.look(Self.at(29), roundTrip: Self.quick) == .giveUp(silence: .seconds(15)))
    }

    /// Asked when it was silent for the interval, suspect two seconds later, asked again each interval, given up when the
    /// last of the questions is as old as that.
    @Test(arguments: 1...4) func aSilentLinkIsAskedSoOftenAndGivenUp(_ count: Int) {
        var liveness = Liveness(Self.alive(every: 15, count: count), habit: .answers, now: Self.at(0))
        var now = 15.0
        for _ in 0..<count {
            let isFirst = !liveness.isSuspect
            #expect(
                liveness.look(Self.at(now), roundTrip: Self.quick) == .ask(nextLook: Self.at(now + (isFirst ? 2 : 15))))
            if isFirst {
                #expect(
                    liveness.look(Self.at(now + 1.9), roundTrip: Self.quick) == .wait(until: Self.at(now + 2)))
                #expect(!liveness.isSuspect)
                #expect(liveness.look(Self.at(now + 2), roundTrip: Self.quick) == .wait(until: Self.at(now + 15)))
                #expect(liveness.isSuspect)
            }
            now += 15
        }
        #expect(liveness.look(Self.at(now), roundTrip: Self.quick) == .giveUp(silence: .seconds(now)))
    }

    /// A channel that is not opened has the link asked early: it is suspect sooner, and lives as long as ssh's would.
    @Test func aQuestionOutOfTurnMakesTheEndComeNoSooner() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        _ = liveness.channelAsked(Self.at(0), byName: false)
        var asked: [Double] = []
        var now = 0.0
        while true {
            switch liveness.look(Self.at(now), roundTrip: Self.quick) {
            case .wait(let moment): now = ((moment ?? Self.at(1000)) - Self.at(0)).seconds
            case .ask(let next):
                asked.append(now)
                now = (next - Self.at(0)).seconds
            case .giveUp(let silence):
                #expect(silence >= .seconds(60) && asked == [1, 16, 31, 46], "\(silence.seconds) s, \(asked)")
                return
            }
        }
    }

    @Test func anAnswerEndsTheSuspicion() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        _ = liveness.look(Self.at(15), roundTrip: Self.quick)
        _ = liveness.look(Self.at(17), roundTrip: Self.quick)
        #expect(liveness.isSuspect)
        #expect(liveness.heard(Self.at(20)) == true, "whoever asks is told that it has recovered")
        #expect(!liveness.isSuspect)
        #expect(liveness.heard(Self.at(20)) == false, "once")
        #expect(liveness.look(Self.at(20), roundTrip: Self.quick) == .wait(until: Self.at(35)))
    }

    /// A slow path is not a dead one: four round trips, and never longer than the interval.
    @Test func aSlowPathIsGivenFourRoundTrips() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        #expect(liveness.look(Self.at(15), roundTrip: .seconds(1)) == .ask(nextLook: Self.at(19)))
        #expect(liveness.look(Self.at(18), roundTrip: .seconds(1)) == .wait(until: Self.at(19)))
        #expect(!liveness.isSuspect)
        _ = liveness.look(Self.at(19), roundTrip: .seconds(1))
        #expect(liveness.isSuspect)
        var slower = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        #expect(slower.look(Self.at(15), roundTrip: .seconds(10)) == .ask(nextLook: Self.at(30)))
    }

    /// A channel that is not opened within a second has the link asked, unless it has spoken meanwhile: then its target
    /// is what is slow.
    @Test func aChannelThatIsNotOpenedHasTheLinkAsked() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        #expect(liveness.channelAsked(Self.at(5), byName: false) == Self.at(6))
        #expect(liveness.channelAsked(Self.at(5.5), byName: false) == nil, "the first one is waited for already")
        #expect(liveness.look(Self.at(6), roundTrip: Self.quick) == .ask(nextLook: Self.at(8)))
        _ = liveness.heard(Self.at(6.1))
        #expect(liveness.look(Self.at(7), roundTrip: Self.quick) == .wait(until: Self.at(21.1)))
        liveness.channelAnswered()
        #expect(liveness.channelAsked(Self.at(8), byName: false) == Self.at(9))
        liveness.channelAnswered()
        #expect(liveness.look(Self.at(9), roundTrip: Self.quick) == .wait(until: Self.at(21.1)))
    }

    /// sshd looks names up in the session's process, and says nothing meanwhile: that is no sign of death for 15 s.
    @Test func aNameThatIsLookedUpIsNoSignOfDeath() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        _ = liveness.heard(Self.at(5))
        #expect(liveness.channelAsked(Self.at(5), byName: true) == Self.at(6))
        #expect(liveness.look(Self.at(6), roundTrip: Self.quick) == .ask(nextLook: Self.at(8)))
        #expect(liveness.look(Self.at(8), roundTrip: Self.quick) == .wait(until: Self.at(20)))
        #expect(!liveness.isSuspect)
        // Another one stands behind the first; what is heard in between begins the time anew.
        #expect(liveness.channelAsked(Self.at(9), byName: true) == nil)
        _ = liveness.heard(Self.at(10))
        liveness.channelAnswered()
        #expect(liveness.look(Self.at(25), roundTrip: Self.quick) == .ask(nextLook: Self.at(27)))
        #expect(liveness.look(Self.at(27), roundTrip: Self.quick) == .wait(until: Self.at(40)))
        #expect(liveness.isSuspect, "15 s after it spoke")
        // Nothing is looked up any more.
        _ = liveness.heard(Self.at(28))
        liveness.channelAnswered()
        _ = liveness.look(Self.at(43), roundTrip: Self.quick)
        _ = liveness.look(Self.at(45), roundTrip: Self.quick)
        #expect(liveness.isSuspect)
    }

    @Test func aLinkThatIsSilentAlreadyHasNoExcuse() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        _ = liveness.look(Self.at(15), roundTrip: Self.quick)
        _ = liveness.channelAsked(Self.at(16), byName: true)
        _ = liveness.look(Self.at(17), roundTrip: Self.quick)
        #expect(liveness.isSuspect)
    }

    @Test(arguments: [
        (Target.tcp(host: "db.internal", port: 1), true), (.tcp(host: "10.0.0.1", port: 1), false),
        (.tcp(host: "::1", port: 1), false), (.unix(path: "/run/db"), false), (.requested, false),
    ])
    func whatMustBeLookedUpIsKnown(_ target: Target, _ hasName: Bool) { #expect(target.hasName == hasName) }

    @Test func whoMayNotBeAskedNeverIs() {
        var liveness = Liveness(Self.alive(every: 0), habit: .answers, now: Self.at(0))
        #expect(liveness.channelAsked(Self.at(1), byName: false) == nil)
        #expect(liveness.ask(Self.at(2), roundTrip: Self.quick) == nil)
        #expect(liveness.look(Self.at(1_000_000), roundTrip: Self.quick) == .wait(until: nil))
        #expect(!liveness.isSuspect)
    }

    /// When the path has changed: at once, and once.
    @Test func aQuestionOutOfTurnCountsAsOne() {
        var liveness = Liveness(Self.alive(every: 15), habit: .answers, now: Self.at(0))
        #expect(liveness.ask(Self.at(1), roundTrip: Self.quick) == Self.at(3))
        #expect(liveness.ask(Self.at(1.5), roundTrip: Self.quick) == nil)
        #expect(liveness.look(Self.at(3), roundTrip: Self.quick) == .wait(until: Self.at(16)))
        #expect(liveness.isSuspect)
        #expect(liveness.look(Self.at(16), roundTrip: Self.quick) == .ask(nextLook: Self.at(31)))
    }

    // MARK: Servers that answer no question

    /// It lives as far as its kernel says: it is asked on, and neither suspect nor given up.
    @Test func aServerThatNeverAnsweredIsKept() {
        var liveness = Liveness(Self.alive(every: 15), now: Self.at(0))
        #expect(liveness.ask(Self.at(0), roundTrip: Self.quick) == Self.at(15), "after the login")
        #expect(liveness.look(Self.at(3), roundTrip: Self.quick) == .wait(until: Self.at(15)))
        for look in stride(from: 15.0, through: 300, by: 15) {
            #expect(
                liveness.look(Self.at(look), roundTrip: Self.quick, sinceAcknowledged: .seconds(14.9))
                    == .ask(nextLook: Self.at(look + 15)))
            #expect(liveness.habit == .isMute && !liveness.isSuspect)
        }
        // Where nothing is known of the kernel there is no evidence either.
        var unseen = Liveness(Self.alive(every: 15), now: Self.at(0))
        for look in stride(from: 15.0, through: 300, by: 15) {
            #expect(unseen.look(Self.at(look), roundTrip: Self.quick) == .ask(nextLook: Self.at(look + 15)))
        }
        #expect(unseen.habit == .isMute)
    }

    /// Nothing acknowledges the questions: that is a dead path, whatever the server's habit.
    @Test(arguments: [Liveness.Habit.unknown, .isMute])
    func aServerWhoseMachineIsGoneIsGivenUp(_ habit: Liveness.Habit) {
        var liveness = Liveness(Self.alive(every: 15), habit: habit, now: Self.at(0))
        for look in [15.0, 30, 45] {
            #expect(
                liveness.look(Self.at(look), roundTrip: Self.quick, sinceAcknowledged: .seconds(look))
                    == .ask(nextLook: Self.at(look + 15)))
            #expect(liveness.habit == habit && !liveness.isSuspect)
        }
        #expect(
            liveness.look(Self.at(60), roundTrip: Self.quick, sinceAcknowledged: .seconds(60))
                == .giveUp(silence: .seconds(60)))
    }

    /// As ssh does: whoever sets ServerAliveInterval means it.
    @Test func anIntervalThatWasSetIsObeyed() {
        var times = Self.alive(every: 5, count: 2)
        times.isSet = true
        var liveness = Liveness(times, now: Self.at(0))
        for look in [5.0, 10] {
            #expect(
                liveness.look(Self.at(look), roundTrip: Self.quick, sinceAcknowledged: .seconds(1))
                    == .ask(nextLook: Self.at(look + 5)))
        }
        #expect(!liveness.isSuspect)
        #expect(
            liveness.look(Self.at(15), roundTrip: Self.quick, sinceAcknowledged: .seconds(1))
                == .giveUp(silence: .seconds(15)))
    }

    @Test func oneAnswerMakesSilenceASign() {
        var liveness = Liveness(Self.alive(every: 15), now: Self.at(0))
        _ = liveness.ask(Self.at(0), roundTrip: Self.quick)
        _ = liveness.heard(Self.at(1))
        liveness.answered()
        #expect(liveness.look(Self.at(16), roundTrip: Self.quick) == .ask(nextLook: Self.at(18)))
        _ = liveness.look(Self.at(18), roundTrip: Self.quick)
        #expect(liveness.isSuspect)
    }

    // MARK: KeyAges

    @Test func keysAgeFromTheirLastExchange() {
        var keys = KeyAges(interval: .seconds(100), patience: .seconds(30), now: Self.at(0))
        #expect(keys.due == Self.at(100))
        #expect(keys.areOld(Self.at(99)) == false)
        #expect(keys.areOld(Self.at(130)) == true)
        #expect(keys.areOld(Self.at(131)) == false, "said once")
        #expect(keys.due == Self.at(230))
        var ageless = KeyAges(interval: nil, patience: .seconds(30), now: Self.at(0))
        #expect(ageless.due == nil)
        #expect(ageless.areOld(Self.at(1_000_000)) == false)
    }

    @Test func anExchangeThatTakesTooLongIsOverdue() {
        var keys = KeyAges(interval: nil, patience: .seconds(30), now: Self.at(0))
        #expect(keys.look(Self.at(5), heard: 0) == .fine(nextLook: nil))
        #expect(keys.saw(1, now: Self.at(10), heard: 1000) == Self.at(40))
        #expect(keys.saw(1, now: Self.at(20), heard: 2000) == nil, "no news")
        #expect(keys.look(Self.at(39), heard: 2000) == .fine(nextLook: Self.at(40)))
        #expect(keys.look(Self.at(40), heard: 1000 + KeyAges.progress - 1) == .overdue)
    }

    /// What stood in line before the server's part of it comes over a slow path for as long as it takes.
    @Test func whatStillComesPutsItOff() {
        var keys = KeyAges(interval: nil, patience: .seconds(30), now: Self.at(0))
        _ = keys.saw(1, now: Self.at(0), heard: 0)
        var heard: UInt64 = 0
        for round in 1...5 {
            heard += KeyAges.progress
            let now = Double(round) * 30
            #expect(keys.look(Self.at(now), heard: heard) == .fine(nextLook: Self.at(now + 30)))
        }
        #expect(keys.look(Self.at(180), heard: heard) == .overdue)
    }

    @Test func eachExchangeHasItsOwnTime() {
        var keys = KeyAges(interval: nil, patience: .seconds(30), now: Self.at(0))
        _ = keys.saw(1, now: Self.at(0), heard: 0)
        #expect(keys.saw(nil, now: Self.at(29), heard: 0) == nil)
        #expect(keys.look(Self.at(31), heard: 0) == .fine(nextLook: nil))
        #expect(keys.saw(2, now: Self.at(40), heard: 0) == Self.at(70))
        #expect(
            keys.saw(3, now: Self.at(60), heard: 0) == Self.at(90), "the next one began before this was seen to end")
        #expect(keys.look(Self.at(70), heard: 0) == .fine(nextLook: Self.at(90)))
    }

    // MARK: ExchangeBudget

    @Test("a server may begin many exchanges at once, and then as many as time and its data allow")
    func exchangesAreCounted() {
        let most = UInt64(ExchangeBudget.most)
        var budget = ExchangeBudget(now: Self.at(0))
        let atOnce = (0...most).allSatisfy { budget.allows($0, Self.at(0), carried: 0) }
        let oneMore = budget.allows(most + 1, Self.at(0), carried: 0)
        #expect(atOnce && !oneMore)
        var patient = ExchangeBudget(now: Self.at(0))
        // RekeyLimit of 16 bytes, at a stream of whole packets; then an exchange every tenth of a second, of an idle link.
        let busy = (1...10 * most).allSatisfy { patient.allows($0, Self.at(0), carried: $0 * 32 * 1024) }
        let carried = 10 * most * 32 * 1024
        let idle = (1...10 * most).allSatisfy {
            patient.allows(10 * most + $0, Self.at(Double($0) / 10), carried: carried)
        }
        #expect(busy && idle)
        let late = patient.allows(30 * most, Self.at(3 * Double(most)), carried: carried)
        #expect(!late, "more at once than it may save")
    }

    // MARK: ClosingWatch

    @Test func aClosingLinkIsKeptWhileItsServerWorksOnIt() {
        var closing = ClosingWatch(progress: 7, now: Self.at(0))
        #expect(closing.look(progress: 7, now: Self.at(29)) == .wait(until: Self.at(30)))
        #expect(closing.look(progress: 8, now: Self.at(29.9)) == .wait(until: Self.at(59.9)))
        for round in 0..<10 {
            let now = 50 + Double(round) * 29
            #expect(closing.look(progress: UInt64(9 + round), now: Self.at(now)) == .wait(until: Self.at(now + 30)))
        }
        #expect(closing.look(progress: 18, now: Self.at(50 + 9 * 29 + 30)) == .giveUp)
    }

    @Test func aServerThatSaysNothingIsGivenUpAfterItsTime() {
        var closing = ClosingWatch(progress: 0, now: Self.at(0))
        #expect(closing.look(progress: 0, now: Self.at(29.999)) == .wait(until: Self.at(30)))
        #expect(closing.look(progress: 0, now: Self.at(30)) == .giveUp)
    }
}
