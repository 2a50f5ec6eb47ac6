import Foundation
import Testing

/// culvert as its own master, beside a stock `ssh` that asks things of it; and `culvert -O` beside a stock master.
@Suite(.serialized, .enabled(if: Subject.isCulvert && Subject.engine != "libssh2", "a master of culvert's, native"))
struct MuxTests {
    /// A master, whoever's it is, and who asks it.
    struct Pair: CustomTestStringConvertible, Sendable {
        let master: String
        let client: String
        var testDescription: String {
            "\((client as NSString).lastPathComponent) at \((master as NSString).lastPathComponent)"
        }
    }

    /// ssh at ssh's shows what is asked for; the others do the same.
    static let pairs = [
        Pair(master: "/usr/bin/ssh", client: "/usr/bin/ssh"), Pair(master: "/usr/bin/ssh", client: Subject.path),
        Pair(master: Subject.path, client: "/usr/bin/ssh"), Pair(master: Subject.path, client: Subject.path),
    ]

    /// One master on a stage.
    private final class Scene {
        let stage: Stage
        let server: SSHServer
        let pair: Pair
        let socket: String
        let master: Child
        let target: UInt16
        private let login: [String]

        init(_ stage: Stage, _ pair: Pair, _ words: [String] = [], options: [String] = []) throws {
            self.stage = stage
            self.pair = pair
            socket = stage.directory + "/mux"
            server = try SSHServer(on: stage, options: options)
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let port) = echo.address else { throw Failure("it has a port") }
            target = port
            login = try Tunnel.login(server) + ["\(SSHServer.user)@\(server.host)"]
            master = try stage.start(
                "master", [pair.master, "-F", "none", "-N", "-M", "-S", socket] + words + login,
                environment: Tunnel.environment(stage))
            let socket = socket
            try waitUntil("the master listens") { FileManager.default.fileExists(atPath: socket) }
        }

        /// `CLIENT -O command`: its exit status, and what it said.
        func ask(_ words: [String], client: String? = nil) throws -> (status: Ending, error: String, output: String) {
            let child = try stage.start(
                "asks", [client ?? pair.client, "-F", "none", "-S", socket] + words + ["host"],
                environment: Tunnel.environment(stage))
            let ending = try child.waitForEnd()
            return (ending, child.errorText, child.outputText)
        }

        /// With a session of its own, or standard input and output.
        func connect(_ words: [String], then: [String] = []) throws -> (status: Ending, error: String, output: String) {
            let child = try stage.start(
                "connects", ["/usr/bin/ssh", "-F", "none", "-S", socket] + words + login + then,
                environment: Tunnel.environment(stage))
            let ending = try child.waitForEnd()
            return (ending, child.errorText, child.outputText)
        }

