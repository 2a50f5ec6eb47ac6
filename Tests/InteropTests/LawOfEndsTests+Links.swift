import Foundation
import Testing

/// What links, signals and outages do to flows.
extension LawOfEndsTests {
    // MARK: Links that are replaced, and `-W`

    @Test(
        "a replaced link stays until its last flow's bytes are with their target",
        .enabled(if: Subject.isCulvert, "ssh replaces nothing"), arguments: Driver.choices)
    func replacedLink(_ driver: Driver) throws {
        try onStage { stage in
            let size = 2 << 20
            let arrived = Mailbox<Int>()
            let target = try TargetServer(on: stage, receiveBuffer: 65_536) { connection in
                _ = try connection.receiveText(count: 5)
                connection.endWriting()
                arrived.put(connection.readToEnd(bytesASecond: 400_000).count)
            }
            let passage = try Passage(
                Crossing(kind: .direct, driver: driver), on: stage, to: target.address,
                options: ["-o", "ServerAliveInterval=2"])
            let server = try #require(passage.server)
            let client = try passage.connect()
            try client.send("hello")
            #expect(client.readToEnd().ending == .end)
            let old = server.sessions
            for session in old { kill(session, SIGSTOP) }
            try passage.process.waitForLine(Wording.linkBack, within: 20)
            for session in old { kill(session, SIGCONT) }
            try Self.large(size).withUnsafeBytes { try client.sendAll($0) }
            client.endWriting()
            client.close()
            #expect(try arrived.wait("the target reads to the end", within: 40) == size)
        }
    }

    private static func standardStreams(
        _ stage: Stage, _ driver: Driver, to target: TargetServer, _ input: [UInt8]
    ) throws -> Child {
        let server = try SSHServer(on: stage)
        guard case .tcp(let port) = target.address else { throw Failure("a port is needed") }
        let words =
            driver.arguments + ["-W", "127.0.0.1:\(port)"] + (try Tunnel.login(server))
            + ["\(SSHServer.user)@127.0.0.1"]
        let command = Subject.isCulvert ? Subject.command(words) : [Subject.path, "-F", "none"] + words
        let path = "\(stage.directory)/input"
        try Data(input).write(to: URL(fileURLWithPath: path))
        let line = command.map { "'\($0)'" }.joined(separator: " ")
        return try stage.start(
            "culvert", ["sh", "-c", "exec \(line) < \(path)"], environment: Tunnel.environment(stage))
    }

    @Test("-W waits while its target takes what it was sent", arguments: Driver.choices)
    func slowTargetOfStandardStreams(_ driver: Driver) throws {
        try onStage { stage in
            let size = 5 << 20
            let arrived = Mailbox<Int>()
            let target = try TargetServer(on: stage, receiveBuffer: 65_536) { connection in
                connection.endWriting()
                arrived.put(connection.readToEnd(bytesASecond: 250_000).count)
            }
            let process = try Self.standardStreams(stage, driver, to: target, Self.large(size))
            #expect(try arrived.wait("the target reads to the end", within: 60) == size)
            #expect(try process.waitForEnd() == .exited(0))
        }
    }

    @Test(
        "-W gives up after the server's last word, and says so",
        .enabled(if: Subject.isCulvert, "ssh waits for ever"))
    func stuckTargetOfStandardStreams() throws {
        try onStage { stage in
            let over = Mailbox<Bool>()
            let target = try TargetServer(on: stage, receiveBuffer: 4096) { connection in
                connection.endWriting()
                _ = try over.wait("the test is over", within: 90)
            }
            let began = monotonicSeconds()
            // More than the server's kernel takes for such a target, and less than that and a window: all of it leaves here.
            let process = try Self.standardStreams(
                stage, .epoll, to: target, Self.large(3 << 20))
            #expect(try process.waitForEnd(within: 60) == .exited(ExpectedCode.connection))
            let waited = monotonicSeconds() - began
            #expect(waited > 29 && waited < 45, "\(waited) s")
            try process.waitForLine(["cut short"])
            over.put(true)
        }
    }

    // MARK: What has come whole

    enum LastWord: String, CaseIterable { case sessionKilled, terminated, hungUp }

    @Test(
        "an answer that has come whole reaches its slow reader, whatever becomes of the link",
        .enabled(if: Subject.isCulvert, "ssh throws it away"),
        arguments: Crossing.all.filter { [.direct, .dynamic, .hop].contains($0.kind) }, LastWord.allCases)
    func wholeAnswer(_ crossing: Crossing, _ word: LastWord) throws {
        try onStage { stage in
            let size = 240_000
            let gave = Counter()
            let giver = try Self.giver(on: stage, size, gave: gave)
            let passage = try Passage(crossing, on: stage, to: giver.address)
            let client = try passage.connect(receiveBuffer: 8192)
            try client.send("go")
            try waitUntil("the target has said all") { gave.value == 1 }
            // It has closed by then, and its end is on its way through the server.
            try during(0.5, "it comes here")
            switch word {
            case .sessionKilled: try #require(passage.server).killSessions()
            case .terminated: passage.process.signal(SIGTERM)
            case .hungUp: passage.process.signal(SIGHUP)
            }
            let (count, ending) = client.readToEnd(pausing: 1)
            #expect(count == size && ending == .end, "\(count) bytes, \(String(describing: ending))")
        }
    }

    // MARK: Signals

