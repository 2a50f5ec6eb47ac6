/// One SSH server and everything that a login there needs: the destination, or a jump host on the way to it.
public struct ServerPlan: Hashable, Sendable {
    public var destination: Destination
    /// The home directory of the account here, as getpwuid(3) has it: what `~/` at the beginning of a path stands for.
    public var home: String
    public var connection = ConnectionOptions()
    public var login = LoginOptions()
    public var hostKeys = HostKeyOptions()
    public var algorithms = AlgorithmOptions()
    /// What is run in place of a TCP connection; nil behind a jump host.
    public var proxyCommand: ProxyCommand?

    public init(destination: Destination, home: String) {
        self.destination = destination
        self.home = home
    }

    mutating func renewLogin(from other: ServerPlan) {
        destination = other.destination
        home = other.home
        login = other.login
        hostKeys = other.hostKeys
        proxyCommand = other.proxyCommand
    }
}

/// The SSH server and who logs in there.
public struct Destination: Hashable, Sendable, CustomStringConvertible {
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

    /// For messages: as it was typed, or with the port where that is not SSH's own.
    public var description: String {
        if port == 22 { return "\(user)@\(typedHost)" }
        return host.contains(":") ? "\(user)@[\(host)]:\(port)" : "\(user)@\(host):\(port)"
    }
}

/// A program whose standard input and output are the connection to a server (ProxyCommand).
public struct ProxyCommand: Hashable, Sendable {
    /// The absolute path of the shell that runs it: SHELL, or /bin/sh (ssh_config(5): the user's shell).
    public var shell: String
    /// Tokens are expanded already.
    public var text: String
    /// ProxyUseFdpass: it hands over a connected socket on its standard output and ends, in place of carrying bytes.
    public var passesDescriptor: Bool

    public init(shell: String, text: String, passesDescriptor: Bool = false) {
        self.shell = shell
        self.text = text
        self.passesDescriptor = passesDescriptor
    }
}

/// A program that is run here each time that a tunnel's first link stands (LocalCommand, PermitLocalCommand).
public struct LocalCommand: Hashable, Sendable {
    /// As of a ProxyCommand.
    public var shell: String
    /// Tokens are expanded already.
    public var text: String

    public init(shell: String, text: String) {
        self.shell = shell
        self.text = text
    }
}

/// How the connection to a server is made and watched. The names are those of ssh_config(5).
public struct ConnectionOptions: Hashable, Sendable {
    public enum AddressFamily: String, Hashable, Sendable { case any, inet, inet6 }

    /// Which addresses may be used (`-4`, `-6`).
    public var addressFamily = AddressFamily.any
    /// `-b`: the source address; nil: the system chooses.
    public var bindAddress: String?
    /// `-B`: the interface whose address is the source, where none is named.
    public var bindInterface: String?
    /// nil: about as long as the kernel's own patience.
    public var connectTimeout: Duration?
    /// Tries of the first connection, a second apart; of the destination only.
    public var connectionAttempts = 1
    public var tcpKeepAlive = true
    /// nil: a silent link is never asked whether it lives. ssh's default is that; here a dead link is noticed without
    /// traffic.
    public var serverAliveInterval: Duration? = .seconds(15)
    /// Somebody asked for that interval: it is obeyed as ssh obeys it, with servers that answer no question too.
    public var serverAliveIntervalIsSet = false
    /// Unanswered questions after which the link is dead.
    public var serverAliveCountMax = 3

    public init() {}
}
