import CulvertConfig
import Testing

/// The same surroundings on every machine.
let testEnvironment = ConfigurationEnvironment(
    variables: ["SSH_AUTH_SOCK": "/run/agent", "KEYS": "/keys"], homeDirectory: "/home/ann", userName: "ann",
    userID: 1000, hostName: "box.example.org")

struct NotATunnel: Error {}

/// What a tunnel's command line means.
func tunnel(_ arguments: [String]) throws -> TunnelConfiguration {
    guard
        case .tunnel(let configuration) = try parseCommandLine(
            arguments, environment: testEnvironment, access: .nothing)
    else {
        throw NotATunnel()
    }
    return configuration
}

/// The same, with a forward and a destination added.
func settings(_ arguments: String...) throws -> TunnelConfiguration {
    try tunnel(arguments + ["-L", "1:a:2", "server"])
}

/// The one line of a command line that is wrong; nil, which no expectation equals, when it is right.
func fault(_ arguments: [String]) -> String? {
    do {
        _ = try parseCommandLine(arguments, environment: testEnvironment, access: .nothing)
        return nil
    } catch {
        return error.message
    }
}

func forward(
    _ kind: ForwardSpecification.Kind, _ listen: ListenEndpoint, _ target: TargetEndpoint, _ text: String
) -> ForwardSpecification {
    ForwardSpecification(kind: kind, listen: listen, target: target, text: text)
}
