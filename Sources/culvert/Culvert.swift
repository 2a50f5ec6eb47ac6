internal import CulvertConfig
internal import CulvertControl
internal import CulvertIO
internal import CulvertIdentity
internal import CulvertPlan
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// The executable: reads the command line, and hands plain values to the relay.
@main
struct Culvert {
    static func main() {
        // A fault of such a process is told by whoever started it.
        let arguments = Array(HostProcess.arguments.dropFirst())
        if Relay.isChild(arguments) { leave(Relay.runChild()) }
        ProcessFaults.endAtOnce(program: "culvert", version: culvertVersion)
        Relay.prepareProcess()
        do throws(ConfigurationError) {
            let access = access
            switch try parseCommandLine(arguments, access: access) {
            case .show(let text): print(text)
            case .tunnel(let configuration):
                let again = SourceFiles.readAgain(access)
                leave(
                    TunnelCommand(configuration) { () throws(ConfigurationError) in
                        guard case .tunnel(let configuration) = try parseCommandLine(arguments, access: again) else {
                            preconditionFailure("the same words ask for the same")
                        }
                        return configuration
                    }.run())
            case .relay(let configuration): leave(RelayCommand(configuration).run())
            case .control(let request): leave(MuxClient(request).run())
            case .up(let request): leave(try UpCommand(request, access).run())
            case .status(let request): leave(StatusCommand(request, .current()).run())
            case .check(let request): leave(try CheckCommand(request, access).run())
            }
        } catch {
            LogOutput.tell(error.report)
            leave(error.exitCode)
        }
    }

    /// The system's files, and what the engines have.
    private static var access: ConfigurationAccess {
        var access = ConfigurationAccess.system
        access.algorithms = algorithms
        // Without a thread: the process may fork yet.
        access.tell = { LogOutput.writeLine("culvert: \($0)", to: STDERR_FILENO) }
        return SourceFiles.keeping(LaterPrograms.noting(access))
    }

    /// What libssh2 has depends on how it was built.
    @Sendable private static func algorithms(_ engine: EngineChoice) -> EngineAlgorithms {
        var algorithms = EngineAlgorithms()
        guard engine == .native else { return algorithms }
        algorithms.ciphers = NativeAlgorithms.ciphers
        algorithms.macs = NativeAlgorithms.macs
        algorithms.keyExchanges = NativeAlgorithms.keyExchanges
        algorithms.standardKeyExchanges = NativeAlgorithms.standardKeyExchanges
        algorithms.hostKeys = NativeAlgorithms.hostKeys
        algorithms.publicKeys = NativeAlgorithms.publicKeys
        return algorithms
    }

    /// Without destructors: other threads may still run, and have nothing to save.
    private static func leave(_ status: Int32) -> Never {
        TerminalPrompter.restoreTerminal()
        ConfigurationAccess.endPrograms()
        IdentityPrograms.endAll()
        _ = fflush(nil)
        _exit(status)
    }
}
