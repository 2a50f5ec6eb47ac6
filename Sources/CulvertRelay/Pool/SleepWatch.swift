internal import CulvertIO

/// Notices that the machine was suspended: a clock that goes on while it sleeps drifts from one that does not.
struct SleepWatch {
    /// Clocks are read one after the other, and are set right while they run: less is no sleep.
    static let leastSleep = Tick.Span.seconds(2)

    private var drift: Tick.Span

    init(_ now: Tick, withSleep: Tick) { drift = withSleep - now }

    /// Whether it has slept since the last look.
    mutating func hasSlept(_ now: Tick, withSleep: Tick) -> Bool {
        let before = drift
        drift = withSleep - now
        return drift.nanoseconds - before.nanoseconds > Self.leastSleep.nanoseconds
    }
}
