internal import ConfigScenarios
internal import IOScenarios
internal import IdentityScenarios
internal import RelayScenarios
internal import SSHScenarios
public import Scenario

/// Every scenario, in the order of the modules, lowest first.
public let allScenarios: [Scenario] =
    IOScenarios.all + SSHScenarios.all + RelayScenarios.all + ConfigScenarios.all + IdentityScenarios.all
