public import CulvertPlan

/// A tunnel's command line and files, understood; made by `parseCommandLine`.
public struct TunnelConfiguration: Hashable, Sendable {
    /// What is to be run.
    public var plan: TunnelPlan
    /// The plan's forwards as they were typed, in that order; empty where none was asked for (`-N`).
    public var forwards: [ForwardSpecification]
    /// And what was said of all of them.
    public var forwarding: ForwardingOptions
    public var output: OutputOptions
    public var process: ProcessOptions
    /// `-M -S`: where the tunnel takes commands; nil: nowhere.
    public var controlPath: String?
    /// What else the settings came from: a jump host is asked of the same.
    public var files: ConfigurationFiles
    /// What was accepted and ignored, a line each, for `Verbosity.verbose` and above.
    public var notes: [String]
}

/// `culvert relay`: plain TCP forwards, without SSH.
public struct RelayConfiguration: Hashable, Sendable {
    /// With `-L` only, between TCP or Unix sockets of this machine's reach; of these never none.
    public var plan: RelayPlan
    public var output: OutputOptions
    public var notes: [String]
}

/// What culvert says, and where.
public struct OutputOptions: Hashable, Sendable {
    public var verbosity: Verbosity
    /// `-E`: appended to, in place of standard error. As typed.
    public var logFile: String?
    /// `-y`: to the system's log.
    public var syslog: Bool
    /// SyslogFacility: under which number of RFC 5424 §6.2.1.
    public var syslogFacility: Int32 = 1
}

/// How forwards behave.
public struct ForwardingOptions: Hashable, Sendable {
    /// `-g`, GatewayPorts: a `-L` without a bind address listens on every address.
    public var gatewayPorts = false
    public var exitOnForwardFailure = false
    /// StreamLocalBindMask: the umask under which a Unix socket is made.
    public var streamLocalBindMask: UInt16 = 0o177
    /// StreamLocalBindUnlink: an old socket file in the way is removed.
    public var streamLocalBindUnlink = false
    /// PermitRemoteOpen: where clients at the server may go through a `-R` without a target; nil: anywhere.
    public var permitRemoteOpen: [PermittedTarget]?
}

extension ForwardingOptions {
    /// Where nothing was said of them.
    public static var usual: ForwardingOptions { ForwardingOptions() }
}
