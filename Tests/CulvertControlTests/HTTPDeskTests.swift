import CulvertIO
import Foundation
import Synchronization
import Testing

@testable import CulvertControl
@testable import CulvertRelay

/// HTTP at a real socket, with clients of every kind.
@Suite struct HTTPDeskTests {
    private final class Scene {
        let path = NSTemporaryDirectory() + "http-\(UUID().uuidString.prefix(8)).sock"
        let asked = Mutex<[String]>([])
        private let end: @Sendable () -> Void
        private let listener: ControlListener

        /// `answer`: nil leaves the request to `giveUp`.
        init(_ answer: @escaping @Sendable (HTTPRequest) -> HTTPResponse?) throws {
            listener = try ControlListener(at: #require(SocketAddress(path: path)))
            end = try HTTPDesk.begin(listener) { request, reply in
                if let response = answer(request) {
                    reply(response)
                    return nil
                }
                return { reply(.text(.unavailable, "given up")) }
            }
        }

        deinit {
            listener.remove()
            end()
        }

        func client() throws -> RawClient { try RawClient(path) }
    }

    private static let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("several requests on one connection, at once and one after the other; then it is closed as asked")
    func keepsAlive() throws {
        let scene = try Scene { .text(.ok, $0.path) }
        let client = try scene.client()
        client.send(Self.request + Self.request)
        var both = client.receive(until: "/x\n")
        if both.components(separatedBy: "200 OK").count < 3 { both += client.receive(until: "/x\n") }
        #expect(both.components(separatedBy: "200 OK").count == 3)
        client.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(client.receiveAll().hasSuffix("/last\n"))
    }

    @Test("what is wrong is told, and the connection is over")
    func fault() throws {
        let scene = try Scene { .text(.ok, $0.path) }
        let client = try scene.client()
        client.send("what\r\n\r\n")
        let answer = client.receiveAll()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("Connection: close"))
    }

    @Test("one that nobody answers is told what there is, after two seconds")
    func givenUp() throws {
        let scene = try Scene { $0.path == "/x" ? nil : .text(.ok, "at once") }
        let (slow, other) = (try scene.client(), try scene.client())
        slow.send(Self.request)
        other.send("GET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(other.receiveAll().hasSuffix("at once\n"))
        #expect(slow.receive(until: "given up\n").hasPrefix("HTTP/1.1 503 "))
    }

    @Test("clients that say nothing, half of something, and that do not read, make room")
    func silent() throws {
        let long = String(repeating: "a", count: 4 << 20)
        let scene = try Scene { _ in .text(.ok, long) }
        let idle = try (0..<HTTPDesk.mostClients - 2).map { _ in try scene.client() }
        let half = try scene.client()
        half.send("GET / HT")
        let deaf = try scene.client()
        deaf.send(Self.request)
        // Beyond those that are served at once: it waits in the kernel until one has had its time.
        let patient = try scene.client()
        patient.send("GET / HTTP/1.0\r\n\r\n")
        #expect(patient.receiveAll().utf8.count > long.utf8.count)
        for each in idle { #expect(each.receiveAll().isEmpty) }
        #expect(half.receiveAll().isEmpty)
        #expect(deaf.receiveAll().utf8.count < long.utf8.count, "it was cut off, and what lay in the socket is there")
    }

    @Test("storms of clients that go at any point cost nothing that stays", arguments: 0..<4)
    func storm(seed: UInt64) throws {
        let scene = try Scene { request in
            request.path.hasPrefix("/never") ? nil : .text(.ok, String(repeating: "b", count: 100_000))
        }
        _ = try scene.client()
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        var dice = Dice(seed: seed)
        for _ in 0..<200 {
            let client = try scene.client()
            let isAnswered = Bool.random(using: &dice)
            let text = isAnswered ? Self.request + Self.request : "GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
            // Nobody waits for an answer that does not come.
            let isWhole = isAnswered && Bool.random(using: &dice)
            client.send(isWhole ? text : String(text.prefix(Int.random(in: 0...text.count, using: &dice))))
            if isWhole { client.receive(atMost: Int.random(in: 1...5000, using: &dice)) }
        }
        let last = try scene.client()
        last.send("GET /x HTTP/1.0\r\n\r\n")
        #expect(last.receiveAll().hasSuffix("b\n"))
        for _ in 0..<1000 {
            if try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count <= before + 2 { break }
            usleep(10_000)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count <= before + 2)
    }

    @Test("of tunnels that answer, that never do, and that answer twice or too late, each counts once")
    func reports() {
        let report = ReportDocumentTests.report
        let saved = Mutex<[@Sendable (TunnelReport) -> Void]>([])
        func tunnel(_ report: @escaping @Sendable (@escaping @Sendable (TunnelReport) -> Void) -> Void) -> ShownTunnel {
            ShownTunnel(
                name: "t", destination: { "d" },
                control: TunnelControl(change: { _, _ in }, stop: {}, report: report, carry: { _, _, _, _ in }))
        }
        let answers = Mutex<[[Bool]]>([])
        let asked = ReportsAsked.ask([
            tunnel { answer in
                answer(report)
                answer(report)
            }, tunnel { _ in }, tunnel { answer in saved.withLock { $0.append(answer) } },
        ]) { reports in answers.withLock { $0.append(reports.map { $0 != nil }) } }
        #expect(answers.withLock { $0.isEmpty })
        asked.giveUp()
        asked.giveUp()
        saved.withLock { $0 }.forEach { $0(report) }
        #expect(answers.withLock { $0 } == [[true, false, false]])
        _ = ReportsAsked.ask([]) { reports in answers.withLock { $0.append(reports.map { $0 != nil }) } }
        #expect(answers.withLock { $0.count } == 2)
    }
}

/// A client that says what it likes, and waits ten seconds at most.
final class RawClient {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw IOError(errno, "connect") }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { _ = Glibc.close(descriptor) }

    func send(_ text: String) { _ = Glibc.send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

    @discardableResult
    func receive(atMost most: Int) -> [UInt8] {
        var room = [UInt8](repeating: 0, count: most)
        let count = recv(descriptor, &room, most, 0)
        return Array(room.prefix(max(0, count)))
    }

    /// Until the text ends so; what has come where it never does.
    func receive(until end: String) -> String {
        var all: [UInt8] = []
        while !String(decoding: all, as: UTF8.self).hasSuffix(end) {
            let more = receive(atMost: 65536)
            guard !more.isEmpty else { break }
            all += more
        }
        return String(decoding: all, as: UTF8.self)
    }

    func receiveAll() -> String {
        var all: [UInt8] = []
        while true {
            let more = receive(atMost: 65536)
            guard !more.isEmpty else { return String(decoding: all, as: UTF8.self) }
            all += more
        }
    }
}
