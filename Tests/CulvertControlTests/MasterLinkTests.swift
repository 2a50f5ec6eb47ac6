import CulvertIO
import CulvertSSH
import Foundation
import Synchronization
import Testing

@testable import CulvertControl
@testable import CulvertRelay

/// A running master that is gone by, seen from the link's worker; the master means no good, or does as ssh's does.
@Suite struct MasterLinkTests {
    /// What a false master does with each client, on a thread of its own; the descriptor is closed behind it.
    private final class FalseMaster: @unchecked Sendable {
        let directory = FileManager.default.temporaryDirectory.path + "/culvert-master-\(UUID().uuidString.prefix(8))"
        let path: String
        private let listener: Int32
        private let lock = NSLock()
        private var clients: [Int32] = []

        init(_ serve: @escaping @Sendable (Int32, _ number: Int) -> Void) throws {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            path = directory + "/s"
            guard let listener = MasterLinkTests.listening(at: path) else { throw IOError(EADDRINUSE, "bind") }
            self.listener = listener
            Foundation.Thread { [self] in
                var number = 0
                while true {
                    let client = accept(listener, nil, nil)
                    guard client >= 0 else { return }
                    lock.withLock { clients.append(client) }
                    let own = number
                    number += 1
                    Foundation.Thread { [self] in
                        serve(client, own)
                        if lock.withLock({ clients.contains(client) }) { _ = shutdown(client, Int32(SHUT_RDWR)) }
                    }.start()
                }
            }.start()
        }

        /// As a process that ends.
        func die() {
            _ = shutdown(listener, Int32(SHUT_RDWR))
            _ = close(listener)
            lock.withLock {
                for client in clients { _ = shutdown(client, Int32(SHUT_RDWR)) }
                for client in clients { _ = close(client) }
                clients = []
            }
            try? FileManager.default.removeItem(atPath: directory)
        }
    }

    /// Sockets of the links are there, and go with the run.
    private static let place: String = {
        let path = FileManager.default.temporaryDirectory.path + "/culvert-links-\(getpid())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        setenv("TMPDIR", path, 1)
        atexit { try? FileManager.default.removeItem(atPath: MasterLinkTests.place) }
        return path
    }()

    init() { _ = Self.place }

    private static let hello = MuxReply.hello(version: 4).packet

