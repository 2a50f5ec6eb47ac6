import Foundation
import Testing

/// Dynamic forwards at both ends, through the SOCKS clients that people have.
@Suite(.serialized) struct SocksTests {
    /// Each fetches a page through a SOCKS port: PORT is the door, HOST and TARGET the page's.
    static let clients: [[String]] = [
        ["curl", "-s", "--socks5-hostname", "127.0.0.1:PORT", "http://HOST:TARGET/"],
        ["curl", "-s", "--socks5", "127.0.0.1:PORT", "http://127.0.0.1:TARGET/"],
        ["curl", "-s", "--socks4a", "127.0.0.1:PORT", "http://HOST:TARGET/"],
        ["curl", "-s", "--socks4", "127.0.0.1:PORT", "http://127.0.0.1:TARGET/"],
        ["curl", "-s", "--socks5-hostname", "127.0.0.1:PORT", "http://[::1]:TARGET/"],
        ["nc.openbsd", "-X", "5", "-x", "127.0.0.1:PORT", "HOST", "TARGET"],
        ["nc.openbsd", "-X", "4", "-x", "127.0.0.1:PORT", "127.0.0.1", "TARGET"],
        ["ncat", "--proxy", "127.0.0.1:PORT", "--proxy-type", "socks5", "127.0.0.1", "TARGET"],
        ["ncat", "--proxy", "127.0.0.1:PORT", "--proxy-type", "socks4", "127.0.0.1", "TARGET"],
    ]
    /// What asks for a name and a password has them taken, whatever they are. ssh knows no such method.
    static let withPassword = [
        "curl", "-s", "-x", "socks5h://someone:anything@127.0.0.1:PORT", "http://HOST:TARGET/",
    ]

    static let page = String(repeating: "culvert ", count: 100_000)

    /// A page on every loopback address at one port.
    private static func serve(on stage: Stage) throws -> UInt16 {
        let port = try Ports.free()
        for host in ["127.0.0.1", "::1"] {
            _ = try TargetServer(on: stage, .tcpAt(host, port)) { connection in
                var asked = ""
                while !asked.contains("\r\n\r\n") { asked += try connection.receiveText(count: 1) }
                try connection.send("HTTP/1.0 200 OK\r\nContent-Length: \(page.utf8.count)\r\n\r\n\(page)")
                connection.endWriting()
                try connection.drainToEnd(within: 20)
            }
        }
        return port
    }

