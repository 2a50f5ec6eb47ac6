internal import CulvertConfig
internal import CulvertIdentity
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// The executable: reads the command line, and hands plain values to the relay.
@main
struct Culvert {
    static func main() {
        do throws(ConfigurationError) {
            let arguments = Array(CommandLine.arguments.dropFirst())
            switch try parseCommandLine(arguments, algorithms: algorithms) {
            case .show(let text): print(text)
            case .tunnel(let configuration): leave(TunnelCommand(configuration).run())
            case .relay(let configuration): leave(RelayCommand(configuration).run())
            case .up(let request): leave(try UpCommand(request).run())
            case .check(let request): leave(try CheckCommand(request).run())
            }
        } catch {
            LogOutput.writeLine(error.report, to: STDERR_FILENO)
            leave(error.exitCode)
        }
    }

    /// For `-G`. What libssh2 has depends on how it was built.
    private static func algorithms(_ engine: EngineChoice) -> EngineAlgorithms {
        var algorithms = EngineAlgorithms()
        guard engine == .native else { return algorithms }
        algorithms.ciphers = NativeAlgorithms.ciphers
        algorithms.macs = NativeAlgorithms.macs
        algorithms.keyExchanges = NativeAlgorithms.keyExchanges
        algorithms.hostKeys = NativeAlgorithms.hostKeys
        algorithms.publicKeys = NativeAlgorithms.publicKeys
        return algorithms
    }

    /// Without destructors: other threads may still run, and have nothing to save.
    private static func leave(_ status: Int32) -> Never {
        TerminalPrompter.restoreTerminal()
        _ = fflush(nil)
        _exit(status)
    }
}
