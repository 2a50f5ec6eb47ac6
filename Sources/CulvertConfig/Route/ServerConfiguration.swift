/// One SSH server and everything that a login there needs: the destination, or a jump host on the way to it.
public struct ServerConfiguration: Hashable, Sendable {
    public var destination: Destination
    public var connection: ConnectionOptions
    public var login: LoginOptions
    public var hostKeys: HostKeyOptions
    public var algorithms: AlgorithmOptions
    /// What is run in place of a TCP connection; nil behind a jump host.
    public var proxyCommand: ProxyCommandText?
}

/// A command whose standard input and output are the connection (ProxyCommand), tokens expanded.
public struct ProxyCommandText: Hashable, Sendable {
    /// SHELL, or /bin/sh (ssh_config(5): the user's shell).
    public var shell: String
    public var text: String

    public init(shell: String, text: String) {
        self.shell = shell
        self.text = text
    }
}

extension TunnelConfiguration {
    /// The destination, as the hops before it are given.
    public var server: ServerConfiguration {
        ServerConfiguration(
            destination: destination, connection: connection, login: login, hostKeys: hostKeys,
            algorithms: algorithms, proxyCommand: proxyCommand)
    }
}
