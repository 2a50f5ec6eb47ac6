import Foundation
import Testing

/// The link dies under its flows, again and again: culvert comes back each time and nothing is left behind.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh does not come back"))
struct LinkDeathTests {
    @Test("200 flows open and the link killed: back each time, descriptors and memory flat", arguments: Driver.choices)
    func killedLinks(_ driver: Driver) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            guard case .tcp(let targetPort) = target.address else { return }
            let server = try SSHServer(on: stage)
            let (direct, reverse) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(
                to: server,
                driver.arguments + [
                    "--knocks", "0", "-L", "\(direct):127.0.0.1:\(targetPort)", "-R",
                    "\(reverse):127.0.0.1:\(targetPort)",
                ])
            var descriptors: [Int] = []
            var resident: [Int] = []
            for round in 0..<Scale.linkDeaths {
                try tunnel.waitForListener(direct)
                try tunnel.waitForListener(reverse, within: 40)
                var flows: [Flow] = []
                for index in 0..<200 {
                    flows.append(
                        try Flow(through: .tcp(index % 2 == 0 ? direct : reverse), arrivals: arrivals))
                }
                for flow in flows { try flow.near.send("ping") }
                for (number, flow) in flows.enumerated() {
                    let text = try flow.far.receiveText(count: 4)
                    #expect(text == "ping", "flow \(number) of round \(round)")
                }
                // Half of them are busy when it happens.
                for flow in flows.prefix(100) { try flow.near.send(String(repeating: "x", count: 60_000)) }
                server.killSessions()
                for flow in flows {
                    try flow.near.drainToEnd(within: 10)
                    try flow.far.drainToEnd(within: 10)
                }
                flows = []
                try tunnel.waitForLink(round + 2, within: 40)
                try tunnel.waitForListener(reverse, within: 40)
                let baseline = descriptors.first
                try waitUntil("the descriptors of the dead flows are closed", within: 10) {
                    baseline == nil || ProcFS.descriptors(tunnel.pid).count <= baseline!
                }
                descriptors.append(ProcFS.descriptors(tunnel.pid).count)
                resident.append(ProcFS.residentBytes(tunnel.pid))
            }
            print("link deaths, \(driver): descriptors \(descriptors), resident MiB \(resident.map { $0 >> 20 })")
            #expect(Set(descriptors.dropFirst()).count == 1, "descriptors: \(descriptors)")
            // The allocator's pools are full after a few rounds; then nothing may be added.
            let settled = resident[resident.count / 2 - 1]
            #expect(resident.last! <= settled + (2 << 20), "resident: \(resident)")
        }
    }

    @Test("the server restarted: the listener stays, a waiting connection is served")
    func restartedServer() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address)
            let server = try #require(forward.server)
            try OutageTests.expectEcho(forward.address, within: 15)
            try server.stop()
            try forward.process.waitForLine(Wording.linkLost)
            let waiting = try TestSocket.connect(forward.address)
            try waiting.send("hello")
            try server.start()
            #expect(try waiting.receiveText(count: 5) == "hello")
            try forward.process.waitForLine(Wording.linkBack)
        }
    }

    @Test("a connection waits no longer than --hold")
    func hold() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address, options: ["--hold", "2"])
            try OutageTests.expectEcho(forward.address, within: 15)
            try #require(forward.server).stop()
            try forward.process.waitForLine(Wording.linkLost)
            let waiting = try TestSocket.connect(forward.address)
            let began = monotonicSeconds()
            try waiting.drainToEnd(within: 6)
            let waited = monotonicSeconds() - began
            #expect(waited > 1.5 && waited < 4, "held for \(waited) s")
            #expect(forward.process.isRunning)
        }
    }

    @Test("a changed host key at a reconnect ends the attempt, under StrictHostKeyChecking=no too")
    func changedKeyAtReconnect() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-o", "StrictHostKeyChecking=no", "-L", "\(door):127.0.0.1:\(target)"])
            try tunnel.waitForListener(door)
            try OutageTests.expectEcho(.tcp(door), within: 15)
            try server.stop()
            let said = tunnel.process.errorLines.count
            let impostor = try SSHServer(
                on: stage, name: "impostor", port: server.port, hostKey: "changedhost")
            try tunnel.process.waitForLine(Wording.hostKeyRefused, after: said)
            #expect(!impostor.log.contains("Accepted publickey"))
        }
    }
}
