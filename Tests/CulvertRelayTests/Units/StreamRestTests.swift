import CulvertIO
import Testing

@testable import CulvertRelay

/// When a link rests, by integers: bytes a wake, and microseconds between wakes.
@Suite struct StreamRestTests {
    private static func moment(_ microseconds: Int) -> Tick {
        Tick(nanoseconds: UInt64(1_000_000 + microseconds) * 1000)
    }

    /// How many of `wakes` wakes, each with `bytes` and `gap` microseconds after the one before, end in a rest.
    private static func rests(_ rest: inout StreamRest, wakes: Int, bytes: Int, gap: Int, from start: Int = 0) -> Int {
        (0..<wakes).count { rest.received(bytes, now: moment(start + $0 * gap)) }
    }

    @Test func aFastStreamRestsAfterItsFirstWindow() {
        var rest = StreamRest()
        let count = Self.rests(&rest, wakes: 100, bytes: 38_000, gap: 40)
        #expect(count == 75)
    }

    @Test func aSlowStreamNeverRests() {
        var rest = StreamRest()
        let count = Self.rests(&rest, wakes: 1000, bytes: 38_000, gap: 400)
        #expect(count == 0)
    }

    @Test func smallAnswersNeverRest() {
        var rest = StreamRest()
        let count = Self.rests(&rest, wakes: 1000, bytes: 500, gap: 10)
        #expect(count == 0)
    }

    /// A question that goes out, however small, ends the resting: its answer is waited for.
    @Test func whatGoesOutEndsTheRest() {
        var rest = StreamRest()
        let count = Self.rests(&rest, wakes: 100, bytes: 38_000, gap: 40)
        #expect(count > 0)
        for question in 0..<50 {
            rest.sent(now: Self.moment(4000 + question * 500))
            let within = Self.rests(&rest, wakes: 12, bytes: 38_000, gap: 40, from: 4000 + question * 500)
            #expect(within == 0)
        }
    }

    @Test func aPauseIsNotAStream() {
        var rest = StreamRest()
        let count = Self.rests(&rest, wakes: 100, bytes: 38_000, gap: 40)
        #expect(count > 0)
        let rested = rest.received(400_000, now: Self.moment(50_000))
        #expect(!rested, "its window lasted through the pause")
    }
}
