import Foundation
import Testing

/// Reverse tunnels: where they listen, what they are asked for again, and a login through one.
@Suite(.serialized) struct ReverseTests {
    @Test(
        "where a reverse forward listens on a server with GatewayPorts clientspecified",
        arguments: [
            ("", ["127.0.0.1", "::1"]), ("localhost:", ["127.0.0.1", "::1"]), ("127.0.0.1:", ["127.0.0.1"]),
            ("0.0.0.0:", ["0.0.0.0"]), ("*:", ["0.0.0.0", "::"]), (":", ["0.0.0.0", "::"]),
        ])
    func bindAddress(_ prefix: String, _ expected: [String]) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage, options: ["GatewayPorts clientspecified"])
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-R", "\(prefix)\(door):127.0.0.1:\(target)"])
            // sshd binds one address after the other.
            let found: [String] = try eventually("\(door) is open on \(expected[0])") {
                let found = try tunnel.waitForListener(door)
                return found.contains(expected[0]) ? found : nil
            }
            #expect(Set(found).isSubset(of: expected), "listens on \(found)")
            try OutageTests.expectEcho(.tcp(door), within: 5)
        }
    }

    @Test(
        "where a direct forward listens",
        arguments: [
            ([], "", ["127.0.0.1", "::1"]), ([], "localhost:", ["127.0.0.1", "::1"]), ([], "[::1]:", ["::1"]),
            ([], "*:", ["0.0.0.0", "::"]), ([], ":", ["0.0.0.0", "::"]), (["-g"], "", ["0.0.0.0", "::"]),
            (["-o", "GatewayPorts=yes"], "", ["0.0.0.0", "::"]), (["-g"], "127.0.0.1:", ["127.0.0.1"]),
        ])
    func directBindAddress(_ options: [String], _ prefix: String, _ expected: [String]) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, options + ["-L", "\(prefix)\(door):127.0.0.1:\(target)"])
            let found = try tunnel.waitForListener(door)
            #expect(Set(found).isSubset(of: expected), "listens on \(found)")
            if prefix != "[::1]:" { try OutageTests.expectEcho(.tcp(door), within: 5) }
        }
    }

    @Test("IPv6 in brackets, at both ends of both kinds", arguments: ["-L", "-R"])
    func bracketed(_ flag: String) throws {
        try onStage { stage in
            let (door, target) = (try Ports.free(), try Ports.free())
            _ = try TargetServer.echo(on: stage, .tcpAt("::1", target))
            let server = try SSHServer(on: stage, options: ["GatewayPorts clientspecified"])
            let tunnel = try Tunnel(to: server, [flag, "[::1]:\(door):[::1]:\(target)"])
            #expect(try tunnel.waitForListener(door) == ["::1"])
            try OutageTests.expectEcho(.tcpAt("::1", door), within: 10)
        }
    }

    @Test("port 0: the port that the server chose is printed, and kept over a new login")
    func portZero() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(to: server, ["-R", "0:127.0.0.1:\(target)"])
            let port: UInt16 = try eventually("the port is printed") {
                for line in tunnel.process.errorLines
                    + tunnel.process.outputText.split(separator: "\n").map(String.init)
                {
                    for word in line.split(whereSeparator: { !$0.isNumber }) {
                        if let port = UInt16(word), port != target, port != server.port, port > 1023,
                            !ProcFS.listeners(port: port).isEmpty
                        {
                            return port
                        }
                    }
                }
                return nil
            }
            try OutageTests.expectEcho(.tcp(port), within: 5)
            // In ssh's words, which scripts look for, and once.
            let words = "Allocated port \(port) for remote forward to 127.0.0.1:\(target)"
            #expect(tunnel.process.errorLines.filter { $0.hasSuffix(words) }.count == 1)
            #expect(!tunnel.process.errorText.contains("localhost:0"))
            guard Subject.isCulvert else { return }
            server.killSessions()
            try waitUntil("the server listens there again") {
                tunnel.process.errorLines.filter { $0.hasSuffix(words) }.count == 2
            }
            try OutageTests.expectEcho(.tcp(port), within: 5)
        }
    }

    @Test("a login through a reverse tunnel, back to a server that nothing else reaches")
    func login() throws {
        try onStage { stage in
            let outside = try SSHServer(on: stage, name: "outside")
            let home = try SSHServer(on: stage, name: "home")
            let door = try Ports.free()
            let tunnel = try Tunnel(to: outside, ["-R", "\(door):localhost:\(home.port)"])
            try tunnel.waitForListener(door)
            let known = try stage.write("through", "[127.0.0.1]:\(door) \(home.keys.publicKey("host"))\n")
            let blob = try stage.run(
                [
                    "ssh", "-F", "none", "-p", "\(door)", "-i", home.keys.path("login"), "-o", "IdentitiesOnly=yes",
                    "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=\(known)", "-o", "StrictHostKeyChecking=yes",
                    "\(SSHServer.user)@127.0.0.1", "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo done",
                ], environment: Tunnel.environment(stage))
            #expect(blob.count == 3_000_006 && blob.hasSuffix("\ndone\n"))
        }
    }

    @Test(
        "a port that the server still holds is asked for again until it is free",
        .enabled(if: Subject.isCulvert, "ssh does not come back"))
    func stalePort() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage, options: ["AddressFamily inet"])
            let (door, other) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(
                to: server, ["-R", "\(door):127.0.0.1:\(target)", "-R", "\(other):127.0.0.1:\(target)"])
            try tunnel.waitForListener(door)
            // The port is taken in the server's absence, as a dead connection's process would hold it.
            try server.stop()
            try waitUntil("the port is free") { ProcFS.listeners(port: door).isEmpty }
            let holder = try Listener(.tcp(door))
            let said = tunnel.process.errorLines.count
            try server.start()
            try tunnel.process.waitForLine(["\(door)"] + Wording.reversePortStillHeld, within: 40, after: said)
            try tunnel.waitForListener(other, within: 40)
            try OutageTests.expectEcho(.tcp(other), within: 5)
            holder.close()
            try tunnel.waitForListener(door, within: 40)
            try OutageTests.expectEcho(.tcp(door), within: 5)
        }
    }

    @Test("several forwards of both kinds on one link")
    func several() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            var arguments: [String] = []
            var doors: [(UInt16, String)] = []
            for index in 0..<8 {
                let target = try TargetServer(on: stage) { try $0.send("target \(index)") }
                guard case .tcp(let port) = target.address else { return }
                let door = try Ports.free()
                arguments += [index % 2 == 0 ? "-L" : "-R", "\(door):127.0.0.1:\(port)"]
                doors.append((door, "target \(index)"))
            }
            let tunnel = try Tunnel(to: server, arguments)
            for (door, expected) in doors {
                try tunnel.waitForListener(door)
                #expect(try TestSocket.connect(.tcp(door)).receiveTextToEnd() == expected)
            }
        }
    }
}
