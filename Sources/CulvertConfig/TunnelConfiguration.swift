/// Everything that a tunnel is to do, as plain values; read from a command line by `parseCommandLine`.
public struct TunnelConfiguration: Hashable, Sendable {
    /// More SSH connections to one server than this only run into its MaxStartups (sshd_config(5), 10:30:100).
    public static let maximumLinks = 64
    /// `--hold`.
    public static let defaultHold = Duration.seconds(30)

    public var destination: Destination
    /// In the order in which they were typed; empty never.
    public var forwards: [ForwardSpecification]
    public var forwarding: ForwardingOptions
    public var connection: ConnectionOptions
    public var login: LoginOptions
    public var hostKeys: HostKeyOptions
    public var algorithms: AlgorithmOptions
    /// Jump hosts on the way to the destination, in the order in which they are passed.
    public var hops: [ServerConfiguration]
    /// What is run in place of a TCP connection to the destination.
    public var proxyCommand: ProxyCommandText?
    public var output: OutputOptions
    public var runtime: RuntimeOptions
    /// SSH connections to the destination, 1...`maximumLinks`.
    public var links: Int
    public var engine: EngineChoice
    /// How long a new local connection waits for a link that is down.
    public var hold: Duration
    /// How long the end may take.
    public var drain: Duration
    /// A first attempt that fails does not end culvert.
    public var persist: Bool
    /// The server is made to send small packets at once, by running `true` there once a link; native engine only.
    public var nodelay: Bool
    /// `-f`: to the background once the forwards stand.
    public var background: Bool
    /// What else the settings came from: a jump host is asked of the same.
    public var files: ConfigurationFiles
    /// What was accepted and ignored, a line each, for `Verbosity.verbose` and above.
    public var notes: [String]
}

/// `culvert relay`: plain TCP forwards, without SSH.
public struct RelayConfiguration: Hashable, Sendable {
    /// `-L` only, between TCP or Unix sockets of this machine's reach; empty never.
    public var forwards: [ForwardSpecification]
    public var gatewayPorts: Bool
    /// How long the end may take.
    public var drain: Duration
    public var output: OutputOptions
    public var runtime: RuntimeOptions
    public var notes: [String]
}

/// The SSH server and who logs in there.
public struct Destination: Hashable, Sendable {
    /// What is dialled and looked up in known_hosts: HostName if it was set, else `typedHost`. No brackets.
    public var host: String
    /// As it was typed, without user, port and brackets.
    public var typedHost: String
    /// 1...65535.
    public var port: UInt16
    public var user: String

    public init(host: String, typedHost: String, port: UInt16, user: String) {
        self.host = host
        self.typedHost = typedHost
        self.port = port
        self.user = user
    }
}

/// `--engine`.
public enum EngineChoice: String, Hashable, Sendable, CaseIterable {
    /// culvert's own: modern algorithms only.
    case native
    /// For servers that speak only what libssh2 1.10 speaks.
    case libssh2
}

/// `--io`.
public enum IOChoice: String, Hashable, Sendable, CaseIterable {
    case auto, uring, epoll
}

/// What the relay core runs on.
public struct RuntimeOptions: Hashable, Sendable {
    /// More pinned threads than any machine that culvert runs on has cores.
    public static let maximumThreads = 1024
    /// Below this a handful of windows alone would meet the ceiling.
    public static let minimumMemory = 16 << 20
    public static let defaultMemory = 256 << 20
    /// `--drain`.
    public static let defaultDrain = Duration.seconds(5)

    public var io: IOChoice
    /// Upper bound of worker threads; nil: as many as links and cores ask for.
    public var threads: Int?
    /// The ceiling of buffers, in bytes.
    public var memory: Int
}

/// What culvert says, and where.
public struct OutputOptions: Hashable, Sendable {
    public var verbosity: Verbosity
    /// `-E`: appended to, in place of standard error. As typed.
    public var logFile: String?
    /// `-y`: to the system's log.
    public var syslog: Bool
}

/// How forwards behave.
public struct ForwardingOptions: Hashable, Sendable {
    /// `-g`, GatewayPorts: a `-L` without a bind address listens on every address.
    public var gatewayPorts: Bool
    public var exitOnForwardFailure: Bool
    /// StreamLocalBindMask: the umask under which a Unix socket is made.
    public var streamLocalBindMask: UInt16
    /// StreamLocalBindUnlink: an old socket file in the way is removed.
    public var streamLocalBindUnlink: Bool
    /// PermitRemoteOpen: where clients at the server may go through a `-R` without a target; nil: anywhere.
    public var permitRemoteOpen: [PermittedTarget]?
}

/// How the SSH connection is made and watched.
public struct ConnectionOptions: Hashable, Sendable {
    public enum AddressFamily: String, Hashable, Sendable { case any, inet, inet6 }

    /// culvert's default for ServerAliveInterval (ssh's is 0): a dead link is noticed without traffic.
    public static let defaultServerAliveInterval = Duration.seconds(15)

    public var addressFamily: AddressFamily
    /// `-b`, BindAddress: the source address; nil: the system chooses.
    public var bindAddress: String?
    /// nil: the system's own patience.
    public var connectTimeout: Duration?
    /// Tries of the first connection, a second apart.
    public var connectionAttempts: Int
    public var tcpKeepAlive: Bool
    /// nil: never asks.
    public var serverAliveInterval: Duration?
    /// Unanswered questions after which the link is dead.
    public var serverAliveCountMax: Int
}