    @Test(
        "flows that are cut by the end of the process are reset, however it ends",
        .enabled(if: Subject.isCulvert, "ssh ends them as if they were whole"),
        arguments: Crossing.all.filter { $0.kind == .direct || $0.kind == .relay },
        [[SIGTERM], [SIGHUP], [SIGTERM, SIGHUP], [SIGKILL]])
    func signals(_ crossing: Crossing, _ signals: [Int32]) throws {
        try onStage { stage in
            let source = try Self.source(on: stage, chunk: 65_536)
            let passage = try Passage(crossing, on: stage, to: source.address)
            let endings = Mailbox<Received?>()
            let readers = try (0..<6).map { number in
                let client = try passage.connect()
                client.setDeadline(20)
                return Running {
                    endings.put(client.readToEnd(bytesASecond: number.isMultiple(of: 2) ? nil : 400_000).ending)
                }
            }
            try waitUntil("they are served") { source.accepted.value == 6 }
            try during(0.3, "they read")
            // At once, as far as it can tell.
            passage.process.signal(SIGSTOP)
            for signal in signals { passage.process.signal(signal) }
            passage.process.signal(SIGCONT)
            try passage.process.waitForEnd(within: 20)
            for reader in readers { try reader.join(within: 30) }
            for _ in readers { #expect(try endings.wait("an end") == .reset) }
        }
    }

    // MARK: Connections that wait

    @Test(
        "nothing is carried out for clients that have gone while they waited for a link",
        .enabled(if: Subject.isCulvert, "ssh holds nothing"), arguments: Driver.choices)
    func clientsThatHaveGone(_ driver: Driver) throws {
        try onStage { stage in
            let orders = Mailbox<String>()
            let target = try TargetServer(on: stage) { connection in
                orders.put(try connection.receiveText(count: 6))
                try connection.send("done")
            }
            let passage = try Passage(Crossing(kind: .direct, driver: driver), on: stage, to: target.address)
            let server = try #require(passage.server)
            func order(_ name: String) throws -> TestSocket {
                let client = try passage.connect()
                try client.send(name)
                return client
            }
            #expect(try order("first ").receiveText(count: 4) == "done")
            try server.stop()
            try passage.process.waitForLine(Wording.linkLost)
            for number in 0..<6 {
                let client = try order("try \(number) ")
                try during(0.1, "it waits")
                switch number % 3 {
                case 0: client.close()
                case 1: client.reset()
                // Whether it has closed or only ended its own direction cannot be known.
                default:
                    client.endWriting()
                    #expect(client.readToEnd().ending == .reset)
                }
            }
            let patient = try order("wait a")
            let other = try order("wait b")
            try server.start()
            #expect(try patient.receiveText(count: 4) == "done")
            #expect(try other.receiveText(count: 4) == "done")
            var seen: [String] = []
            while let order = orders.take() { seen.append(order) }
            #expect(
                seen.first == "first " && Set(seen.dropFirst()) == ["wait a", "wait b"] && seen.count == 3, "\(seen)")
        }
    }

    // MARK: Fairness

    /// Bytes a second that one bulk flow gets beside twenty that ask and wait for an answer, all over a slow way.
    private static func bulkBeside(_ command: [String], requests size: Int) throws -> Double {
        var rate = 0.0
        try onStage { stage in
            let received = Counter()
            let sink = try TargetServer(on: stage) { connection in
                var bytes = [UInt8](repeating: 0, count: 65_536)
                while case .bytes(let count) = try bytes.withUnsafeMutableBytes({ try connection.receive(into: $0) }) {
                    received.add(count)
                }
            }
            let answering = try TargetServer(on: stage) { connection in
                while true {
                    _ = try connection.receiveText(count: size)
                    try connection.send("k")
                }
            }
            guard case .tcp(let sinkPort) = sink.address, case .tcp(let answerPort) = answering.address else { return }
            let server = try SSHServer(on: stage)
            let proxy = try ThrottlingProxy(on: stage, to: server, bytesASecond: 2_000_000)
            let known = try stage.write("known", "[127.0.0.1]:\(proxy.port) \(server.keys.publicKey("host"))\n")
            let (bulk, asking) = (try Ports.free(), try Ports.free())
            try stage.start(
                "culvert",
                command + Tunnel.login(port: proxy.port, key: server.keys.path("login"), knownHosts: known) + [
                    "-L", "127.0.0.1:\(bulk):127.0.0.1:\(sinkPort)",
                    "-L", "127.0.0.1:\(asking):127.0.0.1:\(answerPort)", "\(SSHServer.user)@127.0.0.1",
                ], environment: Tunnel.environment(stage))
            let pouring = try TestSocket.connectWhenListening(.tcp(bulk))
            Thread { while (try? Self.large(65_536).withUnsafeBytes { try pouring.sendAll($0) }) != nil {} }.start()
            let message = String(repeating: "m", count: size)
            for _ in 0..<20 {
                let client = try TestSocket.connectWhenListening(.tcp(asking))
                Thread {
                    while (try? client.send(message)) != nil, (try? client.receiveText(count: 1)) != nil {}
                }.start()
            }
            try during(3, "they find their pace")
            let before = received.value
            try during(5, "they are measured")
            rate = Double(received.value - before) / 5
        }
        return rate
    }

    @Test(
        "request flows leave a bulk flow its share of a slow link",
        .enabled(if: Subject.isCulvert && Subject.engine == nil))
    func bulkBesideRequests() throws {
        let ours = try Self.bulkBeside(Subject.command([]), requests: 30_000)
        let theirs = try Self.bulkBeside(["ssh", "-F", "none", "-N"], requests: 30_000)
        print("bulk beside 20 request flows of 30 KB: \(Int(ours)) bytes/s, ssh \(Int(theirs)) bytes/s")
        #expect(theirs > 0 && ours >= theirs / 3)
    }
}
