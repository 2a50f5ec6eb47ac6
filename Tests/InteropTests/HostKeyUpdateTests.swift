import Foundation
import Testing

/// A stock sshd whose host keys are rotated, with `ssh` beside culvert: what both write down, and a tunnel that outlives its
/// server's old key.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh is here already, as the oracle")) struct HostKeyUpdateTests {
    /// A server of these keys of the run's (`host`, `secondhost`, …).
    private static func server(_ stage: Stage, _ names: [String], port: UInt16, _ run: String) throws -> SSHServer {
        let keys = try TestKeys.shared.get()
        return try SSHServer(
            on: stage, name: "sshd-\(run)", port: port, hostKey: names[names.count - 1],
            // sshd shows the first one of a type.
            options: names.dropLast().map { "HostKey \(keys.path($0))" })
    }

    private static func name(_ server: SSHServer) -> String { "[\(server.host)]:\(server.port)" }

    private static func lines(_ path: String) -> Set<String> {
        Set(readWhole(path).split(separator: "\n").map(String.init))
    }

    private static func login(_ server: SSHServer, _ known: String, _ more: [String]) -> [String] {
        Tunnel.login(port: server.port, key: server.keys.path("login"), knownHosts: known) + more
    }

    private static func ssh(_ stage: Stage, _ server: SSHServer, _ known: String, _ more: [String]) throws {
        // A session that lasts until the proof has come.
        let words = ["ssh", "-F", "none", "-n"] + login(server, known, more) + ["\(SSHServer.user)@\(server.host)"]
        try stage.run(words + ["sleep 1"], environment: Tunnel.environment(stage))
    }

    private static let yes = ["-o", "UpdateHostKeys=yes"]

    /// Which keys the file has, which the server, and what comes of it, as rules of hostkey-rotate.sh.
    static let scenes: [(file: [String], server: [String], more: [String])] = [
        (["host"], ["host", "secondhost"], []), (["host", "thirdhost"], ["host", "secondhost"], []),
        (["host", "thirdhost"], ["host"], []), (["host"], ["host"], []),
        (["host"], ["host", "secondhost", "thirdhost", "fourthhost"], ["-o", "HashKnownHosts=yes"]),
        (["host"], ["host", "secondhost"], ["-o", "UpdateHostKeys=no"]),
        (["host"], ["host", "secondhost"], ["-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256,ssh-ed25519"]),
    ]

    @Test("culvert writes what ssh writes", arguments: scenes)
    func asSSH(_ file: [String], _ keys: [String], _ more: [String]) throws {
        try onStage { stage in
            let server = try Self.server(stage, keys, port: try Ports.free(), "only")
            let text = file.map { "\(Self.name(server)) \(server.keys.publicKey($0))\n" }.joined() + "else x y\n"
            let theirs = try stage.write("theirs", text)
            let ours = try stage.write("ours", text)
            try Self.ssh(stage, server, theirs, more + Self.yes)
            let tunnel = try Tunnel(
                to: server, ["-L", "\(try Ports.free()):127.0.0.1:1"] + more + Self.yes, knownHosts: ours)
            try tunnel.waitForLink()
            func found(_ path: String) throws -> [String] {
                try stage.run(["ssh-keygen", "-F", Self.name(server), "-f", path]).split(separator: "\n")
                    .filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ").suffix(2).joined(separator: " ") }
                    .sorted()
            }
            let wanted = try found(theirs)
            try waitUntil("culvert has what ssh has") { try found(ours) == wanted }
            // And nothing beyond it, some time later.
            usleep(500_000)
            #expect(try found(ours) == wanted)
            #expect(Self.lines(ours).contains("else x y"))
            #expect((readWhole(ours) == text) == (readWhole(theirs) == text))
            tunnel.process.destroy()
        }
    }

    @Test(
        "a server that changes its key twice under a running tunnel, which learns each before it counts",
        arguments: [
            false, true,
        ])
    func rotation(_ isWritable: Bool) throws {
        try onStage { stage in
            let port = try Ports.free()
            var server = try Self.server(stage, ["host", "secondhost"], port: port, "one")
            let known = try stage.write("known", "\(Self.name(server)) \(server.keys.publicKey("host"))\n")
            if !isWritable { mkdir(known + ".old", 0o755) }
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-L", "\(door):127.0.0.1:1", "--links", "2"] + Self.yes, knownHosts: known)
            try tunnel.waitForLink(2)
            try tunnel.process.waitForLine(["has updated its host keys"])
            try server.stop()
            // The first key alone has gone; the next one is offered by the second.
            server = try Self.server(stage, ["secondhost", "thirdhost"], port: port, "two")
            try waitUntil("both links are back", within: 60) {
                server.log.components(separatedBy: "Accepted publickey").count > 2
            }
            try tunnel.process.waitForLine(["no more in use"])
            if isWritable {
                try waitUntil("the file has them") {
                    Self.lines(known)
                        == Set(["secondhost", "thirdhost"].map { "\(Self.name(server)) \(server.keys.publicKey($0))" })
                }
            }
            try server.stop()
            server = try Self.server(stage, ["thirdhost"], port: port, "three")
            try waitUntil("both links are back again", within: 60) {
                server.log.components(separatedBy: "Accepted publickey").count > 2
            }
            #expect(tunnel.process.isRunning)
            try server.stop()
            // A key that nobody proved is none.
            server = try Self.server(stage, ["changedhost"], port: port, "four")
            try tunnel.process.waitForLine(["REMOTE HOST IDENTIFICATION HAS CHANGED"])
            #expect(!server.log.contains("Accepted publickey"))
        }
    }

    @Test("a key of the agent's that is bound to this host signs for it, and for no other")
    func boundKeys() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let known = try server.knownHosts()
            let socket = "\(stage.directory)/agent"
            _ = try stage.start("ssh-agent", ["ssh-agent", "-D", "-a", socket])
            try waitUntil("the agent listens") { FileManager.default.fileExists(atPath: socket) }
            let environment = ["SSH_AUTH_SOCK": socket]
            for (host, enters) in [("[127.0.0.1]:\(server.port)", true), ("else.example", false)] {
                let file = try stage.write(
                    "constraints",
                    "\(Self.name(server)) \(server.keys.publicKey("host"))\nelse.example \(server.keys.publicKey("secondhost"))\n"
                )
                try stage.run(["ssh-add", "-q", "-D"], environment: environment)
                try stage.run(
                    ["ssh-add", "-q", "-H", file, "-h", host, server.keys.path("login")], environment: environment)
                let words = [
                    "-p", "\(server.port)", "-L", "\(try Ports.free()):127.0.0.1:1", "-o", "BatchMode=yes",
                    "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(known)", "-v",
                    "\(SSHServer.user)@\(server.host)",
                ]
                let process = try stage.start(
                    "culvert", Subject.command(words), environment: Tunnel.environment(stage, environment))
                if enters {
                    try waitUntil("it is let in") { server.log.contains("Accepted publickey") }
                    #expect(server.log.contains("publickey-hostbound-v00@openssh.com"))
                    process.destroy()
                } else {
                    let ending = try process.waitForEnd()
                    #expect(ending == .exited(255), "\(process.errorText)")
                }
            }
            #expect(server.log.components(separatedBy: "Accepted publickey").count == 2)
        }
    }
}
