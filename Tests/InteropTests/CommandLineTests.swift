import Foundation
import Testing

/// Existing command lines of ssh work: every spelling that getopt takes.
@Suite(.serialized) struct CommandLineTests {
    /// `FORWARD`, `PORT`, `KEY` and `HOSTS` stand for what the test made.
    static let spellings: [[String]] = [
        ["-N", "-L", "FORWARD", "-p", "PORT", "USER@127.0.0.1"],
        ["-NL", "FORWARD", "-pPORT", "USER@127.0.0.1"],
        ["-NLFORWARD", "-pPORT", "USER@127.0.0.1"],
        ["-vvNpPORT", "-L", "FORWARD", "USER@127.0.0.1"],
        ["-4NTnLFORWARD", "-oPort=PORT", "USER@127.0.0.1"],
        ["-NT", "-o", "Port PORT", "-L", "FORWARD", "-l", "USER", "127.0.0.1"],
        ["-NlUSER", "-pPORT", "-L", "FORWARD", "127.0.0.1"],
        ["USER@127.0.0.1", "-N", "-p", "PORT", "-L", "FORWARD"],
        ["-N", "-L", "FORWARD", "ssh://USER@127.0.0.1:PORT"],
        ["-N", "-p", "PORT", "-p", "1", "-L", "FORWARD", "USER@127.0.0.1"],
        ["-CNq", "-L", "localhost:FORWARD", "-p", "PORT", "-o", "Compression=no", "USER@127.0.0.1"],
        ["-N", "-o", "LocalForward=DOOR 127.0.0.1:TARGET", "-p", "PORT", "USER@127.0.0.1"],
        ["-axTN", "-L", "[127.0.0.1]:FORWARD", "-p", "PORT", "--", "USER@127.0.0.1"],
        ["-N", "-b", "127.0.0.1", "-o", "TCPKeepAlive=no", "-L", "FORWARD", "-p", "PORT", "USER@127.0.0.1"],
        [
            "-N", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=5",
            "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR", "-L", "*:FORWARD", "-p", "PORT", "USER@127.0.0.1",
        ],
    ]

    @Test("every spelling opens the same forward", arguments: spellings)
    func spelling(_ words: [String]) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { return }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let own = words.map { word in
                word.replacingOccurrences(of: "FORWARD", with: "\(door):127.0.0.1:\(target)")
                    .replacingOccurrences(of: "DOOR", with: "\(door)")
                    .replacingOccurrences(of: "TARGET", with: "\(target)")
                    .replacingOccurrences(of: "PORT", with: "\(server.port)")
                    .replacingOccurrences(of: "USER", with: SSHServer.user)
            }
            let login = try Tunnel.login(server).dropFirst(2)
            let process = try stage.start(
                "culvert", [Subject.path, "-F", "none"] + login + own,
                environment: Tunnel.environment(stage))
            try waitUntil("the forward stands") {
                guard process.isRunning else { throw Failure("it ended: \(process.ending!)") }
                return !ProcFS.listeners(port: door).isEmpty
            }
            try OutageTests.expectEcho(.tcp(door), within: 10)
        }
    }

    @Test(
        "what means nothing for a tunnel is accepted, with a note at -v only",
        .enabled(if: Subject.isCulvert, "ssh does it"), arguments: [true, false])
    func notes(_ isVerbose: Bool) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(
                to: server, (isVerbose ? ["-v"] : []) + ["-C", "-X", "-L", "\(door):127.0.0.1:1"])
            try tunnel.waitForListener(door)
            try tunnel.waitForLink()
            for option in ["-C", "-X"] {
                if isVerbose {
                    try tunnel.process.waitForLine([option])
                } else {
                    #expect(!tunnel.process.errorText.contains(option))
                }
            }
        }
    }

    @Test("every algorithm that is printed can be asked for", .enabled(if: Subject.isCulvert, "ssh knows its own"))
    func algorithms() throws {
        try onStage { stage in
            let printed = try stage.run([Subject.path, "-F", "none", "-G", "host"])
            let keys = ["ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms"]
            let lines = printed.split(separator: "\n").map { $0.split(separator: " ") }.filter {
                keys.contains(String($0[0]))
            }
            #expect(lines.count == keys.count)
            let asked = lines.flatMap { ["-o", "\($0[0])=\($0[1])"] }
            #expect(try stage.run([Subject.path, "-F", "none", "-G"] + asked + ["host"]) == printed)
        }
    }

    @Test("help and version", .enabled(if: Subject.isCulvert, "ssh has neither"))
    func help() throws {
        try onStage { stage in
            let help = try stage.run([Subject.path, "--help"])
            for word in ["-L ", "-R ", "Examples", "relay", "--links", "255"] { #expect(help.contains(word)) }
            let tunnel = try #require(help.range(of: "-R "))
            let relay = try #require(help.range(of: "Subcommands"))
            #expect(tunnel.lowerBound < relay.lowerBound, "the tunnel's options come first")
            #expect(try stage.run([Subject.path, "relay", "--help"]).contains("-L"))
            #expect(try stage.run([Subject.path, "--version"]).contains { $0.isNumber })
        }
    }
}
