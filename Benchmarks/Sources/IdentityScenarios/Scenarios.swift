public import Scenario

/// CulvertIdentity: whom we trust.
public enum IdentityScenarios {
    public static let all = knownHosts
}
