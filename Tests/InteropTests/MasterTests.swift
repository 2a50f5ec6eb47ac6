import Foundation
import Testing

/// A running ssh master in place of a login that lacks an answer: the server wants a password, and nobody can give it.
@Suite(
    .serialized, .enabled(if: Subject.isCulvert && Subject.engine != "libssh2", "culvert's native engine alone has it"))
struct MasterTests {
    /// A server that takes a password of the key that culvert has, and a master that came in with another.
    private final class Scene {
        let stage: Stage
        let server: SSHServer
        let socket: String
        let master: Child

        init(_ stage: Stage, options: [String] = []) throws {
            self.stage = stage
            let directory = stage.directory + "/control"
            mkdir(directory, 0o700)
            socket = directory + "/master"
            server = try SSHServer(on: stage, options: ["PasswordAuthentication yes"] + options)
            let login = try Tunnel.login(server) + ["\(SSHServer.user)@\(server.host)"]
            master = try stage.start(
                "master", ["/usr/bin/ssh", "-F", "none", "-N", "-M", "-S", socket] + login,
                environment: Tunnel.environment(stage))
            let socket = socket
            try waitUntil("the master listens") { FileManager.default.fileExists(atPath: socket) }
        }

        func tunnel(_ words: [String], key: String = "stranger") throws -> Tunnel {
            try Tunnel(to: server, ["-S", socket, "-v"] + words, key: key, environment: environment)
        }

        /// What one that is killed leaves behind is the stage's.
        var environment: [String: String] { ["TMPDIR": stage.directory] }

        func expectMasterLives() throws {
            let check = try stage.start("asks", ["/usr/bin/ssh", "-F", "none", "-S", socket, "-O", "check", "host"])
            #expect(try check.waitForEnd() == .exited(0))
        }
    }

