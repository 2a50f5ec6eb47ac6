import Foundation
import Testing

/// What settings of a host do beside the login: programs that are run here, connections that others make, names in full.
@Suite(.serialized) struct HostSettingTests {
    /// A forward to an echo.
    private static func forward(_ stage: Stage) throws -> (words: [String], door: UInt16) {
        let echo = try TargetServer.echo(on: stage)
        guard case .tcp(let target) = echo.address else { throw Failure("no port") }
        let door = try Ports.free()
        return (["-L", "\(door):127.0.0.1:\(target)"], door)
    }

    private static func lines(_ path: String) -> [String] { readWhole(path).split(separator: "\n").map(String.init) }

    // MARK: LocalCommand

    @Test("LocalCommand is run once the forwards stand, with its tokens, and culvert's again with its link")
    func localCommand() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let file = stage.directory + "/ran"
            let command = "echo 'up %n %p %r %T %%' >> \(file); echo said; echo told >&2"
            let tunnel = try Tunnel(
                to: server, words + ["-o", "PermitLocalCommand=yes", "-o", "LocalCommand=\(command)"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            let line = "up \(server.host) \(server.port) \(SSHServer.user) NONE %"
            try waitUntil("it has been run", within: 5) { Self.lines(file) == [line] }
            try waitUntil("what it says is seen", within: 5) {
                tunnel.process.outputText == "said\n" && tunnel.process.errorText.contains("told")
            }
            guard Subject.isCulvert else { return }
            server.killSessions()
            try tunnel.process.waitForLine(Wording.linkBack)
            try waitUntil("it has been run again", within: 5) { Self.lines(file) == [line, line] }
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            // No zombie, no process that stays.
            #expect(Self.lines(file).count == 2)
        }
    }

    @Test("LocalCommand without PermitLocalCommand is not run") func localCommandNotPermitted() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let file = stage.directory + "/ran"
            let tunnel = try Tunnel(to: server, words + ["-o", "LocalCommand=touch \(file)"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            tunnel.process.signal(SIGTERM)
            try tunnel.process.waitForEnd()
            #expect(!FileManager.default.fileExists(atPath: file))
        }
    }

    @Test(
        "LocalCommand holds nothing up: connections are carried while it runs, and it ends with culvert",
        .enabled(if: Subject.isCulvert, "ssh waits for it"))
    func slowLocalCommand() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let tunnel = try Tunnel(
                to: server,
                ["--drain", "1"] + words + ["-o", "PermitLocalCommand=yes", "-o", "LocalCommand=sleep 1000; true"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try waitUntil("it runs", within: 5) { !ProcFS.programs(under: tunnel.pid).isEmpty }
            let programs = ProcFS.programs(under: tunnel.pid)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            try waitUntil("it has gone", within: 5) {
                programs.allSatisfy { kill($0, 0) != 0 || readWhole("/proc/\($0)/stat").contains(") Z") }
            }
        }
    }

    @Test("what a LocalCommand leaves in the background lives on") func backgroundOfLocalCommand() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let done = stage.directory + "/done"
            let command = "(sleep 1; touch \(done)) >/dev/null 2>&1 &"
            let tunnel = try Tunnel(
                to: server, words + ["-o", "PermitLocalCommand=yes", "-o", "LocalCommand=\(command)"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try waitUntil("it is done", within: 5) { FileManager.default.fileExists(atPath: done) }
            tunnel.process.signal(SIGTERM)
            try tunnel.process.waitForEnd()
        }
    }

    // MARK: ProxyUseFdpass

    /// Connects where `%h` and `%p` say, hands the socket over, and ends.
    private static let passing = """
        import array, socket, sys
        host, port = sys.argv[1:3]
        if host.startswith("unix/"):
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(host[4:])
        else:
            stream = socket.create_connection((host, int(port)))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [stream.fileno()]))]
        socket.socket(fileno=1).sendmsg([b"\\0"], rights)
        """

