import CulvertConfig
import CulvertPlan
import CulvertRelay
import Testing

@testable import CulvertControl

/// What a master says to one client.
@Suite struct MuxConversationTests {
    typealias Deed = MuxConversation.Deed

    private func begun() -> MuxConversation {
        var conversation = MuxConversation(process: 7, options: usual)
        #expect(conversation.receive(MuxRequest.hello(version: 4).packet).isEmpty)
        return conversation
    }

    @Test func questionsAreAnswered() throws {
        var conversation = begun()
        let all =
            MuxRequest.aliveCheck(1).packet + MuxRequest.stopListening(2).packet + MuxRequest.terminate(3).packet
            + MuxRequest.unknown(4).packet + MuxRequest.unknownForward(5).packet
        #expect(
            conversation.receive(all) == [
                .send(.alive(1, process: 7)), .stopListening, .send(.done(2)), .send(.done(3)), .terminate,
                .send(.failed(4, "unsupported request")), .send(.failed(5, "Invalid forwarding request")),
            ])
    }

    @Test func oneChangeIsUnderWayAtATime() throws {
        var conversation = begun()
        let (one, two) = (try muxForward("-L", "1:a:2"), try muxForward("-R", "0:a:2"))
        let deeds = conversation.receive(
            MuxRequest.openForward(1, one).packet + MuxRequest.openForward(2, two).packet
                + MuxRequest.closeForward(3, one).packet)
        #expect(deeds == [.change(.add(one.meaning(usual)!))] && conversation.isPaused)
        #expect(conversation.answered(.done(port: nil)) == [.send(.done(1)), .change(.add(two.meaning(usual)!))])
        #expect(
            conversation.answered(.isThere(port: 4000)) == [
                .send(.remotePort(2, 4000)), .change(.cancel(one.meaning(usual)!)),
            ])
        #expect(conversation.answered(.failed("port not forwarded")) == [.send(.failed(3, "port not forwarded"))])
        #expect(!conversation.isPaused)
    }

    @Test func aFailureHasWords() throws {
        var conversation = begun()
        _ = conversation.receive(MuxRequest.openForward(1, try muxForward("-R", "9:a:2")).packet)
        #expect(
            conversation.answered(.failed("why"))
                == [.send(.failed(1, "remote port forwarding failed for 9:a:2: why"))])
    }

    /// `ssh` with a session wants its forwards for itself then.
    @Test func aSessionIsRefusedAndItsForwardsGo() throws {
        var conversation = begun()
        let (one, two) = (try muxForward("-L", "1:a:2"), try muxForward("-L", "2:a:2"))
        _ = conversation.receive(MuxRequest.openForward(0, one).packet)
        _ = conversation.answered(.done(port: nil))
        _ = conversation.receive(MuxRequest.openForward(1, two).packet)
        // That one was there: it is somebody else's.
        _ = conversation.answered(.isThere(port: nil))
        #expect(conversation.receive(MuxRequest.newSession(2).packet).isEmpty)
        #expect(conversation.receive([0, 0]).isEmpty, "three descriptors come, each with a byte")
        #expect(
            conversation.receive([0] + MuxRequest.aliveCheck(3).packet)
                == [.dropDescriptors, .change(.cancel(one.meaning(usual)!))])
        #expect(
            conversation.answered(.done(port: nil)) == [
                .send(.failed(2, "culvert carries forwards only")), .send(.alive(3, process: 7)),
            ])
    }

    @Test(arguments: [
        MuxRequest.aliveCheck(1).packet, MuxRequest.hello(version: 3).packet, [0, 0, 0, 0], [0, 0, 0, 2, 1, 1],
        [0xff, 0xff, 0xff, 0xff],
    ])
    func whoDoesNotGreetIsLeft(_ bytes: [UInt8]) {
        var conversation = MuxConversation(process: 7, options: usual)
        guard case .close = conversation.receive(bytes).last else {
            Issue.record("\(bytes)")
            return
        }
        #expect(conversation.receive(MuxRequest.hello(version: 4).packet).isEmpty, "nothing is done any more")
    }

    /// Everything at random, in pieces of any size: each request is answered once and in order, whatever the pieces are.
    @Test(arguments: 1...200 as ClosedRange<UInt64>) func storm(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var bytes = MuxRequest.hello(version: 4).packet
        var asked: [UInt32] = []
        let forwards = try [
            muxForward("-L", "1:a:2"), muxForward("-R", "0:a:2"), muxForward("-D", "3"), muxForward("-L", "/a:/b"),
        ]
        for number in 0..<UInt32.random(in: 1...60, using: &dice) {
            let forward = forwards.randomElement(using: &dice)!
            let request: MuxRequest =
                switch Int.random(in: 0..<9, using: &dice) {
                case 0: .newSession(number)
                case 1: .stdioForward(number, .init(host: "h", port: 1))
                case 2: .terminate(number)
                case 3: .stopListening(number)
                case 4: .unknown(number)
                case 5, 6: .openForward(number, forward)
                case 7: .closeForward(number, forward)
                default: .aliveCheck(number)
                }
            asked.append(number)
            bytes += request.packet
            switch request {
            case .newSession: bytes += [0, 0, 0]
            case .stdioForward: bytes += [0, 0]
            default: break
            }
        }
        let answers: [ForwardAnswer] = [.done(port: nil), .done(port: 9), .isThere(port: 9), .failed("no")]
        var conversation = MuxConversation(process: 7, options: usual)
        var (said, waits, position) = ([UInt32](), 0, 0)
        func take(_ deeds: [Deed]) {
            for deed in deeds {
                switch deed {
                case .send(let reply): said.append(reply.number!)
                case .change: waits += 1
                case .carry: take(conversation.handedOver(failure: "no"))
                case .close(let why): Issue.record("\(why)")
                case .stopListening, .terminate, .dropDescriptors: break
                }
            }
            #expect(waits <= 1 && conversation.isPaused == (waits == 1))
        }
        while position < bytes.count || waits > 0 {
            if waits > 0, position == bytes.count || Bool.random(using: &dice) {
                waits -= 1
                take(conversation.answered(answers.randomElement(using: &dice)!))
            } else {
                let count = min(bytes.count - position, Int.random(in: 1...40, using: &dice))
                position += count
                take(conversation.receive(Array(bytes[position - count..<position])))
            }
        }
        #expect(said == asked)
    }
}
