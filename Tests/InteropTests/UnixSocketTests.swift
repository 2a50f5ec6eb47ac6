import Foundation
import Testing

/// Unix sockets at either end of both kinds of forward.
@Suite(.serialized) struct UnixSocketTests {
    enum Ends: String, CaseIterable, CustomStringConvertible {
        case portToPath = "port:path"
        case pathToPath = "path:path"
        case pathToPort = "path:host:port"
        var description: String { rawValue }
    }

    @Test("every kind carries both ways, with half-closes", arguments: ["-L", "-R"], Ends.allCases)
    func carries(_ flag: String, _ ends: Ends) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(
                on: stage, ends == .pathToPort ? .tcp(0) : .unix("\(stage.directory)/target.sock"))
            // libssh2 asks no server to listen at a path, nor to dial one.
            let needsServersPath = flag == "-L" ? ends != .pathToPort : ends != .portToPath
            guard Subject.engine != "libssh2" || !needsServersPath else { return }
            let incoming: Address =
                ends == .portToPath ? .tcp(try Ports.free()) : .unix("\(stage.directory)/incoming.sock")
            let door = if case .tcp(let port) = incoming { "\(port)" } else { "\(incoming)" }
            let server = try SSHServer(on: stage)
            let tunnel = try Tunnel(to: server, [flag, "\(door):\(target.address)"])
            for seed in 1...3 {
                let flow = try Flow(through: incoming, arrivals: arrivals)
                try flow.transfer(up: 1_000_000, down: 700_000, seed: UInt64(seed))
            }
            #expect(tunnel.process.isRunning)
        }
    }

    @Test(
        "StreamLocalBindMask decides who may connect, and the umask does not",
        arguments: [("", 0o600), ("0117", 0o660), ("0000", 0o777)], ["0000", "0077", "0777"])
    func mask(_ wish: (mask: String, mode: mode_t), _ umask: String) throws {
        let (mask, mode) = wish
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let path = "\(stage.directory)/incoming.sock"
            let options = mask.isEmpty ? [] : ["-o", "StreamLocalBindMask=\(mask)"]
            _ = try Tunnel(
                to: server, options + ["-L", "\(path):\(echo.address)"],
                launcher: ["/bin/sh", "-c", "umask \(umask); exec \"$@\"", "sh"])
            try OutageTests.expectEcho(.unix(path), within: 15)
            var information = stat()
            #expect(stat(path, &information) == 0 && information.st_mode & 0o777 == mode)
        }
    }

    @Test("a socket in the way is removed where StreamLocalBindUnlink says so, and nothing else ever is")
    func unlink() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let server = try SSHServer(on: stage)
            let path = "\(stage.directory)/incoming.sock"
            // Left behind: nobody listens.
            try Self.leaveSocket(path)
            let refused = try Tunnel(to: server, ["-L", "\(path):\(echo.address)"])
            try refused.process.waitForLine(Wording.portInUse)
            #expect(try refused.process.waitForEnd() == .exited(ExpectedCode.connection))
            #expect(!Subject.isCulvert || refused.process.errorText.contains("StreamLocalBindUnlink"))
            let tunnel = try Tunnel(
                to: server, ["-o", "StreamLocalBindUnlink=yes", "-L", "\(path):\(echo.address)"])
            try OutageTests.expectEcho(.unix(path), within: 15)
            tunnel.process.destroy()

            let file = try stage.write("precious", "words")
            let second = try Tunnel(
                to: server, ["-o", "StreamLocalBindUnlink=yes", "-L", "\(file):\(echo.address)"])
            // ssh removes whatever is there.
            guard Subject.isCulvert else { return }
            try second.process.waitForLine(Wording.portInUse)
            #expect(readWhole(file) == "words")
        }
    }

    @Test(
        "a Unix socket at the server that speaks SOCKS",
        .enabled(if: Subject.engine != "libssh2", "libssh2 asks no server to listen at a path"))
    func dynamicAtAPath() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let port) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let path = "\(stage.directory)/socks.sock"
            _ = try Tunnel(to: server, ["-R", path])
            let client = try TestSocket.connectWhenListening(.unix(path))
            let request: [UInt8] = [4, 1, UInt8(port >> 8), UInt8(port & 0xff), 127, 0, 0, 1, 0]
            try request.withUnsafeBytes { try client.sendAll($0) }
            #expect(Array(try client.receiveText(count: 8).utf8).first == 0)
            try client.send("ping")
            #expect(try client.receiveText(count: 4) == "ping")
        }
    }

    private static func leaveSocket(_ path: String) throws {
        try Address.unix(path).withSockaddr { pointer, length, family in
            let made = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard bind(made, pointer, length) == 0 else { throw Failure("bind: \(lastError())") }
            close(made)
        }
    }
}
