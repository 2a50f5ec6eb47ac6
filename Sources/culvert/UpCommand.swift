internal import CulvertConfig
internal import CulvertControl
internal import CulvertRelay

/// `culvert up`: the tunnels of a file in one process.
struct UpCommand {
    let request: TunnelFileRequest
    let access: ConfigurationAccess

    init(_ request: TunnelFileRequest, _ access: ConfigurationAccess) {
        self.request = request
        self.access = access
    }

    func run() throws(ConfigurationError) -> Int32 {
        let file = try TunnelFile(request, access: access)
        let again = SourceFiles.readAgain(access)
        guard let output = LogOutput.open(request.output, notes: []) else { return ExitCode.logFile.rawValue }
        let tunnels = file.tunnels.map { entry in
            TunnelCommand(entry.configuration) { [request, again] () throws(ConfigurationError) in
                try Self.entry(entry.name, request, again)
            }.tunnel(output.of(entry.name, entry.configuration), name: entry.name)
        }
        defer { MasterLink.endAll() }
        return Relay.runTunnels(
            tunnels, request.process, mayRunPrograms: LaterPrograms.mayBe,
            journal: output.journal, show: TunnelCommand.show(request.process, output.journal))
    }

    private static func entry(_ name: String, _ request: TunnelFileRequest, _ access: ConfigurationAccess)
        throws(ConfigurationError) -> TunnelConfiguration
    {
        guard let entry = try TunnelFile(request, alone: name, access: access).tunnels.first else {
            throw ConfigurationError("\(request.file): no tunnel '\(name)' any more", command: "culvert up")
        }
        return entry.configuration
    }
}

/// `culvert check`: says what `up` would do.
struct CheckCommand {
    let request: TunnelFileRequest
    let access: ConfigurationAccess

    init(_ request: TunnelFileRequest, _ access: ConfigurationAccess) {
        self.request = request
        self.access = access
    }

    func run() throws(ConfigurationError) -> Int32 {
        for entry in try TunnelFile(request, access: access).tunnels {
            print(entry.name)
            for line in entry.configuration.summary { print("  \(line)") }
        }
        return ExitCode.success.rawValue
    }
}
