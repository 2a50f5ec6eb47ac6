import CulvertConfig
import CulvertIO
import CulvertPlan
import Foundation
import Synchronization
import Testing

@testable import CulvertControl
@testable import CulvertRelay

/// The master's thread, its socket, and clients that mean no good.
@Suite struct MuxMasterTests {
    private final class Scene: Sendable {
        let path = FileManager.default.temporaryDirectory.path + "/culvert-mux-\(UUID().uuidString.prefix(8))"
        let stops = Mutex(0)
        let changes = Mutex<[ForwardChange]>([])
        let lines = Mutex<[String]>([])
        let carried = Mutex<[String]>([])
        let answers = Mutex<[@Sendable (ForwardAnswer) -> Void]>([])
        let answersAtOnce: Bool

        init(answers: Bool = true) { answersAtOnce = answers }

        /// What was asked for and is not answered.
        let pending = Mutex<[OpeningWatch]>([])

        /// Sends back what comes.
        private static func echo(_ descriptor: Int32) {
            Foundation.Thread {
                _ = fcntl(descriptor, F_SETFL, 0)
                var room = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = recv(descriptor, &room, room.count, 0)
                    guard count > 0 else { break }
                    _ = send(descriptor, room, count, Int32(MSG_NOSIGNAL))
                }
                close(descriptor)
            }.start()
        }

        var tunnel: TunnelControl {
            TunnelControl(
                change: { change, answer in
                    self.answers.withLock { $0.append(answer) }
                    self.changes.withLock { $0.append(change) }
                    if self.answersAtOnce { answer(.done(port: nil)) }
                }, stop: { self.stops.withLock { $0 += 1 } }, report: { _ in },
                carry: { target, text, socket, watch in
                    self.carried.withLock { $0.append("\(target)") }
                    switch "\(target)" {
                    case "nobody:1": break
                    case "slow:1": self.pending.withLock { $0.append(watch) }
                    default:
                        watch.settle(true)
                        Self.echo(socket.take().release())
                    }
                })
        }

        func begin() throws -> @Sendable () -> Void {
            try MuxMaster.begin(
                at: path, tunnel, usual,
                journal: Journal(level: .debug) { line in self.lines.withLock { $0.append(line.text) } })
        }

        func client() throws -> Int32 {
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard result == 0 else {
                close(descriptor)
                throw IOError(errno, "connect")
            }
            var patience = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
    }

    /// The next reply; nil at the end.
    private func reply(_ descriptor: Int32) throws -> MuxReply? {
        func read(_ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            return recv(descriptor, &bytes, count, Int32(MSG_WAITALL)) == count ? bytes : nil
        }
        guard let length = read(4) else { return nil }
        return try read(length.reduce(0) { $0 << 8 | Int($1) }).map { try MuxReply($0) }
    }

    private func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private func wait(_ what: String, _ isSo: () -> Bool) {
        for _ in 0..<1000 where !isSo() { usleep(10_000) }
        #expect(isSo(), "\(what)")
    }

    @Test func itAnswersStopsAndGoes() throws {
        let scene = Scene()
        let end = try scene.begin()
        var status = stat()
        #expect(stat(scene.path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        let (one, two) = (try scene.client(), try scene.client())
        for client in [one, two] {
            #expect(try reply(client) == .hello(version: 4))
            write(client, MuxRequest.hello(version: 4).packet + MuxRequest.aliveCheck(0).packet)
            #expect(try reply(client) == .alive(0, process: UInt32(getpid())))
        }
        write(one, MuxRequest.openForward(1, try muxForward("-L", "1:a:2")).packet)
        #expect(try reply(one) == .done(1) && scene.changes.withLock { $0.count } == 1)
        write(one, MuxRequest.stopListening(2).packet)
        #expect(try reply(one) == .done(2) && !FileManager.default.fileExists(atPath: scene.path))
        #expect(throws: IOError.self) { try scene.client() }
        write(two, MuxRequest.terminate(3).packet)
        #expect(try reply(two) == .done(3))
        wait("it is told to end") { scene.stops.withLock { $0 } == 1 }
        end()
        end()
        #expect(try reply(one) == nil && reply(two) == nil)
        [one, two].forEach { _ = close($0) }
    }

