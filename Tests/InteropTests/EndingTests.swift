import Foundation
import Testing

/// How flows end: one direction after the other, or at once.
@Suite(.serialized) struct EndingTests {
    @Test("request, end of input, response", arguments: ForwardKind.choices)
    func halfClose(_ kind: ForwardKind) throws {
        try onStage { stage in
            let target = try TargetServer(on: stage, kind.targetAddress(stage)) { connection in
                // The answer needs the end of the request: it comes only where the end is passed on alone.
                let request = try connection.receiveTextToEnd()
                try connection.send("answer to \(request.count) bytes ending in \(request.suffix(4))")
            }
            let forward = try kind.start(on: stage, to: target.address)
            for size in [4, 100_000] {
                let near = try TestSocket.connectWhenListening(forward.address)
                try near.send(String(repeating: "x", count: size - 4) + "last")
                near.endWriting()
                #expect(try near.receiveTextToEnd() == "answer to \(size) bytes ending in last")
            }
        }
    }

    @Test("the target ends first, the client still sends", arguments: ForwardKind.choices)
    func halfCloseByTheTarget(_ kind: ForwardKind) throws {
        try onStage { stage in
            let heard = Mailbox<String>()
            let target = try TargetServer(on: stage, kind.targetAddress(stage)) { connection in
                try connection.send("that is all")
                connection.endWriting()
                heard.put(try connection.receiveTextToEnd())
            }
            let forward = try kind.start(on: stage, to: target.address)
            let near = try TestSocket.connectWhenListening(forward.address)
            #expect(try near.receiveTextToEnd() == "that is all")
            try near.send("but not from here")
            near.endWriting()
            #expect(try heard.wait("the target hears what came after its end") == "but not from here")
        }
    }

    @Test("a reset by the client ends the flow at the target within a second", arguments: ForwardKind.choices)
    func resetByTheClient(_ kind: ForwardKind) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage, kind.targetAddress(stage))
            let forward = try kind.start(on: stage, to: target.address)
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            try flow.near.send("ping")
            #expect(try flow.far.receiveText(count: 4) == "ping")
            let before = ProcFS.descriptors(forward.process.pid).count
            flow.near.reset()
            try flow.far.drainToEnd(within: 1)
            flow.far.close()
            try waitUntil("the tunnel lets go of the flow's socket", within: 1) {
                ProcFS.descriptors(forward.process.pid).count < before
            }
        }
    }

    @Test("a reset by the target ends the flow at the client within a second", arguments: ForwardKind.choices)
    func resetByTheTarget(_ kind: ForwardKind) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage, kind.targetAddress(stage))
            let forward = try kind.start(on: stage, to: target.address)
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            try flow.near.send("ping")
            #expect(try flow.far.receiveText(count: 4) == "ping")
            // Where the target is a Unix socket there is no RST: a plain close is all that it can do.
            flow.far.reset()
            try flow.near.drainToEnd(within: 1)
        }
    }

    @Test("a reset in the middle of a bulk flow ends it on the other side", arguments: ForwardKind.choices)
    func resetUnderLoad(_ kind: ForwardKind) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage, kind.targetAddress(stage))
            let forward = try kind.start(on: stage, to: target.address)
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            let arrived = Counter()
            let sender = Running { try RandomStream(seed: 3).send(.max, over: flow.near) }
            let receiver = Running {
                _ = try RandomStream(seed: 3).receive(upTo: 8 << 20, over: flow.far, counting: arrived)
            }
            try receiver.join(within: 20)
            #expect(arrived.value == 8 << 20)
            flow.far.reset()
            let reset = monotonicSeconds()
            // The sender's next write fails: that is how a program that only writes learns of it.
            #expect(throws: Failure.self) { try sender.join(within: 10) }
            #expect(monotonicSeconds() - reset < 1)
        }
    }
}
