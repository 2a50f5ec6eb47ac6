import CulvertIO
import CulvertPlan
import Testing

@testable import CulvertRelay

/// How often one process knocks at one address.
@Suite struct KnockBudgetTests {
    private static func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 1_000_000_000) + .seconds(seconds) }
    private static let here = try! SocketAddress.resolve(host: "10.0.0.1", port: 22, numeric: true)[0]
    private static let there = try! SocketAddress.resolve(host: "10.0.0.2", port: 22, numeric: true)[0]

    /// Logins one after the other at one address; those whose knock is granted are over at once.
    private struct Door {
        var budget = KnockBudget()
        var limit = KnockLimit.perHalfMinute(5)

        mutating func knock(_ seconds: Double, _ knock: Knock = .begins, at address: SocketAddress = here)
            -> KnockAnswer
        {
            let ticket = budget.beginLogin(isFirst: false)
            defer { budget.finished(ticket) }
            return budget.ask(knock, at: address, of: ticket, limit: limit, now: KnockBudgetTests.at(seconds))
        }

        /// When each was granted, where somebody knocks as soon as it may.
        mutating func grants(from begin: Double, until end: Double) -> [Double] {
            var granted: [Double] = []
            var now = KnockBudgetTests.at(begin)
            while now < KnockBudgetTests.at(end) {
                let seconds = (now - KnockBudgetTests.at(0)).seconds
                switch knock(seconds) {
                case .granted: granted.append(seconds)
                case .notBefore(let moment): now = moment
                case .never: return granted
                }
            }
            return granted
        }
    }

    /// Nobody could be asked: it counts all the same.
    @Test func aRepetitionThatWasSentCounts() {
        var door = Door()
        for _ in 0..<4 { #expect(door.knock(0, .wasRepeated) == .granted) }
        #expect(door.knock(0, .wasRepeated) == .granted)
        #expect(door.knock(1) != .granted && door.knock(29) != .granted)
        #expect(door.knock(31) == .granted)
    }

    @Test func nothingIsHeldBackWhileAllSucceeds() {
        var door = Door()
        for number in 0..<100 { #expect(door.knock(Double(number) / 100) == .granted) }
    }

    @Test func threeAreQuickAndOneEveryTenSecondsIsKept() {
        var door = Door()
        door.budget.failed(at: Self.here)
        let granted = door.grants(from: 0, until: 100)
        #expect(granted.prefix(5) == [0, 0, 0, 10, 20])
        for (one, next) in zip(granted.dropFirst(2), granted.dropFirst(3)) { #expect(next - one <= 10.2) }
        for begin in granted { #expect(granted.count { $0 >= begin && $0 < begin + 30 } <= 5, "\(granted)") }
    }

    /// What went before the first failure counts: it is on the same list at the firewall.
    @Test func knocksBeforeTheFailureCount() {
        var door = Door()
        for _ in 0..<5 { #expect(door.knock(0) == .granted) }
        door.budget.failed(at: Self.here)
        #expect(door.knock(1) == .notBefore(Self.at(30.1)))
        #expect(door.knock(1, at: Self.there) == .granted, "another address is another door")
    }

    @Test func aRepeatedSYNIsAKnockThatFailed() {
        var door = Door()
        #expect(door.knock(0) == .granted)
        #expect(door.knock(0.9, .repeats) == .granted)
        #expect(door.knock(1.9, .repeats) == .granted)
        #expect(door.knock(2.9, .repeats) == .notBefore(Self.at(10)))
    }

    @Test func aSettledLinkClearsTheCount() {
        var door = Door()
        door.budget.failed(at: Self.here)
        for _ in 0..<3 { #expect(door.knock(0) == .granted) }
        #expect(door.knock(0) == .notBefore(Self.at(10)))
        door.budget.settled(.age, at: Self.here, now: Self.at(1))
        for _ in 0..<20 { #expect(door.knock(1) == .granted) }
    }

    /// Whoever counts before the server (`ufw limit`) has seen the knock of the link that was used, and counts it on.
    @Test func theKnockOfALinkThatWasUsedCountsOn() {
        var door = Door()
        #expect(door.knock(0) == .granted)
        door.budget.settled(.payload, at: Self.here, now: Self.at(1))
        door.budget.failed(at: Self.here)
        for moment in [1.0, 1.4, 2.5, 11] { #expect(door.knock(moment) == .granted) }
        #expect(door.knock(21) == .notBefore(Self.at(30.1)), "it would be the sixth in 30 s there")
        #expect(door.knock(30.2) == .granted)
    }

    @Test func payloadClearsItTenTimesAnHour() {
        var door = Door()
        for round in 0..<10 {
            door.budget.failed(at: Self.here)
            for _ in 0..<3 { #expect(door.knock(Double(round)) == .granted) }
            door.budget.settled(.payload, at: Self.here, now: Self.at(Double(round)))
        }
        door.budget.failed(at: Self.here)
        for _ in 0..<3 { #expect(door.knock(20) == .granted) }
        door.budget.settled(.payload, at: Self.here, now: Self.at(20))
        #expect(door.knock(20) == .notBefore(Self.at(30)))
        // An hour after the first of them there is one more.
        door.budget.settled(.payload, at: Self.here, now: Self.at(3600))
        for _ in 0..<20 { #expect(door.knock(3600) == .granted) }
    }

    @Test func noLimitIsNone() {
        var door = Door()
        door.limit = .unlimited
        door.budget.failed(at: Self.here)
        for _ in 0..<100 { #expect(door.knock(0) == .granted) }
        // What it did counts for those that have one.
        door.limit = .perHalfMinute(5)
        #expect(door.knock(0) == .notBefore(Self.at(30.1)))
    }

    @Test(arguments: 1...7) func everyLimitHolds(_ most: Int) {
        var door = Door()
        door.limit = .perHalfMinute(most)
        door.budget.failed(at: Self.here)
        let granted = door.grants(from: 0, until: 200)
        for begin in granted { #expect(granted.count { $0 >= begin && $0 < begin + 30 } <= most, "\(granted)") }
        #expect(granted.count >= (most < 3 ? 7 : most * 6), "\(granted)")
    }

    @Test func eightFirstLoginsAreUnfinishedAtOnce() {
        var budget = KnockBudget()
        let tickets = (0..<9).map { _ in budget.beginLogin(isFirst: true) }
        func ask(_ ticket: KnockBudget.Ticket, _ seconds: Double) -> KnockAnswer {
            budget.ask(.begins, at: Self.here, of: ticket, limit: .perHalfMinute(5), now: Self.at(seconds))
        }
        for ticket in tickets.prefix(8) { #expect(ask(ticket, 0) == .granted) }
        #expect(ask(tickets[8], 50) == .notBefore(Self.at(50.05)))
        #expect(ask(tickets[3], 50) == .granted, "its own connection again")
        let other = budget.beginLogin(isFirst: false)
        #expect(ask(other, 50) == .granted, "others are counted by themselves")
        budget.finished(tickets[5])
        #expect(ask(tickets[8], 50) == .granted)
    }

    @Test func aLoginThatWaitsForAPersonIsNotWaitedFor() {
        var budget = KnockBudget()
        let tickets = (0..<17).map { _ in budget.beginLogin(isFirst: true) }
        func ask(_ ticket: KnockBudget.Ticket) -> KnockAnswer {
            budget.ask(.begins, at: Self.here, of: ticket, limit: .perHalfMinute(5), now: Self.at(0))
        }
        for ticket in tickets.prefix(8) { #expect(ask(ticket) == .granted) }
        #expect(ask(tickets[8]) != .granted)
        for ticket in tickets.prefix(8) { budget.waitsForPerson(ticket) }
        for ticket in tickets[8..<16] { #expect(ask(ticket) == .granted) }
        #expect(ask(tickets[16]) != .granted, "those that wait for nobody are as many as before")
        // Another hop's knock: its person has answered.
        budget.finished(tickets[8])
        #expect(ask(tickets[0]) == .granted)
        #expect(ask(tickets[16]) != .granted)
    }

    /// Two at once; one that is silent does not hold up the others.
    @Test func otherLoginsTakeTurns() {
        var budget = KnockBudget()
        let tickets = (0..<3).map { _ in budget.beginLogin(isFirst: false) }
        func ask(_ number: Int, _ seconds: Double) -> KnockAnswer {
            budget.ask(.begins, at: Self.here, of: tickets[number], limit: .perHalfMinute(5), now: Self.at(seconds))
        }
        #expect(ask(0, 0) == .granted && ask(1, 1) == .granted)
        #expect(ask(2, 4.9) == .notBefore(Self.at(4.95)))
        #expect(ask(2, 5) == .granted)
    }

    @Test func whenThereIsRoomIsKnownBefore() {
        var door = Door()
        let limit = KnockLimit.perHalfMinute(5)
        #expect(door.budget.earliest([], limit: limit, now: Self.at(0)) == nil)
        door.budget.failed(at: Self.here)
        for _ in 0..<3 { _ = door.knock(0) }
        #expect(door.budget.earliest([Self.here], limit: limit, now: Self.at(1)) == Self.at(10))
        #expect(door.budget.earliest([Self.here, Self.there], limit: limit, now: Self.at(1)) == nil)
        #expect(door.budget.earliest([Self.here], limit: .unlimited, now: Self.at(1)) == nil)
        #expect(door.budget.earliest([Self.here], limit: limit, now: Self.at(10)) == nil)
    }
}
