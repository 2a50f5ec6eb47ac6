import Foundation
import Synchronization

/// Throw-away keys, each made when it is first asked for and kept for the whole run: making an RSA key takes a second.
public enum TestKeys {
    /// What `ssh-keygen` is asked for. `id_encrypted` has a passphrase: open sesame.
    private static let kinds: [String: [String]] = [
        "host_ed25519": ["-t", "ed25519"], "host_ecdsa256": ["-t", "ecdsa", "-b", "256"],
        "host_ecdsa384": ["-t", "ecdsa", "-b", "384"], "host_ecdsa521": ["-t", "ecdsa", "-b", "521"],
        "host_rsa": ["-t", "rsa", "-b", "2048"], "id_ed25519": ["-t", "ed25519"],
        "id_ecdsa": ["-t", "ecdsa", "-b", "384"], "id_ecdsa_pem": ["-t", "ecdsa", "-m", "PEM"],
        "id_rsa": ["-t", "rsa", "-b", "2048"], "id_rsa_pkcs8": ["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
        "id_encrypted": ["-t", "ed25519", "-a", "4"], "id_stranger": ["-t", "ed25519"],
    ]
    private static let made = Mutex<Set<String>>([])
    private static let directory: Result<String, any Error> = Result {
        let directory = try makeDirectory()
        atexit { if case .success(let path) = TestKeys.directory { try? FileManager.default.removeItem(atPath: path) } }
        return directory
    }

    /// The private key's file; the public key's has `.pub` behind it.
    public static func path(_ name: String) throws -> String {
        guard let kind = kinds[name] else { throw Failed("no key is called \(name)") }
        let path = try directory.get() + "/" + name
        try made.withLock { made in
            guard !made.contains(name) else { return }
            let passphrase = name == "id_encrypted" ? "open sesame" : ""
            try run("/usr/bin/ssh-keygen", ["-q", "-N", passphrase, "-f", path] + kind)
            made.insert(name)
        }
        return path
    }

    public static func text(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: try path(name))))
    }

    /// The line for `authorized_keys`.
    public static func publicLine(_ name: String) throws -> String {
        try String(contentsOfFile: try path(name) + ".pub", encoding: .utf8)
    }
}

/// An `sshd` of our own, unprivileged: its keys, its configuration, its port, gone with its directory.
public final class TestServer {
    public let directory: String
    public let port: UInt16
    private let process: Child

    /// `configuration` is lines of sshd_config; `logins` are the keys that let the test's own user in.
    public init(
        _ configuration: String = "", hostKeys: [String] = ["host_ed25519"], logins: [String] = ["id_ed25519"]
    ) throws {
        directory = try makeDirectory()
        port = try freePort()
        try logins.map(TestKeys.publicLine).joined().write(
            toFile: "\(directory)/authorized_keys", atomically: true, encoding: .utf8)
        let hostKeyLines = try hostKeys.map { "HostKey \(try TestKeys.path($0))" }.joined(separator: "\n")
        // The first mention of a keyword counts, so what a test asks for comes first.
        try """
        \(configuration)
        ListenAddress 127.0.0.1:\(port)
        \(hostKeyLines)
        AuthorizedKeysFile \(directory)/authorized_keys
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin yes
        MaxStartups 100:100:100
        LogLevel VERBOSE
        """.write(toFile: "\(directory)/sshd_config", atomically: true, encoding: .utf8)
        process = try Child("/usr/sbin/sshd", ["-D", "-e", "-f", "\(directory)/sshd_config"], log: directory + "/log")
        let port = port
        try waitUntil("sshd listens") {
            guard let socket = try? Socket.connect(port) else { return false }
            socket.close()
            return true
        }
    }

    public var logged: String { (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "" }

    /// The listener and every process that serves a connection of it.
    public func kill() { process.kill() }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: directory)
    }
}
