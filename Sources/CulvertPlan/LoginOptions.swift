/// Who we are. The names are those of ssh_config(5).
public struct LoginOptions: Hashable, Sendable {
    public enum IdentityFiles: Hashable, Sendable {
        /// The usual files in `~/.ssh`, those that exist.
        case defaults
        /// `-i`, IdentityFile, in order; empty after `IdentityFile=none`. `none` among others stands for no file.
        case listed([String])
    }

    /// Authentication methods by their names of RFC 4252 and RFC 4256.
    public enum Method: String, Hashable, Sendable, CaseIterable {
        case publicKey = "publickey"
        case keyboardInteractive = "keyboard-interactive"
        case password
    }

    public var identityFiles = IdentityFiles.defaults
    /// CertificateFile, in order. Empty: the certificate beside each identity file counts, where there is one.
    public var certificateFiles: [String] = []
    /// Of the agent's keys, only those that belong to an identity file.
    public var identitiesOnly = false
    /// The agent's socket: IdentityAgent, else SSH_AUTH_SOCK; nil: no agent.
    public var agentSocket: String?
    /// No question is ever asked.
    public var batchMode = false
    /// How often a password, or the passphrase of one key, is asked for.
    public var numberOfPasswordPrompts = 3
    /// The methods that may be used, the preferred one first (PreferredAuthentications and each method's own key).
    public var methods: [Method] = [.publicKey, .keyboardInteractive, .password]

    /// RequiredRSASize, bits: shorter RSA keys are passed over.
    public var requiredRSASize = 1024
    /// Logins with a key name the server's host key where the server takes that; PubkeyAuthentication=unbound says no.
    public var bindsToHost = true
    /// What has keys in hardware sign whose files are named; nil: agents only.
    public var securityKeyHelper: SecurityKeyProgram?

    public init() {}
}

/// OpenSSH's ssh-sk-helper, which talks to the devices.
public struct SecurityKeyProgram: Hashable, Sendable {
    /// Where it may be, the first that is there (SSH_SK_HELPER).
    public var paths: [String]
    /// SecurityKeyProvider: the library by which it talks, or "internal".
    public var provider: String
    /// The program gets all of it.
    public var environment: [String: String]

    public init(paths: [String], provider: String, environment: [String: String]) {
        self.paths = paths
        self.provider = provider
        self.environment = environment
    }
}

/// Whom we trust. The names are those of ssh_config(5).
public struct HostKeyOptions: Hashable, Sendable {
    /// StrictHostKeyChecking.
    public enum Checking: String, Hashable, Sendable, CaseIterable {
        case ask, yes
        case acceptNew = "accept-new"
        /// Unknown keys are added, as with accept-new. A changed or revoked key ends the attempt here too.
        case no
    }

    public var checking = Checking.ask
    /// Missing files are no error; `none` stands for no file. New keys go to the first one.
    public var userKnownHostsFiles = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    public var globalKnownHostsFiles = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
    public var hashKnownHosts = false

    /// UpdateHostKeys: what becomes of the other keys that a server, whose key is trusted, proves to be its own.
    public enum Update: String, Hashable, Sendable, CaseIterable {
        case no
        /// They are written down, and those that it has no more are taken out.
        case yes
        /// The same, when the user says yes.
        case ask
    }

    public var update = Update.yes
    /// KnownHostsCommand: it is asked beside the files.
    public var knownHostsCommand: KnownHostsCommand?
    /// NoHostAuthenticationForLocalhost: a server at a loopback address needs no known key, where no alias names it.
    public var trustsLocalhost = false
    /// CheckHostIP: the address that is connected to is looked up beside the name.
    public var checksAddress = false
    /// RevokedHostKeys: lists of keys, or key revocation lists. One that cannot be read revokes every key.
    public var revokedKeysFiles: [String] = []
    /// RequiredRSASize, bits; of host keys. The engines have limits of their own.
    public var requiredRSASize = 1024
    /// CASignatureAlgorithms: by which an authority may have signed a host's certificate.
    public var authoritySignatures = [
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
    ]
    /// HostKeyAlias: looked up and written in place of host and port.
    public var alias: String?

    /// False: there is no file that new keys would be kept in.
    public var keepsNewKeys: Bool {
        !userKnownHostsFiles.allSatisfy { $0.lowercased() == "none" || $0 == "/dev/null" }
    }

    public init() {}
}
