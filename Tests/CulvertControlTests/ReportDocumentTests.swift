import CulvertIO
import CulvertPlan
import CulvertRelay
import Testing

@testable import CulvertConfig
@testable import CulvertControl

/// What is told of tunnels, as JSON and as lines.
@Suite struct ReportDocumentTests {
    static let report = TunnelReport.sample

    private static func document(_ name: String = "db", withFlows: Bool = true) -> TunnelDocument {
        TunnelDocument(name, "typed", report, withFlows: withFlows)
    }

    @Test("a document comes back from its JSON, whose names and order are always the same")
    func json() throws {
        let document = ProcessDocument(pid: 7, version: "1", uptimeSeconds: 2, tunnels: [Self.document()])
        let bytes = JSON.bytes(of: document)
        #expect(JSON.document(ProcessDocument.self, from: bytes) == document)
        #expect(bytes == JSON.bytes(of: document))
        let text = String(decoding: bytes, as: UTF8.self)
        for name in [
            "\"opened_in_p99_seconds\":", "\"last_failure\":{\"age_seconds\":3,\"text\":\"no route\"}",
            "\"round_trip_seconds\":0.002", "\"state\":\"partly\"", "\"next_attempt_seconds\":12",
            "\"peer\":\"127.0.0.1:5\"",
        ] { #expect(text.contains(name), "\(name) in \(text)") }
        #expect(
            !String(decoding: JSON.bytes(of: Self.document(withFlows: false)), as: UTF8.self).contains("127.0.0.1:5"))
        #expect(JSON.document(ProcessDocument.self, from: Array("{}".utf8)) == nil)
    }

    @Test("one that does not answer is there, under the name that it was asked by")
    func silent() {
        let document = TunnelDocument("db", "typed", nil, withFlows: true)
        #expect(document.state == "silent" && document.destination == "typed" && !document.isUp)
        #expect(StatusTable.troubles(of: document) == ["it does not say anything"])
    }

