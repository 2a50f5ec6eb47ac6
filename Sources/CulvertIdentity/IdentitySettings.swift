/// Who logs in where, with what, and whom to trust: everything an `Identity` is told. A plain value; the names are
/// those of ssh_config(5). Paths may begin with `~/`.
public struct IdentitySettings: Sendable {
    public enum StrictHostKeyChecking: String, Sendable, CaseIterable {
        case ask, yes
        case acceptNew = "accept-new"
        /// Unknown keys are added, as with accept-new. A changed or revoked key ends the attempt here too.
        case no
    }

    /// Authentication methods by their names of RFC 4252 and RFC 4256.
    public enum Method: String, Sendable, CaseIterable {
        case publicKey = "publickey"
        case keyboardInteractive = "keyboard-interactive"
        case password
    }

    public var user: String
    public var host: String
    public var port: UInt16
    /// What `~` stands for: the home directory of the account, as getpwuid(3) has it.
    public var home: String

    public var hostKeyAlias: String?
    /// The address that the host name led to, for ssh's question only.
    public var address: String?
    /// Missing files are no error; `none` stands for no file. New keys go to the first one.
    public var userKnownHostsFiles = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    public var globalKnownHostsFiles = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
    public var strictHostKeyChecking = StrictHostKeyChecking.ask
    public var hashKnownHosts = false

    /// `-i` and IdentityFile, in order; nil: the default ones. `none` stands for no file.
    public var identityFiles: [String]?
    /// Of the agent's keys, only those that belong to an identity file.
    public var identitiesOnly = false
    /// The socket in SSH_AUTH_SOCK or IdentityAgent; nil: no agent.
    public var agentSocket: String?
    /// Never ask anything.
    public var batchMode = false
    /// How often a password, or the passphrase of one key, is asked for.
    public var passwordPrompts = 3
    /// The methods that are enabled, the preferred one first (PreferredAuthentications).
    public var methods: [Method] = [.publicKey, .keyboardInteractive, .password]
    /// Seconds that a question waits for its answer: as long as sshd waits for a login (LoginGraceTime).
    public var promptSeconds = 120

    public init(user: String, host: String, port: UInt16 = 22, home: String) {
        self.user = user
        self.host = host
        self.port = port
        self.home = home
    }

    /// The three types that every engine here can sign with; Ed25519 first, because it costs a server least.
    static let defaultIdentityFiles = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"]

    /// The path with `~/` written out; nil for `none`.
    func resolved(_ path: String) -> String? {
        if path.lowercased() == "none" { return nil }
        return path.hasPrefix("~/") ? home + path.dropFirst(1) : path
    }

    /// The name to look up in known_hosts (sshd(8)): lower case, `[host]:port` unless the port is 22. An alias stands
    /// for host and port together.
    var knownHostName: String {
        if let hostKeyAlias { return hostKeyAlias.lowercased() }
        return port == 22 ? host.lowercased() : "[\(host.lowercased())]:\(port)"
    }

    /// One login's place in the memory.
    var destination: String { "\(user)@[\(host.lowercased())]:\(port)" }
}
