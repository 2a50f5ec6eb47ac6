import Foundation

/// Keys of every type, made once for the whole run. RSA and ECDSA are in PEM, which dropbear's converter reads.
struct PeerKeys: Sendable {
    /// Paths of the servers' private keys.
    let hostKeys: [String]
    /// The same keys, each with a certificate for 127.0.0.1 beside it.
    let certifiedHostKeys: [String]
    /// Users' keys, each with a certificate for whoever runs the tests beside it.
    let certifiedUserKeys: [String]
    /// The path of the authority that signed all of them.
    let authority: String

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
        let all = [try TestKeys.shared.get().path("host")] + paths
        let authority = "\(stage.directory)/authority"
        try stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", authority])
        /// Copies with a certificate each, in a folder of their own: some libraries take one that lies beside a key.
        func certified(_ folder: String, _ options: [String]) throws -> [String] {
            let folder = "\(stage.directory)/\(folder)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            return try all.map { path in
                let copy = "\(folder)/\((path as NSString).lastPathComponent)"
                for suffix in ["", ".pub"] {
                    try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
                }
                try stage.run(["ssh-keygen", "-q", "-s", authority, "-I", folder] + options + [copy + ".pub"])
                return copy
            }
        }
        return PeerKeys(
            hostKeys: all, certifiedHostKeys: try certified("hosts", ["-h", "-n", "127.0.0.1"]),
            certifiedUserKeys: try certified("users", ["-n", SSHServer.user]), authority: authority)
    }

    /// The place in each of the lists of the key for an algorithm of `Peer.Shared.allHostKeys`, or of `.allCertificates`.
    static func place(_ algorithm: String) -> Int {
        let names = algorithm.contains("-cert-") ? Peer.Shared.allCertificates : Peer.Shared.allHostKeys
        // Both RSA algorithms have one key, the last.
        return min(names.firstIndex(of: algorithm) ?? 0, 4)
    }

    /// A user's key with a certificate for this algorithm beside it.
    func certified(_ certificate: String) -> String { certifiedUserKeys[Self.place(certificate)] }

    /// A key as a line of authorized_keys or known_hosts has it.
    static func line(_ path: String) -> String {
        readWhole(path + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
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

    /// `hostKey`: the algorithm that a server which takes few keys shall have one for, Ed25519 without a name. `renewalBytes`: the server exchanges keys again after so many. `window`: what dropbear lets a client
    /// send ahead.
    init(
        _ peer: Peer, on stage: Stage, hostKey: String? = nil, renewalBytes: Int? = nil, window: Int? = nil
    ) throws {
        self.peer = peer
        let keys = try TestKeys.shared.get()
        let peerKeys = try PeerKeys.shared.get()
        let isCertified = peer.shared?.certificates.isEmpty == false
        var hostKeys = isCertified ? peerKeys.certifiedHostKeys : peerKeys.hostKeys
        if peer.takesFewHostKeys { hostKeys = [hostKeys[PeerKeys.place(hostKey ?? "ssh-ed25519")]] }
        key = keys.path("login")
        switch peer {
        case .openSSH, .newestOpenSSH:
            var options =
                hostKeys.flatMap { ["HostKey \($0)", "HostCertificate \($0)-cert.pub"] }
                + ["TrustedUserCAKeys \(peerKeys.authority).pub"]
            // Not all that its server has is offered without being asked for.
            if peer == .newestOpenSSH {
                options.append("KexAlgorithms \(Peer.Shared.allKeyExchanges.joined(separator: ","))")
            }
            if let renewalBytes { options.append("RekeyLimit \(renewalBytes)") }
            let server = try SSHServer(
                on: stage, options: options, tree: peer == .newestOpenSSH ? Tools.openSSH : nil)
            (port, process) = (server.port, server.process)
        case .asyncSSH, .paramiko, .conch, .xCrypto, .erlang, .libssh:
            port = try Ports.free()
            var lines = [keys.publicKey("login")]
            if isCertified { lines.append("cert-authority \(PeerKeys.line(peerKeys.authority))") }
            let authorized = try stage.write("authorized_keys", lines.joined(separator: "\n") + "\n")
            process = try stage.start(
                peer.rawValue,
                try Self.command(peer) + ["\(port)", authorized, "\(renewalBytes ?? Self.farAway)"] + hostKeys)
        case .dropbear:
            port = try Ports.free()
            let converted = try PeerKeys.dropbear.get()[PeerKeys.place(hostKey ?? "ssh-ed25519")]
            process = try stage.start(
                "dropbear",
                try Self.inHome(of: stage, keys) + [
                    "/usr/sbin/dropbear", "-F", "-E", "-s", "-p", "127.0.0.1:\(port)", "-P", "\(stage.directory)/pid",
                    "-r", converted,
                ] + (window.map { ["-W", "\($0)"] } ?? []))
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
        let (process, port) = (process, port)
        var names = hostKeys.map { "[127.0.0.1]:\(port) \(PeerKeys.line($0))\n" }
        if isCertified {
            names.append("@cert-authority [127.0.0.1]:\(port) \(PeerKeys.line(peerKeys.authority))\n")
        }
        knownHosts = try stage.write("\(peer.rawValue)-known_hosts", names.joined())
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
        case .conch: [Tools.python, Tools.script("conch_server.py")]
        case .xCrypto: [Tools.built("xcrypto_server")]
        case .erlang: ["escript", Tools.script("erlang_server.escript")]
        case .libssh: [Tools.built("libssh_server")]
        case .openSSH, .newestOpenSSH, .dropbear, .tinySSH: throw Failure("\(peer) is a program of its own")
        }
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

    /// Starts culvert to this server, on a stage of its own or the server's. `identity`: the key that logs in, instead of
    /// the throw-away key.
    func tunnel(on stage: Stage, _ arguments: [String], identity: String? = nil) throws -> Child {
        try stage.start(
            "culvert",
            Subject.command(
                arguments + Tunnel.login(port: port, key: identity ?? key, knownHosts: knownHosts) + [
                    "\(SSHServer.user)@127.0.0.1"
                ]),
            environment: Tunnel.environment(stage))
    }
}
