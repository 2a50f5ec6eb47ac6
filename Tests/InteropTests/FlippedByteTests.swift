import Foundation
import Testing

/// One bit turned over at every byte of all that goes between culvert and a server, with the libssh2 engine: the link is lost
/// and comes back, nothing altered is delivered, and no other tunnel of the process notices.
///
/// In a soak every byte from the version lines to the last CLOSE, else some.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh does not come back")) struct FlippedByteTests {
    private typealias Place = FlippingProxy.Place
    private typealias Direction = TamperingProxy.Direction

    private static let payload = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 / 7) }

    /// What became of the places so far.
    private final class Tally: @unchecked Sendable {
        let lock = NSLock()
        private var places: [Place]
        private(set) var lost = 0
        private(set) var harmless: [Place] = []
        private(set) var unreached: [Place] = []

        init(_ places: [Place]) { self.places = places }

        func next() -> Place? { lock.withLock { places.popLast() } }
        func lostLink() { lock.withLock { lost += 1 } }
        func wasHarmless(_ place: Place) { lock.withLock { harmless.append(place) } }
        func wasNotReached(_ place: Place) { lock.withLock { unreached.append(place) } }
    }

    /// A connection through the tunnel, over which everything comes back and ends. False: it was reset.
    private static func converse(_ door: UInt16) throws -> Bool {
        let socket = try TestSocket.connect(.tcp(door))
        socket.setDeadline(40)
        guard (try? socket.send(bytes: payload)) != nil else { return false }
        socket.endWriting()
        var came: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let read = try buffer.withUnsafeMutableBytes { try socket.receive(into: $0) }
            switch read {
            case .bytes(let count):
                came += buffer[..<count]
                guard payload.starts(with: came) else { throw Failure("altered bytes came back: \(came)") }
            case .end:
                guard came == payload else { throw Failure("a clean end after \(came.count) bytes") }
                return true
            case .reset: return false
            }
        }
    }

    /// Where the packets in the clear end: behind NEWKEYS (RFC 4253 §7.3).
    private static func clearBytes(_ record: [UInt8]) throws -> Int {
        guard let line = record.firstIndex(of: 10) else { throw Failure("no version line") }
        var place = line + 1
        while place + 5 < record.count {
            let length = record[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
            let message = record[place + 5]
            place += 4 + length
            if message == 21 { return place }
        }
        throw Failure("no NEWKEYS")
    }

    @Test("every byte of a link")
    func everyByte() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage, options: ["LogLevel INFO", "LoginGraceTime 10"])
            let target = try TargetServer(on: stage) { connection in
                var came: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while case .bytes(let count) = try buffer.withUnsafeMutableBytes({ try connection.receive(into: $0) }) {
                    came += buffer[..<count]
                    guard Self.payload.starts(with: came) else { throw Failure("altered bytes arrived: \(came)") }
                    try connection.send(bytes: Array(buffer[..<count]))
                }
            }
            let echo = try TargetServer.echo(on: stage)
            let proxies = try (0..<Scale.choose(full: 24, small: 4)).map { _ in
                try FlippingProxy(on: stage, to: server)
            }
            let doors = try proxies.map { _ in try Ports.free() }
            let quiet = try Ports.free()
            let culvert = try Self.start(stage, server, target, echo, proxies, doors, quiet)
            let standing = try TestSocket.connectWhenListening(.tcp(quiet))
            for door in doors {
                try waitUntil("it stands", within: 30) {
                    try !ProcFS.listeners(port: door).isEmpty && Self.converse(door)
                }
            }

            let (places, clear) = try Self.places(proxies[0], doors[0])
            let tally = Tally(places)
            let began = monotonicSeconds()
            let runs = zip(proxies, doors).map { proxy, door in
                Running {
                    while let place = tally.next() {
                        do { try Self.flip(place, proxy, door, clear, tally) } catch {
                            throw Failure("\(place): \(error)")
                        }
                    }
                }
            }
            // A connection of the other tunnel, spoken over all along.
            let isDone = Counter()
            let speaker = Running {
                while isDone.value == 0 {
                    try standing.send("hello")
                    guard try standing.receiveText(count: 5) == "hello" else { throw Failure("it answers otherwise") }
                    usleep(100_000)
                }
            }
            for each in runs { try each.join(within: 3600) }
            isDone.add(1)
            try speaker.join()
            try target.failures.take().map { throw $0 }
            #expect(culvert.isRunning)
            let lines = culvert.errorLines
            #expect(!lines.contains { $0.contains("quiet: lost") })
            let ended = lines.filter { $0.contains("the libssh2 process was ended by signal") }
            let summary =
                "\(places.count) places: \(tally.lost) links lost, \(tally.harmless.count) harmless, "
                + "\(tally.unreached.count) not reached; at least \(ended.count) libssh2 processes ended by a signal, "
                + "\(Int(monotonicSeconds() - began)) s"
            print("flipped bytes: \(summary)")
            #expect(tally.lost + tally.harmless.count + tally.unreached.count == places.count)
            #expect(tally.lost > places.count / 2 && tally.unreached.count <= max(2, places.count / 100), "\(summary)")
        }
    }

    /// The places that are tried, shuffled, and how much is in the clear.
    private static func places(_ proxy: FlippingProxy, _ door: UInt16) throws -> ([Place], [Direction: Int]) {
        let passage = try proxy.restart(doesRecord: true)
        try waitUntil("a connection is carried", within: 30) { try converse(door) }
        usleep(500_000)
        var places: [Place] = []
        var clear: [Direction: Int] = [:]
        for direction in Direction.allCases {
            let record = passage.record(direction)
            clear[direction] = try clearBytes(record)
            print("recorded: \(record.count) bytes \(direction), \(clear[direction]!) of them in the clear")
            let all = Array(record.indices).shuffled()
            places += all.prefix(Scale.choose(full: all.count, small: 8)).map {
                Place(direction: direction, offset: $0)
            }
        }
        return (places.shuffled(), clear)
    }

    /// The bit is flipped in the next link; a connection is served all the same, by that one or the next.
    private static func flip(
        _ place: Place, _ proxy: FlippingProxy, _ door: UInt16, _ clear: [Direction: Int], _ tally: Tally
    ) throws {
        let passage = try proxy.restart(flip: place)
        try waitUntil("a connection is carried", within: 90) { try converse(door) }
        let isSealed = place.offset >= clear[place.direction]!
        // What tells the end of a channel may still be on its way.
        guard (try? waitUntil("it is flipped", within: 3) { passage.hasFlipped || passage.isOver }) != nil,
            passage.hasFlipped
        else { return tally.wasNotReached(place) }
        guard isSealed || passage.isOver else { return tally.wasHarmless(place) }
        try waitUntil("the link is lost", within: 60) { passage.isOver }
        tally.lostLink()
    }

    private static func start(
        _ stage: Stage, _ server: SSHServer, _ target: TargetServer, _ echo: TargetServer,
        _ proxies: [FlippingProxy], _ doors: [UInt16], _ quiet: UInt16
    ) throws -> Child {
        guard case .tcp(let targetPort) = target.address, case .tcp(let echoPort) = echo.address else {
            throw Failure("no port")
        }
        let key = server.keys.publicKey("host")
        let ports = proxies.map(\.port) + [server.port]
        let known = try stage.write("known", ports.map { "[127.0.0.1]:\($0) \(key)\n" }.joined())
        func table(_ name: String, _ port: UInt16, _ engine: String, _ forward: String) -> String {
            """
            [tunnel.\(name)]
            destination = "\(SSHServer.user)@127.0.0.1"
            Port = \(port)
            IdentityFile = "\(server.keys.path("login"))"
            UserKnownHostsFile = "\(known)"
            IdentitiesOnly = true
            BatchMode = true
            ServerAliveInterval = 1
            ServerAliveCountMax = 3
            knocks = 0
            engine = "\(engine)"
            local = "\(forward)"

            """
        }
        var tables = zip(proxies, doors).enumerated().map { number, each in
            table("flipped\(number)", each.0.port, "libssh2", "\(each.1):127.0.0.1:\(targetPort)")
        }
        tables.append(table("quiet", server.port, "native", "\(quiet):127.0.0.1:\(echoPort)"))
        return try stage.start(
            "culvert", [Subject.path, "up", try stage.write("tunnels.toml", tables.joined())],
            environment: Tunnel.environment(stage))
    }
}
