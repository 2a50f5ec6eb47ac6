import Foundation
import Testing

@testable import culvert_load

/// The program as people run it.
@Suite(.serialized) struct ProgramTests {
    private static let brief = ["--duration", "100ms", "--warmup", "20ms"]

    // MARK: What works

    @Test(
        "every workload carries, checks to the last byte and ends well",
        arguments: [
            ["stream"], ["stream", "--direction", "down"], ["stream", "--direction", "both", "--connections", "3"],
            ["request"], ["request", "--connections", "5", "--depth", "4", "--request-size", "100"],
            ["request", "--connections", "3", "--response-size", "300K"], ["request", "--rate", "400"],
            ["churn", "--connections", "4"], ["churn", "--rate", "200", "--connections", "20"],
            ["idle", "--connections", "30"],
        ], ["uring", "epoll"])
    func workloads(_ words: [String], _ driver: String) throws {
        let server = try LoadServer(["--load", "0", "--io", driver])
        let (status, json) = try LoadProgram.figures(
            words + [server.target, "--io", driver, "--seed", "99"] + Self.brief)
        #expect(status == 0)
        #expect(json["driver"] as? String == driver)
        #expect(json.number("verified") == json.number("connected"))
        #expect(json.number("connected") >= 1)
        for kind in TroubleKind.allCases { #expect(json.number("errors", kind.key) == 0) }
        switch words {
        case ["stream"]: #expect(json.number("bytes_up") > 1e6)
        case ["stream", "--direction", "down"]: #expect(json.number("bytes_down") > 1e6)
        case _ where words[0] == "stream":
            #expect(json.number("bytes_up") > 1e6)
            #expect(json.number("bytes_down") > 1e6)
        default:
            #expect(json.number("answers") > 5)
            #expect(json.number("latency_ns", "p50") > 0)
        }
        #expect(server.program.errors == "")
    }

    @Test("the same rate as asked for, and a watched process's processor time and memory")
    func rateAndWatched() throws {
        let server = try LoadServer(["--load", "0"])
        let (status, json) = try LoadProgram.figures([
            "request", server.target, "--rate", "500", "--connections", "4", "--duration", "600ms", "--warmup", "0",
            "--watch-pid", "\(server.program.process.processIdentifier)", "--watch-pid", "\(getpid())",
        ])
        #expect(status == 0)
        #expect(abs(json.number("latency_ns", "count") - 300) <= 1)
        let watched = try #require(json["watched"] as? [[String: Any]])
        #expect(watched.count == 2)
        #expect(watched[0]["name"] as? String == "culvert-load")
        #expect(watched[0].number("memory_bytes_connected") > 1e6)
        #expect(watched[0].number("cpu_s_per_answer") >= 0)
    }

    @Test(
        "a fault of its own ends it at once, with one line and exit status 70", arguments: [SIGILL, SIGSEGV, SIGABRT])
    func fault(_ signal: Int32) throws {
        let server = try LoadServer(["--load", "0"])
        kill(server.program.process.processIdentifier, signal)
        #expect(try server.program.waitForEnd() == 70)
        let lines = server.program.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(lines)")
        #expect(lines.first?.hasSuffix(": this is a fault in culvert-load: please report it") == true, "\(lines)")
    }

    @Test("a table for people")
    func table() throws {
        let server = try LoadServer(["--load", "0"])
        let (status, output, errors) = try LoadProgram.run(["request", server.target] + Self.brief)
        #expect(status == 0)
        #expect(errors == "", "no progress line where no terminal is")
        for word in ["p50", "p99.9", "requests", "a second", "verified", "1 of 1", "errors", "none"] {
            #expect(output.contains(word), "\(word)")
        }
    }

    @Test("sink, source and echo serve programs that know nothing of culvert-load")
    func plainEndpoints() throws {
        let server = try LoadServer()
        let echo = try Sockets.connect(try #require(server.ports["echo"]))
        let payload = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let writer = Thread {
            _ = Sockets.write(echo, payload)
            shutdown(echo, Int32(SHUT_WR))
        }
        writer.start()
        #expect(Sockets.readToEnd(echo) == payload)
        close(echo)

        let source = try Sockets.connect(try #require(server.ports["source"]))
        let pattern = Pattern(seed: 0, connection: 0, direction: .down)
        #expect(Sockets.read(source, count: 300_000) == (0..<300_000).map { pattern.byte(at: $0) })
        close(source)

        let sink = try Sockets.connect(try #require(server.ports["sink"]))
        #expect(Sockets.write(sink, payload))
        shutdown(sink, Int32(SHUT_WR))
        #expect(Sockets.readToEnd(sink) == [])
        close(sink)
    }

    @Test("serve ends with status 0 when told to", arguments: [SIGTERM, SIGINT])
    func ending(_ signal: Int32) throws {
        let server = try LoadServer()
        #expect(Set(server.ports.keys) == ["load", "vnc", "database", "sink", "source", "echo"])
        kill(server.program.process.processIdentifier, signal)
        #expect(try server.program.waitForEnd() == 0)
    }

    @Test("an interrupted run tells what it has")
    func interrupted() throws {
        let server = try LoadServer(["--load", "0"])
        let run = try LoadProgram(["stream", server.target, "--warmup", "0", "--duration", "60s"])
        let process = server.program
        // Something has gone through.
        let before = try #require(WatchedProcess(process.process.processIdentifier)?.read())
        try run.wait {
            (WatchedProcess(process.process.processIdentifier)?.read()?.processorSeconds ?? 0)
                > before.processorSeconds + 0.05 ? true : nil
        }
        kill(run.process.processIdentifier, SIGINT)
        #expect(try run.waitForEnd() == 0)
        #expect(run.output.contains("interrupted before its time"))
        #expect(run.output.contains("1 of 1 connections to their last byte"))
    }

    // MARK: What is found

    @Test(
        "4 KiB dropped, doubled or swapped are found, with the connection and the offset",
        arguments: StreamFault.allCases, [true, false])
    func damage(_ fault: StreamFault, _ isUp: Bool) throws {
        let server = try LoadServer(["--load", "0"])
        let offset = 50_001
        // The hello goes before the payload.
        let position = isUp ? offset + Hello.length : offset
        let proxy = try BadProxy(to: server.load, .fault(fault, isUp: isUp, after: position), victim: 1)
        defer { proxy.end() }
        let (status, output, _) = try LoadProgram.run([
            "stream", "127.0.0.1:\(proxy.port)", "--direction", isUp ? "up" : "down", "--connections", "3",
            "--threads", "1", "--duration", "400ms", "--warmup", "0",
        ])
        #expect(status == 1)
        let place = "\(isUp ? "up" : "down"): mismatch at offset \(fault.firstWrong(offset))"
        #expect(output.contains("connection 1 \(place)"), "\(output)")
        #expect(output.contains("errors        1 mismatch\n"), "\(output)")
        #expect(output.contains("2 of 3 connections"), "the others are right: \(output)")
        if isUp { #expect(server.program.errors.contains(place), "serve says so, too") }
    }

    @Test("damage in requests and answers is found, too", arguments: [true, false])
    func damagedRequests(_ isUp: Bool) throws {
        let server = try LoadServer(["--load", "0"])
        let offset = 20_000
        let position = isUp ? offset + Hello.length : offset
        let proxy = try BadProxy(to: server.load, .fault(.swap, isUp: isUp, after: position))
        defer { proxy.end() }
        let (status, output, _) = try LoadProgram.run([
            "request", "127.0.0.1:\(proxy.port)", "--depth", "600", "--duration", "5s", "--warmup", "0",
        ])
        #expect(status == 1)
        #expect(
            output.contains("connection 0 \(isUp ? "up" : "down"): mismatch at offset \(offset)\n"), "\(output)")
    }

    @Test("a stall of 500 ms shows in the p99.9 of requests at a rate")
    func stall() throws {
        let server = try LoadServer(["--load", "0"])
        let proxy = try BadProxy(to: server.load, .stall(seconds: 0.5, after: Hello.length + 300 * 64))
        defer { proxy.end() }
        let (status, json) = try LoadProgram.figures([
            "request", "127.0.0.1:\(proxy.port)", "--rate", "1000", "--duration", "1500ms", "--warmup", "0",
        ])
        #expect(status == 0)
        let high = json.number("latency_ns", "p99.9") / 1e6
        #expect(high > 450, "\(high) ms")
        // Every request that was due meanwhile waited, not one alone: of 1500 requests some 400 longer than 100 ms.
        #expect(json.number("latency_ns", "p90") > 50e6)
        #expect(json.number("latency_ns", "count") == 1500)
    }

    @Test("what goes wrong with connections is counted by kind")
    func kinds() throws {
        let server = try LoadServer(["--load", "0"])
        func counts(_ target: UInt16, _ words: [String], timeout: String = "10s") throws -> [String: Int] {
            let (status, json) = try LoadProgram.figures(
                words + ["127.0.0.1:\(target)", "--warmup", "0", "--duration", "300ms", "--timeout", timeout])
            #expect(status == 1)
            let errors = json["errors"] as? [String: NSNumber] ?? [:]
            return errors.mapValues(\.intValue).filter { $0.value > 0 }
        }
        let nobody = try Sockets.boundOnly()
        defer { close(nobody.descriptor) }
        #expect(try counts(nobody.port, ["stream", "--connections", "7"]) == ["refused": 7])

        let reset = try BadProxy(to: server.load, .cut(reset: true, after: 100_000))
        defer { reset.end() }
        #expect(try counts(reset.port, ["stream", "--connections", "2", "--threads", "1"]) == ["reset": 1])

        let cut = try BadProxy(to: server.load, .cut(reset: false, after: 100_000))
        defer { cut.end() }
        #expect(try counts(cut.port, ["stream", "--connections", "2", "--threads", "1"]) == ["ended_early": 1])

        let silent = try BadProxy(to: server.load, .silence)
        defer { silent.end() }
        #expect(
            try counts(silent.port, ["request", "--connections", "2", "--threads", "1"], timeout: "1s")
                == ["timeout": 1, "unanswered": 1])
    }

    @Test("serve says of a stranger what it is, and goes on")
    func stranger() throws {
        let server = try LoadServer(["--load", "0"])
        let stranger = try Sockets.connect(server.load)
        #expect(Sockets.write(stranger, Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)))
        #expect(Sockets.readToEnd(stranger) == nil, "it is reset")
        close(stranger)
        try server.program.wait { server.program.errors.contains("another program") ? true : nil }
        #expect(try LoadProgram.run(["request", server.target] + Self.brief).status == 0)
    }

    // MARK: Bad input

    @Test(
        "a wrong command line is one clear line, and status 64",
        arguments: [
            (["stream", "127.0.0.1"], "not host:port"), (["stream", "127.0.0.1:0"], "not host:port"),
            (["stream", "::1:9000"], "not host:port"), (["stream"], "no target"),
            (["stream", "127.0.0.1:9000", "--conections", "3"], "did you mean '--connections'"),
            (["stream", "127.0.0.1:9000", "--connections", "0"], "from 1 to"),
            (["stream", "127.0.0.1:9000", "--duration", "0"], "no time at all"),
            (["stream", "127.0.0.1:9000", "--duration", "fast"], "not a time"),
            (["stream", "127.0.0.1:9000", "--direction", "sideways"], "sideways"),
            (["request", "127.0.0.1:9000", "--rate", "0"], "not a rate"),
            (["request", "127.0.0.1:9000", "--request-size", "0"], "not a size"),
            (["request", "127.0.0.1:9000", "--rate", "10", "--depth", "2"], "leave --depth out"),
            (["stream", "127.0.0.1:9000", "--watch-pid", "999999999"], "no such process"),
            (["serve", "--bind", "nowhere"], "not an address"), (["serve", "--load", "70000"], "70000"),
            (["flood"], "flood"),
        ])
    func wrong(_ words: [String], _ part: String) throws {
        let (status, output, errors) = try LoadProgram.run(words)
        #expect(status == 64)
        #expect(output == "")
        #expect(errors.lowercased().contains(part.lowercased()), "\(errors)")
        #expect(errors.split(separator: "\n").count <= 2, "\(errors)")
    }

    @Test("a port that somebody has is said, with status 71")
    func taken() throws {
        let taken = try Sockets.listen()
        defer { close(taken.descriptor) }
        let (status, _, errors) = try LoadProgram.run(["serve", "--load", "\(taken.port)"])
        #expect(status == 71)
        #expect(errors.contains("ss -ltnp") && errors.contains("for load"), "\(errors)")
    }

    @Test(
        "help names every option, with examples",
        arguments: ["serve", "stream", "request", "churn", "idle", "vnc", "database", "mix"])
    func help(_ command: String) throws {
        let (status, output, _) = try LoadProgram.run([command, "--help"])
        #expect(status == 0)
        #expect(output.contains("  culvert-load \(command) "))
        #expect(output.contains("--io"))
        let lines = output.components(separatedBy: "\n")
        let broken = zip(lines, lines.dropFirst()).filter { $0.hasPrefix("  culvert-load") && $1.hasPrefix("-") }
        #expect(broken.isEmpty, "an example is one line: \(broken)")
    }
}