    @Test("ProxyUseFdpass: the connection is the program's, and each link has a new one", arguments: Driver.choices)
    func passedDescriptor(_ driver: Driver) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let script = try stage.write("pass.py", Self.passing)
            let tunnel = try Tunnel(
                to: server,
                driver.arguments + words
                    + ["-o", "ProxyUseFdpass=yes", "-o", "ProxyCommand=python3 \(script) %h %p"],
                environment: ["SHELL": "/bin/sh"])
            try OutageTests.expectEcho(.tcp(door), within: 15)
            guard Subject.isCulvert else { return }
            try waitUntil("the program has gone", within: 5) { ProcFS.programs(under: tunnel.pid).isEmpty }
            server.killSessions()
            try tunnel.process.waitForLine(Wording.linkBack)
            try OutageTests.expectEcho(.tcp(door), within: 15)
        }
    }

    @Test("a host with slashes, as systemd's file leads to it: a Unix socket behind a program")
    func unixHost() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let script = try stage.write("pass.py", Self.passing)
            // In lower case, as names of hosts are.
            let socket = "/tmp/culvert-\(getpid()).sock"
            stage.atEnd { unlink(socket) }
            _ = try stage.start("socat", ["socat", "UNIX-LISTEN:\(socket),fork", "TCP:127.0.0.1:\(server.port)"])
            try waitUntil("socat listens") { FileManager.default.fileExists(atPath: socket) }
            let file = try stage.write(
                "config",
                """
                Host unix/* vsock/*
                  ProxyCommand python3 \(script) %h %p
                  ProxyUseFdpass yes
                  CheckHostIP no
                  StrictHostKeyChecking no
                  UserKnownHostsFile \(stage.directory)/known
                  IdentityFile \(server.keys.path("login"))
                  IdentitiesOnly yes
                  BatchMode yes
                  User \(SSHServer.user)
                """, mode: 0o600)
            let tunnel = try stage.start(
                "culvert", [Subject.path] + (Subject.isCulvert ? [] : ["-N"]) + words + ["-F", file, "unix\(socket)"],
                environment: Tunnel.environment(stage, ["SHELL": "/bin/sh"]))
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(readWhole(stage.directory + "/known").hasPrefix("unix\(socket) "))
            tunnel.signal(SIGTERM)
            try tunnel.waitForEnd()
        }
    }

    @Test(
        "ProxyUseFdpass: a program that passes nothing is told in one line",
        .enabled(if: Subject.isCulvert, "ssh has other words"),
        arguments: [
            ("true", "the ProxyCommand passed no connection (ProxyUseFdpass): it ended with exit status 0"),
            (
                #"python3 -c 'import array, os, socket; socket.socket(fileno=1).sendmsg([b"x"], [(1, 1, array.array("i", [os.open("/dev/null", 0)]))])'"#,
                "the ProxyCommand passed no connection (ProxyUseFdpass): a descriptor that is no stream socket"
            ),
            ("echo SSH-2.0-x", "the ProxyCommand passed no connection (ProxyUseFdpass): it ended with exit status 0"),
            ("sleep 1000", "the ProxyCommand passed no connection (ProxyUseFdpass): wait"),
        ])
    func nothingPassed(_ command: String, _ words: String) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (forward, _) = try Self.forward(stage)
            let tunnel = try Tunnel(
                to: server,
                forward + ["-o", "ConnectTimeout=2", "-o", "ProxyUseFdpass=yes", "-o", "ProxyCommand=\(command)"],
                environment: ["SHELL": "/bin/sh"])
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            #expect(tunnel.process.errorText.contains(words), "\(tunnel.process.errorText)")
        }
    }

    // MARK: CanonicalizeHostname

    @Test("CanonicalizeHostname: a short name is looked up in the domains, and the files are read with what it is")
    func canonicalName() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (words, door) = try Self.forward(stage)
            let hosts = try stage.write(
                "hosts", "127.0.0.1 localhost\n127.0.0.1 db.corp.example. db.corp.example\n")
            let file = try stage.write(
                "config",
                """
                CanonicalizeHostname yes
                CanonicalDomains none.invalid corp.example
                Match canonical host *.corp.example
                  Port \(server.port)
                  User \(SSHServer.user)
                Host *
                  IdentityFile \(server.keys.path("login"))
                  IdentitiesOnly yes
                  BatchMode yes
                  StrictHostKeyChecking no
                  UserKnownHostsFile \(stage.directory)/known
                """, mode: 0o600)
            let inside = ["unshare", "-m", "sh", "-c", "mount --bind \(hosts) /etc/hosts && exec \"$@\"", "sh"]
            let tunnel = try stage.start(
                "culvert", inside + [Subject.path] + (Subject.isCulvert ? [] : ["-N"]) + words + ["-F", file, "db"],
                environment: Tunnel.environment(stage))
            try OutageTests.expectEcho(.tcp(door), within: 15)
            #expect(readWhole(stage.directory + "/known").hasPrefix("[db.corp.example]:\(server.port) "))
            defer { tunnel.signal(SIGTERM) }
            guard Subject.isCulvert else { return }
            // Whoever is asked for the name knows nothing of it now: it stays what it was. In place: the file is mounted.
            let writer = try FileHandle(forWritingTo: URL(fileURLWithPath: hosts))
            try writer.write(contentsOf: Data("127.0.0.1 db.corp.example\n#".utf8))
            try writer.close()
            server.killSessions()
            try tunnel.waitForLine(["the configuration is not read again", "db.corp.example."])
            try tunnel.waitForLine(Wording.linkBack)
            try OutageTests.expectEcho(.tcp(door), within: 15)
        }
    }
}
