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

    @Test func aFastStreamOnAShortPathNeedsTheLeast() {
        #expect(Self.need(rate: 400_000_000, trip: 0) == WindowNeed.leastBytes)
        #expect(Self.need(rate: 400_000_000, trip: 1) == WindowNeed.leastBytes)
    }

    @Test func onALongPathItNeedsSomeRoundTrips() {
        #expect((8_000_000...9_700_000).contains(Self.need(rate: 400_000_000, trip: 5)))
    }

    /// More than the least of a fast one: its path may be longer than TCP sees.
    @Test func aSlowStreamHasALargerLeast() {
        #expect(Self.need(rate: 20_000_000, trip: 0) == WindowNeed.slowLeastBytes)
        #expect(Self.need(rate: 6_000_000, trip: 40) == WindowNeed.slowLeastBytes)
        #expect((8_000_000...9_700_000).contains(Self.need(rate: 20_000_000, trip: 100)))
    }

    @Test func aStreamWithoutARoundTripHasNoBound() {
        #expect(Self.need(rate: 1_000_000_000, trip: nil) == .max)
        #expect(Self.need(rate: 6_000_000, trip: nil) == .max)
    }

    /// Before anything is known of a link its windows are as large as OpenSSH's.
    @Test func itBeginsWithTheLeast() {
        var need = WindowNeed()
        #expect(need.bytes == WindowNeed.leastBytes)
        Self.stream(&need, rate: 1_000_000_000, trip: 0, milliseconds: 0..<4)
        #expect(need.bytes == WindowNeed.leastBytes)
    }

    /// A burst in every 300 ms, each faster than what is fast: the window holds the stream back, over a tunnel of another.
    @Test func burstsAreNoFastStream() {
        var need = WindowNeed()
        for burst in 0..<5 {
            Self.stream(&need, rate: 1_000_000_000, trip: 0, milliseconds: burst * 300..<burst * 300 + 3)
            #expect(burst == 0 || need.bytes == WindowNeed.slowLeastBytes)
        }
    }

    @Test func aPauseInAFastStreamIsNotTheEndOfIt() {
        var need = WindowNeed()
        for burst in 0..<20 {
            Self.stream(&need, rate: 1_000_000_000, trip: 0, milliseconds: burst * 50..<burst * 50 + 30)
            #expect(need.bytes == WindowNeed.leastBytes)
        }
    }
}