    @Test("a line a tunnel, and under it what is wrong")
    func table() {
        var up = Self.document("a-long-name")
        (up.state, up.links[1].state) = ("up", "up")
        up.forwards.removeLast()
        #expect(
            StatusTable.lines([Self.document(), up]) == [
                "TUNNEL       STATE   SINCE  LINKS  FORWARDS  CONNS  HELD      OUT       IN   RTT  DESTINATION",
                "db           partly  1m 5s    1/2       1/2      1     3  7.5 KiB  1.2 GiB  2 ms  me@there",
                "  link 1: no route (3s ago); 2 attempts failed; next in 12s",
                "  -R 80:b:80: the server refuses to listen",
                "a-long-name  up      1m 5s    2/2       1/1      1     3  7.5 KiB  1.2 GiB  2 ms  me@there",
            ])
    }

    @Test("one tunnel with all that it has")
    func detail() {
        var before = Self.document()
        before.forwards[0].flows?[0].sentBytes -= 2048
        let rates = Rates(
            from: Sample(
                processes: [ProcessDocument(pid: 1, version: "", uptimeSeconds: 0, tunnels: [before])],
                at: Tick(nanoseconds: 0)),
            to: Sample(processes: [], at: Tick(nanoseconds: 2_000_000_000)))
        #expect(
            StatusDetail(Self.document(), LocalPrograms(of: []), rates).lines == [
                "db: partly for 1m 5s, me@there (native, epoll, 2 threads)",
                "  link 0: up 1m 5s, round trip 2 ms, last heard 1s ago, 1 connections, 10 B out, 20 B in, 4 key renewals",
                "    curve25519-sha256", "    connected 2 times; was lost:", "    1m 6s ago: reset by peer",
                "  link 1: waiting", "    no route (3s ago); 2 attempts failed; next in 12s",
                "  jump host j: up, last heard 0s ago, 1 connections, 1 B out, 2 B in",
                "  -L 1:db:5432: standing on port 1: 1 open, 3 served, 1 cut, 7.5 KiB out, 1.2 GiB in, opened in 3 ms (p50), 3 ms (p99)",
                "    127.0.0.1:5, 1s, 7.5 KiB out, 8 B in, 1 KiB/s out, 0 B/s in, 9 B held, waits for the reader here",
                "  -R 80:b:80: failed: the server refuses to listen: 0 open, 0 served, 2 refused, 0 B out, 0 B in",
                "  3 connections: waiting for a link", "  1 connections: not said where to go yet (SOCKS)",
                "  2 connections: ended, their readers still reading",
            ])
    }

    @Test("ages, sizes and lengths of time as a person reads them")
    func words() {
        let ages: [(Double, String)] = [
            (0, "0s"), (-3, "0s"), (59.9, "59s"), (60, "1m"), (65, "1m 5s"), (3600, "1h"), (3660, "1h 1m"),
            (3601, "1h"),
            (86400 * 3 + 3600 * 4, "3d 4h"), (.infinity, "-"), (.nan, "-"),
        ]
        for (seconds, text) in ages { #expect(StatusWords.age(seconds) == text) }
        let sizes: [(UInt64, String)] = [
            (0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (1024, "1 KiB"), (10_240, "10 KiB"), (1 << 30, "1 GiB"),
            (.max, "16 EiB"), (7_680, "7.5 KiB"),
        ]
        for (bytes, text) in sizes { #expect(StatusWords.size(bytes) == text) }
        let lengths: [(Double, String)] = [
            (-1e300, "- ms"), (.infinity, "- s"), (1e300, "- s"), (0.002, "2 ms"), (0.00025, "0.25 ms"),
            (0.0123, "12 ms"),
            (1.25, "1.3 s"), (0, "0 ms"),
            (0.00005, "0.05 ms"),
        ]
        for (seconds, text) in lengths { #expect(StatusWords.length(seconds) == text) }
    }

    @Test("metrics name no peer, and what a label has is escaped")
    func metrics() {
        var process = ProcessFigures()
        process.openDescriptors = 7
        let text = MetricsText([("a\"b\\c\nd", Self.report), ("gone", nil)], process).text
        for line in [
            "culvert_tunnel_up{tunnel=\"a\\\"b\\\\c\\nd\"} 0\nculvert_tunnel_up{tunnel=\"gone\"} 0\n",
            "forward=\"-L 1:db:5432\",result=\"opened\"} 3\n", "le=\"0.001\"} 0\n", "le=\"0.004\"} 1\n",
            "le=\"+Inf\"} 1\n",
            "process_open_fds 7\n",
        ] { #expect(text.contains(line), "\(line) in \(text)") }
        #expect(!text.contains("127.0.0.1:5"))
        #expect(!text.contains("process_max_fds"))
        let here = ProcessFigures.current()
        #expect((here.openDescriptors ?? 0) > 2 && (here.residentBytes ?? 0) > 1e6 && (here.startedAt ?? 0) > 1.6e9)
    }

    @Test("addresses as the kernel's tables have them")
    func addresses() {
        #expect(LocalPrograms.address("0100007F:1538", 8) == "127.0.0.1:5432")
        #expect(LocalPrograms.address("00000000000000000000000001000000:0016", 32) == "[::1]:22")
        #expect(LocalPrograms.address("0000000000000000FFFF00000100007F:0016", 32) == "127.0.0.1:22")
        #expect(LocalPrograms.address("B80D0120000000000000000001000000:0016", 32) == nil)
        for text in ["", "0100007F", "0100007F:", "0100007F:1FFFF", "010000:1538", "0100007G:1538"] {
            #expect(LocalPrograms.address(Substring(text), 8) == nil, "\(text)")
        }
    }

    @Test("what status is asked for")
    func request() throws {
        let request = try StatusRequest(["b", "--sort=out", "-w", "a", "--", "--c"])
        #expect(request.names == ["b", "a", "--c"] && request.order == .out && request.watches && !request.isJSON)
        for (words, text) in [
            (["--jsn"], "--jsn: no such option: did you mean --json?"), (["--sort"], "--sort: give name, "),
            (["--sort", "nam"], "--sort nam: did you mean name?"), (["--json=x"], "--json takes no value"),
            (["--json", "--watch"], "--watch: it is for a terminal"), (["-x"], "-x: no such option"),
        ] {
            do throws(ConfigurationError) {
                _ = try StatusRequest(words)
                Issue.record("\(words) are taken")
            } catch { #expect(error.message.hasPrefix(text), "\(error.message)") }
        }
    }
}
