public import Scenario

/// CulvertConfig: what is read of a command line.
public enum ConfigScenarios {
    public static let all = forwardSpecifications
}
