internal import CulvertConfig
internal import CulvertRelay
internal import Glibc

/// `culvert relay`.
struct RelayCommand {
    let configuration: RelayConfiguration

    init(_ configuration: RelayConfiguration) { self.configuration = configuration }

    func run() -> Int32 {
        let output: LogOutput
        do throws(LogOutput.Failure) { output = try LogOutput(configuration.output) } catch {
            LogOutput.writeLine("culvert: \(error.description)", to: STDERR_FILENO)
            return ExitCode.logFile.rawValue
        }
        if configuration.output.verbosity >= .verbose { configuration.notes.forEach(output.notice) }
        var settings = RelaySettings()
        let values = ForwardValues(gatewayPorts: configuration.gatewayPorts)
        settings.forwards = configuration.forwards.map(values.local)
        settings.runtime = RuntimeSettings(configuration.runtime)
        return Relay.runRelay(settings, journal: output.journal)
    }
}
