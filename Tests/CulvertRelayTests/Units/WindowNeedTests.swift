import CulvertIO
import Testing

@testable import CulvertRelay

/// What windows may grow to, by integers.
@Suite struct WindowNeedTests {
    /// `rate` bytes a second over a path of `trip` milliseconds, a millisecond at a time.
    private static func stream(_ need: inout WindowNeed, rate: Int, trip: Int?, milliseconds: Range<Int>) {
        for millisecond in milliseconds {
            _ = need.received(rate / 1000, now: Tick(nanoseconds: UInt64(5000 + millisecond) * 1_000_000)) {
                trip.map { .milliseconds($0) }
            }
        }
    }

    /// What a stream of `rate` bytes a second needs over a path of `trip` milliseconds.
    private static func need(rate: Int, trip: Int?) -> Int {
        var need = WindowNeed()
        stream(&need, rate: rate, trip: trip, milliseconds: 0..<500)
        return need.bytes
    }

    /// On loopback, little: what a reader's rest takes.
    @Test func aStreamOnAShortPathNeedsLittle() {
        #expect(Self.need(rate: 100_000_000, trip: 0) == WindowNeed.leastBytes)
        #expect((700_000...800_000).contains(Self.need(rate: 1_500_000_000, trip: 0)))
        #expect((1_200_000...1_300_000).contains(Self.need(rate: 400_000_000, trip: 1)))
    }

    @Test func aSlowStreamOnALongPathNeedsWhatOpenSSHGrants() {
        #expect(Self.need(rate: 6_000_000, trip: 40) == WindowNeed.firstBytes)
        #expect(Self.need(rate: 6_000_000, trip: 2) == WindowNeed.firstBytes)
    }

    @Test func onALongPathItNeedsTwoRoundTrips() {
        #expect((4_100_000...4_400_000).contains(Self.need(rate: 400_000_000, trip: 5)))
        #expect((3_900_000...4_300_000).contains(Self.need(rate: 20_000_000, trip: 100)))
    }

    @Test func whereThePathCannotBeMeasuredTheBoundIsFixed() {
        #expect(Self.need(rate: 1_000_000_000, trip: nil) == WindowNeed.unmeasuredBytes)
        #expect(Self.need(rate: 6_000_000, trip: nil) == WindowNeed.unmeasuredBytes)
    }

    /// Before anything is known of a link its windows are as large as OpenSSH's.
    @Test func itBeginsWithWhatOpenSSHGrants() {
        var need = WindowNeed()
        #expect(need.bytes == WindowNeed.firstBytes)
        Self.stream(&need, rate: 1_000_000_000, trip: 100, milliseconds: 0..<40)
        #expect(need.bytes == WindowNeed.firstBytes)
    }

    /// What its window holds back may use twice as much, again and again.
    @Test func aStreamThatItsWindowHoldsBackGrows() {
        var need = WindowNeed()
        var before = need.bytes
        for round in 0..<4 {
            let rate = need.bytes * 10
            Self.stream(&need, rate: rate, trip: 100, milliseconds: round * 500..<round * 500 + 500)
            #expect(need.bytes > before * 19 / 10)
            before = need.bytes
        }
    }

    /// What had waited for a reader that was late comes at once, and is no rate of the path.
    @Test func oneBurstIsNoFasterPath() {
        var need = WindowNeed()
        Self.stream(&need, rate: 20_000_000, trip: 100, milliseconds: 0..<500)
        let before = need.bytes
        Self.stream(&need, rate: 400_000_000, trip: 100, milliseconds: 500..<545)
        Self.stream(&need, rate: 20_000_000, trip: 100, milliseconds: 545..<1000)
        #expect(need.bytes < before * 11 / 10)
    }
}
