import Foundation

/// Throw-away keys, made once for the whole run.
struct TestKeys: Sendable {
    let directory: String

    static let shared: Result<TestKeys, any Error> = Result {
        let stage = try Stage()
        // The stage stays until the run ends; the reaper removes it.
        for name in ["host", "secondhost", "thirdhost", "fourthhost", "changedhost", "login", "stranger"] {
            try stage.run([
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", "\(stage.directory)/\(name)",
            ])
        }
        return TestKeys(directory: stage.directory)
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }
    func publicKey(_ name: String) -> String {
        readWhole("\(directory)/\(name).pub").split(separator: " ").prefix(2).joined(separator: " ")
    }
}

/// A stock OpenSSH server of our own: its own keys, port and configuration, run as whoever runs the tests.
///
/// Its log, at DEBUG, is the child's standard error. A restart comes back on the same port with the same keys.
final class SSHServer {
    let stage: Stage
    let port: UInt16
    let host: String
    let keys: TestKeys
    /// What goes before the command, e.g. `nsenter` into another network namespace.
    let launcher: [String]
    private let program: String
    private(set) var process: Child
    private let configuration: String
    private let name: String

    static let user = String(cString: getpwuid(getuid()).pointee.pw_name)

    /// `options` are sshd_config lines; the first one for a keyword wins, as in sshd. `tree`: where an OpenSSH was built
    /// that is to be used instead of the system's.
    init(
        on stage: Stage, name: String = "sshd", host: String = "127.0.0.1", port: UInt16? = nil,
        hostKey: String = "host",
        options: [String] = [], launcher: [String] = [], tree: String? = nil
    ) throws {
        self.stage = stage
        program = tree.map { "\($0)/sshd" } ?? "/usr/sbin/sshd"
        self.host = host
        self.port = try port ?? Ports.free()
        self.launcher = launcher
        self.name = name
        keys = try TestKeys.shared.get()
        if getuid() == 0 {
            // The only thing that sshd wants outside our directory, and only of root.
            mkdir("/run/sshd", 0o755)
        }
        let authorized = try stage.write("\(name)-authorized_keys", keys.publicKey("login") + "\n", mode: 0o600)
        // What would be where such a tree is to be installed.
        let parts = tree.map { ["SshdSessionPath \($0)/sshd-session", "SshdAuthPath \($0)/sshd-auth"] } ?? []
        let lines =
            options + parts + [
                "Port \(self.port)", "ListenAddress \(host)", "HostKey \(keys.path(hostKey))", "PidFile none",
                "UsePAM no", "StrictModes no", "AuthorizedKeysFile \(authorized)", "PasswordAuthentication no",
                "KbdInteractiveAuthentication no", "LogLevel DEBUG", "MaxStartups 500", "MaxSessions 1000",
                "UseDNS no", "PrintMotd no", "AcceptEnv none",
            ]
        configuration = try stage.write("\(name)_config", lines.joined(separator: "\n") + "\n")
        process = try Self.launch(stage, name, launcher, program, configuration)
        try waitUntilItListens()
    }

    private static func launch(
        _ stage: Stage, _ name: String, _ launcher: [String], _ program: String, _ path: String
    ) throws -> Child {
        // sshd must be started by its absolute path: it executes itself for every connection.
        try stage.start(name, launcher + [program, "-D", "-e", "-f", path])
    }

    private func waitUntilItListens() throws {
        try process.waitForLine(["Server listening on \(host) port \(port)"])
    }

    var log: String { process.errorText }

    var keyExchanges: Int { process.keyExchanges }

    /// The processes that serve logged-in connections.
    var sessions: [pid_t] { ProcFS.descendants(of: process.pid) }

    /// Ends every connection from the server's side, as abruptly as a crash; the listener stays.
    func killSessions() { for session in sessions { kill(session, SIGKILL) } }

    /// The whole server stops answering, its sockets stay open.
    func freeze() { for each in [process.pid] + sessions { kill(each, SIGSTOP) } }
    func thaw() { for each in [process.pid] + sessions { kill(each, SIGCONT) } }

    /// Ends listener and connections.
    func stop() throws {
        let all = sessions
        process.destroy()
        for each in all { kill(each, SIGKILL) }
        try waitUntil("the server's port is free") { ProcFS.listeners(port: port).isEmpty }
    }

    func start() throws {
        process = try Self.launch(stage, name, launcher, program, configuration)
        try waitUntilItListens()
    }

    /// A known_hosts file that holds this server's key, or another one under its name.
    func knownHosts(_ hostKey: String = "host") throws -> String {
        try stage.write("\(name)-known_hosts-\(hostKey)", "[\(host)]:\(port) \(keys.publicKey(hostKey))\n")
    }
}

extension Child {
    /// Of an sshd that logs at DEBUG: key exchanges that it ended, those of the logins included.
    var keyExchanges: Int { errorText.components(separatedBy: "SSH2_MSG_NEWKEYS sent").count - 1 }
}