    @Test("curl, nc and ncat, in every version of SOCKS, with addresses and names", arguments: ["-D", "-R"])
    func clients(_ flag: String) throws {
        try onStage { stage in
            let target = try Self.serve(on: stage)
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, [flag, "\(door)"])
            try tunnel.waitForListener(door)
            for client in Self.clients + (Subject.isCulvert ? [Self.withPassword] : []) {
                let words = client.map { word in
                    word.replacingOccurrences(of: "PORT", with: "\(door)")
                        .replacingOccurrences(of: "TARGET", with: "\(target)")
                        .replacingOccurrences(of: "HOST", with: "localhost")
                }
                let asks = words[0] != "curl"
                let command = words.map { "'\($0)'" }.joined(separator: " ")
                let said = try stage.run(
                    ["sh", "-c", asks ? "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | \(command)" : command], within: 20)
                #expect(said.hasSuffix(Self.page) && (asks || said == Self.page), "\(client): \(said.count) bytes")
            }
        }
    }

    // MARK: Answers

    /// The reply of a SOCKS 5 server to a request by name.
    private static func ask(_ door: UInt16, _ host: String, _ port: UInt16) throws -> (reply: UInt8, TestSocket) {
        let client = try TestSocket.connect(.tcp(door))
        let request =
            [5, 1, 0, 5, 1, 0, 3, UInt8(host.utf8.count)] + Array(host.utf8) + [UInt8(port >> 8), UInt8(port & 0xff)]
        try request.withUnsafeBytes { try client.sendAll($0) }
        var answer: [UInt8] = []
        while answer.count < 12 {
            var byte: [UInt8] = [0]
            guard case .bytes = try byte.withUnsafeMutableBytes({ try client.receive(into: $0) }) else {
                throw Failure("the connection ended after \(answer)")
            }
            answer += byte
        }
        guard answer[0...1] == [5, 0], answer[2] == 5 else { throw Failure("no answer of SOCKS 5: \(answer)") }
        return (answer[3], client)
    }

    /// RFC 1928 §6: 2 not allowed, 4 host unreachable, 5 connection refused.
    @Test(
        "a target that cannot be had gives the refusal, never success",
        .enabled(if: Subject.isCulvert, "ssh says success before it has asked"),
        arguments: [
            ("-D", [String](), [String](), [UInt8(5), 4]), ("-D", ["PermitOpen none"], [], [2, 2]),
            ("-R", [], [], [5, 4]), ("-R", [], ["-o", "PermitRemoteOpen=none"], [2, 2]),
            ("-R", [], ["-o", "PermitRemoteOpen=*:1 no-such-host.invalid:*"], [2, 4]),
        ])
    func refusals(_ flag: String, _ serverOptions: [String], _ options: [String], _ replies: [UInt8]) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage, options: serverOptions)
            let (door, closed) = (try Ports.free(), try Ports.free())
            let tunnel = try Tunnel(to: server, [flag, "\(door)"] + options)
            try tunnel.waitForListener(door)
            for (host, expected) in zip(["127.0.0.1", "no-such-host.invalid"], replies) {
                let (reply, client) = try Self.ask(door, host, closed)
                // The words of the libssh2 engine are its own.
                #expect(reply == expected || (Subject.engine == "libssh2" && reply == 1), "\(host)")
                #expect(try client.drainToEnd(within: 5) == .end)
                try tunnel.process.waitForLine(["\(host):\(closed)"])
            }
            // curl tells the same code.
            let curl = try stage.start(
                "curl", ["curl", "-sS", "--socks5-hostname", "127.0.0.1:\(door)", "http://127.0.0.1:\(closed)/"])
            #expect(try curl.waitForEnd() == .exited(97), "97: a proxy's handshake failed")
            #expect(Subject.engine == "libssh2" || curl.errorText.contains("(\(replies[0]))"), "\(curl.errorText)")
            #expect(tunnel.process.isRunning)
        }
    }

    @Test("names are looked up at the far end, and what is permitted is dialled")
    func permitted() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, ["-R", "\(door)", "-o", "PermitRemoteOpen=localhost:\(target) db:5432"])
            try tunnel.waitForListener(door)
            let (reply, client) = try Self.ask(door, "localhost", target)
            #expect(reply == 0)
            try client.send("ping")
            #expect(try client.receiveText(count: 4) == "ping")
        }
    }

    // MARK: Clients that are slow, and links that are not there

    @Test(
        "a client that sends a byte a second, and one that never finishes, are closed",
        .enabled(if: Subject.isCulvert, "ssh waits for ever"))
    func slowClients() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let doors = [try Ports.free(), try Ports.free()]
            let tunnel = try Tunnel(to: server, ["-D", "\(doors[0])", "-R", "\(doors[1])"])
            for door in doors { try tunnel.waitForListener(door) }
            try concurrently(4) { number in
                let client = try TestSocket.connect(.tcp(doors[number % 2]))
                let began = monotonicSeconds()
                try client.send("\u{5}\u{7f}")
                if number < 2 {
                    // Until it is closed: a write then fails.
                    while (try? client.send("\u{1}")) != nil, monotonicSeconds() - began < 30 { sleep(1) }
                }
                try client.drainToEnd(within: 20)
                guard (9.0...15.0).contains(monotonicSeconds() - began) else {
                    throw Failure("client \(number) was closed after \(monotonicSeconds() - began) s")
                }
            }
            #expect(tunnel.process.errorLines.count { $0.contains("did not say in SOCKS where to go") } == 4)
        }
    }

    @Test(
        "while the link is down clients wait, as with -L",
        .enabled(if: Subject.isCulvert, "ssh does not come back"))
    func hold() throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-D", "\(door)"])
            try tunnel.waitForListener(door)
            #expect(try Self.ask(door, "127.0.0.1", target).reply == 0)
            try server.stop()
            try tunnel.process.waitForLine(Wording.linkLost)
            let waiting = Running {
                let (reply, client) = try Self.ask(door, "127.0.0.1", target)
                guard reply == 0 else { throw Failure("refused: \(reply)") }
                try client.send("ping")
                guard try client.receiveText(count: 4) == "ping" else { throw Failure("no echo") }
            }
            try server.start()
            try waiting.join(within: 20)
        }
    }

    @Test("two hundred clients at once, some of whom break off", arguments: ["-D", "-R"])
    func manyAtOnce(_ flag: String) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, [flag, "\(door)"])
            try tunnel.waitForListener(door)
            // Whatever it opens at its beginning is open then.
            try Self.ask(door, "127.0.0.1", target).1.close()
            try during(0.5, "that one ends")
            let before = ProcFS.descriptors(tunnel.pid).count
            try concurrently(20) { number in
                for round in 0..<10 {
                    if (number + round) % 3 == 0 {
                        let gone = try TestSocket.connect(.tcp(door))
                        try gone.send(["\u{5}", "\u{5}\u{1}\u{0}", "\u{4}\u{1}"][round % 3])
                        if round % 2 == 0 { gone.reset() } else { gone.close() }
                    }
                    let (reply, client) = try Self.ask(door, "127.0.0.1", target)
                    guard reply == 0 else { throw Failure("refused: \(reply)") }
                    try client.send("client \(number) ")
                    guard try client.receiveText(count: "client \(number) ".utf8.count) == "client \(number) " else {
                        throw Failure("another one's bytes")
                    }
                }
            }
            try waitUntil("nothing is left of them") { ProcFS.descriptors(tunnel.pid).count <= before }
        }
    }
}
