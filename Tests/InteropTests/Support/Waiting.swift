import Foundation

/// Seconds on the monotonic clock.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

/// Returns what `probe` finds, asking again every few milliseconds; throws when `deadline` seconds pass without it.
///
/// This is the only way the tests wait: for a condition, never for a length of time.
@discardableResult
func eventually<Found>(
    _ what: @autoclosure () -> String, within deadline: Double = 15, every pause: Double = 0.005,
    _ probe: () throws -> Found?
) throws -> Found {
    let end = monotonicSeconds() + deadline
    while true {
        if let found = try probe() { return found }
        guard monotonicSeconds() < end else { throw Failure("not within \(deadline) s: \(what())") }
        usleep(UInt32(pause * 1e6))
    }
}

/// `eventually` for a plain yes or no.
func waitUntil(
    _ what: @autoclosure () -> String, within deadline: Double = 15, every pause: Double = 0.005,
    _ condition: () throws -> Bool
) throws {
    try eventually(what(), within: deadline, every: pause) { try condition() ? true : nil }
}

/// Lets `duration` seconds pass because the passing of time is what the test is about (an outage, a stalled reader),
/// and throws when `condition`, asked all along, stops holding.
func during(_ duration: Double, _ what: String, _ condition: () throws -> Bool = { true }) throws {
    let end = monotonicSeconds() + duration
    while monotonicSeconds() < end {
        guard try condition() else { throw Failure("stopped holding: \(what)") }
        usleep(20_000)
    }
}
