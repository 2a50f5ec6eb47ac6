import Foundation

/// Host keys of every type, made once for the whole run. RSA and ECDSA are in PEM, which dropbear's converter reads.
struct PeerKeys: Sendable {
    /// Paths of the private keys.
    let hostKeys: [String]

    static let shared: Result<PeerKeys, any Error> = Result {
        // The stage stays until the run ends; the reaper removes it.
        let stage = try Stage()
        let others = [
            ["ecdsa", "-b", "256"], ["ecdsa", "-b", "384"], ["ecdsa", "-b", "521"], ["rsa", "-b", "2048"],
        ]
        let paths = try others.map { type in
            let path = "\(stage.directory)/\(type[0])\(type[2])"
            try stage.run(["ssh-keygen", "-q", "-m", "PEM", "-N", "", "-f", path, "-t"] + type)
            return path
        }
        return PeerKeys(hostKeys: [try TestKeys.shared.get().path("host")] + paths)
    }

    /// The same keys in dropbear's format.
    static let dropbear: Result<[String], any Error> = Result {
        let stage = try Stage()
        return try shared.get().hostKeys.map { path in
            let converted = "\(stage.directory)/\((path as NSString).lastPathComponent)"
            try stage.run(["dropbearconvert", "openssh", "dropbear", path, converted])
            return converted
        }
    }
}

/// A running foreign server on a port of this machine, as whoever runs the tests. The throw-away key logs in, and the
/// server shows one host key of each type that it has.
final class PeerServer {
    let peer: Peer
    let port: UInt16
    let process: Child
    /// A known_hosts file with all of the server's keys.
    let knownHosts: String
    private let key: String

    /// What the server begins a key exchange after, where nothing else is asked for: never in a test.
    private static let farAway = 1 << 40

    /// `hostKey`: the algorithm that a dropbear shall have a key for; it takes four keys at most, without a name the first
    /// four types. `renewalBytes`: the server exchanges keys again after so many. `window`: what dropbear lets a client
    /// send ahead.
    init(
        _ peer: Peer, on stage: Stage, hostKey: String? = nil, renewalBytes: Int? = nil, window: Int? = nil
    ) throws {
        self.peer = peer
        let keys = try TestKeys.shared.get()
        var hostKeys = try PeerKeys.shared.get().hostKeys
        key = keys.path("login")
        switch peer {
        case .openSSH:
            var options = hostKeys.dropFirst().map { "HostKey \($0)" }
            if let renewalBytes { options.append("RekeyLimit \(renewalBytes)") }
            let server = try SSHServer(on: stage, options: options)
            (port, process) = (server.port, server.process)
        case .asyncSSH, .paramiko, .xCrypto:
            port = try Ports.free()
            let authorized = try stage.write("authorized_keys", keys.publicKey("login") + "\n")
            process = try stage.start(
                "\(peer)",
                try Self.command(peer) + ["\(port)", authorized, "\(renewalBytes ?? Self.farAway)"] + hostKeys)
        case .dropbear:
            port = try Ports.free()
            let converted = try PeerKeys.dropbear.get()
            let files = Self.chosen(converted, hostKey).flatMap { ["-r", $0] }
            hostKeys = Self.chosen(hostKeys, hostKey)
            process = try stage.start(
                "dropbear",
                try Self.inHome(of: stage, keys) + [
                    "/usr/sbin/dropbear", "-F", "-E", "-s", "-p", "127.0.0.1:\(port)", "-P", "\(stage.directory)/pid",
                ] + files + (window.map { ["-W", "\($0)"] } ?? []))
        case .tinySSH:
            port = try Ports.free()
            let folder = "\(stage.directory)/tinyssh"
            try stage.run([Tools.tinySSH("tinysshd-makekey"), folder])
            let printed = try stage.run([Tools.tinySSH("tinysshd-printkey"), folder])
            hostKeys = [try stage.write("tinyssh_key", "")]
            _ = try stage.write("tinyssh_key.pub", printed)
            process = try stage.start(
                "tinyssh",
                [
                    Tools.python, Tools.script("one_process_a_connection.py"), "\(port)", Tools.tinySSH("tinysshd"),
                    "-v",
                    "-v", folder,
                ])
        }
        let names = hostKeys.map { readWhole($0 + ".pub").split(separator: " ").prefix(2).joined(separator: " ") }
        let (process, port) = (process, port)
        knownHosts = try stage.write(
            "\(peer)-known_hosts", names.map { "[127.0.0.1]:\(port) \($0)\n" }.joined())
        try waitUntil("\(peer) listens", within: 30) {
            guard process.isRunning else { throw Failure("\(peer) ended: \(process.ending!)") }
            return !ProcFS.listeners(port: port).isEmpty
        }
    }

    /// How a server that is a script of ours begins: all of them take the same words behind it.
    private static func command(_ peer: Peer) throws -> [String] {
        switch peer {
        case .asyncSSH: [Tools.python, Tools.script("asyncssh_server.py")]
        case .paramiko: [Tools.python, Tools.script("paramiko_server.py")]
        case .xCrypto: [Tools.built("xcrypto_server")]
        case .openSSH, .dropbear, .tinySSH: throw Failure("\(peer) is a program of its own")
        }
    }

    /// The files that a dropbear can have at once, out of one for each type.
    private static func chosen(_ files: [String], _ hostKey: String?) -> [String] {
        guard let hostKey else { return Array(files.prefix(4)) }
        // Both RSA algorithms have one key.
        let place = Peer.Shared.allHostKeys.firstIndex(of: hostKey) ?? 0
        return [files[min(place, files.count - 1)]]
    }

    /// What to put before a server's command, so that the home it looks up for our user is one of the stage's, with an
    /// authorized_keys file. libnss-wrapper answers the question: it takes no privilege, and the real home is untouched.
    private static func inHome(of stage: Stage, _ keys: TestKeys) throws -> [String] {
        let home = "\(stage.directory)/home"
        for folder in [home, "\(home)/.ssh"] {
            guard mkdir(folder, 0o700) == 0 else { throw Failure("\(folder): \(lastError())") }
        }
        _ = try stage.write("home/.ssh/authorized_keys", keys.publicKey("login") + "\n", mode: 0o600)
        let users = try stage.write("passwd", "\(SSHServer.user):x:\(getuid()):\(getgid())::\(home):/bin/sh\n")
        return [
            "env", "LD_PRELOAD=libnss_wrapper.so", "NSS_WRAPPER_PASSWD=\(users)", "NSS_WRAPPER_GROUP=/etc/group",
        ]
    }

    /// What the server says of itself, without `SSH-2.0-`.
    func identification() throws -> String {
        let socket = try TestSocket.connect(.tcp(port))
        var line = try socket.receiveText(count: "SSH-2.0-".count)
        guard line == "SSH-2.0-" else { throw Failure("\(peer) begins with \(line)") }
        line = ""
        while !line.contains("\r") { line += try socket.receiveText(count: 1) }
        return String(line.dropLast())
    }

    /// Starts culvert to this server, on a stage of its own or the server's.
    func tunnel(on stage: Stage, _ arguments: [String]) throws -> Child {
        try stage.start(
            "culvert",
            Subject.command(
                arguments + Tunnel.login(port: port, key: key, knownHosts: knownHosts) + [
                    "\(SSHServer.user)@127.0.0.1"
                ]),
            environment: Tunnel.environment(stage))
    }
}
