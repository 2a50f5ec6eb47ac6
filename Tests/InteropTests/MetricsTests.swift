import Foundation
import Testing

/// `--metrics`, read by Prometheus' own client.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh has no metrics")) struct MetricsTests {
    private static func read(_ stage: Stage, _ port: UInt16, _ path: String = "/metrics") throws -> [String] {
        try stage.run([Tools.python, Tools.script("read_metrics.py"), "\(port)", path])
            .split(separator: "\n").map(String.init)
    }

    private static func value(_ lines: [String], _ name: String, _ labels: String) -> Double? {
        lines.first { $0.hasPrefix("\(name) ") && $0.contains(labels) }?.split(separator: " ").last.flatMap {
            Double($0)
        }
    }

    @Test("each counted event counts once, readiness names what is down, and liveness does not")
    func counts() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let (left, right) = (try SSHServer(on: stage, name: "left"), try SSHServer(on: stage, name: "right"))
            try right.stop()
            let (direct, away, metrics, nobody) = (
                try Ports.free(), try Ports.free(), try Ports.free(), try Ports.free()
            )
            let closed = try Ports.free()
            let file = try stage.write(
                "tunnels.toml",
                UpTests.table(
                    "left", to: left,
                    ["local = [\"\(direct):127.0.0.1:\(target)\", \"\(closed):127.0.0.1:\(nobody)\"]"])
                    + UpTests.table("right", to: right, ["local = \"\(away):127.0.0.1:\(target)\""]))
            let culvert = try stage.start(
                "culvert", [Subject.path, "up", "--metrics", "\(metrics)", file], environment: Tunnel.environment(stage)
            )
            try OutageTests.expectEcho(.tcp(direct), within: 15)
            try culvert.waitForLine(["right: cannot connect"])
            #expect(try Self.read(stage, metrics, "/healthz") == ["200", "ok"])
            let notReady = try Self.read(stage, metrics, "/readyz")
            #expect(notReady.count == 2 && notReady[0] == "503", "\(notReady)")
            #expect(notReady[1].hasPrefix("right: ") && notReady[1].contains("Connection refused"), "\(notReady)")

            let before = try Self.read(stage, metrics)
            let label = "\"forward\": \"-L \(direct):127.0.0.1:\(target)\", \"result\": \"opened\""
            let opened = try #require(Self.value(before, "culvert_forward_connections_total", label))
            for _ in 0..<3 { try OutageTests.expectEcho(.tcp(direct), within: 15) }
            let refused = try TestSocket.connect(.tcp(closed))
            #expect(throws: (any Error).self) { try refused.receiveText(count: 1) }
            let open = try TestSocket.connect(.tcp(direct))
            try open.send("hello")
            #expect(try open.receiveText(count: 5) == "hello")
            let after = try Self.read(stage, metrics)
            #expect(Self.value(after, "culvert_forward_connections_total", label) == opened + 4)
            #expect(
                Self.value(after, "culvert_forward_connections_total", "\(nobody)\", \"result\": \"refused\"") == 1)
            #expect(Self.value(after, "culvert_forward_connections", "-L \(direct):") == 1)
            #expect(Self.value(after, "culvert_forward_open_seconds_count", "-L \(direct):") == opened + 4)
            #expect(Self.value(after, "culvert_tunnel_up", "left") == 1)
            #expect(Self.value(after, "culvert_tunnel_up", "right") == 0)
            #expect(Self.value(after, "culvert_link_connects_total", "left") == 1)
            #expect((Self.value(after, "process_open_fds", "{}") ?? 0) > 5)

            left.killSessions()
            try culvert.waitForLine(["left: link", "is back"])
            let lost = try Self.read(stage, metrics)
            #expect(Self.value(lost, "culvert_link_losses_total", "left") == 1)
            #expect(Self.value(lost, "culvert_link_connects_total", "left") == 2)
            if Subject.engine != "libssh2" {
                #expect(Self.value(lost, "culvert_forward_connections_total", "\(target)\", \"result\": \"cut\"") == 1)
            }
            try right.start()
            try OutageTests.expectEcho(.tcp(away), within: 40)
            #expect(try Self.read(stage, metrics, "/readyz") == ["200", "ok"])
            culvert.signal(SIGTERM)
            #expect(try culvert.waitForEnd(within: 10) == .exited(0))
        }
    }

    @Test("a place that is taken, or none, ends it with one line before anything stands")
    func taken() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let login = try Tunnel.login(server) + ["\(SSHServer.user)@\(server.host)"]
            for (place, words, status) in [
                ("\(server.port)", "Address already in use", Int32(73)), ("192.0.2.1:1", "annot assign requested", 73),
                ("0", "give [address:]port", 64), ("server:9100", "give an address in numbers", 64),
            ] {
                let port = try Ports.free()
                let child = try stage.start(
                    "taken", [Subject.path, "--metrics", place, "-N", "-L", "\(port):127.0.0.1:1"] + login,
                    environment: Tunnel.environment(stage))
                #expect(try child.waitForEnd() == .exited(status), "\(place)")
                #expect(child.errorText.contains("--metrics \(place)") || status == 73, "\(child.errorText)")
                #expect(child.errorText.contains(words), "\(child.errorText)")
            }
        }
    }
}
