import Foundation
import Testing

@testable import culvert_load

/// The log of latencies, read by another's reader of such logs.
@Suite(.serialized) struct HistogramLogTests {
    /// What Python's hdrhistogram finds in a log: of each tag the intervals and their sum.
    private static let reader = """
        import json, sys
        from hdrh.histogram import HdrHistogram
        from hdrh.log import HistogramLogReader
        log = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600000000000, 3))
        found = {}
        while (each := log.get_next_interval_histogram()) is not None:
            of = found.setdefault(each.get_tag() or "", {"intervals": [], "sum": HdrHistogram(1, 3600000000000, 3)})
            of["intervals"].append([each.get_start_time_stamp() / 1e3 - log.get_start_time_sec(),
                                    each.get_end_time_stamp() / 1e3 - log.get_start_time_sec()])
            of["sum"].add(each)
        print(json.dumps({tag: {
            "intervals": of["intervals"], "count": of["sum"].get_total_count(), "longest": of["sum"].get_max_value(),
            "p50": of["sum"].get_value_at_percentile(50), "p99.9": of["sum"].get_value_at_percentile(99.9),
        } for tag, of in found.items()}))
        """

    private static var root: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }

    private func read(_ path: String) throws -> [String: [String: Any]] {
        let python = ProcessInfo.processInfo.environment["CULVERT_PYTHON"] ?? "\(Self.root)/.build/tools/bin/python"
        let (status, output, errors) = try LoadProgram.run(["-c", Self.reader, path], program: python)
        try #require(status == 0, "python with hdrhistogram (make tools): \(errors)")
        return try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: [String: Any]] ?? [:]
    }

    private func temporary() -> String { NSTemporaryDirectory() + "culvert-load-\(UUID().uuidString)" }

    @Test("hdrhistogram finds the latencies that the report tells, interval by interval")
    func read() throws {
        let server = try LoadServer(["--load", "0"])
        let path = temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (status, json) = try LoadProgram.figures([
            "request", server.target, "--connections", "4", "--threads", "2", "--rate", "1000", "--duration", "1s",
            "--warmup", "200ms", "--hdr", path,
        ])
        #expect(status == 0)
        let found = try #require(try read(path)[""])
        #expect(found.number("count") == json.number("latency_ns", "count") && found.number("count") == 1000)
        // A bucket is a thousandth wide; the report says no more than the longest where that is in the same one.
        for key in ["p50", "p99.9", "longest"] {
            #expect(abs(found.number(key) / json.number("latency_ns", key) - 1) < 0.002, "\(key)")
        }
        let intervals = try #require(found["intervals"] as? [[Double]])
        #expect((10...11).contains(intervals.count), "ten of 100 ms, and what was answered after the end")
        for (number, each) in intervals.prefix(9).enumerated() {
            #expect(abs(each[0] - Double(number) / 10) < 0.06 && abs(each[1] - each[0] - 0.1) < 0.06, "\(each)")
        }
    }

    @Test("parts of a mix have a tag each; those without latencies have none")
    func mix() throws {
        let server = try LoadServer(["--load", "0"])
        let path = temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (status, json) = try LoadProgram.figures([
            "mix", server.target, "--part", "request", "--part", "stream", "--part", "vnc --rate 100", "--duration",
            "300ms", "--warmup", "0", "--hdr", path,
        ])
        #expect(status == 0)
        let found = try read(path)
        #expect(Set(found.keys) == ["1-request", "3-vnc"])
        let parts = try #require(json["parts"] as? [[String: Any]])
        #expect(found["1-request"]?.number("count") == parts[0].number("latency_ns", "count"))
        #expect(found["3-vnc"]?.number("count") == 30)
    }

    @Test("every bucket of the histogram has HdrHistogram's index")
    func indices() {
        #expect(
            [0, 1, 2047, 2048, 2049, 2050, 4095, 4096, 4100].map { Latencies.index($0) }
                == [0, 1, 2047, 2048, 2048, 2049, 3071, 3072, 3073])
        var latencies = Latencies()
        for value in [1, 2047, 2048, 5_000_000_000] as [Int64] { latencies.record(nanoseconds: value) }
        latencies.record(nanoseconds: 2047)
        var counts: [Int: UInt64] = [:]
        latencies.forEachCount { counts[$0] = $1 }
        #expect(counts == [1: 1, 2047: 2, 2048: 1, Latencies.index(5_000_000_000): 1])
    }

    @Test("numbers of variable length: small ones are short, the largest have nine bytes")
    func variableLength() {
        #expect(HistogramLog.variableLength(0) == [0])
        #expect(HistogramLog.variableLength(-1) == [1])
        #expect(HistogramLog.variableLength(63) == [126])
        #expect(HistogramLog.variableLength(64) == [0x80, 1])
        #expect(HistogramLog.variableLength(-2047) == [0xfd, 0x1f])
        #expect(HistogramLog.variableLength(.max) == [0xfe] + [UInt8](repeating: 0xff, count: 8))
        #expect(HistogramLog.variableLength(.min) == [UInt8](repeating: 0xff, count: 9))
    }

    @Test("blocks that are not compressed, of at most 65535 bytes", arguments: [0, 1, 65_535, 65_536, 200_000])
    func stored(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
        let path = temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(HistogramLog.stored(bytes)).write(to: URL(fileURLWithPath: path))
        let (status, output, errors) = try LoadProgram.run(
            [
                "-c",
                "import sys, zlib, hashlib; print(hashlib.sha256(zlib.decompress(open(sys.argv[1], 'rb').read())).hexdigest())",
                path,
            ], program: "/usr/bin/python3")
        #expect(status == 0, "\(errors)")
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let (_, expected, _) = try LoadProgram.run([path], program: "/usr/bin/sha256sum")
        #expect(output.prefix(64) == expected.prefix(64) && output.count == 65)
    }

    @Test(
        "a file that cannot be written is said, and where there is nothing to write",
        arguments: [
            (["request", "--hdr", "/nowhere/file"], "cannot write /nowhere/file: No such file", 71),
            (["request", "--hdr", "/dev/full"], "cannot write /dev/full: No space left", 71),
            (["stream", "--plot", "/nowhere/file"], "cannot write /nowhere/file: No such file", 71),
            (["stream", "--hdr", "/dev/null"], "a stream has no latencies", 64),
        ])
    func wrong(_ words: [String], _ part: String, _ expected: Int) throws {
        let server = try LoadServer(["--load", "0"])
        let (status, output, errors) = try LoadProgram.run(
            words + [server.target, "--duration", "100ms", "--warmup", "0"])
        #expect(status == Int32(expected) && output == "")
        #expect(errors.contains(part) && errors.split(separator: "\n").count == 1, "\(errors)")
    }
}
