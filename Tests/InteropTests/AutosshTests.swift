import Foundation
import Testing

/// culvert in autossh's place, and culvert as autossh's ssh.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh is not autossh")) struct AutosshTests {
    private static func kill(_ pid: pid_t, _ signal: Int32) { Foundation.kill(pid, signal) }

    @Test("-M 0 -f is in the background at once, and waits there for a server that is away")
    func detached() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            try server.stop()
            let door = try Ports.free()
            let (number, log) = (stage.directory + "/culvert.pid", stage.directory + "/culvert.log")
            stage.atEnd { for pid in ProcFS.processes(naming: "\(door):127.0.0.1") { Self.kill(pid, SIGKILL) } }
            let tunnel = try Tunnel(
                to: server, ["-M", "0", "-f", "-N", "-L", "\(door):127.0.0.1:\(target)"],
                environment: ["AUTOSSH_PIDFILE": number, "AUTOSSH_LOGFILE": log])
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            let left = ProcFS.processes(naming: "\(door):127.0.0.1")
            #expect(left.count == 1 && readWhole(number) == "\(left[0])\n")
            try waitUntil("the log has it") { readWhole(log).contains("trying again") }
            try server.start()
            try waitUntil("the forward stands", within: 40) { !ProcFS.listeners(port: door).isEmpty }
            try OutageTests.expectEcho(.tcp(door), within: 15)
            for pid in left { Self.kill(pid, SIGTERM) }
            try waitUntil("it ends, and its file with it") {
                ProcFS.listeners(port: door).isEmpty && !FileManager.default.fileExists(atPath: number)
            }
        }
    }

    @Test("AUTOSSH_MAXSTART=1: it ends with its link, as autossh does with its ssh")
    func maximumOfStarts() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-M", "0", "-L", "\(door):127.0.0.1:1"], environment: ["AUTOSSH_MAXSTART": "1"])
            try tunnel.waitForListener(door)
            try server.stop()
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            try tunnel.process.waitForLine(["AUTOSSH_MAXSTART=1"])
        }
    }

    /// culvert beside autossh with its ssh: the port is free after some seconds, and both have it then.
    @Test(
        "a reverse port that another program holds, with ExitOnForwardFailure: it is asked for until it is free",
        arguments: [true, false])
    func takenPort(_ isCulvert: Bool) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let taken = try Listener(.tcp(0))
            guard case .tcp(let port) = taken.address else { return }
            let ssh = ["sh", "-c", "shift 3; AUTOSSH_PATH=/usr/bin/ssh exec autossh -F none \"$@\"", "sh"]
            let tunnel = try Tunnel(
                to: server,
                ["-M", "0", "-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:\(port):127.0.0.1:1"],
                environment: ["AUTOSSH_GATETIME": "0"], launcher: isCulvert ? [] : ssh)
            try tunnel.process.waitForLine(["remote port forwarding failed"])
            try during(1, "it goes on") { tunnel.process.isRunning }
            taken.close()
            try waitUntil("the server listens", within: 60) { !ProcFS.listeners(port: port).isEmpty }
            tunnel.process.signal(SIGTERM)
            try tunnel.process.waitForEnd()
        }
    }

    @Test("AUTOSSH_MAXLIFETIME: it ends by itself, cleanly")
    func lifetime() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let reverse = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-M", "0", "-R", "\(reverse):127.0.0.1:1"], environment: ["AUTOSSH_MAXLIFETIME": "2"])
            try tunnel.waitForListener(reverse)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            try waitUntil("the server's port is closed") { ProcFS.listeners(port: reverse).isEmpty }
        }
    }

    @Test("a pid file that cannot be written: 73 and one line")
    func noPIDFile() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let path = stage.directory + "/nowhere/pid"
            let tunnel = try Tunnel(
                to: server, ["--pid-file", path, "-L", "\(try Ports.free()):127.0.0.1:1"])
            #expect(try tunnel.process.waitForEnd() == .exited(73))
            try tunnel.process.waitForLine(["--pid-file \(path): No such file or directory"])
        }
    }

    /// autossh hands on what it does not know, and with a port its two monitoring forwards.
    @Test("AUTOSSH_PATH=culvert autossh", arguments: [false, true])
    func asItsSSH(_ isMonitored: Bool) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let (door, monitor) = (try Ports.free(), isMonitored ? try Ports.free() : 0)
            stage.atEnd { for pid in ProcFS.processes(naming: "\(door):127.0.0.1") { Self.kill(pid, SIGKILL) } }
            let tunnel = try Tunnel(
                to: server, ["-N", "-L", "\(door):127.0.0.1:\(target)"],
                launcher: [
                    "sh", "-c", "AUTOSSH_PATH=$1 && export AUTOSSH_PATH && shift && exec autossh -M \(monitor) \"$@\"",
                    "sh",
                ])
            try tunnel.waitForListener(door)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            if isMonitored { #expect(!ProcFS.listeners(port: monitor).isEmpty) }
            try server.stop()
            try server.start()
            try OutageTests.expectEcho(.tcp(door), within: 30)
            tunnel.process.signal(SIGTERM)
            try tunnel.process.waitForEnd()
            try waitUntil("its culvert is gone") { ProcFS.processes(naming: "\(door):127.0.0.1").isEmpty }
        }
    }
}