/// Who we are.
public struct LoginOptions: Hashable, Sendable {
    public enum IdentityFiles: Hashable, Sendable {
        /// The usual files in `~/.ssh`, those that exist.
        case defaults
        /// `-i`, IdentityFile, in order, expanded; empty after `IdentityFile=none`.
        case listed([String])
    }

    public var identityFiles: IdentityFiles
    /// The agent's socket: IdentityAgent, else SSH_AUTH_SOCK; nil: no agent.
    public var agentSocket: String?
    public var identitiesOnly: Bool
    /// No question is asked on the terminal.
    public var batchMode: Bool
    public var numberOfPasswordPrompts: Int
    public var passwordAuthentication: Bool
    public var kbdInteractiveAuthentication: Bool
    public var pubkeyAuthentication: Bool
    /// Names of RFC 4250 §4.8, best first.
    public var preferredAuthentications: [String]
}

/// Whom we trust.
public struct HostKeyOptions: Hashable, Sendable {
    public enum Checking: String, Hashable, Sendable {
        case ask, yes, no
        case acceptNew = "accept-new"
    }

    public var checking: Checking
    /// Expanded; the first one is written to. Empty after `none`.
    public var userKnownHostsFiles: [String]
    public var globalKnownHostsFiles: [String]
    public var hashKnownHosts: Bool
    /// Looked up and written in place of the host's name.
    public var alias: String?
    public var checkHostIP: Bool
}

/// What may be negotiated; nil: the engine's own list.
public struct AlgorithmOptions: Hashable, Sendable {
    public var ciphers: AlgorithmList?
    public var macs: AlgorithmList?
    public var keyExchanges: AlgorithmList?
    public var hostKeys: AlgorithmList?
    public var publicKeys: AlgorithmList?
    /// nil: the engine's own limits.
    public var rekeyLimit: RekeyLimit?
}

/// RekeyLimit: when keys are exchanged again.
public struct RekeyLimit: Hashable, Sendable {
    /// nil: the engine's own amount.
    public var bytes: Int?
    /// nil: time does not matter.
    public var interval: Duration?
}

/// A list of algorithm names as ssh_config(5) has it. Which names exist is for the engine to say.
public struct AlgorithmList: Hashable, Sendable {
    /// What the first character says about the default list.
    public enum Change: Hashable, Sendable {
        case replace
        /// `+`
        case append
        /// `-`; names may hold wildcards.
        case remove
        /// `^`
        case prepend
    }

    public var change: Change
    /// Never empty.
    public var names: [String]
    /// It was written for ssh, which has more algorithms than an engine here: those that are missing are no mistake.
    public var isFromFile = false

    public init(change: Change, names: [String]) {
        self.change = change
        self.names = names
    }

    /// nil: empty, an empty name, or a character that no name has (RFC 4251 §6).
    init?(_ text: String) {
        var rest = text[...]
        switch rest.first {
        case "+": change = .append
        case "-": change = .remove
        case "^": change = .prepend
        default: change = .replace
        }
        if change != .replace { rest.removeFirst() }
        names = rest.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let fits = names.allSatisfy { name in
            !name.isEmpty && name.utf8.count <= 64 && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
        if !fits { return nil }
    }

    /// The list that it makes of `standard`, as ssh makes it: patterns stand for names among `known`, what is not known
    /// falls out, and no name comes twice.
    func applied(to standard: [String], known: [String]) -> [String] {
        let patterns: [String]
        switch change {
        case .remove: return standard.filter { name in !names.contains { Wildcard.matches(name, pattern: $0) } }
        case .replace: patterns = names
        case .append: patterns = standard + names
        case .prepend: patterns = names + standard
        }
        var list: [String] = []
        for pattern in patterns {
            list += known.filter { Wildcard.matches($0, pattern: pattern) && !list.contains($0) }
        }
        return list
    }
}

extension AlgorithmList {
    /// The list of a file without what an engine does not have; nil: nothing is left of what it adds or puts first. A
    /// list of which nothing is left stays, so that the engine can say what it has.
    func restricted(to known: [String]) -> (list: AlgorithmList?, missing: [String]) {
        guard isFromFile, change != .remove, !known.isEmpty else { return (self, []) }
        let (present, missing) = names.reduce(into: ([String](), [String]())) { parts, pattern in
            let isKnown = known.contains { Wildcard.matches($0, pattern: pattern) }
            if isKnown { parts.0.append(pattern) } else { parts.1.append(pattern) }
        }
        if present.isEmpty { return change == .replace ? (self, []) : (nil, missing) }
        var list = self
        list.names = present
        return (list, missing)
    }
}

extension AlgorithmOptions {
    /// Lists of files without what the engine does not have, and a note for each that loses something.
    func restricted(to engine: EngineAlgorithms) -> (options: AlgorithmOptions, notes: [String]) {
        var options = self
        var notes: [String] = []
        func restrict(_ list: inout AlgorithmList?, _ key: SettingKey, _ known: [String]) {
            guard let whole = list else { return }
            let (rest, missing) = whole.restricted(to: known)
            list = rest
            if missing.isEmpty { return }
            notes.append("\(key.rawValue): the engine has no \(missing.joined(separator: ",")): left out")
        }
        restrict(&options.ciphers, .ciphers, engine.ciphers)
        restrict(&options.macs, .macs, engine.macs)
        restrict(&options.keyExchanges, .kexAlgorithms, engine.keyExchanges)
        restrict(&options.hostKeys, .hostKeyAlgorithms, engine.hostKeys)
        restrict(&options.publicKeys, .pubkeyAcceptedAlgorithms, engine.publicKeys)
        return (options, notes)
    }
}
