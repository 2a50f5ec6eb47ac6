import CulvertIO
import Testing

@testable import CulvertRelay

@Suite struct OwedAcknowledgementTests {
    private static func at(_ microseconds: UInt64) -> Tick { Tick(nanoseconds: microseconds * 1000) }

    @Test func aSmallPacketIsAcknowledgedOnceWhenNothingGoesOut() {
        var owed = OwedAcknowledgement()
        #expect(owed.received(100, now: Self.at(0)) == true)
        #expect(owed.received(100, now: Self.at(500)) == false, "one timer at a time")
        #expect(owed.verdict(now: Self.at(1000)) == .acknowledge)
        #expect(owed.received(100, now: Self.at(2000)) == true, "a new timer after it")
    }

    @Test func whatGoesOutCarriesIt() {
        var owed = OwedAcknowledgement()
        #expect(owed.received(100, now: Self.at(0)) == true)
        owed.sent()
        #expect(owed.verdict(now: Self.at(1000)) == .nothing)
    }

    /// A busy conversation has its acknowledgements carried, whenever the timer looks.
    @Test func whatCameLaterHasItsOwnPatience() {
        var owed = OwedAcknowledgement()
        #expect(owed.received(100, now: Self.at(0)) == true)
        owed.sent()
        #expect(owed.received(100, now: Self.at(900)) == false)
        #expect(owed.verdict(now: Self.at(1000)) == .wait(until: Self.at(1900)))
        #expect(owed.received(100, now: Self.at(1500)) == false, "the timer runs already")
        #expect(owed.verdict(now: Self.at(1900)) == .acknowledge)
    }

    @Test func streamsAndNothingAreNotTimed() {
        var owed = OwedAcknowledgement()
        #expect(owed.received(0, now: Self.at(0)) == false)
        #expect(owed.received(OwedAcknowledgement.streamBytes, now: Self.at(0)) == false)
        #expect(owed.received(100, now: Self.at(100)) == true)
        #expect(owed.received(OwedAcknowledgement.streamBytes, now: Self.at(200)) == false)
        #expect(owed.verdict(now: Self.at(1100)) == .nothing)
    }
}
