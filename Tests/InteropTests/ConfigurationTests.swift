import Foundation
import Testing

/// `ssh_config` at real servers: a Host of a file is all that is typed.
@Suite(.serialized) struct ConfigurationTests {
    /// The login of a server as lines of a file, under the name "prod".
    private static func host(_ server: SSHServer, _ more: String) throws -> String {
        """
        Host prod
          HostName \(server.host)
          Port \(server.port)
          User \(SSHServer.user)
          IdentityFile \(server.keys.path("login"))
          UserKnownHostsFile \(try server.knownHosts())
        \(more)
        Host *
          IdentitiesOnly yes
          BatchMode yes
          StrictHostKeyChecking yes
          User nobody-of-that-name

        """
    }

    /// Starts the subject with `words` and waits until a forward on `door` carries.
    private static func expectTunnel(_ stage: Stage, _ words: [String], _ doors: UInt16...) throws {
        let process = try stage.start(
            "culvert", [Subject.path] + (Subject.isCulvert ? [] : ["-N"]) + words,
            environment: Tunnel.environment(stage))
        for door in doors {
            try waitUntil("the forward stands") {
                guard process.isRunning else { throw Failure("it ended: \(process.ending!)") }
                return !ProcFS.listeners(port: door).isEmpty
            }
            try OutageTests.expectEcho(.tcp(door), within: 15)
        }
    }

    @Test(
        "~/.ssh/config: forwards of the file, and one of the command line beside them",
        .enabled(if: Subject.isCulvert, "ssh asks the password database for the home directory"))
    func home() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let (door, other) = (try Ports.free(), try Ports.free())
            try FileManager.default.createDirectory(
                atPath: stage.directory + "/.ssh", withIntermediateDirectories: true)
            let forward = "  LocalForward \(door) 127.0.0.1:\(target)\n  Include extra\n"
            _ = try stage.write(".ssh/config", Self.host(server, forward), mode: 0o600)
            _ = try stage.write(".ssh/extra", "RemoteForward \(other) 127.0.0.1:\(target)\n", mode: 0o600)
            try Self.expectTunnel(stage, ["prod"], door, other)
        }
    }

    @Test("-F, Match exec and -L")
    func file() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let (door, other) = (try Ports.free(), try Ports.free())
            let file = try stage.write(
                "config",
                "Match originalhost prod exec \"test -d '\(stage.directory)' -a %n = prod\"\n"
                    + "  LocalForward \(other) 127.0.0.1:\(target)\n" + Self.host(server, ""), mode: 0o644)
            try Self.expectTunnel(stage, ["-F", file, "-L", "\(door):127.0.0.1:\(target)", "prod"], door, other)
        }
    }

    @Test("ExitOnForwardFailure of a file counts")
    func exitOnForwardFailure() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let taken = try Listener(.tcp(0))
            guard case .tcp(let port) = taken.address else { return }
            let more = "  LocalForward \(port) 127.0.0.1:1\n  LocalForward \(try Ports.free()) 127.0.0.1:1\n"
            let file = try stage.write("config", Self.host(server, more + "  ExitOnForwardFailure yes\n"))
            let process = try stage.start(
                "culvert", [Subject.path] + (Subject.isCulvert ? [] : ["-N"]) + ["-F", file, "prod"],
                environment: Tunnel.environment(stage))
            #expect(try process.waitForEnd() == .exited(255))
        }
    }

    @Test("a file that others may write to is refused", .enabled(if: Subject.isCulvert, "ssh says it in other words"))
    func permissions() throws {
        try onStage { stage in
            try FileManager.default.createDirectory(
                atPath: stage.directory + "/.ssh", withIntermediateDirectories: true)
            let path = try stage.write(".ssh/config", "Host *\n", mode: 0o666)
            let process = try stage.start(
                "culvert", [Subject.path, "-L1:a:2", "prod"], environment: Tunnel.environment(stage))
            #expect(try process.waitForEnd() == .exited(64))
            try process.waitForLine(["\(path): others may write to it: chmod go-w \(path)"])
        }
    }
}