        func expectEcho(_ address: Address) throws { try OutageTests.expectEcho(address, within: 10) }
    }

    @Test("check, forward, cancel, exit", arguments: pairs) func course(_ pair: Pair) throws {
        try onStage { stage in
            let own = try Ports.free()
            let scene = try Scene(stage, pair, ["-L", "\(own):127.0.0.1:1"])
            let target = scene.target
            let check = try scene.ask(["-O", "check"])
            #expect(check.status == .exited(0) && check.error == "Master running (pid=\(scene.master.pid))\r\n")

            let (door, socks, socket) = (try Ports.free(), try Ports.free(), stage.directory + "/door")
            let forwards = [
                "-L", "\(door):127.0.0.1:\(target)", "-D", "\(socks)", "-L", "\(socket):127.0.0.1:\(target)",
            ]
            for _ in 0..<2 {
                let added = try scene.ask(["-O", "forward"] + forwards)
                #expect(added.status == .exited(0) && added.error == "", "twice is once")
            }
            try scene.expectEcho(.tcp(door))
            try scene.expectEcho(.unix(socket))
            #expect(!ProcFS.listeners(port: socks).isEmpty)

            let reverse = try scene.ask(["-O", "forward", "-R", "0:127.0.0.1:\(target)"])
            let port = try #require(UInt16(reverse.output.trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(reverse.status == .exited(0))
            try scene.expectEcho(.tcp(port))
            let again = try scene.ask(["-O", "forward", "-R", "0:127.0.0.1:\(target)"])
            #expect(again.output == "\(port)\n")

            // A connection that is open goes on.
            let open = try TestSocket.connect(.tcp(door))
            try open.send("a")
            #expect(try open.receiveText(count: 1) == "a")
            let cancelled = try scene.ask(["-O", "cancel"] + forwards + ["-R", "0:127.0.0.1:\(target)"])
            #expect(cancelled.status == .exited(0) && cancelled.error == "")
            try waitUntil("nobody listens") { [door, socks, port].allSatisfy { ProcFS.listeners(port: $0).isEmpty } }
            try open.send("b")
            #expect(try open.receiveText(count: 1) == "b")
            open.close()
            #expect(
                try scene.ask(["-O", "cancel", "-L", "\(own):127.0.0.1:1"]).status == .exited(0), "of its own line too")
            try waitUntil("nobody listens") { ProcFS.listeners(port: own).isEmpty }

            let taken = try scene.ask(["-O", "forward", "-L", "127.0.0.1:\(target):127.0.0.1:1"])
            #expect(
                taken.status == .exited(255)
                    && taken.error.contains("forwarding request failed: Port forwarding failed"))
            let nothing = try scene.ask(["-O", "cancel", "-L", "9:127.0.0.1:1"])
            #expect(nothing.status == .exited(0) && nothing.error.contains("port not forwarded"), "ssh has 0 for that")

            let exit = try scene.ask(["-O", "exit"])
            #expect(exit.status == .exited(0) && exit.error == "Exit request sent.\r\n")
            let ending = try scene.master.waitForEnd()
            if pair.master == Subject.path { #expect(ending == .exited(0)) }
            #expect(!FileManager.default.fileExists(atPath: scene.socket))
            let gone = try scene.ask(["-O", "check"])
            #expect(gone.status == .exited(255))
            #expect(gone.error == "Control socket connect(\(scene.socket)): No such file or directory\r\n")
        }
    }

    @Test("what the server refuses has changed nothing", arguments: pairs) func refused(_ pair: Pair) throws {
        try onStage { stage in
            let scene = try Scene(stage, pair, options: ["AllowTcpForwarding local"])
            for _ in 0..<2 {
                let refused = try scene.ask(["-O", "forward", "-R", "0:127.0.0.1:1"])
                #expect(refused.status == .exited(255) && refused.output == "")
                #expect(refused.error.contains("remote port forwarding failed for"))
            }
            let nothing = try scene.ask(["-O", "cancel", "-R", "0:127.0.0.1:1"])
            #expect(nothing.error.contains("port not forwarded"))
            #expect(try scene.ask(["-O", "check"]).status == .exited(0))
        }
    }

    @Test("stop: no more on the socket, and the tunnel goes on", arguments: pairs) func stop(_ pair: Pair) throws {
        try onStage { stage in
            let door = try Ports.free()
            let scene = try Scene(stage, pair)
            #expect(try scene.ask(["-O", "forward", "-L", "\(door):127.0.0.1:\(scene.target)"]).status == .exited(0))
            let stopped = try scene.ask(["-O", "stop"])
            #expect(stopped.status == .exited(0) && stopped.error == "Stop listening request sent.\r\n")
            #expect(!FileManager.default.fileExists(atPath: scene.socket))
            // ssh's own -N ends with its last connection then; a tunnel is there for its forwards.
            guard pair.master == Subject.path else { return }
            try scene.expectEcho(.tcp(door))
            #expect(scene.master.isRunning)
        }
    }

    @Test("what was added comes back with the tunnel, and what was cancelled does not", arguments: pairs.suffix(2))
    func reconnect(_ pair: Pair) throws {
        try onStage { stage in
            let (first, kept) = (try Ports.free(), try Ports.free())
            let scene = try Scene(stage, pair, ["-R", "\(first):127.0.0.1:1"])
            #expect(
                try scene.ask(["-O", "forward", "-R", "\(kept):127.0.0.1:\(scene.target)"]).status == .exited(0))
            #expect(try scene.ask(["-O", "cancel", "-R", "\(first):127.0.0.1:1"]).status == .exited(0))
            scene.server.killSessions()
            try scene.master.waitForLine(["is back"], within: 30)
            try waitUntil("it is asked for again", within: 30) { !ProcFS.listeners(port: kept).isEmpty }
            try scene.expectEcho(.tcp(kept))
            #expect(ProcFS.listeners(port: first).isEmpty)
            #expect(try scene.ask(["-O", "check"]).status == .exited(0))
        }
    }

    @Test("a second master at the same socket goes on without one, as ssh's does", arguments: [0, 2].map { pairs[$0] })
    func second(_ pair: Pair) throws {
        try onStage { stage in
            let scene = try Scene(stage, pair)
            let door = try Ports.free()
            let second = try stage.start(
                "second",
                [pair.master, "-F", "none", "-N", "-M", "-S", scene.socket, "-L", "\(door):127.0.0.1:\(scene.target)"]
                    + (try Tunnel.login(scene.server)) + ["\(SSHServer.user)@\(scene.server.host)"],
                environment: Tunnel.environment(stage))
            try second.waitForLine(["ControlSocket \(scene.socket) already exists, disabling multiplexing"])
            try scene.expectEcho(.tcp(door))
            second.signal(SIGTERM)
            try second.waitForEnd()
            #expect(try scene.ask(["-O", "check"]).error == "Master running (pid=\(scene.master.pid))\r\n")
        }
    }

    @Test("a session that is asked of it is ssh's own: it connects by itself, with its forwards")
    func session() throws {
        try onStage { stage in
            let door = try Ports.free()
            let scene = try Scene(stage, Self.pairs[2])
            let run = try scene.connect(
                ["-L", "\(door):127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"], then: ["echo", "session"])
            #expect(run.status == .exited(0) && run.output == "session\n")
            #expect(run.error.contains("culvert carries forwards only"))
            #expect(try scene.ask(["-O", "check"]).status == .exited(0))
        }
    }

    @Test("-W at it goes through its link", arguments: [0, 2].map { pairs[$0] }) func standardStreams(_ pair: Pair)
        throws
    {
        try onStage { stage in
            let target = try TargetServer(on: stage) { socket in
                try socket.send("hello")
                _ = try socket.receiveTextToEnd()
            }
            guard case .tcp(let port) = target.address else { return }
            let scene = try Scene(stage, pair)
            let logins = scene.server.log.components(separatedBy: "Accepted publickey").count
            for _ in 0..<3 {
                let run = try scene.connect(["-W", "127.0.0.1:\(port)"])
                #expect(run.status == .exited(0) && run.output == "hello" && run.error == "")
            }
            let refused = try scene.connect(["-W", "127.0.0.1:1"])
            #expect(refused.status == .exited(255) && refused.error.contains("Session open refused by peer"))
            #expect(scene.server.log.components(separatedBy: "Accepted publickey").count == logins)
            #expect(try scene.ask(["-O", "check"]).status == .exited(0))
        }
    }

    @Test("-f returns when commands are taken") func background() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (socket, door) = (stage.directory + "/mux-%r", try Ports.free())
            stage.atEnd { for pid in ProcFS.processes(naming: socket) { kill(pid, SIGKILL) } }
            let tunnel = try Tunnel(to: server, ["-f", "-N", "-M", "-S", socket, "-L", "\(door):127.0.0.1:1"])
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            let path = stage.directory + "/mux-\(SSHServer.user)"
            let asks = try stage.start("asks", ["/usr/bin/ssh", "-F", "none", "-S", path, "-O", "exit", "host"])
            #expect(try asks.waitForEnd() == .exited(0))
            try waitUntil("it ends") {
                ProcFS.processes(naming: socket).isEmpty && ProcFS.listeners(port: door).isEmpty
            }
        }
    }
}
