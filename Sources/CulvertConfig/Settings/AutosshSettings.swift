internal import CulvertPlan

/// `-M NUMBER`, which is autossh's and not ssh's: culvert is to do what autossh did around ssh. autossh takes everything
/// else from environment variables; they count only here (autossh(1), of 1.4).
///
/// Its monitoring ports are not opened: culvert asks the server itself whether the link lives.
struct AutosshSettings {
    /// AUTOSSH_GATETIME, in seconds: a first login that fails within it ends culvert; 0 with `-f`.
    let gate: Int
    /// AUTOSSH_POLL and AUTOSSH_FIRST_POLL: what a link that is monitored is asked at least this often, in seconds; nil
    /// with `-M 0`, where autossh asks nothing.
    let poll: Int?
    /// AUTOSSH_MAXSTART; nil: any number.
    let logins: Int?
    /// AUTOSSH_MAXLIFETIME; nil: for ever.
    let lifetime: Duration?
    /// AUTOSSH_PIDFILE.
    let pidFile: String?
    /// AUTOSSH_LOGFILE.
    let logFile: String?
    /// AUTOSSH_DEBUG and AUTOSSH_LOGLEVEL; nil: as without autossh.
    let verbosity: Verbosity?
    /// autossh's `-f`: to the background before anything else, where nobody can be asked.
    let isDetached: Bool

    /// The number of autossh's `-M port[:echo_port]`, which ssh's own `-M`, a flag, has not.
    static func isMonitor(_ text: some StringProtocol) -> Bool {
        guard text.utf8.first.map({ (0x30...0x39).contains($0) }) == true else { return false }
        return text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ":") }
    }

    init(monitor: String, isDetached: Bool, _ variables: [String: String]) throws(ConfigurationError) {
        let ports = monitor.split(separator: ":", omittingEmptySubsequences: false).map { UInt16($0) }
        guard ports.count <= 2, let port = ports[0], ports.count == 1 || (ports[1] ?? 0) > 0 else {
            throw ConfigurationError("-M \(monitor): give autossh's port or port:echo_port, or 0: no port is opened")
        }
        self.isDetached = isDetached
        gate = isDetached ? 0 : try Self.number("GATETIME", variables, 0...) ?? 30
        let first = try Self.number("FIRST_POLL", variables, 1...)
        let each = try Self.number("POLL", variables, 1...)
        poll = port == 0 ? nil : [first, each].compactMap { $0 }.min()
        logins = try Self.number("MAXSTART", variables, Int.min...).flatMap { $0 < 0 ? nil : $0 }
        lifetime = try Self.number("MAXLIFETIME", variables, 0...).flatMap { $0 == 0 ? nil : .seconds($0) }
        pidFile = Self.text("PIDFILE", variables)
        logFile = Self.text("LOGFILE", variables)
        let level = try Self.number("LOGLEVEL", variables, 0...7)
        if variables["AUTOSSH_DEBUG"] != nil {
            verbosity = .debug1
        } else {
            // syslog's: LOG_ERR is 3, LOG_INFO 6, LOG_DEBUG 7.
            verbosity = level.map { $0 <= 3 ? .error : $0 == 7 ? .debug1 : .info }
        }
    }

    private static func text(_ name: String, _ variables: [String: String]) -> String? {
        variables["AUTOSSH_\(name)"].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func number(
        _ name: String, _ variables: [String: String], _ range: PartialRangeFrom<Int>
    ) throws(ConfigurationError) -> Int? {
        try number(name, variables, range.lowerBound...TimeValue.maximumSeconds)
    }

    private static func number(
        _ name: String, _ variables: [String: String], _ range: ClosedRange<Int>
    ) throws(ConfigurationError) -> Int? {
        guard let text = text(name, variables) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            let accepted =
                range.lowerBound < 0 ? "a number" : "a number from \(range.lowerBound) to \(range.upperBound)"
            throw ConfigurationError("AUTOSSH_\(name)=\(text): give \(accepted)")
        }
        return number
    }

    // MARK: What they come to

    /// What the command line and the files say outranks them.
    func apply(to tunnel: inout TunnelConfiguration) {
        if tunnel.plan.persistence == .no {
            tunnel.plan.persistence = .after(.seconds(gate))
        }
        tunnel.plan.logins = logins
        let interval = tunnel.plan.server.connection.serverAliveInterval
        // As with two programs, of which the first to find the link dead ends it.
        if let poll {
            tunnel.plan.server.connection.serverAliveInterval = min(interval ?? .seconds(poll), .seconds(poll))
        }
        if tunnel.process.pidFile == nil, let pidFile {
            tunnel.process.pidFile = pidFile
            tunnel.process.pidFileOption = "AUTOSSH_PIDFILE"
        }
        tunnel.process.lifetime = lifetime
        if tunnel.output.verbosity == .info, let verbosity { tunnel.output.verbosity = verbosity }
        tunnel.output.logFile = tunnel.output.logFile ?? logFile
        if isDetached {
            tunnel.process.background = .atOnce
            // Where autossh says everything that is not for its log file.
            tunnel.output.syslog = tunnel.output.syslog || tunnel.output.logFile == nil
        }
        tunnel.notes.append("-M: culvert asks the server itself whether the link lives: no monitoring port is opened")
    }
}
