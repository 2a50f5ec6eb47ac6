internal import CulvertConfig
internal import CulvertRelay

/// `culvert relay`.
struct RelayCommand {
    let configuration: RelayConfiguration

    init(_ configuration: RelayConfiguration) { self.configuration = configuration }

    func run() -> Int32 {
        guard let output = LogOutput.open(configuration.output, notes: configuration.notes) else {
            return ExitCode.logFile.rawValue
        }
        var settings = RelaySettings()
        let values = ForwardValues(gatewayPorts: configuration.gatewayPorts)
        settings.forwards = configuration.forwards.map(values.local)
        settings.drain = configuration.drain
        settings.runtime = RuntimeSettings(configuration.runtime)
        return Relay.runRelay(settings, journal: output.journal)
    }
}
