import CulvertIO
import Testing

@testable import CulvertRelay

/// Pools in storms, from seeds.
@Suite struct PoolStormTests {
    /// Every seed that ever failed, on a pool that was wrong or on one that was made wrong to see it found, and what it
    /// found.
    static let failedOnce: [(seed: UInt64, found: String)] = [
        (0, "what is said of a lost link is taken to be about its replacement"),
        (1, "a second link is delivered where one serves"),
        (2, "listeners that are answered after the order to stop let a link in"),
        (4, "a sixth knock within 30 s at an address where something has failed"),
        (6, "a place that serves waits for another login"),
        (9, "after a first login that failed, the next place never begins its own"),
        (44, "a retry outlives the order to stop, and the thread spins"),
    ]

    private func storm(_ seed: UInt64) -> Int {
        var storm = PoolStorm(seed: seed)
        do { try storm.run(steps: 400) } catch { Issue.record("seed \(seed): \(error)") }
        return storm.events
    }

    @Test(arguments: UInt64(0)..<10) func anythingInAnyOrder(_ part: UInt64) {
        var events = 0
        for seed in part * 400..<(part + 1) * 400 { events += storm(seed) }
        // Most of them live for long.
        #expect(events > 400 * 50, "\(events) events in 400 storms")
    }

    @Test func whatFailedOnceHolds() {
        for (seed, found) in Self.failedOnce where storm(seed) == 0 { Issue.record("\(seed) is no storm: \(found)") }
    }
}
