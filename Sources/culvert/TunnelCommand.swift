internal import CulvertConfig
internal import CulvertControl
internal import CulvertIdentity
internal import CulvertPlan
internal import CulvertRelay

/// The tunnel: `culvert -L … -R … user@host`.
struct TunnelCommand {
    let configuration: TunnelConfiguration
    /// Where that came from, to be read again.
    let source: @Sendable () throws(ConfigurationError) -> TunnelConfiguration

    init(
        _ configuration: TunnelConfiguration,
        readAgain source: @escaping @Sendable () throws(ConfigurationError) -> TunnelConfiguration
    ) {
        self.configuration = configuration
        self.source = source
    }

    func run() -> Int32 {
        guard let output = LogOutput.open(configuration.output, notes: configuration.notes) else {
            return ExitCode.logFile.rawValue
        }
        defer { MasterLink.endAll() }
        return Relay.runTunnels(
            [tunnel(output)], configuration.process, mayRunPrograms: LaterPrograms.mayBe,
            journal: output.journal, beginControl: beginControl(output),
            show: Self.show(configuration.process, output.journal))
    }

    /// How those who ask are told how all is; nil: they are not.
    static func show(_ options: ProcessOptions, _ journal: Journal) -> ShowTunnels? {
        let environment = ConfigurationEnvironment.current()
        func show(_ tunnels: [ShownTunnel]) throws(ControlFailure) -> @Sendable () -> Void {
            let metrics = try options.metrics.map { place throws(ControlFailure) in
                try MetricsService.begin(tunnels, at: place)
            }
            let control = options.hasControl ? ControlService.begin(tunnels, environment, journal: journal) : nil
            return {
                metrics?()
                control?()
            }
        }
        return options.hasControl || options.metrics != nil ? show : nil
    }

    /// nil: nobody is to control it.
    private func beginControl(_ output: LogOutput) -> BeginControl? {
        guard let path = configuration.controlPath else { return nil }
        let (forwarding, journal) = (configuration.forwarding, output.journal)
        func begin(_ control: TunnelControl) throws(ControlFailure) -> @Sendable () -> Void {
            try MuxMaster.begin(at: path, control, forwarding, journal: journal)
        }
        return begin
    }

    /// The tunnel as the relay runs it, with a memory of its own of what was asked and answered.
    func tunnel(_ output: LogOutput, name: String? = nil) -> Tunnel {
        let source = source
        let memory = IdentityMemory()
        let prompter = output.prompter(
            TerminalPrompter(environment: ConfigurationEnvironment.current().variables))
        let (notice, banner) = (output.notice, output.banner)
        return Tunnel(
            name: name, plan: configuration.plan,
            renewed: {
                do throws(ConfigurationError) { return .plan(try source().plan) } catch {
                    return .failed(error.message)
                }
            },
            authority: { server, mayPrompt, asksPerson, judges in
                Identity(
                    server: server, memory: memory, mayPrompt: mayPrompt,
                    prompter: TellingPrompter(prompter: prompter, asks: asksPerson), notice: notice, banner: banner,
                    judges: judges)
            },
            borrow: { path throws(BorrowFailure) in try MasterLink.borrow(at: path, journal: output.journal) },
            journal: output.journal)
    }
}
