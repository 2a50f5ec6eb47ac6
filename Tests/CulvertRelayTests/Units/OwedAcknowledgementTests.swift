import CulvertIO
import Testing

@testable import CulvertRelay

@Suite struct OwedAcknowledgementTests {
    private enum Step {
        case received(Int)
        case sent
        case due
    }

    private enum Answer: Equatable {
        /// Whether a timer is wanted.
        case timer(Bool)
        case verdict(OwedAcknowledgement.Verdict)
    }

    private static func at(_ microseconds: UInt64) -> Tick { Tick(nanoseconds: microseconds * 1000) }

    /// What each step but `sent` answers; each comes at so many microseconds.
    private static func answers(_ steps: [(UInt64, Step)]) -> [Answer] {
        var owed = OwedAcknowledgement()
        return steps.compactMap { microseconds, step in
            switch step {
            case .received(let count): return .timer(owed.received(count, now: at(microseconds)))
            case .due: return .verdict(owed.verdict(now: at(microseconds)))
            case .sent:
                owed.sent()
                return nil
            }
        }
    }

    @Test func aSmallPacketIsAcknowledgedOnceWhenNothingGoesOut() {
        let found = Self.answers([
            (0, .received(100)), (500, .received(100)), (1000, .due), (1000, .due), (2000, .received(100)),
        ])
        #expect(
            found == [.timer(true), .timer(false), .verdict(.acknowledge), .verdict(.nothing), .timer(true)],
            "one timer at a time, a new one after it")
    }

    @Test func whatGoesOutCarriesIt() {
        let found = Self.answers([(0, .received(100)), (10, .sent), (1000, .due)])
        #expect(found == [.timer(true), .verdict(.nothing)])
    }

    /// A busy conversation has its acknowledgements carried, whenever the timer looks.
    @Test func whatCameLaterHasItsOwnPatience() {
        let found = Self.answers([
            (0, .received(100)), (10, .sent), (900, .received(100)), (1000, .due), (1500, .received(100)), (1900, .due),
        ])
        #expect(
            found == [
                .timer(true), .timer(false), .verdict(.wait(until: Self.at(1900))), .timer(false),
                .verdict(.acknowledge),
            ])
    }

    @Test func streamsAndNothingAreNotTimed() {
        let stream = OwedAcknowledgement.streamBytes
        let found = Self.answers([
            (0, .received(0)), (0, .received(stream)), (100, .received(100)), (200, .received(stream)), (1100, .due),
        ])
        #expect(found == [.timer(false), .timer(false), .timer(true), .timer(false), .verdict(.nothing)])
    }
}
