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
        return Relay.runRelay(configuration.plan, journal: output.journal)
    }
}
