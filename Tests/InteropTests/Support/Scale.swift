import Foundation

/// How large the tests are: sized for continuous integration, or in full with `CULVERT_SOAK=1` (`make soak`), by the
/// same code.
enum Scale {
    static let isFull = ProcessInfo.processInfo.environment["CULVERT_SOAK"] == "1"

    /// `full` in a soak, `small` otherwise.
    static func choose<Value>(full: Value, small: Value) -> Value { isFull ? full : small }

    /// Bytes of one bulk transfer.
    static let bulkBytes = choose(full: 4 << 30, small: 256 << 20)
    /// Bytes of all the flows of one many-flow transfer together.
    static let manyFlowBytes = choose(full: 4 << 30, small: 128 << 20)
    /// Bytes in all directions together while keys are exchanged every 16 MiB.
    static let rekeyedBytes = choose(full: 32 << 30, small: 2 << 30)
    /// How often the link is killed under its flows.
    static let linkDeaths = choose(full: 100, small: 4)
    /// How often a path is broken: through jump hosts, or a ProxyCommand.
    static let pathDeaths = choose(full: 50, small: 4)
    /// Seconds for which one of eight readers stops.
    static let stallSeconds = choose(full: 60.0, small: 10.0)
}