    @Test("-L and -R, many at once, both ways; the master outlives it, and its server listens no more")
    func forwards() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let (door, reverse, nowhere) = (try Ports.free(), try Ports.free(), try Ports.free())
            let path = stage.directory + "/at-server"
            let tunnel = try scene.tunnel([
                "-L", "\(door):\(target.address)", "-R", "\(reverse):\(target.address)",
                "-R", "\(path):\(target.address)", "-R", "0:\(target.address)", "-L", "\(nowhere):127.0.0.1:1",
            ])
            try tunnel.process.waitForLine([
                "password: not asked for", "going by the running master at \(scene.socket)",
            ])
            try tunnel.process.waitForLine(["connected to", "by the running master", "process \(scene.master.pid)"])
            let line = try tunnel.process.waitForLine(["Allocated port", "for remote forward"])
            let chosen = try #require(line.split(separator: " ").compactMap { UInt16($0) }.first)
            for address in [.tcp(door), .tcp(reverse), .unix(path), .tcp(chosen)] as [Address] {
                let flows = try (0..<5).map { _ in try Flow(through: address, arrivals: arrivals) }
                try concurrently(flows.count) {
                    try flows[$0].transfer(up: 3_000_000, down: 2_000_000, seed: UInt64($0))
                }
            }
            // One that is refused is told, by a reset, and hurts nobody.
            #expect(try TestSocket.connectWhenListening(.tcp(nowhere)).drainToEnd(within: 10) == .reset)
            try tunnel.process.waitForLine(["127.0.0.1:1: nothing came of a connection by the running master"])
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            try scene.expectMasterLives()
            try waitUntil("nobody listens there") {
                ProcFS.listeners(port: reverse).isEmpty && ProcFS.listeners(port: chosen).isEmpty
            }
        }
    }

    @Test("the end of one direction leaves the other, here and at the server", arguments: [true, false])
    func halfClosed(_ nearFirst: Bool) throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let (door, reverse) = (try Ports.free(), try Ports.free())
            _ = try scene.tunnel(["-L", "\(door):\(target.address)", "-R", "\(reverse):\(target.address)"])
            for port in [door, reverse] {
                let flow = try Flow(through: .tcp(port), arrivals: arrivals)
                let (first, second) = nearFirst ? (flow.near, flow.far) : (flow.far, flow.near)
                try first.send("the question")
                first.endWriting()
                #expect(try second.receiveTextToEnd() == "the question")
                let answer = RandomStream(seed: 7)
                let sending = Running {
                    try answer.send(4_000_000, over: second)
                    second.endWriting()
                }
                #expect(try answer.receive(over: first) == 4_000_000)
                try sending.join()
            }
        }
    }

    @Test("-D and -W") func others() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let echo = try TargetServer.echo(on: stage)
            let socks = try Ports.free()
            let tunnel = try scene.tunnel(["-D", "\(socks)"])
            try tunnel.waitForListener(socks)
            guard case .tcp(let port) = echo.address else { throw Failure("it has a port") }
            try Self.expectEcho(by: socks, port)
            for (place, status, output) in [(port, 0, "by -W\n"), (1, 255, "")] as [(UInt16, Int32, String)] {
                let words = Subject.command(
                    ["-S", scene.socket, "-W", "127.0.0.1:\(place)"]
                        + (try Tunnel.login(scene.server, key: "stranger"))
                        + ["\(SSHServer.user)@\(scene.server.host)"])
                let shell = "echo by -W | " + words.map { "'\($0)'" }.joined(separator: " ")
                let run = try stage.start(
                    "streams", ["/bin/sh", "-c", shell], environment: Tunnel.environment(stage, scene.environment))
                #expect(try run.waitForEnd() == .exited(status))
                #expect(run.outputText == output)
            }
            try scene.expectMasterLives()
        }
    }

    @Test("the master dies under load: what is cut is reset, and an own login goes on when it can")
    func masterDies() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let (door, reverse) = (try Ports.free(), try Ports.free())
            let tunnel = try scene.tunnel([
                "-L", "\(door):\(target.address)", "-R", "\(reverse):\(target.address)",
            ])
            try tunnel.waitForListener(reverse)
            let flows = try [door, reverse].map { try Flow(through: .tcp($0), arrivals: arrivals) }
            let stream = RandomStream(seed: 1)
            // At the ends that are culvert's: a client here, a target here.
            let (senders, readers) = ([flows[0].far, flows[1].near], [flows[0].near, flows[1].far])
            let sending = senders.map { sender in Running { try stream.send(.max / 2, over: sender) } }
            for reader in readers { _ = try reader.receive(count: 1_000_000) }
            scene.master.signal(SIGKILL)
            for reader in readers { #expect(try reader.drainToEnd(within: 20) == .reset) }
            for each in sending { #expect(throws: (any Error).self) { try each.join(within: 20) } }
            try tunnel.process.waitForLine(["lost the link", "the running master at \(scene.socket) has ended"])
            // The same failure, and no master any more.
            try tunnel.process.waitForLine(["cannot connect to", "password: not asked for"])
            _ = try stage.write(
                "sshd-authorized_keys", scene.server.keys.publicKey("stranger") + "\n", mode: 0o600)
            try tunnel.process.waitForLine(["is back after", "(culvert, "], within: 30)
            for port in [door, reverse] {
                try tunnel.waitForListener(port)
                try Flow(through: .tcp(port), arrivals: arrivals).transfer(up: 100_000, down: 100_000, seed: 3)
            }
        }
    }

    @Test("it is not gone by where an own login succeeds, where none is to be, or where others could have put it there")
    func whenItIsNot() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let door = try Ports.free()
            let own = try scene.tunnel(["-L", "\(door):127.0.0.1:1"], key: "login")
            try own.process.waitForLine(["connected to", "(culvert, "])
            let none = try scene.tunnel(["-o", "ControlPath=/x", "-S", "none", "-N"])
            #expect(try none.process.waitForEnd() == .exited(255), "the first path counts, and nobody is there")
            chmod(stage.directory + "/control", 0o777)
            let open = try scene.tunnel(["-N"])
            #expect(try open.process.waitForEnd() == .exited(255))
            #expect(open.process.errorText.contains("is of no use: others may write in its directory"))
            chmod(stage.directory + "/control", 0o700)
            // A server that wants keys alone lacks no answer.
            let strict = try SSHServer(on: stage, name: "strict")
            let keys = try Tunnel(to: strict, ["-S", scene.socket, "-N"], key: "stranger")
            #expect(try keys.process.waitForEnd() == .exited(255))
            #expect(!keys.process.errorText.contains("master"))
        }
    }

    @Test("more targets than doors are kept for; nothing is left behind") func manyTargets() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let socks = try Ports.free()
            let tunnel = try scene.tunnel(["-D", "\(socks)"])
            try tunnel.waitForListener(socks)
            let targets = try (0..<40).map { _ in try TargetServer.echo(on: stage) }
            for _ in 0..<2 {
                for target in targets {
                    guard case .tcp(let port) = target.address else { throw Failure("it has a port") }
                    try Self.expectEcho(by: socks, port)
                }
            }
            func sockets() -> [String] {
                let found = FileManager.default.enumerator(atPath: stage.directory)?.compactMap { $0 as? String } ?? []
                return found.filter { $0.hasPrefix("culvert-") }
            }
            #expect((32...40).contains(sockets().count), "\(sockets())")
            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            #expect(sockets() == [])
            try scene.expectMasterLives()
        }
    }

    private static func expectEcho(by socks: UInt16, _ port: UInt16) throws {
        let client = try TestSocket.connect(.tcp(socks))
        defer { client.close() }
        client.setDeadline(20)
        try client.send(bytes: [5, 1, 0])
        #expect(try client.receive(count: 2) == [5, 0])
        try client.send(bytes: [5, 1, 0, 1, 127, 0, 0, 1, UInt8(port >> 8), UInt8(port & 255)])
        #expect(try client.receive(count: 10).prefix(2) == [5, 0])
        try client.send("by socks")
        #expect(try client.receiveText(count: 8) == "by socks")
    }

    @Test("from a file, with its tokens") func fromFile() throws {
        try onStage { stage in
            let scene = try Scene(stage)
            let file = try stage.write(
                "config", "Host *\n ControlMaster auto\n ControlPath \(stage.directory)/control/m%%%r\n")
            rename(scene.socket, "\(stage.directory)/control/m%\(SSHServer.user)")
            let tunnel = try Tunnel(
                to: scene.server, ["-F", file, "-N", "-v"], key: "stranger", environment: scene.environment)
            try tunnel.process.waitForLine(["connected to", "by the running master"])
        }
    }
}
