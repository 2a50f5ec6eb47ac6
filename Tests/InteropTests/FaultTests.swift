import Foundation
import Testing

/// A fault of its own ends the program at once. The signal of each comes from outside here.
@Suite(.serialized, .enabled(if: Subject.isCulvert, "ssh dies as it likes")) struct FaultTests {
    static let signals: [(number: Int32, name: String)] = [
        (SIGILL, "SIGILL"), (SIGTRAP, "SIGTRAP"), (SIGSEGV, "SIGSEGV"), (SIGBUS, "SIGBUS"), (SIGABRT, "SIGABRT"),
    ]

    /// Ends it by the signal, within a second or two and with one line.
    private static func expectEnd(of process: Child, by signal: (number: Int32, name: String)) throws {
        let before = process.errorLines.count
        process.signal(signal.number)
        #expect(try process.waitForEnd(within: 2) == .exited(70))
        let said = Array(process.errorLines.dropFirst(before))
        #expect(said.count == 1, "\(said)")
        let line = said.first ?? ""
        #expect(line.hasPrefix("culvert: \(signal.name) "), "\(line)")
        #expect(
            line.contains(", version ") && line.hasSuffix(": this is a fault in culvert: please report it"), "\(line)")
    }

    @Test("a tunnel, with a flow under way", arguments: signals.indices)
    func tunnel(_ index: Int) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage)
            let direct = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-L", "\(direct):127.0.0.1:\(target)"])
            try tunnel.waitForListener(direct)
            try OutageTests.expectEcho(.tcp(direct), within: 5)
            let open = try TestSocket.connect(.tcp(direct))
            try open.send("no such word may show")
            #expect(try open.receiveText(count: 21) == "no such word may show")
            try Self.expectEnd(of: tunnel.process, by: Self.signals[index])
            #expect(!tunnel.process.errorText.contains("no such word"))
        }
    }

    @Test("the relay without SSH", arguments: signals.indices)
    func relay(_ index: Int) throws {
        try onStage { stage in
            let port = try Ports.free()
            let relay = try Child(
                "relay", Subject.command(["relay", "-L", "\(port):127.0.0.1:9"]), in: stage.directory)
            try waitUntil("it listens") { !ProcFS.listeners(port: port).isEmpty }
            try Self.expectEnd(of: relay, by: Self.signals[index])
        }
    }
}
