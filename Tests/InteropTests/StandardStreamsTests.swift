import Foundation
import Testing

/// `-W`: standard input and output as the one flow.
@Suite(.serialized) struct StandardStreamsTests {
    /// Bytes that go by scp.
    static let fileBytes = Scale.choose(full: 1 << 30, small: 32 << 20)

    /// The command of a subject that carries its streams to `target`.
    private static func command(_ server: SSHServer, _ target: String, _ driver: Driver = .uring) throws -> [String] {
        let words = driver.arguments + ["-W", target] + (try Tunnel.login(server)) + ["\(SSHServer.user)@127.0.0.1"]
        // ssh takes -N for a contradiction.
        return Subject.isCulvert ? Subject.command(words) : [Subject.path, "-F", "none"] + words
    }

    private static func line(_ words: [String]) -> String { words.map { "'\($0)'" }.joined(separator: " ") }

    private static func hash(_ stage: Stage, _ path: String) throws -> String {
        String(try stage.run(["sha256sum", path], within: 120).prefix(64))
    }

    @Test("ssh and scp through ProxyCommand: every byte, both ways", arguments: Driver.choices)
    func proxyCommand(_ driver: Driver) throws {
        try onStage { stage in
            let bastion = try SSHServer(on: stage, name: "bastion")
            let target = try SSHServer(
                on: stage, name: "target", options: ["Subsystem sftp internal-sftp"])
            let proxy = Self.line(try Self.command(bastion, "%h:%p", driver))
            var login = try Tunnel.login(target)
            login += ["-F", "none", "-o", "ProxyCommand=\(proxy)"]
            let environment = Tunnel.environment(stage)
            let said = try stage.run(
                ["ssh"] + login + ["\(SSHServer.user)@127.0.0.1", "echo through"], environment: environment)
            #expect(said == "through\n")

            let (sent, arrived) = ("\(stage.directory)/sent", "\(stage.directory)/arrived")
            let back = "\(stage.directory)/back"
            try stage.run(["sh", "-c", "head -c \(Self.fileBytes) /dev/urandom > \(sent)"], within: 120)
            // scp's -p is something else.
            login[0] = "-P"
            for (from, to) in [(sent, "127.0.0.1:\(arrived)"), ("127.0.0.1:\(arrived)", back)] {
                try stage.run(["scp", "-q"] + login + [from, to], within: 600, environment: environment)
            }
            let expected = try Self.hash(stage, sent)
            #expect(try Self.hash(stage, arrived) == expected)
            #expect(try Self.hash(stage, back) == expected)
        }
    }

    /// What standard input and output can be.
    static let plumbing: [(String, String)] = [
        ("pipes", "cat INPUT | COMMAND | cat"), ("files", "COMMAND < INPUT > OUTPUT && cat OUTPUT"),
        ("one socket", "PYTHON on_socket.py INPUT COMMAND"), ("nothing", "COMMAND < /dev/null > OUTPUT; cat OUTPUT"),
        ("a pipe to a file", "cat INPUT | COMMAND > OUTPUT && cat OUTPUT"),
        ("a file to a pipe", "COMMAND < INPUT | cat"),
    ]

