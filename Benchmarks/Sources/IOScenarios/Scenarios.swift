public import Scenario

/// CulvertIO: the memory that is moved, timers, and a driver's turn.
public enum IOScenarios {
    public static let all = slots + rings + timers + driverTurns
}