    private static func say(_ client: Int32, _ bytes: [UInt8]) {
        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private static func read(_ client: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return count == 0 || recv(client, &bytes, count, Int32(MSG_WAITALL)) == count ? bytes : nil
    }

    /// The next request; nil at the end.
    private static func request(_ client: Int32) -> MuxRequest? {
        guard let length = read(client, 4), let body = read(client, length.reduce(0) { $0 << 8 | Int($1) }) else {
            return nil
        }
        return try? MuxRequest(body)
    }

    private static func listening(at path: String) -> Int32? {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(listener, 64) == 0 else {
            _ = close(listener)
            return nil
        }
        return listener
    }

    /// Greets, and answers until nobody asks, or `most` times; then it is silent until it is asked once more. Behind each door `serve` is what a target at the server does.
    private static func answer(
        _ client: Int32, most: Int = .max, says: [UInt8] = [], reads: Bool = true,
        _ serve: @escaping @Sendable (Int32, _ number: Int) -> Void
    ) {
        var doors: [Int32] = []
        defer {
            for door in doors {
                _ = shutdown(door, Int32(SHUT_RDWR))
                _ = close(door)
            }
        }
        say(client, hello)
        for number in 0..<most {
            switch request(client) {
            case nil: return
            case .hello?: continue
            case .aliveCheck(let id)?: say(client, MuxReply.alive(id, process: 7).packet)
            case .openForward(let id, let forward)? where forward.kind == .local:
                guard let door = listening(at: forward.listen.host) else { return }
                doors.append(door)
                Foundation.Thread {
                    var number = 0
                    while case let connection = accept(door, nil, nil), connection >= 0 {
                        let own = number
                        number += 1
                        Foundation.Thread {
                            serve(connection, own)
                            _ = close(connection)
                        }.start()
                    }
                }.start()
                say(client, MuxReply.done(id).packet)
            case .openForward(let id, _)?, .closeForward(let id, _)?: say(client, MuxReply.done(id).packet)
            default: return
            }
            if number > 1, !says.isEmpty { say(client, says) }
        }
        if most != .max, reads { _ = request(client) }
    }

    /// The worker's end of a link.
    private final class Worker {
        var engine: NativeEngine
        var ring: MirroredRing
        let stream: ControlStream
        var payload: [UInt8] = []

        init(_ link: BorrowedLink) throws {
            engine = try NativeEngine(insideProcess: ConnectionSettings())
            ring = try MirroredRing(capacity: 1 << 20)
            stream = ControlStream(adopting: link.stream.take().release())
        }

        private func flush() {
            while case let output = unsafe engine.output, !output.isEmpty {
                guard let sent = try? unsafe stream.send(output), sent > 0 else { return }
                engine.outputSent(sent)
            }
        }

        /// What happens next, payload left out and kept; nil: the link has ended.
        func next() throws -> EngineEvent? {
            while true {
                flush()
                unsafe engine.receive(ring.readable)
                let event = try engine.nextEvent()
                if case .payload(let channel, let part) = event {
                    engine.credit(channel, count: part.count)
                    unsafe payload += UnsafeRawBufferPointer(start: part.start, count: part.count)
                }
                ring.release(engine.takeConsumed())
                switch event {
                case .payload: continue
                case let event?: return event
                case nil: break
                }
                guard !Wait.forReadable([stream.descriptor], until: Tick.current() + .seconds(20)).isEmpty else {
                    throw IOError(ETIMEDOUT, "wait")
                }
                guard let count = try? unsafe stream.receive(into: ring.writable), count > 0 else { return nil }
                ring.advance(count)
            }
        }

        func open() throws -> ChannelNumber {
            try engine.open(.directTCPIP(host: "db", port: 5432, originator: "127.0.0.1", originatorPort: 1))
        }

        func send(_ channel: ChannelNumber, _ text: String) throws {
            let slots = engine.reserve(channel, maximum: text.utf8.count)
            unsafe slots.first?.copyMemory(from: Array(text.utf8), byteCount: text.utf8.count)
            try engine.commit(channel, count: text.utf8.count)
            flush()
        }
    }

    private func borrow(_ master: FalseMaster) throws -> BorrowedLink? {
        try MasterLink.borrow(at: master.path, journal: Journal(level: .error) { _ in })
    }

    private func failure(_ path: String) -> String? {
        do {
            return try MasterLink.borrow(at: path, journal: Journal(level: .error) { _ in }) == nil ? nil : "a link"
        } catch { return "\(error)" }
    }

    @Test func whoIsNoMaster() throws {
        let place = FileManager.default.temporaryDirectory.path + "/culvert-\(UUID().uuidString.prefix(8))"
        #expect(failure(place) == nil)
        #expect(failure(place + String(repeating: "x", count: 100)) == "its path is too long")
        try Data().write(to: URL(fileURLWithPath: place))
        #expect(failure(place) == "it is no socket")
        try FileManager.default.removeItem(atPath: place)
        for greeting in [[], [0, 0, 0, 4], [0xff, 0xff, 0xff, 0xff], MuxReply.hello(version: 5).packet, Self.hello] {
            let master = try FalseMaster { client, _ in
                Self.say(client, greeting)
                _ = Self.request(client)
            }
            #expect(failure(master.path) == "it does not greet as a master does")
            chmod(master.directory, 0o722)
            #expect(failure(master.path) == "others may write in its directory")
            master.die()
            #expect(failure(master.path) == nil)
        }
    }

    /// Carried both ways, ended both ways, whichever end is first; each end is told once the other has all.
    @Test(arguments: [true, false]) func aConnection(_ serverFirst: Bool) throws {
        let master = try FalseMaster { client, _ in
            Self.answer(client) { connection, _ in
                if serverFirst {
                    Self.say(connection, Array("greetings".utf8))
                    _ = shutdown(connection, Int32(SHUT_WR))
                }
                var (all, room) = ([UInt8](), [UInt8](repeating: 0, count: 100))
                while case let count = recv(connection, &room, 100, 0), count > 0 { all += room[..<count] }
                if !serverFirst { Self.say(connection, all) }
                #expect(all == Array("what is said".utf8))
            }
        }
        defer { master.die() }
        let worker = try Worker(try #require(try borrow(master)))
        let channel = try worker.open()
        #expect(try worker.next() == .opened(channel))
        if serverFirst { #expect(try worker.next() == .ended(channel)) }
        try worker.send(channel, "what is said")
        worker.engine.finish(channel)
        if !serverFirst { #expect(try worker.next() == .ended(channel)) }
        #expect(worker.payload == Array((serverFirst ? "greetings" : "what is said").utf8))
        #expect(try worker.next() == .closed(channel, afterEnd: true))
    }

    /// It ends the stream, and is dead: nobody may be told that this was the end.
    @Test func anEndThatIsNone() throws {
        let master = try FalseMaster { client, _ in
            // The greeting, whether it lives, a door; not whether it lives then.
            Self.answer(client, most: 3) { connection, _ in Self.say(connection, Array("half".utf8)) }
        }
        defer { master.die() }
        let worker = try Worker(try #require(try borrow(master)))
        let channel = try worker.open()
        #expect(try worker.next() == .opened(channel))
        #expect(try worker.next() == nil, "the link ends, and no channel in order")
        #expect(worker.payload == Array("half".utf8))
    }

    /// A master says nothing of a target that the server did not reach: it closes, before anything was said or read.
    @Test(arguments: [true, false]) func aTargetThatIsNotReached(_ says: Bool) throws {
        let lines = Mutex<[String]>([])
        let master = try FalseMaster { client, _ in
            Self.answer(client) { connection, number in
                // It is not read while the server has not answered.
                if says, number == 0 { usleep(200_000) }
                if number == 1 { Self.say(connection, [1]) }
            }
        }
        defer { master.die() }
        let link = try MasterLink.borrow(
            at: master.path, journal: Journal(level: .error) { line in lines.withLock { $0.append(line.text) } })
        let worker = try Worker(try #require(link))
        let channel = try worker.open()
        #expect(try worker.next() == .opened(channel))
        if says { try worker.send(channel, "who is there?") }
        #expect(try worker.next() == .closed(channel, afterEnd: false))
        worker.engine.close(channel)
        #expect(lines.withLock { $0.first?.hasPrefix("db:5432: nothing came of a connection") } == true)
        // And the next one is asked for all the same.
        let second = try worker.open()
        #expect(try worker.next() == .opened(second))
        #expect(try worker.next() == .ended(second))
        #expect(lines.withLock { $0.count } == 1)
    }

    @Test(arguments: [
        (MuxReply.failed(2, "Port forwarding failed"), "the running master: Port forwarding failed"),
        (MuxReply.denied(2, "Permission\u{1b}[31m denied"), "the running master: Permission\\u{1b}[31m denied"),
    ])
    func aRefusal(_ answer: MuxReply, _ told: String) throws {
        let master = try FalseMaster { client, _ in
            Self.answer(client, most: 2, reads: false) { _, _ in }
            for id in 1... as PartialRangeFrom<UInt32> {
                guard Self.request(client) != nil else { return }
                switch answer {
                case .failed(_, let reason): Self.say(client, MuxReply.failed(id, reason).packet)
                case .denied(_, let reason): Self.say(client, MuxReply.denied(id, reason).packet)
                default: return
                }
            }
        }
        defer { master.die() }
        let worker = try Worker(try #require(try borrow(master)))
        for _ in 0..<2 {
            let channel = try worker.open()
            #expect(try worker.next() == .openRefused(channel, .connectFailed))
            #expect(worker.engine.takeRefusal(channel).description == told)
        }
    }

    /// What nobody asked for, on the line that all depends on.
    @Test(arguments: [
        MuxReply.alive(9, process: 1).packet, MuxReply.done(0).packet, MuxReply.remotePort(1, 70000).packet,
        MuxReply.alive(1, process: 1).packet, [0, 4, 0, 1], [0, 0, 0, 0], [0, 0, 0, 4, 0x80, 0, 0, 6],
        MuxReply.hello(version: 4).packet,
    ])
    func nonsense(_ words: [UInt8]) throws {
        let master = try FalseMaster { client, _ in
            Self.answer(client, most: 2, reads: false) { _, _ in }
            _ = Self.request(client)
            Self.say(client, words)
            _ = Self.request(client)
        }
        defer { master.die() }
        let link = try #require(try borrow(master))
        let worker = try Worker(link)
        _ = try worker.engine.requestForward(.tcp(address: "localhost", port: 0))
        #expect(try worker.next() == nil)
        // The reason was there before the end.
        #expect(link.path.failure?.contains("says what no master says") == true)
    }

    /// Masters that do anything at any time: every channel comes to an end, or the link does, and no descriptor is left.
    @Test func storm() throws {
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        for seed in 0..<80 as Range<UInt64> {
            let master = try FalseMaster { client, _ in
                var dice = Dice(seed)
                let noise = Int.random(in: 0..<6, using: &dice) == 0
                Self.answer(
                    client, most: Int.random(in: 2..<40, using: &dice),
                    says: noise ? (0..<40).map { _ in UInt8.random(in: 0...255, using: &dice) } : []
                ) { connection, number in
                    var dice = Dice(seed &* 1000 &+ UInt64(number))
                    if Int.random(in: 0..<4, using: &dice) == 0 { return }
                    for _ in 0..<Int.random(in: 0..<20, using: &dice) {
                        let bytes = [UInt8](repeating: 1, count: Int.random(in: 1..<100_000, using: &dice))
                        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                    }
                    if Bool.random(using: &dice) { _ = shutdown(connection, Int32(SHUT_WR)) }
                    if Bool.random(using: &dice) {
                        var room = [UInt8](repeating: 0, count: 100)
                        _ = recv(connection, &room, 100, Int32(MSG_DONTWAIT))
                    }
                    usleep(UInt32.random(in: 0..<5000, using: &dice))
                }
            }
            let worker = try Worker(try #require(try borrow(master)))
            var dice = Dice(seed)
            var open = Set<ChannelNumber>()
            for _ in 0..<8 { open.insert(try worker.open()) }
            while !open.isEmpty, let event = try worker.next() {
                switch event {
                case .opened(let channel):
                    if Bool.random(using: &dice) { try worker.send(channel, "some words") }
                    if Bool.random(using: &dice) { worker.engine.finish(channel) }
                    if Int.random(in: 0..<5, using: &dice) == 0 {
                        worker.engine.close(channel)
                        open.remove(channel)
                    }
                case .ended(let channel): worker.engine.finish(channel)
                case .openRefused(let channel, _): open.remove(channel)
                case .closed(let channel, _):
                    worker.engine.close(channel)
                    open.remove(channel)
                default: Issue.record("\(event)")
                }
            }
            master.die()
        }
        for _ in 0..<1000
        where ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0) > before {
            usleep(10_000)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count <= before)
    }

    private struct Dice: RandomNumberGenerator {
        private var state: UInt64
        init(_ seed: UInt64) { state = seed }
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }
}

/// What is compared here.
private func == (left: EngineEvent?, right: EngineEvent?) -> Bool {
    switch (left, right) {
    case (nil, nil): true
    case (.opened(let one)?, .opened(let other)?), (.ended(let one)?, .ended(let other)?): one == other
    case (.closed(let one, let inOrder)?, .closed(let other, let too)?): one == other && inOrder == too
    case (.openRefused(let one, let why)?, .openRefused(let other, let too)?): one == other && why == too
    default: false
    }
}
