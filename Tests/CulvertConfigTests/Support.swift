import CulvertConfig
import CulvertPlan
import Testing

/// The same surroundings on every machine.
let testEnvironment = ConfigurationEnvironment(
    variables: ["SSH_AUTH_SOCK": "/run/agent", "KEYS": "/keys"], homeDirectory: "/home/ann", userName: "ann",
    userID: 1000, hostName: "box.example.org", homeDirectories: .listed(["eve": "/srv/eve"]))

struct NotATunnel: Error {}

/// The parts of the plan by the names of what is typed.
extension TunnelConfiguration {
    var server: ServerPlan { plan.server }
    var destination: Destination { server.destination }
    var connection: ConnectionOptions { server.connection }
    var login: LoginOptions { server.login }
    var hostKeys: HostKeyOptions { server.hostKeys }
    var algorithms: AlgorithmOptions { server.algorithms }
    var proxyCommand: ProxyCommand? { server.proxyCommand }
    var hops: [ServerPlan] { plan.hops }
    var links: Int { plan.links }
    var engine: EngineChoice { plan.engine }
    var hold: Duration { plan.hold }
    var drain: Duration { plan.drain }
    var persist: Bool { plan.persistence == .always }
    var nodelay: Bool { plan.nodelay }
    var runtime: RuntimeOptions { plan.runtime }
}

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
    _ kind: ForwardSpecification.Kind, _ listen: ListenEndpoint, _ target: Target, _ text: String
) -> ForwardSpecification {
    ForwardSpecification(kind: kind, listen: listen, target: target, text: text)
}
