import Foundation
import Testing

/// The limits that servers and the firewalls before them set: culvert's own knocks trip none, and it is back soon all the
/// same.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh does not come back"))
struct ServerLimitTests {
    /// sshd drops the third login that is under way at once.
    private static let twoAtOnce = "MaxStartups 2:100:2"

    private static func expectNobodyDropped(_ server: SSHServer) {
        let dropped = server.log.split(separator: "\n").filter {
            $0.contains("drop connection") || $0.contains("MaxStartups throttling")
        }
        #expect(dropped.isEmpty, "\(dropped.prefix(3))")
    }

    @Test("four links lost at once come back under MaxStartups 2:100:2, and no connection is dropped")
    func maxStartups() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage, options: [Self.twoAtOnce])
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["--links", "4", "-L", "\(door):127.0.0.1:\(target)"])
            try tunnel.waitForLink(4)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            server.killSessions()
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try tunnel.waitForLink(8, within: 60)
            Self.expectNobodyDropped(server)
        }
    }

    @Test("a server killed five times in ten seconds: back within 3 s each time")
    func killedAgainAndAgain() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address)
            let server = try #require(forward.server)
            try OutageTests.expectEcho(forward.address, within: 15)
            for round in 0..<5 {
                let began = monotonicSeconds()
                try server.stop()
                try server.start()
                let started = monotonicSeconds()
                try OutageTests.expectEcho(forward.address, within: 15)
                let back = monotonicSeconds() - started
                #expect(back < 3, "round \(round): back after \(back) s")
                let left = 2 - (monotonicSeconds() - began)
                // The pace is what is tested.
                if left > 0 { usleep(UInt32(left * 1e6)) }
            }
        }
    }

    @Test("ten tunnels to one server stand within 2 s of the last login, and no connection is dropped")
    func manyTunnels() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            // sshd's own default.
            let server = try SSHServer(on: stage, options: ["MaxStartups 10:30:100"])
            let manager = try NotifySocket("\(stage.directory)/notify")
            let doors = try (0..<10).map { _ in try Ports.free() }
            let tables = try doors.enumerated().map { number, door in
                try UpTests.table("t\(number)", to: server, ["local = [\"\(door):127.0.0.1:\(target)\"]"])
            }
            let culvert = try UpTests.up(stage, tables, environment: ["NOTIFY_SOCKET": manager.path])
            try waitUntil("the last one logs in", within: 40) {
                server.log.components(separatedBy: "Accepted publickey").count > 10
            }
            let last = monotonicSeconds()
            try manager.wait("READY=1")
            #expect(monotonicSeconds() - last < 2)
            for door in doors { try OutageTests.expectEcho(.tcp(door), within: 15) }
            Self.expectNobodyDropped(server)
            #expect(culvert.isRunning)
        }
    }
}
