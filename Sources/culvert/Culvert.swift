internal import CulvertConfig
internal import CulvertIdentity
internal import CulvertRelay
internal import Glibc

/// The executable: reads the command line, and hands plain values to the relay.
@main
struct Culvert {
    static func main() {
        do throws(ConfigurationError) {
            switch try parseCommandLine(Array(CommandLine.arguments.dropFirst())) {
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

    /// Without destructors: other threads may still run, and have nothing to save.
    private static func leave(_ status: Int32) -> Never {
        TerminalPrompter.restoreTerminal()
        _ = fflush(nil)
        _exit(status)
    }
}
