internal import CulvertConfig
internal import CulvertIdentity
internal import Synchronization

/// Whether this process may have to run programs once it is under way, beside the ProxyCommands of its plans: one that asks
/// the user (SSH_ASKPASS), or a condition of a file (`Match exec`). Where it may not, it gives up that they could have more
/// rights than it has.
enum LaterPrograms {
    private static let hasRunCondition = Atomic(false)

    /// The same access, which notes that a condition has been run: it may be again.
    static func noting(_ access: ConfigurationAccess) -> ConfigurationAccess {
        var noting = access
        let execute = access.execute
        noting.execute = { command, shell in
            hasRunCondition.store(true, ordering: .relaxed)
            return execute(command, shell)
        }
        return noting
    }

    static var mayBe: Bool {
        let environment = ConfigurationEnvironment.current().variables
        return hasRunCondition.load(ordering: .relaxed) || TerminalPrompter.mayRunProgram(environment: environment)
    }
}
