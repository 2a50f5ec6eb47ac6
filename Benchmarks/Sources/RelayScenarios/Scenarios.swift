public import Scenario

/// CulvertRelay: whose turn it is, and whole relays on sockets in memory.
public enum RelayScenarios {
    public static let all = flowQueues + plainRelays + tunnels
}
