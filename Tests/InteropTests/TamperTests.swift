import Foundation
import Testing

/// One bit of ciphertext turned over on the way ends the link; nothing altered is delivered.
@Suite(.serialized) struct TamperTests {
    struct Setup: CustomTestStringConvertible {
        let kind: ForwardKind
        let direction: TamperingProxy.Direction
        var testDescription: String { "\(kind), \(direction)" }
        static let all = [ForwardKind.direct, .reverse].flatMap { kind in
            TamperingProxy.Direction.allCases.map { Setup(kind: kind, direction: $0) }
        }
    }

    @Test("a flipped bit ends the link with its reason, and every byte delivered is right", arguments: Setup.all)
    func flip(_ setup: Setup) throws {
        try onStage { stage in
            let server = try SSHServer(on: stage)
            let proxy = try TamperingProxy(on: stage, to: server)
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            guard case .tcp(let targetPort) = target.address else { return }
            let door = try Ports.free()
            let known = try stage.write("proxied", "[127.0.0.1]:\(proxy.port) \(server.keys.publicKey("host"))\n")
            let login = try Tunnel.login(server, knownHosts: known).dropFirst(2)
            let culvert = try stage.start(
                "culvert",
                Subject.command(
                    [setup.kind == .direct ? "-L" : "-R", "\(door):127.0.0.1:\(targetPort)", "-p", "\(proxy.port)"]
                        + login + ["\(SSHServer.user)@127.0.0.1"]),
                environment: Tunnel.environment(stage))

            // Early and late in a packet, small and large offsets: length, payload and tag are all hit in time.
            for round in 0..<Scale.choose(full: 200, small: 8) {
                try waitUntil("the forward stands") {
                    guard culvert.isRunning || !Subject.isCulvert else { throw Failure("the tunnel ended") }
                    return !ProcFS.listeners(port: door).isEmpty
                }
                let flow = try Self.flow(through: .tcp(door), arrivals: arrivals)
                let stream = RandomStream(seed: UInt64(round))
                let (source, sink) =
                    (setup.kind == .direct) == (setup.direction == .toServer)
                    ? (flow.near, flow.far) : (flow.far, flow.near)
                let arrived = Counter()
                let sender = Running { try? stream.send(.max, over: source) }
                let receiver = Running {
                    _ = try stream.receive(over: sink, counting: arrived, isResetAllowed: true)
                }
                try waitUntil("the flow moves") { arrived.value > 1 << 20 }
                let said = culvert.errorLines.count
                let logged = server.log.components(separatedBy: "\n").count
                proxy.flipOneBit(setup.direction, after: .random(in: 0..<200_000))
                // Throws when a byte that arrived is not the one that was sent.
                try receiver.join(within: 30)
                source.close()
                try sender.join(within: 30)
                #expect(proxy.flipped.value == round + 1)

                switch setup.direction {
                case .toClient:
                    try culvert.waitForLine(Wording.linkLostToTampering, after: said)
                case .toServer:
                    try waitUntil("sshd says that a packet was altered") {
                        server.log.components(separatedBy: "\n").dropFirst(logged - 1).contains { line in
                            Wording.sshdFindsTampering.contains { line.localizedCaseInsensitiveContains($0) }
                        }
                    }
                }
                guard Subject.isCulvert else { return }  // ssh ends here, culvert comes back.
            }
        }
    }

    /// After a lost link the door may still be open while nothing is behind it: try until a flow arrives.
    static func flow(through address: Address, arrivals: Mailbox<TestSocket>) throws -> Flow {
        try eventually("a flow gets through", within: 30, every: 0.05) {
            guard let near = try? TestSocket.connect(address) else { return nil }
            try? near.send("knock")
            near.setDeadline(60)
            guard let far = try? arrivals.wait("an arrival", within: 5) else { return nil }
            guard (try? far.receiveText(count: 5)) == "knock" else { return nil }
            return Flow(near: near, far: far)
        }
    }
}

extension Flow {
    init(near: TestSocket, far: TestSocket) {
        self.near = near
        self.far = far
    }
}
