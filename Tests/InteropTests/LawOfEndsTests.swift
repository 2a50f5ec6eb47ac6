import Foundation
import Testing

/// A clean end means complete: what is broken off, refused, slow or in the way of a dying link is told as it is, and only
/// what is at fault ends.
@Suite(.serialized) struct LawOfEndsTests {
    static func large(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x72, count: count) }

    /// A target that says `bytes` when it has been asked, and ends.
    static func giver(on stage: Stage, _ bytes: Int, gave: Counter = Counter()) throws -> TargetServer {
        try TargetServer(on: stage) { connection in
            _ = try connection.receiveText(count: 2)
            try large(bytes).withUnsafeBytes { try connection.sendAll($0) }
            gave.add(1)
        }
    }

    /// A target that never stops, in writes of `chunk` bytes.
    static func source(on stage: Stage, chunk: Int) throws -> TargetServer {
        try TargetServer(on: stage) { connection in
            var one: Int32 = 1
            setsockopt(connection.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            let bytes = large(chunk)
            while true { try bytes.withUnsafeBytes { try connection.sendAll($0) } }
        }
    }

    // MARK: Only what is at fault ends

    @Test("clients that break off chatty downloads end nothing but those", arguments: Crossing.all)
    func brokenOffDownloads(_ crossing: Crossing) throws {
        try onStage { stage in
            let source = try Self.source(on: stage, chunk: 200)
            let passage = try Passage(crossing, on: stage, to: source.address)
            let steady = try passage.connect()
            let read = Counter()
            let until = monotonicSeconds() + Scale.choose(full: 20, small: 2.5)
            let reader = Running {
                var bytes = [UInt8](repeating: 0, count: 65_536)
                while monotonicSeconds() < until {
                    guard case .bytes(let count) = try bytes.withUnsafeMutableBytes({ try steady.receive(into: $0) })
                    else { throw Failure("the steady flow ended after \(read.value) bytes") }
                    read.add(count)
                }
            }
            let brokenOff = Counter()
            try concurrently(12) { number in
                var bytes = [UInt8](repeating: 0, count: 1000)
                while monotonicSeconds() < until {
                    let client = try passage.connect()
                    _ = try bytes.withUnsafeMutableBytes { try client.receive(into: $0) }
                    usleep(UInt32.random(in: 1000...20_000))
                    if number.isMultiple(of: 2) { client.close() } else { client.reset() }
                    brokenOff.add(1)
                }
            }
            try reader.join()
            #expect(passage.process.isRunning)
            #expect(
                brokenOff.value > 10 && read.value > 10_000, "\(brokenOff.value) broken off, \(read.value) bytes read")
        }
    }

    @Test(
        "at the memory ceiling those go who hold most; the process and the polite live",
        .enabled(if: Subject.isCulvert, "ssh has no ceiling"), arguments: Crossing.drivers)
    func ceiling(_ crossing: Crossing) throws {
        try onStage { stage in
            let source = try Self.source(on: stage, chunk: 32_768)
            let giver = try Self.giver(on: stage, 8 << 20)
            guard case .tcp(let polite) = giver.address else { return }
            let door = try Ports.free()
            let passage = try Passage(
                crossing, on: stage, to: source.address,
                options: ["--memory", "16M", "-L", "127.0.0.1:\(door):127.0.0.1:\(polite)"])
            let hoarders = try (0..<120).map { _ in try passage.connect(receiveBuffer: 4096) }
            try passage.process.waitForLine(["memory ceiling"], within: 30)
            for _ in 0..<3 {
                let client = try TestSocket.connect(.tcp(door))
                try client.send("go")
                let (count, ending) = client.readToEnd()
                #expect(count == 8 << 20 && ending == .end, "\(count) bytes, \(String(describing: ending))")
            }
            #expect(passage.process.isRunning)
            let victims = passage.process.errorLines.count { $0.contains("memory ceiling") }
            #expect(victims < hoarders.count, "\(victims) went")
            #expect(!passage.process.errorText.contains(":\(door):127.0.0.1:\(polite): "), "the polite were cut")
        }
    }

    @Test(
        "another worker's hoarders go before an innocent flow",
        .enabled(if: Subject.isCulvert && Subject.engine == nil, "ssh has no ceiling"))
    func anotherWorkersHoarders() throws {
        try onStage { stage in
            let never = try TargetServer(on: stage, receiveBuffer: 4096) { _ in sleep(60) }
            let arrived = Mailbox<Int>()
            let prompt = try TargetServer(on: stage) { connection in
                arrived.put(connection.readToEnd().count)
            }
            guard case .tcp(let nobody) = never.address, case .tcp(let somebody) = prompt.address else { return }
            let server = try SSHServer(on: stage)
            let (full, free) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(
                to: server,
                [
                    "--links", "2", "--memory", "16M", "-R", "127.0.0.1:\(full):127.0.0.1:\(nobody)",
                    "-R", "127.0.0.1:\(free):127.0.0.1:\(somebody)",
                ])
            try tunnel.waitForListener(full)
            try tunnel.waitForListener(free)
            var hoarders: [TestSocket] = []
            let much = Self.large(4 << 20)
            for _ in 0..<110 {
                let client = try TestSocket.connect(.tcp(full))
                hoarders.append(client)
                Thread { try? much.withUnsafeBytes { try client.sendAll($0) } }.start()
            }
            try tunnel.process.waitForLine(["memory ceiling"], within: 30)
            for _ in 0..<2 {
                let client = try TestSocket.connect(.tcp(free))
                try Self.large(20 << 20).withUnsafeBytes { try client.sendAll($0) }
                client.endWriting()
                #expect(try arrived.wait("the innocent flow ends", within: 30) == 20 << 20)
            }
            #expect(tunnel.process.isRunning)
        }
    }

    // MARK: A failed send ends one direction

    /// The client has sent everything, has seen it acknowledged, and has closed. A word of the target's then meets a
    /// closed socket, while the tunnel's still holds much.
    @Test("a word to a client that has closed takes nothing from what it had sent", arguments: Crossing.all)
    func wordToAClosedClient(_ crossing: Crossing) throws {
        try onStage { stage in
            let closed = Mailbox<Bool>()
            let arrived = Mailbox<Int>()
            let target = try TargetServer(on: stage, receiveBuffer: 65_536) { connection in
                _ = try closed.wait("the client closes", within: 20)
                try connection.send("a word\n")
                usleep(300_000)
                arrived.put(connection.readToEnd(bytesASecond: 64 << 20).count)
            }
            let passage = try Passage(crossing, on: stage, to: target.address)
            let client = try passage.connect()
            var sent = 0
            let bytes = Self.large(4 << 20)
            client.setDeadline(2)
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(client.descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { break }
                sent += count
            }
            // What is not acknowledged by now goes nowhere: the target does not read.
            var rest = client.unacknowledged
            for _ in 0..<20 where rest > 0 {
                usleep(50_000)
                rest = client.unacknowledged
            }
            client.close()
            closed.put(true)
            let count = try arrived.wait("the target has read to the end", within: 40)
            // What stock sshd makes of CLOSE at its own target is its own affair: behind -R it is the one to be slow.
            #expect(count >= sent - rest, "\(count) of \(sent - rest) acknowledged bytes arrived")
        }
    }

    /// The other way round: the answer of a target here that has closed, and a client at the server that still speaks.
    @Test("a word to a target that has closed takes nothing from its answer", arguments: Driver.choices)
    func wordToAClosedTarget(_ driver: Driver) throws {
        try onStage { stage in
            let gave = Mailbox<Int>()
            let target = try TargetServer(on: stage) { connection in
                _ = try connection.receiveText(count: 2)
                let bytes = Self.large(12 << 20)
                connection.setDeadline(2)
                var sent = 0
                while sent < bytes.count {
                    let count = bytes.withUnsafeBytes {
                        Glibc.send(connection.descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
                    }
                    guard count > 0 else { break }
                    sent += count
                }
                gave.put(sent - connection.unacknowledged)
            }
            let passage = try Passage(Crossing(kind: .reverse, driver: driver), on: stage, to: target.address)
            let client = try passage.connect(receiveBuffer: 65_536)
            try client.send("go")
            let acknowledged = try gave.wait("the target has closed", within: 20)
            usleep(200_000)
            for _ in 0..<2 {
                try? client.send("ping")
                usleep(100_000)
            }
            let (count, _) = client.readToEnd()
            #expect(count >= acknowledged, "\(count) of \(acknowledged) acknowledged bytes came")
        }
    }
}
