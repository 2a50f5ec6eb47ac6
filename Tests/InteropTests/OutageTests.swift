import Foundation
import Testing

/// The path or the server is away for a while, and a connection made meanwhile gets its answer.
@Suite(.serialized) struct OutageTests {
    /// Seconds, as the promise is worded.
    static let outage = 45.0
    static let connectionAt = 20.0
    static let answerWithin = 2.0

    /// With the defaults the outage ends before the keepalive's verdict; with short ones the link is given up on.
    struct Setup: CustomTestStringConvertible {
        let name: String
        let options: [String]
        var testDescription: String { name }
        static let defaults = Setup(name: "default keepalive", options: [])
        /// A path that swallows SYNs is knocked at every 10 s at most, unless there is no limit.
        static let unlimited = Setup(name: "no limit of knocks", options: ["--knocks", "0"])
        static let impatient = Setup(
            name: "keepalive gives up after 6 s",
            options: ["-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=2"])
    }

    @Test(
        "the server stopped for 45 s: a connection made at second 20 is answered at most 2 s after",
        arguments: Subject.isCulvert
            ? Scale.choose(full: [Setup.defaults, .impatient], small: [.impatient]) : [.defaults])
    func stoppedServer(_ setup: Setup) throws {
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: echo.address, options: setup.options)
            let server = try Self.required(forward.server)
            try Self.expectEcho(forward.address, within: 15)
            server.freeze()
            try Self.connectDuringOutage(forward.process, forward.address) { server.thaw() }
        }
    }

    @Test(
        "the path cut for 45 s: a connection made at second 20 is answered at most 2 s after it is back",
        .enabled(if: getuid() == 0, "NOT TESTED: cutting a path takes network namespaces, which take root"),
        .enabled(if: Subject.isCulvert, "ssh does not come back"),
        arguments: [Setup.unlimited])
    func cutPath(_ setup: Setup) throws {
        try onStage { stage in
            try NetworkNamespace.run(on: stage) { namespace in
                let door = try Ports.free()
                let mailbox = Mailbox<TargetServer>()
                try namespace.inFar { mailbox.put(try TargetServer.echo(on: stage)) }
                guard case .tcp(let target) = try mailbox.wait("a target").address else { return }
                let server = try SSHServer(on: stage, host: NetworkNamespace.farHost, launcher: namespace.far)
                let tunnel = try Tunnel(to: server, setup.options + ["-L", "\(door):127.0.0.1:\(target)"])
                try tunnel.waitForListener(door)
                try Self.expectEcho(.tcp(door), within: 15)
                try namespace.cut()
                try Self.connectDuringOutage(tunnel.process, .tcp(door)) { try namespace.mend() }
            }
        }
    }

    private static func connectDuringOutage(
        _ process: Child, _ address: Address, _ end: () throws -> Void
    ) throws {
        try during(connectionAt, "the tunnel runs") { process.isRunning }
        let near = try TestSocket.connect(address)
        near.setDeadline(outage)
        try near.send("are you there?")
        let answered = Mailbox<Double>()
        let reader = Running {
            let text = try near.receiveText(count: 14)
            guard text == "are you there?" else { throw Failure("a wrong answer: \(text)") }
            answered.put(monotonicSeconds())
        }
        try during(outage - connectionAt, "the tunnel runs") { process.isRunning }
        guard answered.take() == nil else { throw Failure("it was answered: there was no outage") }
        try end()
        let ended = monotonicSeconds()
        try reader.join(within: 30)
        let delay = try answered.wait("an answer") - ended
        print("outage: answered \(String(format: "%.2f", delay)) s after its end")
        // Thrown, not expected: this may run on a thread that belongs to no test.
        guard delay <= answerWithin else { throw Failure("answered only \(delay) s after the outage") }
        // And the tunnel is whole again for everybody.
        try expectEcho(address, within: 5)
    }

    static func expectEcho(_ address: Address, within deadline: Double) throws {
        let near = try TestSocket.connectWhenListening(address, within: deadline)
        near.setDeadline(deadline)
        try near.send("hello")
        let answer = try near.receiveText(count: 5)
        guard answer == "hello" else { throw Failure("\(address) answers \(answer)") }
    }

    private static func required(_ server: SSHServer?) throws -> SSHServer {
        guard let server else { throw Failure("this forward has no server") }
        return server
    }
}
