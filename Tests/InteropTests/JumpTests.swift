import Foundation
import Testing

/// Tunnels through jump hosts: real servers on ports of their own, each with its own host key.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh gives a hop another home than the tests'"))
struct JumpTests {
    /// The servers of a path, the first to be reached in front. A hop is told nothing by the command line: its key and
    /// its known hosts are those of the home directory.
    struct Route {
        static let hostKeys = ["secondhost", "thirdhost", "fourthhost"]
        let stage: Stage
        let servers: [SSHServer]

        var hops: ArraySlice<SSHServer> { servers.dropLast() }
        var destination: SSHServer { servers[servers.count - 1] }

        init(_ stage: Stage, hops: Int, hopOptions: [String] = []) throws {
            self.stage = stage
            servers = try (0...hops).map { number in
                try SSHServer(
                    on: stage, name: number < hops ? "hop\(number + 1)" : "sshd",
                    hostKey: number < hops ? Self.hostKeys[number] : "host",
                    options: number < hops ? hopOptions : [])
            }
            mkdir("\(stage.directory)/.ssh", 0o700)
            try logIn(with: "login")
            try trust(Array(Self.hostKeys[..<hops]))
        }

        func logIn(with key: String) throws {
            let keys = servers[0].keys
            _ = try stage.write(".ssh/id_ed25519", readWhole(keys.path(key)), mode: 0o600)
        }

        /// What is known of the hops, by the names of the keys.
        func trust(_ keys: [String]) throws {
            let lines = zip(hops, keys).map { "[127.0.0.1]:\($0.port) \($0.keys.publicKey($1))\n" }
            _ = try stage.write(".ssh/known_hosts", lines.joined())
        }

        var jump: [String] { ["-J", hops.map { "\(SSHServer.user)@127.0.0.1:\($0.port)" }.joined(separator: ",")] }

        /// A direct forward to `target`.
        func start(to target: Address, _ options: [String] = []) throws -> (tunnel: Tunnel, address: Address) {
            guard case .tcp(let port) = target else { throw Failure("no port") }
            let door = try Ports.free()
            let tunnel = try Tunnel(to: destination, options + jump + ["-L", "\(door):127.0.0.1:\(port)"])
            return (tunnel, .tcp(door))
        }

        /// "hop 1 of 2, user@127.0.0.1:22".
        func name(_ hop: Int) -> String {
            "hop \(hop) of \(hops.count), \(SSHServer.user)@127.0.0.1:\(servers[hop - 1].port)"
        }
    }