    /// As ssh, whatever has the name: a master that lives, one that died, a file. It is left as it is.
    @Test func aNameThatIsTaken() throws {
        let (scene, second) = (Scene(), Scene())
        let end = try scene.begin()
        let other = try MuxMaster.begin(
            at: scene.path, second.tunnel, usual,
            journal: Journal(level: .debug) { line in second.lines.withLock { $0.append(line.text) } })
        #expect(
            second.lines.withLock { $0 } == ["ControlSocket \(scene.path) already exists, disabling multiplexing"])
        other()
        #expect(FileManager.default.fileExists(atPath: scene.path), "it is the first one's")
        // Somebody else has the name meanwhile.
        try FileManager.default.removeItem(atPath: scene.path)
        try Data().write(to: URL(fileURLWithPath: scene.path))
        end()
        #expect(FileManager.default.fileExists(atPath: scene.path))
        try FileManager.default.removeItem(atPath: scene.path)
        #expect(throws: ControlFailure.self) {
            try MuxMaster.begin(at: "/nowhere/at/all", scene.tunnel, usual, journal: Journal(level: .error) { _ in })
        }
        #expect(throws: ControlFailure.self) {
            let long = "/" + String(repeating: "a", count: 108)
            return try MuxMaster.begin(at: long, scene.tunnel, usual, journal: Journal(level: .error) { _ in })
        }
    }

    /// One says nothing, one half of something, one everything and reads nothing, one rubbish, one sends descriptors that
    /// nobody wants: the next is served all the same, and each of them costs little.
    @Test func whoMeansNoGoodHurtsNobody() throws {
        let scene = Scene()
        let end = try scene.begin()
        defer { end() }
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        var clients = [try scene.client()]
        let half = try scene.client()
        write(half, MuxRequest.hello(version: 4).packet + [0, 3, 0xff])
        let flood = try scene.client()
        _ = fcntl(flood, F_SETFL, O_NONBLOCK)
        var all = MuxRequest.hello(version: 4).packet
        for number in 0..<20_000 { all += MuxRequest.aliveCheck(UInt32(number)).packet }
        for _ in 0..<20 { write(flood, all) }
        let rubbish = try scene.client()
        write(rubbish, (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        let giver = try scene.client()
        for _ in 0..<20 { sendDescriptors(giver, [0, 0, 0]) }
        clients += [half, flood, rubbish, giver]
        let honest = try scene.client()
        write(honest, MuxRequest.hello(version: 4).packet + MuxRequest.aliveCheck(9).packet)
        #expect(try reply(honest) == .hello(version: 4))
        #expect(try reply(honest) == .alive(9, process: UInt32(getpid())))
        #expect(try reply(rubbish) == .hello(version: 4))
        #expect(try reply(rubbish) == nil, "it is left")
        clients.forEach { _ = close($0) }
        _ = close(honest)
        wait("no descriptor is left") {
            ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0) <= before
        }
    }

    /// `ssh -W` at the master: its own descriptors are used, and it is told when they have ended.
    @Test func standardStreamsAreCarried() throws {
        let scene = Scene()
        let end = try scene.begin()
        defer { end() }
        var (input, output) = ([Int32](repeating: 0, count: 2), [Int32](repeating: 0, count: 2))
        #expect(pipe(&input) == 0 && pipe(&output) == 0)
        let client = try scene.client()
        write(client, MuxRequest.hello(version: 4).packet)
        write(client, MuxRequest.stdioForward(1, .init(host: "db", port: 7)).packet)
        sendDescriptors(client, [input[0]])
        sendDescriptors(client, [output[1]])
        [input[0], output[1]].forEach { _ = close($0) }
        #expect(try reply(client) == .hello(version: 4))
        #expect(try reply(client) == .sessionOpened(1, session: 1))
        #expect(scene.carried.withLock { $0 } == ["db:7"])
        let text = Array("what is said".utf8)
        #expect(Foundation.write(input[1], text, text.count) == text.count)
        var room = [UInt8](repeating: 0, count: 100)
        #expect(read(output[0], &room, 100) == text.count && room.starts(with: text))
        _ = close(input[1])
        #expect(read(output[0], &room, 100) == 0, "the end goes round")
        #expect(try reply(client) == nil, "nothing is left to wait for")
        _ = close(client)
        _ = close(output[0])

        // A client that goes takes its streams with it.
        #expect(pipe(&input) == 0 && pipe(&output) == 0)
        let second = try scene.client()
        write(second, MuxRequest.hello(version: 4).packet)
        write(second, MuxRequest.stdioForward(1, .init(host: "/s", port: nil)).packet)
        sendDescriptors(second, [input[0]])
        sendDescriptors(second, [output[1]])
        [input[0], output[1]].forEach { _ = close($0) }
        #expect(try reply(second) == .hello(version: 4) && reply(second) == .sessionOpened(1, session: 1))
        _ = close(second)
        #expect(read(output[0], &room, 100) == 0)
        [input[1], output[0]].forEach { _ = close($0) }

        // Bytes that bring nothing.
        let third = try scene.client()
        write(third, MuxRequest.hello(version: 4).packet)
        write(third, MuxRequest.stdioForward(1, .init(host: "h", port: 1)).packet + [0, 0])
        #expect(try reply(third) == .hello(version: 4))
        #expect(try reply(third) == .failed(1, "did not receive file descriptors"))
        _ = close(third)
    }

    /// More than are served at once: the one that has been silent longest makes room.
    @Test func manyWait() throws {
        let scene = Scene()
        let end = try scene.begin()
        defer { end() }
        let crowd = try (0..<MuxDesk.mostClients).map { _ in try scene.client() }
        for client in crowd { #expect(try reply(client) == .hello(version: 4)) }
        write(crowd[0], MuxRequest.hello(version: 4).packet + MuxRequest.aliveCheck(5).packet)
        #expect(try reply(crowd[0]) == .alive(5, process: UInt32(getpid())))
        let late = try scene.client()
        write(late, MuxRequest.hello(version: 4).packet + MuxRequest.aliveCheck(1).packet)
        #expect(try reply(late) == .hello(version: 4))
        #expect(try reply(late) == .alive(1, process: UInt32(getpid())))
        #expect(try reply(crowd[1]) == nil, "it made room")
        write(crowd[0], MuxRequest.aliveCheck(6).packet)
        #expect(try reply(crowd[0]) == .alive(6, process: UInt32(getpid())))
        for client in crowd + [late] { _ = close(client) }
    }

    private func stdio(_ scene: Scene, _ host: String, _ descriptors: [Int32]) throws -> Int32 {
        let client = try scene.client()
        write(client, MuxRequest.hello(version: 4).packet)
        write(client, MuxRequest.stdioForward(1, .init(host: host, port: 1)).packet)
        for each in descriptors { sendDescriptors(client, [each]) }
        #expect(try reply(client) == .hello(version: 4))
        return client
    }

    /// As ssh's master: opened once the target has answered; a refusal is one.
    @Test func aTargetThatIsNotReached() throws {
        let scene = Scene()
        let end = try scene.begin()
        defer { end() }
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        var ends = [Int32](repeating: 0, count: 2)
        #expect(pipe(&ends) == 0)
        let client = try stdio(scene, "nobody", ends)
        #expect(try reply(client) == .failed(1, "Session open refused by peer"))
        write(client, MuxRequest.aliveCheck(2).packet)
        #expect(try reply(client) == .alive(2, process: UInt32(getpid())), "it may go on")
        let slow = try stdio(scene, "slow", ends)
        wait("it is asked for") { scene.pending.withLock { $0.count } == 1 }
        scene.pending.withLock { $0.removeFirst() }.settle(true)
        #expect(try reply(slow) == .sessionOpened(1, session: 1))
        // One that goes meanwhile is not waited with.
        let gone = try stdio(scene, "slow", ends)
        wait("it is asked for") { scene.pending.withLock { $0.count } == 1 }
        for each in [client, slow, gone] + ends { _ = close(each) }
        wait("no descriptor is left") {
            ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0) <= before
        }
        scene.pending.withLock { $0.removeFirst() }.settle(true)
    }

    /// As with ssh: what it asked for before is done, one after the other.
    @Test func oneThatAsksAndGoes() throws {
        let scene = Scene(answers: false)
        let end = try scene.begin()
        defer { end() }
        let client = try scene.client()
        write(client, MuxRequest.hello(version: 4).packet)
        for number in 0..<3 {
            write(client, MuxRequest.closeForward(UInt32(number), try muxForward("-L", "\(number + 1):a:2")).packet)
        }
        _ = close(client)
        for count in 1...3 {
            wait("it is asked for") { scene.changes.withLock { $0.count } == count }
            let answer = try #require(scene.answers.withLock { $0.popLast() })
            answer(.done(port: nil))
        }
    }

    /// Streams that are carried keep nobody from asking, however many.
    @Test func manyStreams() throws {
        let scene = Scene()
        let end = try scene.begin()
        defer { end() }
        var ends = [Int32](repeating: 0, count: 2)
        #expect(pipe(&ends) == 0)
        var clients: [Int32] = []
        for _ in 0..<100 {
            clients.append(try stdio(scene, "db", ends))
            #expect(try reply(clients.last ?? -1) == .sessionOpened(1, session: 1))
        }
        let asks = try scene.client()
        write(asks, MuxRequest.hello(version: 4).packet + MuxRequest.aliveCheck(1).packet)
        #expect(try reply(asks) == .hello(version: 4) && reply(asks) == .alive(1, process: UInt32(getpid())))
        for each in clients + [asks] + ends { _ = close(each) }
    }

    private func sendDescriptors(_ descriptor: Int32, _ given: [Int32]) {
        let count = given.count
        var byte: UInt8 = 0
        let space = 16 + (count * 4 + 7) / 8 * 8
        let control = UnsafeMutableRawBufferPointer.allocate(byteCount: space, alignment: 8)
        defer { control.deallocate() }
        control.initializeMemory(as: UInt8.self, repeating: 0)
        let header = control.baseAddress!.assumingMemoryBound(to: cmsghdr.self)
        header.pointee.cmsg_len = 16 + count * 4
        header.pointee.cmsg_level = SOL_SOCKET
        header.pointee.cmsg_type = Int32(SCM_RIGHTS)
        for index in 0..<count { control.storeBytes(of: given[index], toByteOffset: 16 + index * 4, as: Int32.self) }
        withUnsafeMutablePointer(to: &byte) { byte in
            var range = iovec(iov_base: byte, iov_len: 1)
            withUnsafeMutablePointer(to: &range) { range in
                var message = msghdr()
                message.msg_iov = range
                message.msg_iovlen = 1
                message.msg_control = control.baseAddress
                message.msg_controllen = space
                _ = sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
        }
    }
}