    @Test(
        "pipes, files, sockets and nothing at all; the end of one direction leaves the other", arguments: Driver.choices
    )
    func plumbing(_ driver: Driver) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            // Answers when everything has come, with as much again.
            let target = try TargetServer(on: stage) { connection in
                let all = try connection.receiveTextToEnd()
                try connection.send("\(all.utf8.count) bytes\n\(all)")
            }
            guard case .tcp(let port) = target.address else { return }
            let words = String(repeating: "standard input and output ", count: 100_000)
            let input = try stage.write("input", words)
            let command = Self.line(try Self.command(server, "127.0.0.1:\(port)", driver))
            for (name, pattern) in Self.plumbing {
                let line =
                    pattern.replacingOccurrences(of: "COMMAND", with: command)
                    .replacingOccurrences(of: "INPUT", with: input)
                    .replacingOccurrences(of: "OUTPUT", with: "\(stage.directory)/output")
                    .replacingOccurrences(
                        of: "PYTHON on_socket.py", with: "\(Tools.python) \(Tools.script("on_socket.py"))")
                let said = try stage.run(
                    ["bash", "-o", "pipefail", "-c", line], within: 60, environment: Tunnel.environment(stage))
                let sent = name == "nothing" ? "" : words
                #expect(said == "\(sent.utf8.count) bytes\n\(sent)", "\(name): \(said.count) bytes")
            }
        }
    }

    /// More than once: whether the server still had it when the link ended was a matter of luck.
    @Test("the target ends first: what still comes on standard input arrives", arguments: 1...6)
    func targetEndsFirst(_ round: Int) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let arrived = Mailbox<String>()
            let target = try TargetServer(on: stage) { connection in
                try connection.send("goodbye")
                connection.endWriting()
                arrived.put(try connection.receiveTextToEnd())
            }
            guard case .tcp(let port) = target.address else { return }
            let (into, out) = ("\(stage.directory)/into", "\(stage.directory)/out")
            try #require(mkfifo(into, 0o600) == 0 && mkfifo(out, 0o600) == 0)
            let command = Self.line(try Self.command(server, "127.0.0.1:\(port)"))
            let process = try stage.start(
                "culvert", ["sh", "-c", "exec \(command) < \(into) > \(out)"], environment: Tunnel.environment(stage))
            let writing = try #require(FileHandle(forWritingAtPath: into))
            let reading = try #require(FileHandle(forReadingAtPath: out))
            #expect(reading.readDataToEndOfFile() == Data("goodbye".utf8))
            #expect(process.isRunning)
            try writing.write(contentsOf: Data("not yet".utf8))
            try writing.close()
            #expect(try arrived.wait("what came after the end") == "not yet")
            #expect(try process.waitForEnd() == .exited(0))
            #expect(!Subject.isCulvert || process.errorText.isEmpty, "\(process.errorText)")
        }
    }

    @Test(
        "what cannot be had: one line, and the exit code is not 0",
        arguments: [
            ("refused", [String](), Wording.targetRefused),
            ("forbidden", ["PermitOpen none"], Wording.either(culvert: ["PermitOpen"], ssh: ["prohibited"])),
        ])
    func refused(_ name: String, _ options: [String], _ words: [String]) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage, options: options)
            let process = try stage.start(
                "culvert", try Self.command(server, "127.0.0.1:\(try Ports.free())"),
                environment: Tunnel.environment(stage))
            #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
            try process.waitForLine(words)
            #expect(!Subject.isCulvert || process.errorLines.count == 1, "\(process.errorText)")
        }
    }

    @Test("a link that dies ends the process: it is not made again")
    func deadLink() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            guard case .tcp(let port) = target.address else { return }
            let into = "\(stage.directory)/into"
            try #require(mkfifo(into, 0o600) == 0)
            let command = Self.line(try Self.command(server, "127.0.0.1:\(port)"))
            let process = try stage.start(
                "culvert", ["sh", "-c", "exec \(command) < \(into)"], environment: Tunnel.environment(stage))
            let writing = try #require(FileHandle(forWritingAtPath: into))
            let far = try arrivals.wait("the flow arrives")
            try writing.write(contentsOf: Data("here".utf8))
            #expect(try far.receiveText(count: 4) == "here")
            try far.send("there")
            try waitUntil("it comes out") { process.outputText == "there" }
            server.killSessions()
            #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
            #expect(!Subject.isCulvert || process.errorLines.count == 1, "\(process.errorText)")
            if Subject.isCulvert { try process.waitForLine(Wording.linkLost) }
            try writing.close()
        }
    }

    /// One direction has ended; the other one could go on. ssh waits for ever where standard input stays open and empty.
    @Test(
        "the reader of standard output goes: half a minute after the last byte of input the process ends",
        .enabled(if: Subject.isCulvert, "ssh waits for standard input to end"))
    func readerGoes() throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let target = try TargetServer(on: stage) { connection in
                while true { try connection.send(String(repeating: "x", count: 65_536)) }
            }
            guard case .tcp(let port) = target.address else { return }
            let into = "\(stage.directory)/into"
            try #require(mkfifo(into, 0o600) == 0)
            let command = Self.line(try Self.command(server, "127.0.0.1:\(port)"))
            let process = try stage.start(
                "culvert", ["bash", "-o", "pipefail", "-c", "\(command) < \(into) | head -c 10"],
                environment: Tunnel.environment(stage))
            let writing = try #require(FileHandle(forWritingAtPath: into))
            #expect(try process.waitForEnd(within: 60) == .exited(ExpectedCode.connection))
            #expect(process.outputText == "xxxxxxxxxx")
            try writing.close()
        }
    }
}
