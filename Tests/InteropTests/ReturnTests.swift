import Foundation
import Testing

/// How a tunnel comes back where more than the link has changed.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh does not come back"))
struct ReturnTests {
    @Test("a login that gets no word from the server has another beside it")
    func silentLogin() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address, options: ["--knocks", "0"])
            let server = try #require(forward.server)
            try OutageTests.expectEcho(forward.address, within: 15)
            let said = forward.process.errorLines.count
            try server.stop()
            // Whatever connects now is taken, and hears nothing.
            let hole = try Listener(.tcp(server.port))
            let silent = try #require(hole.accept())
            hole.close()
            try server.start()
            let waiting = try TestSocket.connect(forward.address)
            waiting.setDeadline(30)
            try waiting.send("hello")
            #expect(try waiting.receiveText(count: 5) == "hello")
            try forward.process.waitForLine(["does not answer a login"], after: said)
            try forward.process.waitForLine(Wording.linkBack, after: said)
            // The other one is over.
            try silent.drainToEnd(within: 15)
            #expect(server.log.components(separatedBy: "Accepted publickey").count == 2, "one login since it started")
        }
    }

    @Test("while the server's host key is another, connections are refused at once, with the reason")
    func changedHostKey() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["--knocks", "0", "-L", "\(door):127.0.0.1:\(target)"])
            try tunnel.waitForListener(door)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try server.stop()
            try tunnel.process.waitForLine(Wording.linkLost)
            let waiting = try TestSocket.connect(.tcp(door))
            let impostor = try SSHServer(
                on: stage, name: "impostor", port: server.port, hostKey: "changedhost")
            try waiting.drainToEnd(within: 15)
            try tunnel.process.waitForLine(["closed a connection to", "host key"])
            let began = monotonicSeconds()
            try TestSocket.connect(.tcp(door)).drainToEnd(within: 5)
            #expect(monotonicSeconds() - began < 5, "it is not held")
            #expect(tunnel.process.isRunning && !impostor.log.contains("Accepted publickey"))
        }
    }

    @Test("before a new login the files are read again; one with an error leaves what was good")
    func filesAreReadAgain() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let servers = try (0..<2).map { try SSHServer(on: stage, name: "sshd\($0)") }
            let known = try servers.map { readWhole(try $0.knownHosts()) }.joined()
            let trusted = try stage.write("known", known)
            let flag = stage.directory + "/moved"
            func configure(_ more: String) throws -> String {
                try stage.write(
                    "config",
                    """
                    \(more)
                    Match host there exec "test -e \(flag)"
                      Port \(servers[1].port)
                    Host there
                      HostName 127.0.0.1
                      Port \(servers[0].port)
                      User \(SSHServer.user)
                      IdentityFile \(servers[0].keys.path("login"))
                      IdentitiesOnly yes
                      UserKnownHostsFile \(trusted)
                    """)
            }
            let door = try Ports.free()
            let culvert = try stage.start(
                "culvert",
                [Subject.path, "--knocks", "0", "-F", try configure(""), "-L", "\(door):127.0.0.1:\(target)", "there"],
                environment: Tunnel.environment(stage))
            try culvert.waitForLine(["listening on"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(!servers[1].log.contains("Accepted publickey"))

            // The condition holds now.
            _ = try stage.write("moved", "")
            servers[0].killSessions()
            try culvert.waitForLine(["leads to", ":\(servers[1].port) now"])
            try culvert.waitForLine(Wording.linkBack + [":\(servers[1].port) is"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(servers[1].log.contains("Accepted publickey"))

            _ = try configure("Port many")
            for _ in 0..<2 {
                let said = culvert.errorLines.count
                servers[1].killSessions()
                try culvert.waitForLine(Wording.linkBack, after: said)
            }
            let told = culvert.errorLines.filter { $0.contains("is not read again") }
            #expect(told.count == 1 && told[0].contains("config"), "\(told)")
            try OutageTests.expectEcho(.tcp(door), within: 15)
        }
    }

    /// While names of local ports are looked up, a link is logged in and its listeners are not open yet.
    @Test(
        "two logins side by side, one by TCP and one by a ProxyCommand that a file has brought meanwhile: one wins",
        .enabled(if: getuid() == 0, "its own resolv.conf takes root"), arguments: ["native", "libssh2"])
    func twoWays(_ engine: String) throws {
        try onStage { stage in
            let nameServer = try TestSocket.silentNameServer()
            let resolving = try stage.write("resolv.conf", "nameserver \(nameServer.host)\n")
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            // Silent until the other login has led in.
            let (log, port) = (server.process.errorPath, server.port)
            let slow = try TargetServer(on: stage) { near in
                try waitUntil("a login") { readWhole(log).contains("Accepted publickey") }
                let far = try TestSocket.connect(.tcp(port))
                for each in [near, far] { each.setDeadline(60) }
                try concurrently(2) { try ($0 == 0 ? near : far).pass(to: $0 == 0 ? far : near) }
            }
            guard case .tcp(let slowPort) = slow.address else { return }
            let flag = stage.directory + "/moved"
            let known = try stage.write("known", "there \(server.keys.publicKey("host"))\n")
            let config = try stage.write(
                "config",
                """
                Match originalhost there exec "test -e \(flag)"
                  ProxyCommand socat - TCP:127.0.0.1:\(server.port)
                Host there
                  HostName 127.0.0.1
                  Port \(slowPort)
                  HostKeyAlias there
                  User \(SSHServer.user)
                  IdentityFile \(server.keys.path("login"))
                  IdentitiesOnly yes
                  UserKnownHostsFile \(known)
                """)
            let door = try Ports.free()
            let culvert = try stage.start(
                "culvert",
                [
                    "unshare", "-m", "sh", "-c", "mount --bind '\(resolving)' /etc/resolv.conf && exec \"$@\"", "sh",
                    Subject.path, "-v", "--engine", engine, "-F", config, "-L",
                    "slow.example.test:\(try Ports.free()):127.0.0.1:\(target)", "-L",
                    "\(door):127.0.0.1:\(target)", "there",
                ], environment: Tunnel.environment(stage))
            try waitUntil("the first login has begun") { slow.accepted.value == 1 }
            _ = try stage.write("moved", "")
            try culvert.waitForLine(["does not answer a login"])
            try waitUntil("the second leads in", within: 30) { server.log.contains("Accepted publickey") }
            try OutageTests.expectEcho(.tcp(door), within: 45)
            #expect(culvert.isRunning)
            #expect(slow.accepted.value == 1)
            // The first one was told to end before it was judged.
            #expect(server.log.components(separatedBy: "Accepted publickey").count == 2)
        }
    }

    @Test("a condition that is evaluated again ends with culvert")
    func conditionEndsWithTheProcess() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let (flag, sign) = (stage.directory + "/slow", stage.directory + "/pid")
            let config = try stage.write(
                "config",
                """
                Match host there exec "test ! -e \(flag) || { echo $$ > \(sign); sleep 47; }"
                  Port \(server.port)
                Host there
                  HostName 127.0.0.1
                  User \(SSHServer.user)
                  IdentityFile \(server.keys.path("login"))
                  UserKnownHostsFile \(try server.knownHosts())
                """)
            let culvert = try stage.start(
                "culvert", [Subject.path, "-F", config, "-L", "\(door):127.0.0.1:9", "there"],
                environment: Tunnel.environment(stage))
            try culvert.waitForLine(["connected to"])
            _ = try stage.write("slow", "")
            server.killSessions()
            let program = try eventually("the condition runs", within: 15) {
                pid_t(readWhole(sign).trimmingCharacters(in: .whitespacesAndNewlines))
            }
            culvert.signal(SIGTERM)
            #expect(try culvert.waitForEnd() == .exited(0))
            try waitUntil("it is gone", within: 5) { kill(program, 0) != 0 }
        }
    }

    @Test("a configuration that came through a pipe is read once")
    func pipedConfiguration() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let config = try stage.write(
                "config",
                """
                Host there
                  HostName 127.0.0.1
                  Port \(server.port)
                  User \(SSHServer.user)
                  IdentityFile \(server.keys.path("login"))
                  UserKnownHostsFile \(try server.knownHosts())
                """)
            let line =
                "exec \(Subject.path) --knocks 0 -F <(cat \(config)) -L \(door):127.0.0.1:\(target) there"
            let culvert = try stage.start(
                "culvert", ["bash", "-c", line], environment: Tunnel.environment(stage))
            try culvert.waitForLine(["listening on"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            server.killSessions()
            try culvert.waitForLine(Wording.linkBack)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(!culvert.errorLines.contains { $0.contains("is not read again") })
        }
    }
}
