internal import CulvertPlan

/// What is asked of a master that runs (`-O`).
public struct ControlRequest: Hashable, Sendable {
    public enum Command: String, Hashable, Sendable, CaseIterable {
        /// Whether it runs.
        case check
        /// No more commands are taken; everything else goes on.
        case stop
        /// It ends.
        case exit
        /// Adds forwards.
        case forward
        /// Takes them back.
        case cancel
    }

    public var command: Command
    /// Of its socket.
    public var path: String
    /// From the command line, then from the files.
    public var forwards: [ForwardSpecification]
    /// How long it may take to greet; nil: as long as it likes.
    public var patience: Duration?
    public var output: OutputOptions
}

/// `-M`, `-S` and `-O` of one command line.
struct ControlWords {
    private var command: ControlRequest.Command?
    /// ControlMaster is yes or auto, and was typed: in a file it is there for ssh.
    private var isMaster = false

    mutating func take(command text: String) throws(ConfigurationError) {
        guard let command = ControlRequest.Command(rawValue: text) else {
            throw ConfigurationError("-O \(text): give \(ControlRequest.Command.allCases.map(\.rawValue).listed)")
        }
        if self.command != nil { throw ConfigurationError("-O \(text): one command is given already") }
        self.command = command
    }

    /// `store` has what was typed, and nothing of the files yet.
    mutating func readTyped(_ store: SettingStore) {
        isMaster = ["true", "auto"].contains(store.plain["controlmaster"]?.first)
    }

    /// nil: it is a tunnel that is wanted.
    func request(_ resolution: HostResolution) throws(ConfigurationError) -> ControlRequest? {
        guard let command else { return nil }
        if let streams = resolution.store.streams {
            throw ConfigurationError("\(streams.typed): -O asks for no standard streams: leave one of the two out")
        }
        guard let path = try Self.path(resolution) else {
            throw ConfigurationError("-O \(command.rawValue): no ControlPath: give the master's socket with -S")
        }
        return ControlRequest(
            command: command, path: path, forwards: try resolution.store.expandedForwards(resolution.expansion),
            patience: resolution.store.connection.connectTimeout, output: resolution.store.output)
    }

    func apply(to configuration: inout TunnelConfiguration, _ resolution: HostResolution) throws(ConfigurationError) {
        guard isMaster else {
            guard configuration.plan.engine == .native else { return }
            // Hardly ever needed, so that what is wrong with it ends nothing.
            do throws(ConfigurationError) { configuration.plan.masterPath = try Self.path(resolution) } catch {
                configuration.notes.append("\(error.message): no running master is gone by")
            }
            return
        }
        configuration.controlPath = try Self.path(resolution)
        if configuration.controlPath == nil {
            configuration.notes.append("-M (ControlMaster) has no effect without -S, or ControlPath: ignored")
        }
    }

    private static func path(_ resolution: HostResolution) throws(ConfigurationError) -> String? {
        guard let text = resolution.store.plain["controlpath"]?.first, text.lowercased() != "none" else { return nil }
        return try resolution.expansion.path(text, origin: "ControlPath")
    }
}