    @Test("the keys of a hop age as its own configuration says", .enabled(if: Subject.engine == nil))
    func ageOfKeys() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 1)
            let file = try stage.write("config", "RekeyLimit default 1s\n")
            // The command line is meant for the destination.
            let (_, address) = try route.start(to: echo.address, ["-F", file, "-o", "RekeyLimit=default 1h"])
            try OutageTests.expectEcho(address, within: 15)
            try waitUntil("the hop's keys were exchanged twice more") { route.servers[0].keyExchanges >= 3 }
            #expect(route.destination.keyExchanges == 1)
            try OutageTests.expectEcho(address, within: 15)
        }
    }

    @Test("pgbench over three hops", arguments: Driver.choices)
    func database(_ driver: Driver) throws {
        try onStage { stage in
            let database = try PostgreSQLServer(on: stage, scale: 1)
            let route = try Route(stage, hops: 3)
            let (tunnel, address) = try route.start(to: .tcp(database.port), driver.arguments)
            guard case .tcp(let door) = address else { return }
            try tunnel.waitForListener(door)
            let report = try database.command(
                "pgbench", door,
                ["-S", "-n", "-c", "20", "-j", "2", "-T", "\(Scale.choose(full: 60, small: 3))", "source"])
            #expect(report.contains("number of failed transactions: 0 "), "\(report)")
            let done = report.split(separator: "\n").first { $0.contains("actually processed") }?
                .split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }
            #expect((done ?? 0) > 500, "\(report)")
            // In this process, and by every server.
            #expect(ProcFS.programs(under: tunnel.pid).isEmpty)
            for server in route.servers { #expect(server.log.contains("Accepted publickey")) }

            tunnel.process.signal(SIGTERM)
            #expect(try tunnel.process.waitForEnd() == .exited(0))
            for server in route.servers {
                try waitUntil("no connection is left at \(server.port)", within: 5) { server.sessions.isEmpty }
            }
        }
    }

    @Test("bulk both ways through two hops, a forward of each kind, four links, every byte compared")
    func bulk() throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            guard case .tcp(let port) = target.address else { return }
            let route = try Route(stage, hops: 2)
            let reverse = try Ports.free()
            let (tunnel, address) = try route.start(
                to: target.address, ["--links", "4", "-R", "\(reverse):127.0.0.1:\(port)"])
            try tunnel.waitForLink(4)
            for server in route.hops { #expect(server.sessions.count >= 4) }
            try tunnel.waitForListener(reverse)
            let count = Scale.choose(full: 1 << 30, small: 24 << 20)
            try concurrently(4) { number in
                let flow = try Flow(through: number % 2 == 0 ? address : .tcp(reverse), arrivals: arrivals)
                // The arrivals of several flows may be crossed: each says who it is first.
                try flow.near.send("who?")
                guard try flow.far.receiveText(count: 4) == "who?" else { throw Failure("a flow is cut") }
            }
            for (number, door) in [address, .tcp(reverse)].enumerated() {
                try Flow(through: door, arrivals: arrivals).transfer(up: count, down: count, seed: UInt64(number + 1))
            }
        }
    }

    @Test("a changed host key at the second hop: refused with the hop's name, and nobody logs in there")
    func changedHostKey() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 2)
            try route.trust(["secondhost", "changedhost"])
            let (tunnel, _) = try route.start(to: echo.address)
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine([route.name(2)] + Wording.hostKeyRefused)
            #expect(!route.servers[1].log.contains("Accepted publickey"))
            #expect(!route.destination.log.contains("Connection from"))
        }
    }

    @Test("a key that the second hop does not take: the error names the hop")
    func wrongKey() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 2)
            _ = try stage.write("hop2-authorized_keys", route.servers[0].keys.publicKey("stranger") + "\n", mode: 0o600)
            let (tunnel, _) = try route.start(to: echo.address)
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine([route.name(2)] + Wording.loginRefused)
            #expect(tunnel.process.errorLines.count == 1, "\(tunnel.process.errorLines)")
        }
    }

    @Test("a hop that forwards nothing, and one that reaches nobody")
    func refusedWay() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 1, hopOptions: ["AllowTcpForwarding no"])
            let (tunnel, _) = try route.start(to: echo.address)
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine([route.name(1), "127.0.0.1:\(route.destination.port)", "AllowTcpForwarding"])
        }
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 1)
            try route.destination.stop()
            let (tunnel, _) = try route.start(to: echo.address)
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine([route.name(1), "127.0.0.1:\(route.destination.port)", "could not connect"])
        }
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 2)
            try route.servers[0].stop()
            let (tunnel, _) = try route.start(to: echo.address)
            #expect(try tunnel.process.waitForEnd() == .exited(ExpectedCode.connection))
            try tunnel.process.waitForLine([route.name(1), "Connection refused"])
        }
    }

    @Test("the middle of three hops killed: its flows end at once, the tunnel comes back", arguments: Driver.choices)
    func killedMiddle(_ driver: Driver) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let route = try Route(stage, hops: 3)
            let (tunnel, address) = try route.start(to: target.address, driver.arguments)
            let flow = try Flow(through: address, arrivals: arrivals)
            try flow.near.send("ping")
            #expect(try flow.far.receiveText(count: 4) == "ping")
            route.servers[1].killSessions()
            try flow.near.drainToEnd(within: 2)
            try tunnel.process.waitForLine(["lost", route.name(2)], within: 5)
            try tunnel.process.waitForLine(Wording.linkBack)
            try Flow(through: address, arrivals: arrivals).transfer(up: 1 << 20, down: 1 << 20, seed: 7)
            // The old path is gone everywhere.
            for server in route.servers {
                try waitUntil("one connection at \(server.port)", within: 5) {
                    ProcFS.descendants(of: server.process.pid).filter { Self.isConnection($0, of: server) }.count == 1
                }
            }
        }
    }

    /// sshd has one or two processes for a connection: the first is its listener's child.
    private static func isConnection(_ pid: pid_t, of server: SSHServer) -> Bool {
        let stat = readWhole("/proc/\(pid)/stat")
        guard let end = stat.lastIndex(of: ")") else { return false }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        return fields.count > 1 && pid_t(fields[1]) == server.process.pid
    }

    @Test("the middle hop frozen: noticed by the questions, back when it answers")
    func frozenMiddle() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 2)
            let (tunnel, address) = try route.start(
                to: echo.address, ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"])
            try OutageTests.expectEcho(address, within: 15)
            route.servers[1].freeze()
            try tunnel.process.waitForLine(["lost"], within: 15)
            route.servers[1].thaw()
            try OutageTests.expectEcho(address, within: 20)
        }
    }

    @Test("many paths after each other: descriptors, threads and memory stay", arguments: Driver.choices)
    func many(_ driver: Driver) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let route = try Route(stage, hops: 2)
            let (tunnel, address) = try route.start(to: echo.address, driver.arguments)
            var number = 0
            try Self.expectNothingLeft(of: tunnel, address, rounds: Scale.pathDeaths) {
                route.servers[number % 3].killSessions()
                number += 1
            }
        }
    }

    /// Breaks the path again and again, and counts what the process has when it stands again.
    static func expectNothingLeft(
        of tunnel: Tunnel, _ address: Address, rounds: Int, break cut: () throws -> Void
    ) throws {
        var descriptors: [Int] = []
        var threads: [Int] = []
        var resident: [Int] = []
        for round in 0..<rounds {
            try OutageTests.expectEcho(address, within: 40)
            let (least, fewest) = (descriptors.first, threads.first)
            // The connection of the last look and the login's thread may still be on their way out.
            try waitUntil("descriptors and threads are as few as before, in round \(round)", within: 10) {
                guard let least, let fewest else { return true }
                return ProcFS.descriptors(tunnel.pid).count <= least && ProcFS.threads(tunnel.pid).count <= fewest
            }
            descriptors.append(ProcFS.descriptors(tunnel.pid).count)
            threads.append(ProcFS.threads(tunnel.pid).count)
            resident.append(ProcFS.residentBytes(tunnel.pid))
            // A link counts as a success, after whose loss the next attempt is made at once, when it has lived a second.
            try during(1.1, "the tunnel runs") { tunnel.process.isRunning }
            let said = tunnel.process.errorLines.count
            try cut()
            try tunnel.process.waitForLine(Wording.linkBack, within: 40, after: said)
        }
        print("paths: descriptors \(descriptors), threads \(threads), resident MiB \(resident.map { $0 >> 20 })")
        let settled = resident[resident.count / 2]
        #expect(resident.last! <= settled + (4 << 20), "resident: \(resident)")
    }
}
