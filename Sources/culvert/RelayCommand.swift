internal import CulvertConfig
internal import CulvertIO
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
        do throws(ForwardValues.Failure) {
            for each in configuration.forwards { settings.forwards.append(try values.local(each)) }
        } catch {
            output.notice(error.description)
            return ExitCode.connection.rawValue
        }
        settings.driver = DriverChoice(rawValue: configuration.runtime.io.rawValue) ?? .auto
        settings.threads = configuration.runtime.threads
        settings.memory = configuration.runtime.memory
        return Relay.runRelay(settings, journal: output.journal)
    }
}
