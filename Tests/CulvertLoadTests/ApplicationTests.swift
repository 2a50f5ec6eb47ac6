import Foundation
import Testing

@testable import culvert_load

/// The workloads that are like applications, and sizes from distributions.
@Suite(.serialized) struct ApplicationTests {
    private static let brief = ["--duration", "150ms", "--warmup", "20ms"]

    @Test(
        "each carries through its endpoint, checks to the last byte and ends well",
        arguments: [
            ["vnc", "--rate", "200"], ["vnc", "--connections", "7", "--burst", "5", "--event-size", "1"],
            ["database"], ["database", "--connections", "4", "--bulk-share", "0.2", "--bulk-size", "100K"],
            ["database", "--rate", "300", "--result-size", "pareto:100:1.1:1M"],
            ["request", "--request-size", "uniform:1:1000", "--response-size", "lognormal:500:2:1M", "--depth", "7"],
            ["churn", "--request-size", "pareto:10:1:100K", "--response-size", "uniform:1:100K"],
        ], ["uring", "epoll"])
    func workloads(_ words: [String], _ driver: String) throws {
        let server = try LoadServer(["--load", "0", "--vnc", "0", "--database", "0", "--io", driver])
        let port = try #require(server.ports[words[0]] ?? server.ports["load"])
        let (status, json) = try LoadProgram.figures(
            words + ["127.0.0.1:\(port)", "--io", driver, "--seed", "12"] + Self.brief)
        #expect(status == 0)
        #expect(json.number("verified") == json.number("connected") && json.number("connected") >= 1)
        for kind in TroubleKind.allCases { #expect(json.number("errors", kind.key) == 0) }
        #expect(json.number("answers") > 0 && json.number("latency_ns", "p50") > 0)
        #expect(server.program.errors == "")
    }

    @Test("vnc tells events, updates and the time from one to the end of the other")
    func vnc() throws {
        let server = try LoadServer(["--vnc", "0"])
        let target = "127.0.0.1:\(try #require(server.ports["vnc"]))"
        let words = [
            "vnc", target, "--rate", "100", "--burst", "4", "--event-size", "6", "--update-size", "1000", "--warmup",
            "0",
            "--duration", "500ms",
        ]
        let (status, json) = try LoadProgram.figures(words)
        #expect(status == 0)
        #expect(json.number("latency_ns", "count") == 50, "one for each event, however many updates")
        #expect(json.number("updates") >= 4 * json.number("answers"))
        #expect(json.number("updates") < 4 * json.number("answers") + 4)
        #expect(abs(json.number("bytes_down") - 1000 * json.number("updates")) < 1000)
        let (_, table, _) = try LoadProgram.run(words)
        for word in ["events", "updates", "end of its last update"] { #expect(table.contains(word), "\(table)") }
    }

    @Test("database tells bulk results by themselves")
    func database() throws {
        let server = try LoadServer(["--database", "0"])
        let target = "127.0.0.1:\(try #require(server.ports["database"]))"
        let words = [
            "database", target, "--bulk-share", "0.1", "--bulk-size", "8M", "--rate", "100", "--result-size", "10",
            "--query-size", "20", "--warmup", "0", "--duration", "500ms", "--seed", "2",
        ]
        let (status, json) = try LoadProgram.figures(words)
        #expect(status == 0)
        let sizes = SizeDistribution(shape: .fixed, low: 10, maximum: 10, bulkShare: 100_000, bulkSize: 8 << 20)
        let key = SizeDistribution.key(seed: 2, connection: 0, direction: .down)
        let bulk = (0..<50 as Range<UInt64>).filter { sizes.isBulk($0, key) }.count
        #expect(bulk > 0)
        #expect(json.number("bulk_latency_ns", "count") == Double(bulk))
        #expect(json.number("latency_ns", "count") == Double(50 - bulk))
        #expect(json.number("bulk_latency_ns", "p50") > json.number("latency_ns", "p50"))
        #expect(try LoadProgram.run(words).output.contains("bulk latency"))
    }

    @Test("a port for one workload refuses another, and says so")
    func ownEndpoint() throws {
        let server = try LoadServer(["--vnc", "0"])
        let port = try #require(server.ports["vnc"])
        let (status, json) = try LoadProgram.figures(["database", "127.0.0.1:\(port)"] + Self.brief)
        #expect(status == 1)
        #expect(json.number("errors", "reset") == 1)
        try server.program.wait { server.program.errors.contains("another workload than vnc") ? true : nil }
    }

    // MARK: What is found

    @Test("damage is found, with the connection and the offset", arguments: ["vnc", "database"], StreamFault.allCases)
    func damage(_ command: String, _ fault: StreamFault) throws {
        let server = try LoadServer(["--load", "0"])
        let offset = 30_001
        let proxy = try BadProxy(to: server.load, .fault(fault, isUp: false, after: offset), victim: 1)
        defer { proxy.end() }
        let (status, json) = try LoadProgram.figures([
            command, "127.0.0.1:\(proxy.port)", "--connections", "3", "--threads", "1", "--rate", "300", "--duration",
            "700ms", "--warmup", "0",
        ])
        #expect(status == 1)
        #expect(json.number("errors", "mismatch") == 1 && json.number("verified") == 2)
        #expect(
            json["error_lines"] as? [String]
                == ["connection 1 down: mismatch at offset \(fault.firstWrong(offset))"])
    }

    @Test("a stall of 500 ms shows in every event that it held up")
    func stall() throws {
        let server = try LoadServer(["--load", "0"])
        let proxy = try BadProxy(to: server.load, .stall(seconds: 0.5, after: Hello.length + 100 * 6))
        defer { proxy.end() }
        let (status, json) = try LoadProgram.figures([
            "vnc", "127.0.0.1:\(proxy.port)", "--rate", "200", "--event-size", "6", "--update-size", "100",
            "--duration", "1200ms", "--warmup", "0",
        ])
        #expect(status == 0)
        #expect(json.number("latency_ns", "count") == 240)
        #expect(json.number("latency_ns", "longest") > 450e6)
        // Of 240 events some 100 waited, evenly from 500 ms down.
        #expect(json.number("latency_ns", "p75") > 50e6)
    }

    @Test("connections that break are counted by kind, and what they owed")
    func kinds() throws {
        let server = try LoadServer(["--load", "0"])
        func counts(_ command: String, _ behaviour: BadProxy.Behaviour, _ timeout: String = "10s") throws -> [String:
            Int]
        {
            let proxy = try BadProxy(to: server.load, behaviour)
            defer { proxy.end() }
            let (status, json) = try LoadProgram.figures([
                command, "127.0.0.1:\(proxy.port)", "--connections", "2", "--threads", "1", "--warmup", "0",
                "--duration", "300ms", "--timeout", timeout, "--rate", "500",
            ])
            #expect(status == 1)
            let errors = json["errors"] as? [String: NSNumber] ?? [:]
            return errors.mapValues(\.intValue).filter { $0.value > 0 && $0.key != "unanswered" }
        }
        #expect(try counts("database", .cut(reset: true, after: 1000)) == ["reset": 1])
        #expect(try counts("database", .cut(reset: false, after: 1000)) == ["ended_early": 1])
        #expect(try counts("vnc", .silence, "300ms") == ["timeout": 1])
    }

    @Test(
        "wrong options are one clear line, and status 64",
        arguments: [
            (["request", "--request-size", "normal:1:2"], "no distribution of sizes"),
            (["database", "--bulk-share", "2"], "not a share"), (["vnc", "--burst", "0"], "from 1 to"),
            (["vnc", "--update-size", "uniform:9:3"], "the most is less than 9"),
        ])
    func wrong(_ words: [String], _ part: String) throws {
        let (status, output, errors) = try LoadProgram.run(words + ["127.0.0.1:9000"])
        #expect(status == 64 && output == "")
        #expect(errors.contains(part) && errors.split(separator: "\n").count <= 2, "\(errors)")
    }
}
