import Foundation
import Testing

@testable import culvert_load

/// Several workloads in one run.
@Suite(.serialized) struct MixTests {
    private static let brief = ["--duration", "300ms", "--warmup", "20ms"]

    private func parts(_ json: [String: Any]) -> [[String: Any]] { json["parts"] as? [[String: Any]] ?? [] }

    @Test("each part is reported by itself", arguments: ["uring", "epoll"])
    func parts(_ driver: String) throws {
        let server = try LoadServer(["--load", "0", "--io", driver])
        let (status, json) = try LoadProgram.figures(
            [
                "mix", server.target, "--io", driver, "--seed", "5", "--watch-pid",
                "\(server.program.process.processIdentifier)", "--part", "request --request-size 100", "--part",
                "stream --connections 2 --direction up", "--part", "stream \(server.target) --direction down --seed 77",
                "--part", "churn --rate 100", "--part", "idle --connections 3",
            ] + Self.brief)
        #expect(status == 0)
        #expect(json["command"] as? String == "mix" && json["driver"] as? String == driver)
        let parts = parts(json)
        #expect(
            parts.map { $0["command"] as? String } == ["request", "stream up", "stream down", "churn", "idle"])
        #expect(parts.map { $0.number("seed") } == [5, 6, 77, 8, 9])
        for part in parts {
            #expect(part.number("connected") >= 1 && part.number("verified") == part.number("connected"))
            #expect(part.number("measured_s") > 0.1)
            for kind in TroubleKind.allCases { #expect(part.number("errors", kind.key) == 0) }
        }
        #expect(parts[0].number("answers") > 0 && parts[0].number("latency_ns", "p99") > 0)
        #expect(abs(parts[0].number("bytes_up") - parts[0].number("answers") * 100) <= 200)
        #expect(parts[1].number("bytes_up") > 1e6 && parts[1].number("bytes_down") == 0)
        #expect(parts[2].number("bytes_down") > 1e6 && parts[2].number("bytes_up") == 0)
        #expect(parts[3].number("latency_ns", "count") >= 29, "a hundred a second, whatever the machine does besides")
        #expect(parts[4].number("answers") > 0)
        #expect(json.number("generator", "cpu_s") > 0.01)
        #expect((0.05...1.2).contains(json.number("generator", "busiest_thread")))
        #expect((json["watched"] as? [[String: Any]])?.first?["name"] as? String == "culvert-load")
        #expect(server.program.errors == "")
    }

    @Test("a table part by part")
    func table() throws {
        let server = try LoadServer(["--load", "0"])
        let (status, output, errors) = try LoadProgram.run(
            ["mix", server.target, "--part", "request", "--part", "stream"] + Self.brief)
        #expect(status == 0 && errors == "")
        for word in ["workload 1  request", "workload 2  stream up", "p99.9", "generator", "CPU s", "connected in"] {
            #expect(output.contains(word), "\(word): \(output)")
        }
    }

    @Test("damage to one part is that part's error, with the connection and the offset")
    func damage() throws {
        let server = try LoadServer(["--load", "0"])
        let offset = 70_001
        let proxy = try BadProxy(to: server.load, .fault(.drop, isUp: true, after: offset + Hello.length))
        defer { proxy.end() }
        let words = [
            "mix", server.target, "--part", "request", "--part", "stream 127.0.0.1:\(proxy.port)", "--warmup", "0",
            "--duration", "300ms",
        ]
        let (status, json) = try LoadProgram.figures(words)
        #expect(status == 1)
        let parts = parts(json)
        try #require(parts.count == 2)
        #expect(parts[0].number("errors", "mismatch") == 0 && parts[0].number("verified") == 1)
        #expect(parts[0].number("answers") > 5, "the other part goes on")
        #expect(parts[1].number("errors", "mismatch") == 1 && parts[1].number("verified") == 0)
        #expect(parts[1]["error_lines"] as? [String] == ["connection 0 up: mismatch at offset \(offset)"])
    }

    @Test("what goes to one part's connection does not pass for another's")
    func distinctStreams() throws {
        // Two parts, each of one connection: without a seed of their own their payload would be the same.
        let one = try #require(try mix("request", "request").first)
        let other = try #require(try mix("request", "request").last)
        #expect(one.seed != other.seed)
    }

    private func mix(_ parts: String...) throws -> [Workload] {
        try MixCommand.parse(["127.0.0.1:9000"] + parts.flatMap { ["--part", $0] }).workloads().map(\.workload)
    }

    @Test(
        "a wrong part is one clear line, and status 64",
        arguments: [
            (["--part", "flood"], "begin with one of stream"), (["--part", ""], "begin with one of stream"),
            (["--part", "stream --conections 3"], "did you mean '--connections'"),
            (["--part", "stream --duration 3s"], "give it to mix"), (["--part", "stream --json"], "give it to mix"),
            (["--part", "request --hdr x"], "give it to mix"),
            (["--part", "request --rate 10 --depth 2"], "leave --depth out"),
            (["--part", "stream nowhere"], "not host:port"), (["--part", "idle --help"], "ask outside"),
            ([], "--part"),
        ])
    func wrong(_ words: [String], _ part: String) throws {
        let (status, output, errors) = try LoadProgram.run(["mix", "127.0.0.1:9000"] + words)
        #expect(status == 64 && output == "")
        #expect(errors.lowercased().contains(part.lowercased()), "\(errors)")
        #expect(errors.split(separator: "\n").count <= 2, "\(errors)")
    }

    @Test("a part without a target says so")
    func noTarget() throws {
        let (status, _, errors) = try LoadProgram.run(["mix", "--part", "stream"])
        #expect(status == 64 && errors.contains("--part 'stream': no target"), "\(errors)")
    }
}
