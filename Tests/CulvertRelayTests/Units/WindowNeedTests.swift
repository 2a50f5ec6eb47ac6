import CulvertIO
import Testing

@testable import CulvertRelay

/// What windows may grow to, by integers.
@Suite struct WindowNeedTests {
    /// `seconds` of a stream of `rate` bytes a second over a path of `trip` milliseconds, in pieces of a millisecond.
    private static func stream(_ need: inout WindowNeed, rate: Int, trip: Int?, milliseconds: Range<Int>) {
        for millisecond in milliseconds {
            _ = need.received(rate / 1000, now: Tick(nanoseconds: UInt64(5000 + millisecond) * 1_000_000)) {
                trip.map { .milliseconds($0) }
            }
        }
    }

    @Test func aShortPathNeedsTheLeast() {
        var need = WindowNeed()
        Self.stream(&need, rate: 400_000_000, trip: 1, milliseconds: 0..<500)
        #expect(need.bytes == WindowNeed.leastBytes)
    }

    @Test func aLongPathNeedsSomeRoundTrips() {
        var need = WindowNeed()
        Self.stream(&need, rate: 20_000_000, trip: 100, milliseconds: 0..<500)
        #expect((7_500_000...8_200_000).contains(need.bytes))
    }

    /// A quiet moment, as between the bursts of a stream that its window holds back, takes little away.
    @Test func pausesAreForgottenSlowly() {
        var need = WindowNeed()
        Self.stream(&need, rate: 20_000_000, trip: 100, milliseconds: 0..<500)
        let before = need.bytes
        Self.stream(&need, rate: 0, trip: 100, milliseconds: 500..<600)
        #expect(need.bytes > before / 2)
        Self.stream(&need, rate: 0, trip: 100, milliseconds: 600..<3000)
        #expect(need.bytes == WindowNeed.leastBytes)
    }

    @Test func aStreamWithoutARoundTripHasNoBound() {
        var need = WindowNeed()
        Self.stream(&need, rate: 1_000_000, trip: nil, milliseconds: 0..<500)
        #expect(need.bytes == .max)
        Self.stream(&need, rate: 1_000_000, trip: 1, milliseconds: 500..<600)
        #expect(need.bytes > WindowNeed.leastBytes, "it goes down slowly, and nothing overflows")
    }
}
